//! The runner's part: every kind of script, played over gRPC against this server alone, in every
//! suite, with handshakes in clear and encrypted.
//!
//! `KEYROOM_SCENARIOS` names a folder of script files in the working group's form, which are then
//! played too; `KEYROOM_PEERS` names servers of others (`host:port,…`), among whom the actors of
//! those scripts are dealt out. `KEYROOM_SEED` and `KEYROOM_COUNT` change the random history: where
//! it begins, and how many members it reaches.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "test"
)]

mod application;
mod binary;
mod branch;
mod commits;
mod external_joins;
mod external_proposals;
mod failures;
mod key_packages;
mod random;
mod reinit;
mod runner;
mod scripts;
mod stage;
mod successors;
mod welcome;
