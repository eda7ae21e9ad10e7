//! What clients did and were told.

use keyroom_api::{EntryKind, LogEntry};
use sha2::{Digest as _, Sha256};

/// Stands for a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark([u8; 32]);

impl Mark {
    /// That of a message.
    pub fn of(message: &[u8]) -> Self {
        Self(Sha256::digest(message).into())
    }
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A moment, by a counter that all clients share: of two moments the smaller was first.
pub type Moment = u64;

/// A message that a client has sent, however often, until it got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What it is.
    pub kind: EntryKind,
    /// The epoch for which it was made.
    pub epoch: u64,
    /// The message.
    pub mark: Mark,
    /// Before it was sent first.
    pub began: Moment,
    /// What the client was told.
    pub outcome: Outcome,
}

/// What a client was told about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Acknowledged {
        /// Under this number.
        sequence: u64,
        /// After the answer had come.
        ended: Moment,
    },
    /// It is not.
    Refused,
    /// Nothing: it may be in the log or not.
    Unknown,
}

/// All that is known about a room apart from its log.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was sent.
    pub sent: Vec<Sent>,
    /// What readers have seen, under which number.
    pub seen: Vec<(u64, Mark)>,
}

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub sequence: u64,
    /// The epoch for which it was made.
    pub epoch: u64,
    /// What it is.
    pub kind: EntryKind,
    /// The message.
    pub mark: Mark,
}

impl From<&LogEntry> for Entry {
    fn from(entry: &LogEntry) -> Self {
        Self { sequence: entry.sequence, epoch: entry.epoch, kind: entry.kind, mark: Mark::of(&entry.message) }
    }
}
