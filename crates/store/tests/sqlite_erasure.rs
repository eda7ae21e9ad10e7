//! Deleted means gone: with the key of the application, nothing that was replaced or deleted can be
//! opened from any file of the store.
//!
//! A secret value opens with its salt only. So the test writes down every salt that the store ever
//! uses, and looks for those of values that are gone, at every offset of every file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind};
use keyroom_store::{Namespace, RowKey, SqliteOptions, SqliteStore, Store, StoreKey, Transaction};
use keyroom_wire::GroupId;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rusqlite::Connection;

type Salt = [u8; 32];

const NAMESPACE: Namespace = Namespace::new("messages");
const GROUPS: [&str; 3] = ["a", "b", "c"];

#[test]
fn no_key_of_a_value_that_is_gone_is_in_any_file() {
    let mut history = History::new(1);
    for _ in 0..700 {
        history.step();
    }
    let gone = history.gone();
    assert!(gone.len() > 2_000, "{}", gone.len());
    // The test can find them: they are in the log.
    assert!(history.found(&gone) > 0);

    history.store.scrub().unwrap();
    assert_eq!(history.found(&gone), 0);

    // Those of live values are there, each once.
    let live = history.live();
    assert!(live.len() > 500, "{}", live.len());
    assert_eq!(history.found(&live), live.len());

    // Without groups and rows nothing is left.
    history.delete_everything();
    history.store.scrub().unwrap();
    assert_eq!(history.live().len(), 0);
    assert_eq!(history.found(&history.seen), 0);
}

#[test]
fn closing_erases_without_being_asked() {
    let mut history = History::new(2);
    for _ in 0..40 {
        history.step();
    }
    let gone = history.gone();
    let History { folder, store, .. } = history;
    drop(store);
    assert!(!gone.is_empty());
    assert_eq!(count(folder.path(), &gone), 0);
}

#[test]
fn opening_erases_what_a_killed_process_left() {
    let mut history = History::new(4);
    for _ in 0..40 {
        history.step();
    }
    let gone = history.gone();
    let copy = tempfile::tempdir().unwrap();
    for file in ["store.db", "store.db-wal"] {
        fs::copy(history.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    assert!(count(copy.path(), &gone) > 0);
    let reopened = open(&copy.path().join("store.db"));
    assert_eq!(count(copy.path(), &gone), 0);
    assert!(!reopened.groups().unwrap().is_empty());
}

#[test]
fn an_erased_value_is_erased_within_the_promised_number_of_writes() {
    let mut history = History::new(3);
    for _ in 0..40 {
        history.step();
    }
    let gone = history.gone();
    for _ in 0..64 {
        history.step();
    }
    assert_eq!(history.found(&gone), 0);
}

/// A store with a life: epochs come and go, ratchets move, messages are kept and deleted.
struct History {
    folder: tempfile::TempDir,
    store: SqliteStore,
    /// Another way to look into the file.
    raw: Connection,
    random: StdRng,
    versions: [u64; 3],
    seen: HashSet<Salt>,
}

impl History {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = open(&path);
        let raw = Connection::open(&path).unwrap();
        let random = StdRng::seed_from_u64(seed);
        Self { folder, store, raw, random, versions: [0; 3], seen: HashSet::new() }
    }

    fn step(&mut self) {
        let which = self.random.random_range(0..GROUPS.len());
        let mut change_set = ChangeSet::new(GroupId::from(GROUPS[which].as_bytes()), self.versions[which]);
        self.versions[which] = change_set.version;
        let epoch = change_set.version / 8;
        if change_set.version.is_multiple_of(8) && epoch > 2 {
            for kind in [RecordKind::Epoch, RecordKind::Secrets, RecordKind::Ratchet, RecordKind::Skipped] {
                change_set.clear(kind, epoch - 2);
            }
            change_set.put(RecordKey::new(RecordKind::Epoch, epoch, 0), self.bytes(420..421));
            change_set.put(RecordKey::HEAD, self.bytes(300..500));
        }
        for _ in 0..self.random.random_range(1..12) {
            let kinds = [RecordKind::Secrets, RecordKind::Ratchet, RecordKind::Skipped, RecordKind::Leaf];
            let kind = kinds[self.random.random_range(0..kinds.len())];
            let key = RecordKey::new(kind, epoch, self.random.random_range(0..60));
            if self.random.random_range(0..4) == 0 {
                change_set.delete(key);
            } else {
                change_set.put(key, self.bytes(1..1_000));
            }
        }
        let mut transaction = Transaction::new().change(change_set);
        for _ in 0..self.random.random_range(0..4) {
            let key = RowKey::at(NAMESPACE, GROUPS[which], self.random.random_range(0..300));
            transaction = match self.random.random_range(0..3) {
                0 => transaction.delete(key),
                _ => transaction.put(key, self.bytes(1..6_000)),
            };
        }
        self.store.apply(transaction).unwrap();
        let live = self.live();
        self.seen.extend(live);
    }

    fn delete_everything(&mut self) {
        for (name, version) in GROUPS.iter().zip(self.versions) {
            let mut change_set = ChangeSet::new(GroupId::from(name.as_bytes()), version);
            change_set.deleted = true;
            let rows = (0..300).map(|order| RowKey::at(NAMESPACE, *name, order));
            let transaction = rows.fold(Transaction::new(), Transaction::delete);
            self.store.apply(transaction.change(change_set)).unwrap();
        }
    }

    fn bytes(&mut self, length: std::ops::Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; self.random.random_range(length)];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    fn live(&self) -> HashSet<Salt> {
        let mut statement = self.raw.prepare_cached("SELECT salt FROM slots").unwrap();
        let salts = statement.query_map([], |row| row.get::<_, Salt>(0)).unwrap();
        salts.map(Result::unwrap).filter(|salt| *salt != [0; 32]).collect()
    }

    fn gone(&self) -> HashSet<Salt> {
        &self.seen - &self.live()
    }

    fn found(&self, salts: &HashSet<Salt>) -> usize {
        count(self.folder.path(), salts)
    }
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &StoreKey::new([7; 32]), SqliteOptions::default()).unwrap()
}

/// How often any of the salts occurs in the files of a folder.
fn count(folder: &Path, salts: &HashSet<Salt>) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| bytes.windows(32).filter(|window| salts.contains(*window)).count()).sum()
}
