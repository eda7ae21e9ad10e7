//! Keyroom as the passive client of a case.

use std::sync::Arc;

use keyroom_crypto::{Provider, Secret, Suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::Error;
use keyroom_mls::group::{Group, JoinOptions, Received};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::leaf_node::{LifetimeCheck, LifetimePolicy};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_vectors::Hex;
use keyroom_wire::{CipherSuite, Decode, KeyPackage, Limits, MlsMessage, Psk};

use crate::case::{Bad, Case, Kind, Opening};

/// The time of the reader, in seconds since 1970. The lifetimes of the corpus are valid from 1970
/// to 2100 or never, so that any clock will do.
const NOW: u64 = 1_800_000_000;

/// What a message did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The reader is in a new epoch with this authenticator.
    Epoch(Vec<u8>),
    Proposal,
    Data(Vec<u8>),
    /// A key package that could be added.
    KeyPackage,
    /// A GroupInfo from which the reader could join.
    GroupInfo,
}

/// Where somebody stands who gets a Welcome.
#[derive(Clone, Copy)]
enum Standing<'a> {
    /// In no group.
    Outside,
    /// In this group.
    Member(&'a Group),
    /// In this group, which the one of the Welcome is to succeed.
    Heir(&'a Group),
}

/// A member that has joined as the case says.
pub struct Reader {
    suite: &'static dyn Suite,
    psks: Vec<(Psk, Secret)>,
    pub group: Group,
    opening: Opening,
}

/// The configuration of a reader: all that is checked, and lifetimes of any length below 300 years.
pub(crate) fn config() -> Arc<Config> {
    let lifetime = LifetimePolicy { max_seconds: 300 * 366 * 24 * 3600, ..LifetimePolicy::default() };
    Arc::new(Config { lifetime, received_lifetimes: LifetimeCheck::LengthAndRange, ..Config::default() })
}

impl Reader {
    /// Joins and reads what comes before the bad message.
    ///
    /// # Errors
    /// The engine's, of the message that it refused.
    pub fn open(case: &Case) -> Result<Self, Error> {
        let opening = &case.opening;
        let mut reader = Self::join(opening, &opening.welcome, opening.ratchet_tree.as_deref())?;
        assert_eq!(reader.authenticator(), &*opening.initial_epoch_authenticator, "the epoch joined");
        for epoch in &opening.epochs {
            for message in epoch.proposals.iter().chain([&epoch.commit]) {
                reader.process(message)?;
            }
            assert_eq!(reader.authenticator(), &*epoch.epoch_authenticator, "an epoch before");
        }
        for message in &case.before {
            reader.process(message)?;
        }
        Ok(reader)
    }

    /// Joins by this Welcome.
    ///
    /// # Errors
    /// The engine's.
    pub fn join(opening: &Opening, welcome: &[u8], ratchet_tree: Option<&[u8]>) -> Result<Self, Error> {
        Self::join_as(Standing::Outside, opening, welcome, ratchet_tree)
    }

    fn join_as(
        standing: Standing<'_>,
        opening: &Opening,
        welcome: &[u8],
        ratchet_tree: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let suite = RUSTCRYPTO.suite(CipherSuite(opening.cipher_suite)).expect("a suite of the provider");
        let bundles = [bundle(opening)];
        let psks = opening.external_psks.iter();
        let psks = psks.map(|psk| (Psk::External { psk_id: psk.psk_id.to_vec().into() }, Secret::copy_of(&psk.psk)));
        let psks: Vec<_> = psks.collect();
        let groups: Vec<_> = match standing {
            Standing::Outside => Vec::new(),
            Standing::Member(group) | Standing::Heir(group) => vec![group.group_id().clone()],
        };
        let predecessor = match standing {
            Standing::Heir(group) => Some(group),
            Standing::Outside | Standing::Member(_) => None,
        };
        let options = JoinOptions { ratchet_tree, predecessor, groups: &groups, ..JoinOptions::new(&bundles) };
        let inputs = Inputs { now: NOW, psks: &psks };
        let rng = &mut keyroom_vectors::rng(1);
        let joining = Group::join(suite, welcome, &options, config(), &inputs, rng)?;
        let verdict = joining.questions().accept_unseen();
        let (group, _) = joining.accept(&verdict)?;
        Ok(Self { suite, psks, group, opening: opening.clone() })
    }

    /// Reads a message and the proposals before it.
    ///
    /// # Errors
    /// The engine's, of the first that it refused.
    pub fn read(&mut self, message: &Bad) -> Result<Effect, Error> {
        for proposal in &message.proposals {
            self.process(proposal)?;
        }
        match message.kind {
            Kind::Welcome => self.welcomed(Standing::Outside, message),
            Kind::SecondWelcome => self.welcomed(Standing::Member(&self.group), message),
            Kind::Successor => self.welcomed(Standing::Heir(&self.group), message),
            Kind::GroupInfo => self.enter(&message.message),
            Kind::KeyPackage => self.add(&message.message),
            Kind::Commit | Kind::Proposal | Kind::Application => self.process(&message.message),
        }
    }

    /// Refuses a message, or one of the proposals before it, and is as before, to the byte.
    ///
    /// # Errors
    /// Text if it does not.
    pub fn refuses(&mut self, bad: &Bad) -> Result<Error, String> {
        let proposal = |message: &Hex| Bad {
            kind: Kind::Proposal,
            proposals: Vec::new(),
            message: message.clone(),
            ratchet_tree: None,
        };
        let alone = Bad { proposals: Vec::new(), ..bad.clone() };
        for message in bad.proposals.iter().map(proposal).chain([alone]) {
            let before = (self.group.snapshot().unwrap(), self.group.version());
            if let Err(error) = self.read(&message) {
                let same = before == (self.group.snapshot().unwrap(), self.group.version());
                return if same { Ok(error) } else { Err(format!("{error}, but the group has changed")) };
            }
        }
        Err("the bad message is accepted".to_owned())
    }

    pub fn authenticator(&self) -> &[u8] {
        self.group.epoch_authenticator()
    }

    fn process(&mut self, message: &[u8]) -> Result<Effect, Error> {
        let inputs = Inputs { now: NOW, psks: &self.psks };
        match self.group.process(message, &inputs)?.received {
            Received::Commit(staged) => {
                let verdict = staged.questions().accept_unseen();
                self.group.apply(staged, &verdict)?;
                Ok(Effect::Epoch(self.authenticator().to_vec()))
            }
            Received::Proposal(_) => Ok(Effect::Proposal),
            Received::Application { data, .. } => Ok(Effect::Data(data)),
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn welcomed(&self, standing: Standing<'_>, message: &Bad) -> Result<Effect, Error> {
        let joined = Self::join_as(standing, &self.opening, &message.message, message.ratchet_tree.as_deref())?;
        Ok(Effect::Epoch(joined.authenticator().to_vec()))
    }

    /// Makes an external commit, and drops it.
    fn enter(&self, group_info: &[u8]) -> Result<Effect, Error> {
        let signer = self.suite.signer(&self.opening.signature_priv).unwrap();
        let inputs = Inputs { now: NOW, psks: &self.psks };
        let bundle = bundle(&self.opening);
        let builder = Group::join_external(self.suite, &bundle, config());
        builder.build(group_info, signer.as_ref(), &inputs, &mut keyroom_vectors::rng(3))?;
        Ok(Effect::GroupInfo)
    }

    /// Makes a commit that adds the client, and drops it.
    fn add(&mut self, key_package: &[u8]) -> Result<Effect, Error> {
        let MlsMessage::KeyPackage(key_package) = MlsMessage::from_bytes(key_package, &Limits::default())? else {
            panic!("a key package was expected");
        };
        let signer = self.suite.signer(&self.opening.signature_priv).unwrap();
        let inputs = Inputs { now: NOW, psks: &self.psks };
        let rng = &mut keyroom_vectors::rng(2);
        let (pending, _) = self.group.commit().add(key_package).build(signer.as_ref(), &inputs, rng)?;
        self.group.discard(pending.id)?;
        Ok(Effect::KeyPackage)
    }
}

fn bundle(opening: &Opening) -> KeyPackageBundle {
    let secret = |hex: &Hex| Secret::copy_of(hex);
    KeyPackageBundle {
        key_package: key_package(&opening.key_package),
        init_private: secret(&opening.init_priv),
        leaf_private: secret(&opening.encryption_priv),
    }
}

fn key_package(message: &[u8]) -> KeyPackage {
    match MlsMessage::from_bytes(message, &Limits::default()) {
        Ok(MlsMessage::KeyPackage(key_package)) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

/// The stable name of an error in the corpus.
pub fn code(error: &Error) -> String {
    match error {
        Error::Malformed(error) => kebab(&format!("{:?}", error.kind)),
        Error::Rule(rule) => rule.code().into(),
        Error::Refused(refusal) => kebab(&format!("{refusal:?}")),
        Error::NotYet(not_yet) => kebab(&format!("{not_yet:?}")),
        Error::Usage(usage) => kebab(&format!("{usage:?}")),
        other => panic!("not the fault of a message: {other:?}"),
    }
}

/// The variant of an error as the files in `conformance/` name it.
pub fn row_of_refusal(error: &Error) -> String {
    let name = |family: &str, debug: String| {
        let variant: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
        format!("{family}::{variant}")
    };
    match error {
        Error::Malformed(error) => name("DecodeErrorKind", format!("{:?}", error.kind)),
        Error::Rule(rule) => name("Rule", format!("{rule:?}")),
        Error::Refused(refusal) => name("Refusal", format!("{refusal:?}")),
        Error::NotYet(not_yet) => name("NotYet", format!("{not_yet:?}")),
        Error::Usage(usage) => name("Usage", format!("{usage:?}")),
        other => panic!("not the fault of a message: {other:?}"),
    }
}

/// `FutureEpoch { epoch: 7 }` becomes `future-epoch`.
fn kebab(debug: &str) -> String {
    let mut out = String::new();
    for letter in debug.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
