//! Keyroom's records in the two stores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};
use keyroom_store::{MemoryStore, Namespace, RowKey, SqliteOptions, SqliteStore, Store, StoreKey, Transaction};
use keyroom_wire::GroupId;

use super::{Storage, group_file};

/// The rows of key packages that are not used yet.
const KEY_PACKAGES: Namespace = Namespace::new("key packages");

/// A store, and the names of the records in it.
pub struct Records {
    store: Box<dyn Store>,
    path: Option<PathBuf>,
    /// Lengths of the values.
    lengths: BTreeMap<RecordKey, usize>,
    group: Option<GroupId>,
}

impl Records {
    /// An empty store.
    pub fn new(storage: Storage<'_>) -> Self {
        let (store, path): (Box<dyn Store>, _) = match storage {
            Storage::Memory => (Box::new(MemoryStore::new()), None),
            Storage::Sqlite(path) => (Box::new(sqlite(path)), Some(path.to_owned())),
        };
        Self { store, path, lengths: BTreeMap::new(), group: None }
    }

    /// Keeps a key package. Returns the bytes of name and value.
    pub fn put_key_package(&self, reference: &[u8], bundle: RecordValue) -> usize {
        let bytes = reference.len() + bundle.len();
        self.store.apply(Transaction::new().put(RowKey::new(KEY_PACKAGES, reference), bundle)).unwrap();
        bytes
    }

    /// What is written when a key package is used up.
    pub fn without_key_package(reference: &[u8]) -> Transaction {
        Transaction::new().delete(RowKey::new(KEY_PACKAGES, reference))
    }

    /// Stores, in one transaction.
    pub fn apply(&self, changes: Vec<ChangeSet>, transaction: Transaction) {
        let transaction = changes.into_iter().fold(transaction, Transaction::change);
        self.store.apply(transaction).unwrap();
    }

    /// Takes note of what is about to be stored. Returns the bytes of keys and values: those of the
    /// group's id, and 17 for the key of each record.
    pub fn note(&mut self, changes: &[ChangeSet]) -> usize {
        changes.iter().map(|changes| self.note_one(changes)).sum()
    }

    fn note_one(&mut self, changes: &ChangeSet) -> usize {
        let mut bytes = changes.group_id.as_slice().len() + CLEARED * changes.cleared.len();
        self.group = Some(changes.group_id.clone());
        for (kind, major) in &changes.cleared {
            self.lengths.retain(|key, _| (key.kind, key.major) != (*kind, *major));
        }
        for (key, value) in &changes.writes {
            bytes += KEY + value.as_ref().map_or(0, |value| value.len());
            match value {
                Some(value) => self.lengths.insert(*key, value.len()),
                None => self.lengths.remove(key),
            };
        }
        bytes
    }

    /// Reads records.
    pub fn read(&self, keys: &[RecordKey]) -> (u64, Vec<(RecordKey, Option<RecordValue>)>) {
        let snapshot = self.store.read(self.group.as_ref().unwrap(), keys).unwrap();
        (snapshot.version, snapshot.records)
    }

    /// The bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.lengths.values().map(|length| KEY + length).sum()
    }

    /// Closes the file and leaves the names of all records beside it.
    pub fn close(self) {
        let path = self.path.expect("a file");
        drop(self.store);
        std::fs::write(group_file(&path), self.group.unwrap().as_slice()).unwrap();
        let names = self.lengths.keys().map(|key| format!("{} {} {}\n", key.kind.code(), key.major, key.minor));
        std::fs::write(names_file(&path), names.collect::<String>()).unwrap();
    }

    /// What [`close`](Self::close) has left, with the names of all records, pages before leaves.
    pub fn reopen(path: &Path) -> (Self, Vec<RecordKey>) {
        let group = GroupId::from(std::fs::read(group_file(path)).unwrap());
        let names = std::fs::read_to_string(names_file(path)).unwrap();
        let mut keys: Vec<RecordKey> = names.lines().map(parse_name).collect();
        keys.sort_by_key(|key| match key.kind {
            // A page is compared with the one above it.
            RecordKind::Page => (0, u64::MAX - key.major, key.minor),
            _ => (1, key.major, key.minor),
        });
        let (store, path) = (Box::new(sqlite(path)), Some(path.to_owned()));
        (Self { store, path, lengths: BTreeMap::new(), group: Some(group) }, keys)
    }
}

/// Kind, major and minor.
const KEY: usize = 17;
/// Kind and major.
const CLEARED: usize = 9;

fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &StoreKey::new([7; StoreKey::LENGTH]), SqliteOptions::default()).unwrap()
}

fn names_file(path: &Path) -> PathBuf {
    path.with_extension("names")
}

fn parse_name(line: &str) -> RecordKey {
    let mut words = line.split(' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let kind = RecordKind::from_code(u8::try_from(number()).unwrap()).unwrap();
    RecordKey::new(kind, number(), number())
}
