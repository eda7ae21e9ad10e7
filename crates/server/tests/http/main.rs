//! The server as its clients see it: every test talks to it over HTTP or WebSocket. Here it runs on
//! SQLite; `postgres.rs` has the same tests on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_server::Database;
use tempfile::TempDir;

mod access;
mod durability;
mod key_packages;
mod live;
mod malformed;
mod members;
mod messages;
mod private;
mod protocol;
mod reports;
mod rooms;
mod sessions;
mod world;

/// The database of a test that has this folder.
pub(crate) fn database(folder: &TempDir) -> Database {
    Database::File(folder.path().join("keyroom.db"))
}
