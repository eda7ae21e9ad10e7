//! Keyroom, mls-rs and OpenMLS in one group: each founds it, the others join, and everything that a
//! member can do is done by each and followed by all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod differential;
mod explained;
mod forgery;
mod peer;
mod post_quantum;
mod scenario;
mod walk;
mod world;
