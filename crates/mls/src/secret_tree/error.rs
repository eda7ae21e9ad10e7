use core::fmt;

use keyroom_crypto::CryptoError;

use crate::error::Rule;
use crate::record::{MalformedRecord, Missing};

/// Why the secret tree gave no key. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretTreeError {
    /// Records are not in memory. Supply them and call again.
    Missing(Missing),
    /// The leaf is outside the tree.
    LeafOutside,
    /// The generation was used before, or its key made room for those of other senders.
    Consumed,
    /// The generation is older than what is kept for this sender.
    TooOld,
    /// The generation is further ahead than allowed.
    TooFarAhead,
    /// The ratchet is at its last generation, 2^32 − 1, which is never used.
    Exhausted,
    /// The puncture was made from another state of the tree.
    Stale,
    /// Storage is damaged.
    Record(MalformedRecord),
    /// The KDF refused.
    Crypto(CryptoError),
}

impl SecretTreeError {
    /// The rule that the sender of the message broke, if it is the sender's fault.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::LeafOutside => Some(Rule::SenderNotMember),
            Self::Consumed => Some(Rule::GenerationConsumed),
            Self::Missing(_)
            | Self::TooOld
            | Self::TooFarAhead
            | Self::Exhausted
            | Self::Stale
            | Self::Record(_)
            | Self::Crypto(_) => None,
        }
    }
}

impl From<MalformedRecord> for SecretTreeError {
    fn from(error: MalformedRecord) -> Self {
        Self::Record(error)
    }
}

impl From<CryptoError> for SecretTreeError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl fmt::Display for SecretTreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => write!(f, "{} records are not in memory", missing.0.len()),
            Self::LeafOutside => f.write_str("leaf is outside the secret tree"),
            Self::Consumed => f.write_str("generation was used before"),
            Self::TooOld => f.write_str("generation is older than what is kept"),
            Self::TooFarAhead => f.write_str("generation is further ahead than allowed"),
            Self::Exhausted => f.write_str("ratchet has no generations left"),
            Self::Stale => f.write_str("puncture was made from another state of the secret tree"),
            Self::Record(error) => error.fmt(f),
            Self::Crypto(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SecretTreeError {}
