//! Several processes on one SQLite store: killed at any moment, or writing at once.
//!
//! The processes are this test binary itself, started again with an environment variable that makes one
//! test do the writing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind};
use keyroom_store::{Namespace, RowKey, Scan, SqliteOptions, SqliteStore, Store, StoreError, StoreKey, Transaction};
use keyroom_wire::GroupId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const PLACE: &str = "KEYROOM_STORE_TEST_PLACE";
const WINS: &str = "KEYROOM_STORE_TEST_WINS";
const KILLS: u32 = 24;
const NAMESPACE: Namespace = Namespace::new("log");
const GROUPS: [&[u8]; 2] = [b"a", b"b"];

#[test]
fn a_killed_process_leaves_what_it_acknowledged_or_one_step_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut random = StdRng::seed_from_u64(1);
    std::fs::write(path.with_extension("go"), b"").unwrap();
    let mut acknowledged = 0;
    let mut advanced = 0;
    for _ in 0..KILLS {
        let child = start(&path, u64::MAX);
        thread::sleep(Duration::from_millis(random.random_range(15..120)));
        let last = kill(child);
        acknowledged = last.unwrap_or(acknowledged);
        advanced += u32::from(last.is_some());

        let store = open(&path);
        let stored = whole_state(&store);
        assert!(stored == acknowledged || stored == acknowledged + 1, "{stored}, acknowledged {acknowledged}");
        acknowledged = stored;
    }
    assert!(advanced > KILLS / 2, "{advanced} of {KILLS} lived long enough to write");
}

#[test]
fn of_two_processes_exactly_one_wins_each_version() {
    const EACH: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut writers = [start(&path, EACH), start(&path, EACH)];
    thread::sleep(Duration::from_millis(100));
    std::fs::write(path.with_extension("go"), b"").unwrap();
    for writer in &mut writers {
        // Read, so that the pipe does not fill up.
        assert_eq!(acknowledgements(writer).count() as u64, EACH);
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(whole_state(&open(&path)), 2 * EACH);
}

/// Not a test of its own: what the processes above do.
#[test]
fn writer() {
    let (Ok(place), Ok(wins)) = (env::var(PLACE), env::var(WINS)) else { return };
    let store = open(Path::new(&place));
    let mut left: u64 = wins.parse().unwrap();
    while !Path::new(&place).with_extension("go").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    while left > 0 {
        let base = store.read(&GroupId::from(GROUPS[0]), &[]).unwrap().version;
        match store.apply(step(base)) {
            Ok(()) => {
                println!("stored {}", base + 1);
                left -= 1;
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Each step writes the counter everywhere: in both groups, in small and large records, in rows.
fn step(base: u64) -> Transaction {
    let next = base + 1;
    let mut transaction = Transaction::new();
    for group in GROUPS {
        let mut change_set = ChangeSet::new(GroupId::from(group), base);
        change_set.clear(RecordKind::Ratchet, base);
        for key in records(next) {
            change_set.put(key, next.to_be_bytes().repeat(if key.kind == RecordKind::Leaf { 1_000 } else { 9 }));
        }
        transaction = transaction.change(change_set);
    }
    transaction = transaction.put(RowKey::new(NAMESPACE, "last"), next.to_be_bytes().to_vec());
    if base > 0 {
        transaction = transaction.take(RowKey::at(NAMESPACE, "series", base));
    }
    transaction.insert(RowKey::at(NAMESPACE, "series", next), b"".to_vec())
}

fn records(version: u64) -> [RecordKey; 5] {
    [
        RecordKey::HEAD,
        RecordKey::new(RecordKind::Epoch, 0, 0),
        RecordKey::new(RecordKind::Leaf, 0, 1),
        RecordKey::new(RecordKind::Page, 0, 2),
        RecordKey::new(RecordKind::Ratchet, version, 3),
    ]
}

/// The counter, which must be the same everywhere.
fn whole_state(store: &SqliteStore) -> u64 {
    let version = store.read(&GroupId::from(GROUPS[0]), &[]).unwrap().version;
    if version == 0 {
        assert_eq!(store.groups().unwrap(), []);
        return 0;
    }
    for group in GROUPS {
        let snapshot = store.read(&GroupId::from(group), &records(version)).unwrap();
        assert_eq!(snapshot.version, version);
        for (key, value) in snapshot.records {
            let value = value.unwrap();
            assert!(value.chunks(8).all(|chunk| chunk == version.to_be_bytes()), "{key:?}");
        }
        let before = RecordKey::new(RecordKind::Ratchet, version - 1, 3);
        assert_eq!(store.read(&GroupId::from(group), &[before]).unwrap().records, [(before, None)]);
    }
    assert_eq!(**store.row(&RowKey::new(NAMESPACE, "last")).unwrap().unwrap(), version.to_be_bytes());
    let series = store.rows(Scan::series(NAMESPACE, b"series"), 9).unwrap();
    assert!(series.iter().map(|row| row.key.order).eq([version]));
    version
}

fn start(path: &Path, wins: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(PLACE, path)
        .env(WINS, wins.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills (with SIGKILL on Unix) and returns the last version that the process acknowledged.
fn kill(mut child: Child) -> Option<u64> {
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledgements(&mut child).last()
}

/// All that a process says it has stored, until it ends. A line without an end does not count.
fn acknowledgements(child: &mut Child) -> impl Iterator<Item = u64> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        (!line.is_empty()).then_some(line)
    })
    .filter_map(|line| line.strip_suffix('\n')?.split_once("stored ")?.1.parse().ok())
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &StoreKey::new([7; 32]), SqliteOptions::default()).unwrap()
}
