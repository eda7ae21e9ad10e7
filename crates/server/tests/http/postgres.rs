//! The server as its clients see it, on PostgreSQL: the tests of `main.rs`, and those of several
//! nodes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod access;
mod durability;
mod key_packages;
mod live;
mod malformed;
mod members;
mod messages;
mod nodes;
mod private;
mod protocol;
mod reports;
mod rooms;
mod sessions;
mod tls;
mod world;

use keyroom_delivery::PostgresOptions;
use keyroom_server::Database;
use keyroom_testbed::shared_postgres;
use tempfile::TempDir;

/// The database of a test that has this folder. Where PostgreSQL is not installed, the test has said
/// that it was skipped, and runs once more on SQLite.
pub(crate) fn database(folder: &TempDir) -> Database {
    match shared_postgres() {
        Some(server) => postgres(server.schema()),
        None => Database::File(folder.path().join("keyroom.db")),
    }
}

/// A database at an address, with few connections, because many tests share the server.
pub(crate) fn postgres(url: String) -> Database {
    Database::Postgres { url, options: PostgresOptions { connections: 6, ..PostgresOptions::default() } }
}
