//! Faults under load, and what must be true after them.
//!
//! [`run`] starts a real `keyroomd`, lets many clients write to real groups over HTTP, kills the server
//! (or PostgreSQL under it) at a random moment, starts it again, and asks [`check`] whether the log of
//! each room fits all that the clients have been told: [`history`] records that. For tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program for tests: where its own machinery fails, it ends"
)]

pub mod check;
pub mod history;
mod load;
mod room;
pub mod run;
mod server;
