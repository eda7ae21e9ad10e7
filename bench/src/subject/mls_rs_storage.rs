//! The storage that comes with mls-rs, and a count of the bytes that it is given.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mls_rs_core::group::{EpochRecord, GroupState, GroupStateStorage};
use mls_rs_core::key_package::{KeyPackageData, KeyPackageStorage};
use mls_rs_provider_sqlite::connection_strategy::ConnectionStrategy;
use mls_rs_provider_sqlite::storage::{SqLiteGroupStateStorage, SqLiteKeyPackageStorage};
use mls_rs_provider_sqlite::{SqLiteDataStorageEngine, SqLiteDataStorageError};
use rusqlite::Connection;
use zeroize::Zeroizing;

/// Bytes of keys and values.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted since the last call.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A storage and its count.
#[derive(Clone, Debug)]
pub struct Counting<S> {
    inner: S,
    count: Count,
}

impl<S> Counting<S> {
    /// Counts what this storage is given.
    pub fn new(inner: S, count: Count) -> Self {
        Self { inner, count }
    }
}

/// The number of an epoch.
const EPOCH: usize = 8;

impl<S: GroupStateStorage> GroupStateStorage for Counting<S> {
    type Error = S::Error;

    fn state(&self, group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, S::Error> {
        self.inner.state(group_id)
    }

    fn epoch(&self, group_id: &[u8], epoch_id: u64) -> Result<Option<Zeroizing<Vec<u8>>>, S::Error> {
        self.inner.epoch(group_id, epoch_id)
    }

    fn write(
        &mut self,
        state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> Result<(), S::Error> {
        let epochs = inserts.iter().chain(&updates).map(|epoch| state.id.len() + EPOCH + epoch.data.len());
        self.count.add(state.id.len() + state.data.len() + epochs.sum::<usize>());
        self.inner.write(state, inserts, updates)
    }

    fn max_epoch_id(&self, group_id: &[u8]) -> Result<Option<u64>, S::Error> {
        self.inner.max_epoch_id(group_id)
    }
}

impl<S: KeyPackageStorage> KeyPackageStorage for Counting<S> {
    type Error = S::Error;

    fn delete(&mut self, id: &[u8]) -> Result<(), S::Error> {
        self.inner.delete(id)
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), S::Error> {
        let value = package.key_package_bytes.len() + package.init_key.len() + package.leaf_node_key.len() + EPOCH;
        self.count.add(id.len() + value);
        self.inner.insert(id, package)
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, S::Error> {
        self.inner.get(id)
    }
}

/// The bytes of all keys and values of a group.
pub fn size(storage: &impl GroupStateStorage, group_id: &[u8]) -> usize {
    let state = storage.state(group_id).ok().flatten().map_or(0, |state| group_id.len() + state.len());
    let newest = storage.max_epoch_id(group_id).ok().flatten();
    let epochs = newest.into_iter().flat_map(|newest| newest.saturating_sub(16)..=newest);
    let epoch = |epoch| storage.epoch(group_id, epoch).ok().flatten();
    state + epochs.filter_map(epoch).map(|epoch| group_id.len() + EPOCH + epoch.len()).sum::<usize>()
}

/// The storages for groups and for key packages in one file.
pub fn sqlite(path: &Path) -> (SqLiteGroupStateStorage, SqLiteKeyPackageStorage) {
    let engine = SqLiteDataStorageEngine::new(File(path.to_owned())).unwrap();
    (engine.group_state_storage().unwrap(), engine.key_package_storage().unwrap())
}

struct File(PathBuf);

impl ConnectionStrategy for File {
    fn make_connection(&self) -> Result<Connection, SqLiteDataStorageError> {
        crate::sqlite::connect(&self.0).map_err(|error| SqLiteDataStorageError::SqlEngineError(error.into()))
    }
}
