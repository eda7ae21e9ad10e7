//! The peers' connections to SQLite, as Keyroom's store sets its own.

use std::path::Path;

use rusqlite::Connection;

/// Opens a file, or makes it.
///
/// # Errors
/// Those of SQLite.
pub fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}
