//! Where groups and an application's rows are kept.
//!
//! The protocol does no input or output: each of its operations yields a
//! [`ChangeSet`](keyroom_mls::record::ChangeSet) and, when it lacks a record, says which. This crate
//! keeps the records. [`Store`] is the contract, a handful of blocking methods; [`MemoryStore`] and
//! [`SqliteStore`] keep it, and one conformance suite (feature `testing`) holds every store to it.
//!
//! * **All or nothing.** One [`Transaction`] carries the changes of any number of groups and rows of the
//!   application: the state, the plaintext that is shown and the message that leaves become durable
//!   together, or not at all, whenever the process is killed.
//! * **Who was first.** A change set names the version that it was made from. If the store has another,
//!   because another handle, tab or process was first, the transaction is refused with
//!   [`StoreError::Conflict`], and the caller loads the group again.
//! * **Deleted means gone.** A value that was replaced or deleted cannot be recovered from the files,
//!   not even with the key; see [`SqliteStore`] for how, and for what flash memory may keep.
//!
//! It is not a general database: records and rows are found by their names, and rows of one name listed
//! in their order; there are no queries.
//!
//! Versions of a group begin anew when it is deleted and stored again. A handle that may have seen the
//! old ones could mistake a new one for them: whoever puts a new state in the place of an old one (a
//! client that joins its own group again, say) does both in one transaction, and gives the new state a
//! [`version`](keyroom_mls::record::ChangeSet::version) greater than the old one's.
//!
//! ```
//! use keyroom_mls::record::{ChangeSet, Missing, RecordKey};
//! use keyroom_store::{MemoryStore, Namespace, RowKey, Scan, Store, StoreError, Transaction, load};
//!
//! const MESSAGES: Namespace = Namespace::new("messages");
//!
//! # fn main() -> Result<(), StoreError> {
//! let store = MemoryStore::new(); // or SqliteStore::open(path, &key, SqliteOptions::default())?
//!
//! // What an operation of the protocol yields, and what the application keeps with it.
//! let mut change_set = ChangeSet::new(b"room".as_slice().into(), 0);
//! change_set.put(RecordKey::HEAD, b"state".to_vec());
//! let message = RowKey::at(MESSAGES, b"room".as_slice(), 1);
//! store.apply(Transaction::new().change(change_set).put(message, b"hello".to_vec()))?;
//!
//! // What an operation says is missing.
//! let snapshot = load(&store, &b"room".as_slice().into(), None, &Missing(vec![RecordKey::HEAD]))?;
//! assert_eq!(snapshot.version, 1);
//! assert_eq!(store.rows(Scan::latest(MESSAGES, b"room"), 50)?.len(), 1);
//!
//! // Somebody who has not seen version 1 comes too late.
//! let late = ChangeSet::new(b"room".as_slice().into(), 0);
//! let refused = store.apply(Transaction::new().change(late));
//! assert!(matches!(refused, Err(StoreError::Conflict { stored: 1, base: 0, .. })));
//! # Ok(())
//! # }
//! ```

mod contract;
mod error;
mod key;
mod memory;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;

pub use contract::{Snapshot, Store, Transaction, load};
pub use error::StoreError;
pub use key::StoreKey;
pub use memory::MemoryStore;
pub use row::{Direction, Expect, Namespace, Row, RowChange, RowKey, Scan};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
