//! What mls-rs and OpenMLS do with the negative vectors, measured. In `tests/`, Keyroom meets both in
//! one group. For tests only; never published.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

pub mod passive;
pub mod verdicts;
