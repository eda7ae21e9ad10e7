//! Tables, and how a file is opened.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Outcome;
use crate::{Durability, LedgerError};

/// Version of the tables, in SQLite's `user_version`.
pub(super) const VERSION: i64 = 1;

/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// What the writer keeps of the file in memory, in KiB: the pages that messages of many rooms touch again and
/// again. With SQLite's own 2 MiB it read a quarter as many pages as it wrote.
const CACHE: i64 = 32 << 10;

/// Pages in the log of writes after which they go into the file itself. SQLite's own 1,000 are there after a few
/// groups of messages, and each time the file is synchronised too.
const CHECKPOINT: i64 = 4_000;

const TABLES: &str = "
    CREATE TABLE devices (
        id INTEGER PRIMARY KEY,
        uri TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        mailbox_head INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX devices_of_user ON devices (user, uri);

    -- A row outlives its message (NULL once claimed or replaced), so that a key package that is
    -- published again is not given out again.
    CREATE TABLE key_packages (
        id INTEGER PRIMARY KEY,
        device INTEGER NOT NULL REFERENCES devices,
        reference BLOB NOT NULL,
        cipher_suite INTEGER NOT NULL,
        last_resort INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        message BLOB,
        UNIQUE (device, reference)
    ) STRICT;
    CREATE INDEX key_packages_left ON key_packages (device, cipher_suite, last_resort, id) WHERE message IS NOT NULL;

    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        uri TEXT NOT NULL UNIQUE,
        group_id BLOB NOT NULL UNIQUE,
        epoch INTEGER NOT NULL,
        head INTEGER NOT NULL,
        -- Whether the roster says who may do what.
        listed INTEGER NOT NULL,
        -- Whether the roster holds who has proved to know the secrets of an epoch.
        keyed INTEGER NOT NULL,
        -- The sequence number of the commit that closed it.
        closed INTEGER,
        successor TEXT,
        -- 0 for more than half of the members.
        reports_needed INTEGER NOT NULL
    ) STRICT;

    -- Who was in the room from which entry of the log to which. In a keyed room nobody knows the leaves: they
    -- are numbered downwards from -1.
    CREATE TABLE roster (
        room INTEGER NOT NULL REFERENCES rooms,
        device TEXT NOT NULL,
        leaf INTEGER NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,
        PRIMARY KEY (room, device, leaf, since)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX roster_of_leaves ON roster (room, leaf) WHERE until IS NULL;

    -- How members of a keyed room prove in each epoch that they are.
    CREATE TABLE access_keys (
        room INTEGER NOT NULL REFERENCES rooms,
        epoch INTEGER NOT NULL,
        key BLOB NOT NULL,
        PRIMARY KEY (room, epoch)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE epochs (
        room INTEGER NOT NULL REFERENCES rooms,
        epoch INTEGER NOT NULL,
        group_info BLOB NOT NULL,
        tree_hash BLOB NOT NULL,
        PRIMARY KEY (room, epoch)
    ) STRICT;

    -- Records of the public state, each from the epoch that set it on; NULL for deleted. Epochs share
    -- what did not change between them.
    CREATE TABLE state (
        room INTEGER NOT NULL REFERENCES rooms,
        key BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        value BLOB,
        PRIMARY KEY (room, key, epoch)
    ) STRICT;
    CREATE INDEX state_of_epoch ON state (room, epoch);

    CREATE TABLE log (
        room INTEGER NOT NULL REFERENCES rooms,
        sequence INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        accepted_at INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (room, sequence)
    ) STRICT;
    CREATE UNIQUE INDEX one_commit_for_each_epoch ON log (room, epoch) WHERE kind = 3;
    CREATE INDEX proposals_of_epoch ON log (room, epoch, sequence) WHERE kind = 2;

    CREATE TABLE reports (
        room INTEGER NOT NULL REFERENCES rooms,
        epoch INTEGER NOT NULL,
        leaf INTEGER NOT NULL,
        reason INTEGER NOT NULL,
        signature BLOB NOT NULL,
        PRIMARY KEY (room, epoch, leaf)
    ) STRICT, WITHOUT ROWID;

    -- What the addressees of a Welcome share: before their secrets, and after them.
    CREATE TABLE welcomes (
        id INTEGER PRIMARY KEY,
        head BLOB NOT NULL,
        tail BLOB NOT NULL,
        tree_hash BLOB NOT NULL
    ) STRICT;

    CREATE TABLE mailbox (
        device INTEGER NOT NULL REFERENCES devices,
        sequence INTEGER NOT NULL,
        room INTEGER NOT NULL REFERENCES rooms,
        epoch INTEGER NOT NULL,
        cursor INTEGER NOT NULL,
        welcome INTEGER NOT NULL REFERENCES welcomes,
        secrets BLOB NOT NULL,
        PRIMARY KEY (device, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mailbox_of_welcome ON mailbox (welcome);
    CREATE INDEX mailbox_of_epoch ON mailbox (room, epoch);

    CREATE TABLE idempotency (
        device TEXT NOT NULL,
        key TEXT NOT NULL,
        room INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (device, key)
    ) STRICT, WITHOUT ROWID;

    -- How often a device has claimed key packages of a user in an hour, which is counted since 1970.
    CREATE TABLE claims (
        device TEXT NOT NULL,
        user TEXT NOT NULL,
        hour INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (device, user)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX claims_of_hours ON claims (hour);

    -- One row.
    CREATE TABLE server (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        secret BLOB NOT NULL
    ) STRICT;

    CREATE TABLE device_keys (
        device TEXT NOT NULL,
        cipher_suite INTEGER NOT NULL,
        public BLOB NOT NULL,
        PRIMARY KEY (device, cipher_suite)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE challenges (
        challenge BLOB PRIMARY KEY,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX challenges_expired ON challenges (expires);
";

/// Opens the file for the writer and brings its tables up to date.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    create_private(path)?;
    let db = Connection::open(path).map_err(|e| failure(&e))?;
    let version = prepare(&db).map_err(|e| failure(&e))?;
    if version == VERSION { Ok(db) } else { Err(LedgerError::Corrupt) }
}

/// Creates the file, if it is not there, for its owner alone: it holds the secret of the sessions. SQLite gives
/// its mode to the files beside it.
fn create_private(path: &Path) -> Result<(), LedgerError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            tracing::error!(kind = ?error.kind(), "the database cannot be created");
            Err(LedgerError::Unavailable)
        }
    }
}

fn prepare(db: &Connection) -> Outcome<i64> {
    settings(db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -CACHE)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    db.execute_batch("BEGIN IMMEDIATE")?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        db.execute_batch(TABLES)?;
        db.pragma_update(None, "user_version", VERSION)?;
    }
    db.execute_batch("COMMIT")?;
    Ok(version.max(i64::from(version == 0) * VERSION))
}

/// How a connection writes. In WAL mode a transaction is on the disk when it has ended if `synchronous` is
/// FULL (2) or EXTRA (3).
pub(super) fn durability(db: &Connection) -> Outcome<Durability> {
    let level: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let journal: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let name = match level {
        0 => "OFF",
        1 => "NORMAL",
        2 => "FULL",
        _ => "EXTRA",
    };
    let settings = format!("synchronous={name}, journal_mode={}", journal.to_uppercase());
    Ok(Durability { synchronous: level >= 2, settings })
}

/// Opens the file for reading; [`open`] has been there before.
pub(super) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|e| failure(&e))?;
    settings(&db).map_err(|e| failure(&e))?;
    Ok(db)
}

pub(super) fn settings(db: &Connection) -> Outcome<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// What the callers of the ledger learn of an error of SQLite; the log gets its kind.
pub(super) fn failure(error: &rusqlite::Error) -> LedgerError {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    tracing::error!(?code, "SQLite failed");
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) => {
            LedgerError::Corrupt
        }
        Some(_) => LedgerError::Unavailable,
        None => LedgerError::Corrupt,
    }
}
