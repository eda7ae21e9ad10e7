//! The conformance suite against the stores of this crate.
#![allow(clippy::unwrap_used, reason = "test")]

use std::path::PathBuf;

use keyroom_store::testing::conformance;
use keyroom_store::{MemoryStore, SqliteOptions, SqliteStore, Store, StoreKey};

#[test]
fn memory_store_conforms() {
    conformance::check(|| {
        let store = MemoryStore::new();
        move || Box::new(store.clone()) as Box<dyn Store>
    });
}

#[test]
fn sqlite_store_conforms_with_handles_that_share_nothing() {
    conformance::check(|| {
        let (folder, path) = place();
        move || {
            let _keep = &folder;
            Box::new(SqliteStore::open(&path, &key(), SqliteOptions::default()).unwrap()) as Box<dyn Store>
        }
    });
}

#[test]
fn sqlite_store_conforms_with_handles_that_share_a_connection_and_scrub_often() {
    conformance::check(|| {
        let (folder, path) = place();
        let mut options = SqliteOptions::default();
        options.scrub_after = 4;
        let store = SqliteStore::open(&path, &key(), options).unwrap();
        move || {
            let _keep = &folder;
            Box::new(store.clone()) as Box<dyn Store>
        }
    });
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}
