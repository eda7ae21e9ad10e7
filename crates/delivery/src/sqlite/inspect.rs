//! What a file says of itself.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::schema::{VERSION, durability, failure, settings};
use super::{Outcome, Sqlite};
use crate::{Inspection, LedgerError};

impl Sqlite {
    /// Looks at a file, which may be in use. It is not created, and its tables are left as they are.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if it is not there or locked, [`LedgerError::Corrupt`] if it is something else.
    pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| failure(&e))?;
        inspect(&db).map_err(|e| failure(&e))
    }
}

fn inspect(db: &Connection) -> Outcome<Inspection> {
    settings(db)?;
    // As the writer does: it is a setting of each connection.
    db.pragma_update(None, "synchronous", "FULL")?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let writable = db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok();
    Ok(Inspection {
        version: u64::try_from(version).unwrap_or(u64::MAX),
        expected: VERSION.unsigned_abs(),
        writable,
        durability: durability(db)?,
        clock: None,
    })
}
