//! What mls-rs and OpenMLS do with the negative vectors, measured. In `tests/`, Keyroom meets both in
//! one group, in the suites 1 to 3 and, with mls-rs, 7. The other suites that published peers have,
//! and why they are not played:
//!
//! * 5 is in mls-rs over aws-lc, which asks for an older aws-lc than the one here; 4 and 6 are in
//!   mls-rs over OpenSSL, which this workspace does not link.
//! * Post-quantum: no published version of a peer makes the same keys as draft-ietf-hpke-pq. What is
//!   the same and what is not is measured in `tests/peers/post_quantum.rs`.
//!
//! For tests only; never published.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support"
)]

pub mod passive;
pub mod verdicts;
