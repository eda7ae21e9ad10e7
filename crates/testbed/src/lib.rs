//! PostgreSQL and NATS servers of one's own, in temporary folders; for tests and measurements only.
//!
//! [`Postgres`] runs `initdb` and a server that keeps PostgreSQL's own settings for durability;
//! [`Nats`] runs `nats-server`. [`Proxy`] is a
//! line to them that can be cut. Both can be killed and started again at the same port, and both end
//! when the process that started them does, however that ends. Where a program is not installed,
//! [`Postgres::start`] and [`Nats::start`] say so on standard error and return `None`, so that a test
//! can pass; with `KEYROOM_REQUIRE=1` they fail instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "support for tests, which fail by panics and speak on standard error"
)]

mod durable;
mod nats;
mod postgres;
mod process;
mod proxy;

pub use durable::require_durable;
pub use nats::Nats;
pub use postgres::{Postgres, PostgresProgram, shared_postgres};
pub use proxy::Proxy;

/// Says that a program is missing and that the test was skipped.
///
/// # Panics
/// With `KEYROOM_REQUIRE=1`.
fn missing(program: &str) {
    let required = std::env::var("KEYROOM_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!required, "{program} is not installed and KEYROOM_REQUIRE=1");
    eprintln!("skipped: {program} is not installed");
}
