//! `keyroomd` as its operator sees it: every test starts the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod backup;
mod config;
mod doctor;
mod limits;
mod member;
mod metrics;
mod program;
mod stop;
mod tls;
