//! Collects cases. Each is tried when it is added: the bad message must be refused without a
//! trace, the twin accepted.

use keyroom_crypto::CryptoRng;
use keyroom_vectors::Hex;

use crate::case::{Bad, Case, Kind, Opening, Twin};
use crate::reader::{Effect, Reader, code};
use crate::stage::Stage;

/// The cases of one file.
#[derive(Default)]
pub struct Book {
    pub cases: Vec<Case>,
    /// If set, one case of each of these rows and nothing else.
    only: Option<&'static [u16]>,
    /// Cases whose bad message is accepted, or whose twin is refused.
    pub failures: Vec<String>,
}

/// A bad message and its twin.
pub(crate) struct Trial {
    before: Vec<Vec<u8>>,
    bad: Bad,
    twin: Bad,
}

impl Trial {
    pub(crate) fn of(kind: Kind, bad: Vec<u8>, twin: Vec<u8>) -> Self {
        let message = |message: Vec<u8>| Bad { kind, proposals: Vec::new(), message: Hex(message), ratchet_tree: None };
        Self { before: Vec::new(), bad: message(bad), twin: message(twin) }
    }

    pub(crate) fn commit(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::Commit, bad, twin)
    }

    pub(crate) fn proposal(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::Proposal, bad, twin)
    }

    pub(crate) fn application(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::Application, bad, twin)
    }

    pub(crate) fn welcome(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::Welcome, bad, twin)
    }

    pub(crate) fn second_welcome(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::SecondWelcome, bad, twin)
    }

    pub(crate) fn successor(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::Successor, bad, twin)
    }

    pub(crate) fn group_info(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::GroupInfo, bad, twin)
    }

    pub(crate) fn key_package(bad: Vec<u8>, twin: Vec<u8>) -> Self {
        Self::of(Kind::KeyPackage, bad, twin)
    }

    /// The trees beside the two Welcomes.
    pub(crate) fn beside(mut self, bad: Option<Vec<u8>>, twin: Option<Vec<u8>>) -> Self {
        self.bad.ratchet_tree = bad.map(Hex);
        self.twin.ratchet_tree = twin.map(Hex);
        self
    }

    /// A good message that goes before either.
    pub(crate) fn after(mut self, message: Vec<u8>) -> Self {
        self.before.push(message);
        self
    }

    /// The proposals that the two commits name.
    pub(crate) fn naming(mut self, bad: Vec<Vec<u8>>, twin: Vec<Vec<u8>>) -> Self {
        self.bad.proposals = bad.into_iter().map(Hex).collect();
        self.twin.proposals = twin.into_iter().map(Hex).collect();
        self
    }

    /// A bad message of another kind than its twin.
    pub(crate) fn with_twin_of(mut self, kind: Kind) -> Self {
        self.twin.kind = kind;
        self
    }
}

impl Book {
    pub(crate) fn of_rows(rows: &'static [u16]) -> Self {
        Self { only: Some(rows), ..Self::default() }
    }

    /// Adds a case. Its randomness follows from the row and from how many cases of it there are.
    pub(crate) fn add(
        &mut self,
        row: u16,
        what: &str,
        stage: &Stage,
        trial: impl FnOnce(&Stage, &mut dyn CryptoRng) -> Trial,
    ) {
        self.add_opened(row, what, stage, |stage, rng| (stage.opening.clone(), trial(stage, rng)));
    }

    /// Adds a case in whatever suite.
    pub(crate) fn always(
        &mut self,
        row: u16,
        what: &str,
        stage: &Stage,
        trial: impl FnOnce(&Stage, &mut dyn CryptoRng) -> Trial,
    ) {
        let only = self.only.take();
        self.add(row, what, stage, trial);
        self.only = only;
    }

    /// Adds a case whose reader comes into the group in its own way.
    pub(crate) fn add_opened(
        &mut self,
        row: u16,
        what: &str,
        stage: &Stage,
        trial: impl FnOnce(&Stage, &mut dyn CryptoRng) -> (Opening, Trial),
    ) {
        let siblings = self.cases.iter().filter(|case| case.row == row).count() as u64;
        if self.only.is_some_and(|rows| siblings > 0 || !rows.contains(&row)) {
            return;
        }
        let rng = &mut keyroom_vectors::rng(u64::from(row) << 16 | siblings);
        let (opening, Trial { before, bad, twin }) = trial(stage, rng);
        let Bad { kind, proposals, message, ratchet_tree } = twin;
        let mut case = Case {
            row,
            description: what.to_owned(),
            error: String::new(),
            opening,
            before: before.into_iter().map(Hex).collect(),
            bad,
            twin: Twin { kind, proposals, message, ratchet_tree, epoch_authenticator: Hex::default() },
        };
        if let Err(failure) = case.complete() {
            self.failures.push(format!("{}: {failure}", case.name()));
        }
        self.cases.push(case);
    }
}

impl Case {
    /// Fills in what the reader says.
    fn complete(&mut self) -> Result<(), String> {
        let mut reader = Reader::open(self).map_err(|error| format!("before: {error}"))?;
        self.error = code(&reader.refuses(&self.bad)?);
        let effect = reader.read(&self.twin.message()).map_err(|error| format!("twin: {error}"))?;
        let authenticator = match effect {
            Effect::Epoch(authenticator) => authenticator,
            _ => reader.authenticator().to_vec(),
        };
        self.twin.epoch_authenticator = Hex(authenticator);
        Ok(())
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("row {} suite {}: {}", self.row, self.opening.cipher_suite, self.description)
    }
}
