//! What lies in the files of a SQLite store: who may read it, what it shows, what is noticed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::fs;
use std::path::{Path, PathBuf};

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind};
use keyroom_store::{Namespace, RowKey, Scan, SqliteOptions, SqliteStore, Store, StoreError, StoreKey, Transaction};
use keyroom_wire::GroupId;
use rusqlite::Connection;

const NAMESPACE: Namespace = Namespace::new("a namespace to look for");
const LEAF: RecordKey = RecordKey::new(RecordKind::Leaf, 0, 1);

#[test]
fn a_wrong_key_is_refused_and_changes_nothing() {
    let place = Place::new();
    place.open().apply(head(0)).unwrap();
    let before = fs::read(&place.path).unwrap();
    let refused = SqliteStore::open(&place.path, &StoreKey::new([8; 32]), SqliteOptions::default());
    assert_eq!(refused.unwrap_err(), StoreError::WrongKey);
    assert_eq!(fs::read(&place.path).unwrap(), before);
    assert_eq!(place.open().groups().unwrap(), [(group(), 1)]);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let place = Place::new();
    fs::write(&place.path, vec![b'x'; 5_000]).unwrap();
    assert_eq!(place.try_open().unwrap_err(), StoreError::NotAStore);
    assert_eq!(fs::read(&place.path).unwrap(), vec![b'x'; 5_000]);

    for table in ["CREATE TABLE notes (text)", "CREATE TABLE store (text)"] {
        let place = Place::new();
        Connection::open(&place.path).unwrap().execute_batch(table).unwrap();
        let before = fs::read(&place.path).unwrap();
        assert_eq!(place.try_open().unwrap_err(), StoreError::NotAStore);
        assert_eq!(fs::read(&place.path).unwrap(), before);
    }
}

#[test]
fn a_missing_folder_is_an_error_of_the_system() {
    let place = Place::new();
    let path = place.path.join("no").join("store.db");
    let refused = SqliteStore::open(path, &key(), SqliteOptions::default());
    assert!(matches!(refused.unwrap_err(), StoreError::Io(_)));
}

#[test]
fn a_store_of_a_newer_release_is_refused_with_both_numbers() {
    let place = Place::new();
    drop(place.open());
    place.sql("UPDATE store SET schema = 2");
    assert_eq!(place.try_open().unwrap_err(), StoreError::NewerSchema { found: 2, known: 1 });
}

#[test]
fn an_empty_file_becomes_a_store() {
    let place = Place::new();
    fs::write(&place.path, b"").unwrap();
    assert_eq!(place.open().groups().unwrap(), []);
}

#[cfg(unix)]
#[test]
fn files_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = place.open();
    store.apply(head(0)).unwrap();
    let files = place.files();
    assert_eq!(files.len(), 3);
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn names_and_values_are_not_in_clear() {
    let place = Place::new();
    let store = place.open();
    let mut change_set = ChangeSet::new(GroupId::from(&b"a group to look for"[..]), 0);
    change_set.put(LEAF, b"a leaf to look for".to_vec());
    change_set.put(RecordKey::HEAD, b"a head to look for".to_vec());
    let row = RowKey::new(NAMESPACE, "a name to look for");
    store.apply(Transaction::new().change(change_set).put(row, b"a row to look for".to_vec())).unwrap();
    assert!(!place.contains(b"to look for"));
    store.scrub().unwrap();
    assert!(!place.contains(b"to look for"));
    // It would be found: what is in clear is.
    assert!(place.contains(b"CREATE TABLE"));
}

