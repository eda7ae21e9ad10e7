use std::io::ErrorKind;

use keyroom_wire::GroupId;

/// Why a store did not do what it was asked. After any error of [`Store::apply`](crate::Store::apply)
/// either everything of the transaction is stored or nothing; all but [`Io`](Self::Io) and
/// [`Closed`](Self::Closed) promise that it is nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another handle, tab or process was first. Load the group again and repeat the operation.
    #[error("the group has another version than the change set was made from")]
    Conflict {
        /// The group.
        group: GroupId,
        /// Version that is stored; 0 if the group is not.
        stored: u64,
        /// Version that the change set, or what was loaded before, names.
        base: u64,
    },
    /// A row is there that was expected to be absent, or the other way round.
    #[error("a row is not as the transaction expects it")]
    RowConflict {
        /// Place of the change in [`Transaction::rows`](crate::Transaction::rows).
        index: usize,
    },
    /// The caller's mistake: a change set whose version is not greater than its base.
    #[error("the version of a change set is not greater than its base")]
    VersionOrder {
        /// The group.
        group: GroupId,
    },
    /// What is stored was not written by this store, is in another place than it was written to, or
    /// is damaged.
    #[error("the store is damaged")]
    Corrupt,
    /// The key is not the one that the store was made with.
    #[error("wrong key for this store")]
    WrongKey,
    /// The file belongs to something else.
    #[error("not a store")]
    NotAStore,
    /// A newer release wrote the store.
    #[error("the store has schema {found}, this release knows up to {known}")]
    NewerSchema {
        /// Schema of the store.
        found: u32,
        /// Newest schema that this release reads.
        known: u32,
    },
    /// Another handle or process held the store for longer than the timeout. Nothing was stored.
    #[error("the store is busy")]
    Busy,
    /// The operating system failed. If this comes from `apply`, read the version of the group to
    /// learn whether the transaction is stored.
    #[error("input or output failed: {0}")]
    Io(ErrorKind),
    /// The handle was closed. If this comes from `apply`, the transaction may be stored.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call can succeed later without anything else being done.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::Io(_))
    }

    /// Stable code, for logs and for other languages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::RowConflict { .. } => "row-conflict",
            Self::VersionOrder { .. } => "version-order",
            Self::Corrupt => "corrupt",
            Self::WrongKey => "wrong-key",
            Self::NotAStore => "not-a-store",
            Self::NewerSchema { .. } => "newer-schema",
            Self::Busy => "busy",
            Self::Io(_) => "io",
            Self::Closed => "closed",
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}
