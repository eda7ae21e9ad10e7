//! Faults under load, and what must be true after them.
//!
//! [`run`] starts a real `keyroomd`, lets many clients write to real groups over HTTP, kills the server
//! (or PostgreSQL under it) at a random moment, starts it again, and asks [`check`] whether the log of
//! each room fits all that the clients have been told: [`history`] records that.
//!
//! A kill spares what the kernel holds. [`durability`] records what a server asks of the kernel: [`order`]
//! checks that each answer waited for the disk, and [`forget`] what is left if the disk keeps no more than
//! it was told to. For tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "a program for tests: where its own machinery fails, it ends"
)]

pub mod check;
pub mod disk;
pub mod durability;
pub mod exchange;
pub mod forget;
pub mod history;
mod load;
pub mod order;
mod recorder;
mod room;
pub mod run;
mod server;
pub mod trace;
