//! What an operator wants to know of a database.

use std::time::Duration;

use crate::Durability;

/// What a database says of itself. Asking changes nothing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The version of its tables; 0 if there are none yet.
    pub version: u64,
    /// The version that this program works with, to which it brings older ones.
    pub expected: u64,
    /// Whether it lets us write.
    pub writable: bool,
    /// Whether what it has answered survives a loss of power.
    pub durability: Durability,
    /// The time by its own clock, since 1970-01-01T00:00Z, if it has one.
    pub clock: Option<Duration>,
}
