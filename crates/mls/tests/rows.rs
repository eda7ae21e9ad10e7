//! Every rule by its row: what a member refuses, and that it is the same member afterwards, to the
//! byte; or what it must do or accept. A test is named after the row of `conformance/` it shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::type_complexity,
    reason = "test"
)]

mod rows {
    mod commits;
    mod f_framing;
    mod g_private_messages;
    mod h_proposals;
    mod joining;
}
