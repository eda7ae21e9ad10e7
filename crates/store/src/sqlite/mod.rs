//! The encrypted store in one SQLite file; see [`SqliteStore`].

mod groups;
mod rows;
mod schema;
mod seal;
mod slots;

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keyroom_mls::record::{RecordKey, RecordValue};
use keyroom_wire::GroupId;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use self::seal::Sealer;
use crate::{Row, RowKey, Scan, Snapshot, Store, StoreError, StoreKey, Transaction};

/// How a SQLite store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long a call waits for other handles and processes before it gives up with
    /// [`StoreError::Busy`].
    pub busy_timeout: Duration,
    /// After this many transactions of this handle the log is emptied into the database, so that
    /// what they deleted is gone from it.
    pub scrub_after: u32,
    /// The next transaction after this time empties the log, however few there were.
    pub scrub_interval: Duration,
}

impl Default for SqliteOptions {
    /// Five seconds, 64 transactions, one minute.
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), scrub_after: 64, scrub_interval: Duration::from_secs(60) }
    }
}

/// An encrypted store in one SQLite file (with `-wal` and `-shm` beside it while it is open).
///
/// A clone shares the connection; a second [`open`](Self::open), here or in another process, is an
/// independent handle. The file must lie on a local disk: SQLite's locks and shared memory do not work
/// over networks.
///
/// A value costs 40 bytes for its seal, and about 50 more if it has a salt of its own. Records of more than
/// about 900 bytes leave their page and take pages of 4,096 bytes for themselves.
///
/// # What the file shows without the key
/// How many groups, records and rows there are, their sizes, kinds, versions, epochs, leaf indexes and
/// places in series. Not: group identifiers, names of rows and namespaces, and values.
///
/// # What is noticed
/// Each value is bound to its store, group, record key and version (or row); a value that was changed,
/// or moved from another place, group or file, is [`StoreError::Corrupt`]. So is a record that is newer
/// than its group. Nothing within a file can tell that the whole file was replaced by an older copy
/// of itself; nor is it noticed here that somebody who can write to the file removed a record, or put an
/// old one back together with its version and salt. The protocol checks what it reads against its own
/// hashes.
///
/// # Deleted means gone
/// Each value is sealed under a key made from the store's key and a random salt. The salts lie in a table
/// whose cells SQLite never moves, and are overwritten in place when the value is replaced or deleted. So
/// whatever bytes of the value SQLite has left in unused parts of pages (`secure_delete` is on, and does not
/// reach copies that stayed behind when a live value moved between pages), they cannot be opened any more,
/// not even with the store's key. Rows and records with secrets have a salt each; what is public in a group
/// (leaves, tree, key index) shares one, and is gone with the group.
///
/// Old salts are in the log until it is emptied: after [`scrub_after`](SqliteOptions::scrub_after)
/// transactions, at [`scrub`](Store::scrub), when the last clone is closed or dropped, and when a store is
/// opened that was not closed.
///
/// This makes a key per epoch unnecessary: such a key would itself have to be erased, by these means,
/// and would leave the ratchets of a live epoch to them anyway.
///
/// What lies below the file is out of reach: flash memory, copy-on-write file systems, snapshots and
/// backups may keep blocks that were overwritten or cut off. With the store's key destroyed, too, they
/// are worthless.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

impl SqliteStore {
    /// Opens a store, or makes one, readable and writable for the owner only, if there is no file.
    ///
    /// # Errors
    /// [`WrongKey`](StoreError::WrongKey), [`NotAStore`](StoreError::NotAStore),
    /// [`NewerSchema`](StoreError::NewerSchema), [`Corrupt`](StoreError::Corrupt),
    /// [`Busy`](StoreError::Busy) or [`Io`](StoreError::Io).
    pub fn open(path: impl AsRef<Path>, key: &StoreKey, options: SqliteOptions) -> Result<Self, StoreError> {
        // Closing a file drops the locks that the process has on it: no thread may make the file while
        // another opens it.
        static OPENING: Mutex<()> = Mutex::new(());
        let opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        create(path.as_ref())?;
        let mut connection = connect(path.as_ref(), options)?;
        drop(opening);

        let sealer = schema::prepare(&mut connection, key)?;
        let mut open = Open { connection, sealer, options, writes: 0, scrubbed: Instant::now() };
        open.scrub_quickly();
        Ok(Self { shared: Arc::new(Shared(Mutex::new(Some(open)))) })
    }

    /// Empties the log and closes the file, for all clones.
    ///
    /// # Errors
    /// [`Busy`](StoreError::Busy) or [`Io`](StoreError::Io) if the log could not be emptied because
    /// another handle is reading; the file is closed all the same.
    pub fn close(self) -> Result<(), StoreError> {
        let open = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        open.map_or(Ok(()), |open| open.scrub())
    }

    fn with<T>(&self, call: impl FnOnce(&mut Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut open = self.shared.0.lock().map_err(|_| StoreError::Closed)?;
        call(open.as_mut().ok_or(StoreError::Closed)?)
    }
}

impl Store for SqliteStore {
    fn read(&self, group: &GroupId, keys: &[RecordKey]) -> Result<Snapshot, StoreError> {
        self.with(|Open { connection, sealer, .. }| {
            let transaction = connection.transaction()?;
            groups::read(&transaction, sealer, group, keys)
        })
    }

