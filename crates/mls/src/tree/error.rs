//! Why an operation on a tree failed.

use core::fmt;

use keyroom_wire::{DecodeError, LeafIndex};

use crate::error::Rule;
use crate::record::{Missing, RecordKey};

/// Why an operation on a tree failed. The tree is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// Records must be supplied first; then the same call goes on.
    Missing(Missing),
    /// A leaf or node outside the tree.
    OutOfRange,
    /// The leaf is blank and the operation needs a member there.
    BlankLeaf(LeafIndex),
    /// A leaf would stand at an index that the limit does not allow.
    TooManyLeaves {
        /// Leaf indexes must stay below this.
        limit: u32,
    },
    /// The tree was changed and [`tree_hash`](super::Tree::tree_hash) has not been called since.
    NotHashed,
    /// The bytes are malformed.
    Malformed(DecodeError),
    /// The tree breaks a rule of RFC 9420.
    Rule(Rule),
    /// A record from storage is not the one that belongs to this tree.
    Record {
        /// Which one.
        key: RecordKey,
        /// What is wrong with it.
        fault: RecordFault,
    },
}

/// What is wrong with a record from storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordFault {
    /// It is not there, although the tree has something at its place.
    Absent,
    /// It is there, although the tree has nothing at its place, or it is no record of a tree.
    Unexpected,
    /// It does not parse.
    Malformed,
    /// It is not the content that the record above, or the head, commits to: old or foreign.
    Mismatch,
}

impl TreeError {
    pub(super) fn missing(key: RecordKey) -> Self {
        Self::Missing(Missing([key].into()))
    }

    pub(super) const fn record(key: RecordKey, fault: RecordFault) -> Self {
        Self::Record { key, fault }
    }
}

impl From<Missing> for TreeError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<DecodeError> for TreeError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<Rule> for TreeError {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => write!(f, "{} records must be read first", missing.0.len()),
            Self::OutOfRange => f.write_str("node is outside the tree"),
            Self::BlankLeaf(leaf) => write!(f, "leaf {leaf} is blank"),
            Self::TooManyLeaves { limit } => write!(f, "tree would grow beyond {limit} leaves"),
            Self::NotHashed => f.write_str("tree was changed since it was hashed"),
            Self::Malformed(error) => error.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
            Self::Record { key, fault } => {
                let what = match fault {
                    RecordFault::Absent => "is not there",
                    RecordFault::Unexpected => "does not belong to the tree",
                    RecordFault::Malformed => "does not parse",
                    RecordFault::Mismatch => "is old or foreign",
                };
                write!(f, "record {:?} {}/{} {what}", key.kind, key.major, key.minor)
            }
        }
    }
}

impl core::error::Error for TreeError {}