#[test]
fn whatever_is_altered_or_moved_is_noticed() {
    let change = |sql: &str, expected: &str| {
        let place = Place::new();
        filled(&place);
        place.sql(sql);
        let Ok(store) = place.try_open() else {
            assert_eq!(expected, "open");
            return;
        };
        let leaves = store.read(&group(), &[LEAF, RecordKey::new(RecordKind::Leaf, 0, 2)]);
        let ratchets = store.read(&group(), &[RecordKey::new(RecordKind::Ratchet, 1, 1)]);
        let rows = store.rows(Scan::namespace(NAMESPACE), 9);
        let corrupt = [
            ("leaf", leaves.err() == Some(StoreError::Corrupt)),
            ("ratchet", ratchets.err() == Some(StoreError::Corrupt)),
            ("row", rows.err() == Some(StoreError::Corrupt)),
            ("groups", store.groups().err() == Some(StoreError::Corrupt)),
        ];
        let found: Vec<_> = corrupt.iter().filter(|(_, corrupt)| *corrupt).map(|(name, _)| *name).collect();
        assert_eq!(found.join(" "), expected, "{sql}");
    };
    change("SELECT 1", "");
    // Values that were changed, cut, or exchanged with another of the same kind.
    change("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE kind = 3", "leaf");
    change("UPDATE records SET sealed = substr(sealed, 1, 20)", "leaf ratchet");
    change(
        "UPDATE records SET sealed = (SELECT sealed FROM records WHERE kind = 3 AND minor = 2) WHERE kind = 3",
        "leaf",
    );
    change("DELETE FROM records WHERE kind = 3 AND minor = 1; UPDATE records SET minor = 1 WHERE kind = 3", "leaf");
    change("UPDATE rows SET place = place + 1", "row");
    change("UPDATE rows SET sealed = (SELECT max(sealed) FROM rows)", "row");
    // Versions: of a record, newer than the group, of the group.
    change("UPDATE records SET version = 1 WHERE kind = 3", "leaf");
    change("UPDATE records SET version = 9 WHERE kind = 6", "ratchet");
    change("UPDATE groups SET version = 1", "leaf ratchet groups");
    // Slots: another's, none, emptied.
    change("UPDATE records SET slot = (SELECT max(slot) FROM rows) WHERE kind = 6", "ratchet");
    change("UPDATE records SET slot = NULL WHERE kind = 6", "ratchet");
    change("UPDATE records SET slot = 1 WHERE kind = 3", "leaf");
    change("UPDATE slots SET salt = zeroblob(32) WHERE id IN (SELECT slot FROM records)", "ratchet");
    change("UPDATE slots SET salt = zeroblob(31) WHERE id IN (SELECT slot FROM rows)", "row");
    change("UPDATE slots SET salt = zeroblob(32) WHERE id IN (SELECT slot FROM groups)", "leaf ratchet groups");
    change("DELETE FROM slots", "leaf ratchet row groups");
    // What everything hangs on.
    change("UPDATE store SET id = zeroblob(16)", "open");
    change("UPDATE store SET id = zeroblob(3)", "open");
    change("DELETE FROM store", "open");
    change("DROP TABLE store", "open");
}

#[test]
fn a_group_of_another_store_is_noticed() {
    let (place, other) = (Place::new(), Place::new());
    filled(&place);
    filled(&other);
    let connection = Connection::open(&place.path).unwrap();
    connection.execute("ATTACH ?1 AS other", [other.path.to_str().unwrap()]).unwrap();
    connection
        .execute_batch(
            "UPDATE groups SET sealed = (SELECT sealed FROM other.groups);
             UPDATE records SET sealed = (SELECT sealed FROM other.records AS r
                WHERE r.kind = records.kind AND r.major = records.major AND r.minor = records.minor);",
        )
        .unwrap();
    drop(connection);
    assert_eq!(place.open().read(&group(), &[LEAF]).unwrap_err(), StoreError::Corrupt);
    assert_eq!(place.open().groups().unwrap_err(), StoreError::Corrupt);
}

#[test]
fn the_log_stays_short() {
    let place = Place::new();
    let store = place.open();
    let log = place.path.with_extension("db-wal");
    let mut longest = 0;
    for base in 0..300 {
        store.apply(head(base)).unwrap();
        longest = longest.max(fs::metadata(&log).unwrap().len());
    }
    // 64 transactions of a few pages each.
    assert!(longest < 64 * 6 * 4_200, "{longest}");
    store.scrub().unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
}