    fn apply(&self, transaction: Transaction) -> Result<(), StoreError> {
        if transaction.is_empty() {
            return Ok(());
        }
        self.with(|open| {
            open.apply(&transaction)?;
            open.scrub_when_due();
            Ok(())
        })
    }

    fn groups(&self) -> Result<Vec<(GroupId, u64)>, StoreError> {
        self.with(|Open { connection, sealer, .. }| groups::list(connection, sealer))
    }

    fn row(&self, key: &RowKey) -> Result<Option<RecordValue>, StoreError> {
        self.with(|Open { connection, sealer, .. }| rows::read(connection, sealer, key))
    }

    fn rows(&self, scan: Scan<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.with(|Open { connection, sealer, .. }| rows::scan(connection, sealer, scan, limit))
    }

    fn scrub(&self) -> Result<(), StoreError> {
        self.with(|open| {
            open.scrub()?;
            open.scrubbed();
            Ok(())
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// What all clones share: the open file, or `None` after closing.
struct Shared(Mutex<Option<Open>>);

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(open) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            open.scrub_quickly();
        }
    }
}

struct Open {
    connection: Connection,
    sealer: Sealer,
    options: SqliteOptions,
    /// Transactions since the log was last emptied.
    writes: u32,
    scrubbed: Instant,
}

impl Open {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), StoreError> {
        let sqlite = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change_set in &transaction.changes {
            groups::apply(&sqlite, &self.sealer, change_set)?;
        }
        for (index, change) in transaction.rows.iter().enumerate() {
            rows::apply(&sqlite, &self.sealer, index, change)?;
        }
        sqlite.commit()?;
        Ok(())
    }

    fn scrub_when_due(&mut self) {
        self.writes = self.writes.saturating_add(1);
        if self.writes >= self.options.scrub_after || self.scrubbed.elapsed() >= self.options.scrub_interval {
            self.scrub_quickly();
        }
    }

    /// Empties the log, unless another handle is using it: that must not hold up this one. What was
    /// stored is stored either way, and the next transaction, or the other handle, tries again.
    fn scrub_quickly(&mut self) {
        let quick = self.connection.busy_timeout(Duration::from_millis(20));
        if quick.is_ok() && self.scrub().is_ok() {
            self.scrubbed();
        } else {
            self.writes = self.options.scrub_after;
        }
        let _ = self.connection.busy_timeout(self.options.busy_timeout);
    }

    fn scrub(&self) -> Result<(), StoreError> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 { Ok(()) } else { Err(StoreError::Busy) }
    }

    fn scrubbed(&mut self) {
        self.writes = 0;
        self.scrubbed = Instant::now();
    }
}

/// Makes the file before SQLite does, which would let others read it. SQLite gives the log and the
/// shared memory the permissions of the file.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn connect(path: &Path, options: SqliteOptions) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Before anything is changed in a file that is not ours.
    schema::recognise(&connection)?;
    enter_wal_mode(&connection, options.busy_timeout)?;
    for (pragma, value) in [
        ("synchronous", "FULL"),
        // On Apple's systems a plain sync leaves data in the drive's cache.
        ("fullfsync", "ON"),
        ("checkpoint_fullfsync", "ON"),
        ("secure_delete", "ON"),
        ("temp_store", "MEMORY"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        // In KiB. What is read again lies in the groups' own memory, not here.
        ("cache_size", "-256"),
        // Emptied by `scrub`, which also cuts it off.
        ("wal_autocheckpoint", "0"),
    ] {
        connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(no_rows)?;
    }
    Ok(connection)
}

/// Two who open a new file at once can be in each other's way here without SQLite waiting.
fn enter_wal_mode(connection: &Connection, timeout: Duration) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(StoreError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(StoreError::Io(ErrorKind::Unsupported)),
            Err(StoreError::Busy) if started.elapsed() < timeout => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error),
        }
    }
}

/// Some pragmas answer with a row, some do not.
fn no_rows(error: rusqlite::Error) -> Result<(), rusqlite::Error> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            // Columns of another type than the schema says, rows that should be there and are not.
            return Self::Corrupt;
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => Self::Busy,
            ErrorCode::NotADatabase => Self::NotAStore,
            ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => Self::Corrupt,
            ErrorCode::DiskFull => Self::Io(ErrorKind::StorageFull),
            ErrorCode::ReadOnly => Self::Io(ErrorKind::ReadOnlyFilesystem),
            ErrorCode::PermissionDenied => Self::Io(ErrorKind::PermissionDenied),
            ErrorCode::CannotOpen => Self::Io(ErrorKind::NotFound),
            ErrorCode::OutOfMemory => Self::Io(ErrorKind::OutOfMemory),
            ErrorCode::TooBig => Self::Io(ErrorKind::FileTooLarge),
            _ => Self::Io(ErrorKind::Other),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(_: rusqlite::types::FromSqlError) -> Self {
        Self::Corrupt
    }
}
