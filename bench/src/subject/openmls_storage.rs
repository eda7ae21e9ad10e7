//! The two storages of OpenMLS.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::rc::Rc;

use openmls_memory_storage::MemoryStorage;
use openmls_sqlite_storage::{Codec, SqliteStorageProvider};
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A storage as its owner holds it.
pub trait Holder {
    /// The storage.
    type Storage: StorageProvider<CURRENT_VERSION>;
    /// The storage.
    fn storage(&self) -> &Self::Storage;
    /// Everything until [`commit`](Self::commit) is one transaction.
    fn begin(&self);
    /// Makes it durable.
    fn commit(&self);
    /// What is in it, where that can be seen.
    fn content(&self) -> Option<Content>;
}

/// All keys, with hashes and lengths of their values.
#[derive(Default)]
pub struct Content(HashMap<Vec<u8>, (u64, usize)>);

impl Content {
    /// The bytes of all keys and values that are not what they were, and of the keys that are gone: no
    /// more than was really written.
    pub fn written_since(&self, before: &Self) -> usize {
        let changed = self.0.iter().filter(|(key, value)| before.0.get(*key) != Some(*value));
        let gone = before.0.keys().filter(|key| !self.0.contains_key(*key));
        changed.map(|(key, (_, length))| key.len() + length).sum::<usize>() + gone.map(Vec::len).sum::<usize>()
    }

    /// The bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(key, (_, length))| key.len() + length).sum()
    }
}

impl Holder for MemoryStorage {
    type Storage = Self;

    fn storage(&self) -> &Self {
        self
    }

    fn begin(&self) {}

    fn commit(&self) {}

    fn content(&self) -> Option<Content> {
        let values = self.values.read().unwrap();
        let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            (key.clone(), (hasher.finish(), value.len()))
        };
        Some(Content(values.iter().map(entry).collect()))
    }
}

/// OpenMLS's storage in SQLite, whose single writes are put into one transaction for each operation.
pub struct Sqlite {
    connection: Rc<Connection>,
    provider: SqliteProvider,
}

/// With JSON, as the storage in memory has it.
pub type SqliteProvider = SqliteStorageProvider<Json, Shared>;

/// A connection that is also used to begin and to end transactions.
pub struct Shared(Rc<Connection>);

impl std::borrow::Borrow<Connection> for Shared {
    fn borrow(&self) -> &Connection {
        &self.0
    }
}

impl Sqlite {
    /// Opens a file, or makes it.
    pub fn open(path: &Path) -> Self {
        let mut connection = crate::sqlite::connect(path).unwrap();
        SqliteStorageProvider::<Json, &mut Connection>::new(&mut connection).run_migrations().unwrap();
        let connection = Rc::new(connection);
        Self { provider: SqliteStorageProvider::new(Shared(connection.clone())), connection }
    }
}

impl Holder for Sqlite {
    type Storage = SqliteProvider;

    fn storage(&self) -> &SqliteProvider {
        &self.provider
    }

    fn begin(&self) {
        self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    }

    fn commit(&self) {
        self.connection.execute_batch("COMMIT").unwrap();
    }

    fn content(&self) -> Option<Content> {
        None
    }
}

/// The values as JSON.
#[derive(Default)]
pub struct Json;

impl Codec for Json {
    type Error = serde_json::Error;

    fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(value)
    }

    fn from_slice<T: DeserializeOwned>(slice: &[u8]) -> Result<T, serde_json::Error> {
        serde_json::from_slice(slice)
    }
}
