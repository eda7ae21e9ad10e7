use std::sync::Arc;

use keyroom_mls::record::{ChangeSet, Missing, RecordKey, RecordValue};
use keyroom_wire::GroupId;

use crate::{Expect, Row, RowChange, RowKey, Scan, StoreError};

/// Where groups and an application's rows are kept.
///
/// All methods block and may be called from several threads. Several handles, in one process or in
/// many, may be open on one store. What [`apply`](Self::apply) acknowledged is durable: it is found
/// by every later call of every handle, and after a crash.
pub trait Store: Send + Sync {
    /// Reads records of a group, all from one version of it, in the sequence asked for. A group that
    /// is not stored has version 0 and no records.
    ///
    /// # Errors
    /// [`Corrupt`](StoreError::Corrupt), [`Busy`](StoreError::Busy), [`Io`](StoreError::Io) or
    /// [`Closed`](StoreError::Closed).
    fn read(&self, group: &GroupId, keys: &[RecordKey]) -> Result<Snapshot, StoreError>;

    /// Stores a transaction, all of it or nothing. Change sets are checked and applied in their
    /// sequence, then rows in theirs; several change sets of one group follow on each other.
    ///
    /// # Errors
    /// [`Conflict`](StoreError::Conflict) if a change set was made from another version than the
    /// stored one (also if it has base 0 and the group exists), [`RowConflict`](StoreError::RowConflict),
    /// [`VersionOrder`](StoreError::VersionOrder), and those of [`read`](Self::read).
    fn apply(&self, transaction: Transaction) -> Result<(), StoreError>;

    /// All groups with their versions, sorted by identifier.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn groups(&self) -> Result<Vec<(GroupId, u64)>, StoreError>;

    /// The value of a row, if it is there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn row(&self, key: &RowKey) -> Result<Option<RecordValue>, StoreError>;

    /// Lists at most `limit` rows.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn rows(&self, scan: Scan<'_>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Makes sure that what has been deleted or replaced is gone from the store's files, too. Stores
    /// do it by themselves within a bounded number of writes; call this when the application comes to
    /// rest, so that the last secrets do not wait for the next write.
    ///
    /// # Errors
    /// [`Busy`](StoreError::Busy) if another handle is reading; otherwise as [`read`](Self::read).
    fn scrub(&self) -> Result<(), StoreError>;
}

/// Records of a group, all of one version.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the group; 0 if it is not stored.
    pub version: u64,
    /// The records asked for, in that sequence; `None` for those that are not there.
    pub records: Vec<(RecordKey, Option<RecordValue>)>,
}

/// What becomes durable together: the changes of groups and the application's rows, such as the
/// plaintext of a message that was received or the ciphertext of one that is to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Changes of groups.
    pub changes: Vec<ChangeSet>,
    /// Changes of rows.
    pub rows: Vec<RowChange>,
}

impl Transaction {
    /// A transaction that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a change set.
    #[must_use]
    pub fn change(mut self, change_set: ChangeSet) -> Self {
        self.changes.push(change_set);
        self
    }

    /// Adds a row, in place of one that may be there.
    #[must_use]
    pub fn put(mut self, key: RowKey, value: impl Into<RecordValue>) -> Self {
        self.rows.push(RowChange { key, expect: Expect::Any, value: Some(value.into()) });
        self
    }

    /// Adds a row that must not be there yet.
    #[must_use]
    pub fn insert(mut self, key: RowKey, value: impl Into<RecordValue>) -> Self {
        self.rows.push(RowChange { key, expect: Expect::Absent, value: Some(value.into()) });
        self
    }

    /// Deletes a row, if it is there.
    #[must_use]
    pub fn delete(mut self, key: RowKey) -> Self {
        self.rows.push(RowChange { key, expect: Expect::Any, value: None });
        self
    }

    /// Deletes a row that must be there: of several who take it, one succeeds.
    #[must_use]
    pub fn take(mut self, key: RowKey) -> Self {
        self.rows.push(RowChange { key, expect: Expect::Present, value: None });
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.rows.is_empty()
    }
}

/// Reads what an operation of the protocol said is missing.
///
/// An operation may need several rounds, and another handle may write between two of them. Records of
/// different versions do not belong together, so `loaded` names the version of what is in memory
/// already (`None` in the first round); if the store has moved on, what was loaded is worth nothing and
/// the caller starts over with an empty group. A second conflict is as good as a first: whoever wrote
/// in between got on, so the system as a whole does.
///
/// # Errors
/// [`StoreError::Conflict`] if the store holds another version than `loaded`; those of [`Store::read`].
pub fn load(
    store: &(impl Store + ?Sized),
    group: &GroupId,
    loaded: Option<u64>,
    missing: &Missing,
) -> Result<Snapshot, StoreError> {
    let snapshot = store.read(group, &missing.0)?;
    match loaded {
        Some(base) if base != snapshot.version => {
            Err(StoreError::Conflict { group: group.clone(), stored: snapshot.version, base })
        }
        _ => Ok(snapshot),
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: Store + ?Sized> Store for $pointer {
            fn read(&self, group: &GroupId, keys: &[RecordKey]) -> Result<Snapshot, StoreError> {
                (**self).read(group, keys)
            }

            fn apply(&self, transaction: Transaction) -> Result<(), StoreError> {
                (**self).apply(transaction)
            }

            fn groups(&self) -> Result<Vec<(GroupId, u64)>, StoreError> {
                (**self).groups()
            }

            fn row(&self, key: &RowKey) -> Result<Option<RecordValue>, StoreError> {
                (**self).row(key)
            }

            fn rows(&self, scan: Scan<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
                (**self).rows(scan, limit)
            }

            fn scrub(&self) -> Result<(), StoreError> {
                (**self).scrub()
            }
        }
    )*};
}

forward!(&S, Box<S>, Arc<S>);
