//! Another implementation as the passive client of a case.

mod mls_rs;
mod openmls;

use keyroom_negative::{Bad, Case, Kind, Opening};

/// Which implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    MlsRs,
    OpenMls,
}

/// A client with the keys of a case.
pub(crate) trait Passive {
    /// Joins; a group joined before is forgotten.
    fn join(&mut self, welcome: &[u8], ratchet_tree: Option<&[u8]>) -> Result<(), String>;
    /// Reads a message of the group; applies a commit.
    fn process(&mut self, message: &[u8]) -> Result<(), String>;
    /// Joins one more group with the key package of the first, as if it were one of last resort.
    fn join_second(&mut self, welcome: &[u8]) -> Result<(), String>;
    /// The same for a group that succeeds the one that it is in.
    fn succeed(&mut self, welcome: &[u8]) -> Result<(), String>;
    /// Makes a commit or a proposal that adds this client, and drops it.
    fn add(&mut self, key_package: &[u8]) -> Result<(), String>;
    /// Makes an external commit from a GroupInfo, and drops it.
    fn enter(&mut self, group_info: &[u8]) -> Result<(), String>;
    fn epoch_authenticator(&self) -> Vec<u8>;
}

impl Peer {
    pub const ALL: [Self; 2] = [Self::MlsRs, Self::OpenMls];

    pub fn name(self) -> &'static str {
        match self {
            Self::MlsRs => "mls-rs",
            Self::OpenMls => "OpenMLS",
        }
    }

    fn client(self, opening: &Opening) -> Result<Box<dyn Passive>, String> {
        match self {
            Self::MlsRs => mls_rs::client(opening),
            Self::OpenMls => openmls::client(opening),
        }
    }

    /// A client that has joined and read all that comes before the bad message.
    pub(crate) fn open(self, case: &Case) -> Result<Box<dyn Passive>, String> {
        let opening = &case.opening;
        let mut client = self.client(opening)?;
        client.join(&opening.welcome, opening.ratchet_tree.as_deref())?;
        agree(client.as_ref(), &opening.initial_epoch_authenticator)?;
        for epoch in &opening.epochs {
            for message in epoch.proposals.iter().chain([&epoch.commit]) {
                client.process(message)?;
            }
            agree(client.as_ref(), &epoch.epoch_authenticator)?;
        }
        for message in &case.before {
            client.process(message)?;
        }
        Ok(client)
    }

    /// A client that is to read the message: for a Welcome one that has not joined.
    pub(crate) fn before(self, case: &Case) -> Result<Box<dyn Passive>, String> {
        match case.bad.kind {
            Kind::Welcome => self.client(&case.opening),
            _ => self.open(case),
        }
    }
}

pub(crate) fn agree(client: &dyn Passive, expected: &[u8]) -> Result<(), String> {
    if client.epoch_authenticator() == expected { Ok(()) } else { Err("AnotherEpochAuthenticator".to_owned()) }
}

/// Reads a message and the proposals before it.
pub(crate) fn read(client: &mut dyn Passive, message: &Bad) -> Result<(), String> {
    for proposal in &message.proposals {
        client.process(proposal)?;
    }
    match message.kind {
        Kind::Welcome => client.join(&message.message, message.ratchet_tree.as_deref()),
        Kind::SecondWelcome => client.join_second(&message.message),
        Kind::Successor => client.succeed(&message.message),
        Kind::KeyPackage => client.add(&message.message),
        Kind::GroupInfo => client.enter(&message.message),
        Kind::Commit | Kind::Proposal | Kind::Application => client.process(&message.message),
    }
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
