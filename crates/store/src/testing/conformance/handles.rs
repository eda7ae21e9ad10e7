use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keyroom_mls::record::RecordKind::{Epoch, Leaf, Ratchet};
use keyroom_mls::record::{ChangeSet, Missing, RecordKey};

use super::{Handle, get, group, key, puts, value, version};
use crate::{Namespace, RowKey, Scan, Store, StoreError, Transaction, load};

const WINS: Namespace = Namespace::new("wins");

pub(super) fn second_handle_loses_and_finds_what_the_first_wrote(open: &impl Fn() -> Handle) {
    let (first, second) = (open(), open());
    let a = group("a");
    let head = |base, text: &[u8]| Transaction::new().change(puts(&a, base, &[(RecordKey::HEAD, text)]));
    first.apply(head(0, b"first")).unwrap();
    assert_eq!(second.apply(head(0, b"second")), Err(StoreError::Conflict { group: a.clone(), stored: 1, base: 0 }));
    assert_eq!(get(&second, &a, RecordKey::HEAD), Some(b"first".to_vec()));
    second.apply(head(1, b"second")).unwrap();
    assert_eq!(first.apply(head(1, b"first")), Err(StoreError::Conflict { group: a.clone(), stored: 2, base: 1 }));
    assert_eq!(get(&first, &a, RecordKey::HEAD), Some(b"second".to_vec()));

    drop((first, second));
    // A store in memory lives in its handles, of which the opener has one.
    let third = open();
    assert_eq!((version(&third, &a), get(&third, &a, RecordKey::HEAD)), (2, Some(b"second".to_vec())));
}

pub(super) fn load_notices_a_change_between_two_rounds(open: &impl Fn() -> Handle) {
    let (reader, writer) = (open(), open());
    let a = group("a");
    let leaf = key(Leaf, 0, 0);
    let missing = Missing(vec![leaf]);
    assert_eq!(load(&reader, &a, Some(0), &missing).unwrap().version, 0);
    writer.apply(Transaction::new().change(puts(&a, 0, &[(leaf, b"1")]))).unwrap();
    let first = load(&reader, &a, None, &Missing(vec![])).unwrap().version;
    assert_eq!(load(&reader, &a, Some(first), &missing).unwrap().records, [(leaf, Some(value(b"1")))]);
    writer.apply(Transaction::new().change(puts(&a, 1, &[(leaf, b"2")]))).unwrap();
    let moved = Err(StoreError::Conflict { group: a.clone(), stored: 2, base: 1 });
    assert_eq!(load(&reader, &a, Some(first), &missing), moved);
}

pub(super) fn one_of_many_wins_each_version(open: &(impl Fn() -> Handle + Sync)) {
    const WRITERS: u8 = 3;
    const ROUNDS: u64 = 12;
    let a = group("a");
    let barrier = Barrier::new(WRITERS.into());
    // Nothing panics before all rounds are over: the others would wait for ever.
    let write = |writer: u8| {
        let store = open();
        let round = |_| {
            barrier.wait();
            let base = store.read(&a, &[]).map_or(u64::MAX - 1, |snapshot| snapshot.version);
            barrier.wait();
            let change_set = puts(&a, base, &[(RecordKey::HEAD, &[writer])]);
            let claim = RowKey::at(WINS, "a", base + 1);
            (base, store.apply(Transaction::new().change(change_set).put(claim, vec![writer])))
        };
        (0..ROUNDS).map(round).collect::<Vec<_>>()
    };
    let results: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });

    let store = open();
    assert_eq!(version(&store, &a), ROUNDS);
    let claims = store.rows(Scan::series(WINS, b"a"), usize::MAX).unwrap();
    assert!(claims.iter().map(|row| row.key.order).eq(1..=ROUNDS));
    for (round, claim) in (0..ROUNDS).zip(claims) {
        for (writer, results) in results.iter().enumerate() {
            let lost = Err(StoreError::Conflict { group: a.clone(), stored: round + 1, base: round });
            let expected = if *claim.value == [writer as u8] { Ok(()) } else { lost };
            assert_eq!(results[round as usize], (round, expected));
        }
    }
}

pub(super) fn readers_never_see_a_mix(open: &(impl Fn() -> Handle + Sync)) {
    let keys = [RecordKey::HEAD, key(Epoch, 1, 0), key(Leaf, 0, 3), key(Ratchet, 1, 7)];
    let a = group("a");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let store = open();
            for base in 0..60_u64 {
                let mut change_set = ChangeSet::new(a.clone(), base);
                keys.iter().for_each(|key| change_set.put(*key, (base + 1).to_be_bytes().to_vec()));
                store.apply(Transaction::new().change(change_set)).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let store = open();
        while !done.load(Ordering::SeqCst) {
            let snapshot = store.read(&a, &keys).unwrap();
            let expected = (snapshot.version > 0).then(|| value(&snapshot.version.to_be_bytes()));
            assert!(snapshot.records.iter().all(|(_, value)| *value == expected));
        }
    });
}