#[test]
fn a_reader_elsewhere_delays_the_scrub_and_nothing_else() {
    let place = Place::new();
    let mut options = SqliteOptions::default();
    options.scrub_after = 1;
    options.busy_timeout = std::time::Duration::from_millis(50);
    let store = SqliteStore::open(&place.path, &key(), options).unwrap();
    let log = place.path.with_extension("db-wal");
    store.apply(head(0)).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);

    let reader = Connection::open(&place.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM records;").unwrap();
    store.apply(head(1)).unwrap();
    assert_eq!(store.scrub(), Err(StoreError::Busy));
    reader.execute_batch("COMMIT").unwrap();
    store.apply(head(2)).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
}

#[test]
fn a_writer_elsewhere_makes_the_store_busy() {
    let place = Place::new();
    let mut options = SqliteOptions::default();
    options.busy_timeout = std::time::Duration::from_millis(50);
    let store = SqliteStore::open(&place.path, &key(), options).unwrap();
    let writer = Connection::open(&place.path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = store.apply(head(0)).unwrap_err();
    assert_eq!((&busy, busy.is_retryable()), (&StoreError::Busy, true));
    writer.execute_batch("COMMIT").unwrap();
    store.apply(head(0)).unwrap();
}

#[test]
fn a_writer_waits_for_a_writer_elsewhere() {
    let place = Place::new();
    let store = place.open();
    let writer = Connection::open(&place.path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE store SET schema = schema;").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            writer.execute_batch("COMMIT").unwrap();
        });
        store.apply(head(0)).unwrap();
    });
    assert_eq!(store.groups().unwrap(), [(group(), 1)]);
}

#[test]
fn a_closed_store_says_so_and_leaves_one_file() {
    let place = Place::new();
    let store = place.open();
    let clone = store.clone();
    store.apply(head(0)).unwrap();
    store.close().unwrap();
    assert_eq!(clone.groups(), Err(StoreError::Closed));
    assert_eq!(clone.apply(head(1)), Err(StoreError::Closed));
    assert!(place.files().iter().eq([&place.path]));
    clone.close().unwrap();
}

#[test]
fn many_may_open_a_new_store_at_once() {
    for _ in 0..5 {
        let place = Place::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(place.open().groups().unwrap().len() < 2));
            }
        });
        place.open().apply(head(0)).unwrap();
    }
}

#[test]
fn debug_shows_nothing() {
    let place = Place::new();
    assert_eq!(format!("{:?} {:?}", place.open(), key()), "SqliteStore { .. } StoreKey");
}

/// Two versions of a group, two leaves, two ratchets, two rows.
fn filled(place: &Place) {
    let store = place.open();
    let mut change_set = ChangeSet::new(group(), 0);
    for minor in 1..3 {
        change_set.put(RecordKey::new(RecordKind::Ratchet, 1, minor), vec![7; 76]);
        change_set.put(RecordKey::new(RecordKind::Leaf, 0, minor), vec![1; 80]);
    }
    store.apply(Transaction::new().change(change_set)).unwrap();
    let mut change_set = ChangeSet::new(group(), 1);
    change_set.put(LEAF, vec![2; 80]);
    change_set.put(RecordKey::new(RecordKind::Ratchet, 1, 1), vec![8; 76]);
    let rows =
        Transaction::new().put(RowKey::at(NAMESPACE, "x", 1), vec![3]).put(RowKey::at(NAMESPACE, "x", 5), vec![4]);
    store.apply(rows.change(change_set)).unwrap();
}

fn head(base: u64) -> Transaction {
    let mut change_set = ChangeSet::new(group(), base);
    change_set.put(RecordKey::HEAD, b"head".to_vec());
    Transaction::new().change(change_set)
}

fn group() -> GroupId {
    GroupId::from(&b"group"[..])
}

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}

struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        Self { folder, path }
    }

    fn try_open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path, &key(), SqliteOptions::default())
    }

    fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    fn sql(&self, sql: &str) {
        Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn contains(&self, bytes: &[u8]) -> bool {
        self.files().iter().any(|file: &PathBuf| in_file(file, bytes))
    }
}

fn in_file(file: &Path, bytes: &[u8]) -> bool {
    fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes)
}
