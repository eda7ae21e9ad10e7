//! The format of the file. A store that an earlier release wrote stays readable: each schema has a
//! file in `tests/stores`, which is never changed.
//!
//! To add the file of a new schema, run with `KEYROOM_STORE_WRITE=1` and commit what appears.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test")]

use std::fs;
use std::path::{Path, PathBuf};

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind};
use keyroom_store::{Namespace, RowKey, Scan, SqliteOptions, SqliteStore, Store, StoreKey, Transaction};
use keyroom_wire::GroupId;
use rusqlite::Connection;

const NAMESPACE: Namespace = Namespace::new("notes");
const NEWEST: u32 = 1;

const KINDS: [(u8, RecordKind); 15] = [
    (0, RecordKind::Head),
    (1, RecordKind::Epoch),
    (2, RecordKind::PathKeys),
    (3, RecordKind::Leaf),
    (4, RecordKind::Page),
    (5, RecordKind::Secrets),
    (6, RecordKind::Ratchet),
    (7, RecordKind::Skipped),
    (8, RecordKind::IndexBase),
    (9, RecordKind::IndexLog),
    (10, RecordKind::Counts),
    (11, RecordKind::Proposal),
    (12, RecordKind::Pending),
    (13, RecordKind::Resumption),
    (14, RecordKind::PastLeaves),
];

#[test]
fn stores_of_all_schemas_are_read_and_written() {
    if std::env::var_os("KEYROOM_STORE_WRITE").is_some() && !file(NEWEST).exists() {
        fs::create_dir_all(file(NEWEST).parent().unwrap()).unwrap();
        write(&file(NEWEST));
        fs::write(file(NEWEST).with_extension("sql"), schema_of(&file(NEWEST))).unwrap();
    }
    for schema in 1..=NEWEST {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("store.db");
        fs::copy(file(schema), &copy).unwrap();
        let store = open(&copy);
        assert_holds_what_was_written(&store);
        store.apply(Transaction::new().change(ChangeSet::new(group(), 2))).unwrap();
        drop(store);
        assert_eq!(schema_of(&copy), schema_of_new_store());
    }
}

#[test]
fn the_schema_is_what_was_released() {
    let released = fs::read_to_string(file(NEWEST).with_extension("sql")).unwrap();
    assert_eq!(schema_of_new_store(), released);
}

#[test]
fn kinds_keep_their_numbers() {
    for (number, kind) in KINDS {
        assert_eq!(kind as u8, number);
    }
}

fn write(path: &Path) {
    let store = open(path);
    let mut change_set = ChangeSet::new(group(), 0);
    for (number, kind) in KINDS {
        change_set.put(RecordKey::new(kind, u64::from(number), u64::MAX), format!("first {kind:?}").into_bytes());
        change_set.put(RecordKey::new(kind, u64::MAX, 1), b"to be deleted".to_vec());
    }
    store.apply(Transaction::new().change(change_set)).unwrap();
    let mut change_set = ChangeSet::new(group(), 1);
    for (number, kind) in KINDS {
        change_set.clear(kind, u64::MAX);
        if number % 2 == 0 {
            change_set.put(RecordKey::new(kind, u64::from(number), u64::MAX), format!("second {kind:?}").into_bytes());
        }
    }
    let row = |order: u64| (RowKey::at(NAMESPACE, "series", order), order.to_string().into_bytes());
    let (one, two) = (row(7), row(u64::MAX));
    store.apply(Transaction::new().change(change_set).put(one.0, one.1).put(two.0, two.1)).unwrap();
    store.close().unwrap();
}

fn assert_holds_what_was_written(store: &SqliteStore) {
    assert_eq!(store.groups().unwrap(), [(group(), 2)]);
    for (number, kind) in KINDS {
        let keys = [RecordKey::new(kind, u64::from(number), u64::MAX), RecordKey::new(kind, u64::MAX, 1)];
        let records = store.read(&group(), &keys).unwrap().records;
        let times = if number % 2 == 0 { "second" } else { "first" };
        assert_eq!(**records[0].1.as_ref().unwrap(), format!("{times} {kind:?}").into_bytes());
        assert_eq!(records[1].1, None);
    }
    let rows = store.rows(Scan::series(NAMESPACE, b"series"), 9).unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.key.order, row.value.as_slice())).collect();
    assert_eq!(rows, [(7, b"7".as_slice()), (u64::MAX, b"18446744073709551615")]);
}

fn schema_of_new_store() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path));
    schema_of(&path)
}

fn schema_of(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let schema: u32 = connection.query_row("SELECT schema FROM store", [], |row| row.get(0)).unwrap();
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    tables.map(|sql| sql.unwrap() + ";\n").fold(format!("-- schema {schema}\n"), |all, sql| all + &sql)
}

fn file(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/stores/schema_{schema}.sqlite"))
}

fn group() -> GroupId {
    GroupId::from(&b"group of the snapshot"[..])
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &StoreKey::new([0x2a; 32]), SqliteOptions::default()).unwrap()
}
