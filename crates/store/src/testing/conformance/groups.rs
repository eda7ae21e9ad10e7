use keyroom_mls::record::RecordKind::{Epoch, Head, Leaf, Page, Ratchet, Secrets};
use keyroom_mls::record::{ChangeSet, RecordKey};

use super::{deletion, get, group, key, puts, value, version};
use crate::{Namespace, RowKey, Store, StoreError, Transaction};

pub(super) const CHECKS: [fn(&dyn Store); 12] = [
    an_unknown_group_is_empty,
    records_come_in_the_sequence_asked_for,
    a_wrong_base_changes_nothing,
    a_version_must_grow,
    one_conflict_refuses_all_groups_and_rows,
    change_sets_of_one_group_follow_on_each_other,
    kinds_are_cleared_before_records_are_written,
    a_record_is_deleted,
    a_group_is_deleted_with_all_it_has,
    a_group_is_replaced_in_one_transaction,
    values_may_be_empty_or_large,
    numbers_reach_their_ends,
];

const NAMESPACE: Namespace = Namespace::new("groups");

fn an_unknown_group_is_empty(store: &dyn Store) {
    let snapshot = store.read(&group("none"), &[RecordKey::HEAD]).unwrap();
    assert_eq!((snapshot.version, snapshot.records), (0, vec![(RecordKey::HEAD, None)]));
    assert_eq!(store.groups().unwrap(), []);
    store.apply(Transaction::new()).unwrap();
    store.scrub().unwrap();
}

fn records_come_in_the_sequence_asked_for(store: &dyn Store) {
    let (a, b) = (group("a"), group("b"));
    let (one, two, none) = (key(Leaf, 0, 1), key(Page, 2, 1), key(Leaf, 1, 0));
    store.apply(Transaction::new().change(puts(&a, 0, &[(one, b"1"), (two, b"2")]))).unwrap();
    store.apply(Transaction::new().change(puts(&b, 0, &[(one, b"other")]))).unwrap();
    let snapshot = store.read(&a, &[two, none, one, two]).unwrap();
    let (first, second) = (Some(value(b"1")), Some(value(b"2")));
    assert_eq!(snapshot.version, 1);
    assert_eq!(snapshot.records, [(two, second.clone()), (none, None), (one, first), (two, second)]);
    assert_eq!(store.groups().unwrap(), [(a, 1), (b, 1)]);
}

fn a_wrong_base_changes_nothing(store: &dyn Store) {
    let a = group("a");
    let refused = |base, stored| {
        let result = store.apply(Transaction::new().change(puts(&a, base, &[(RecordKey::HEAD, b"wrong")])));
        assert_eq!(result, Err(StoreError::Conflict { group: a.clone(), stored, base }));
    };
    refused(1, 0);
    store.apply(Transaction::new().change(puts(&a, 0, &[(RecordKey::HEAD, b"1")]))).unwrap();
    refused(0, 1);
    refused(2, 1);
    store.apply(Transaction::new().change(puts(&a, 1, &[(RecordKey::HEAD, b"2")]))).unwrap();
    refused(1, 2);
    assert_eq!((version(store, &a), get(store, &a, RecordKey::HEAD)), (2, Some(b"2".to_vec())));
}

fn a_version_must_grow(store: &dyn Store) {
    let a = group("a");
    for next in [0, 5] {
        let mut change_set = ChangeSet::new(a.clone(), 5);
        change_set.version = next;
        let result = store.apply(Transaction::new().change(change_set));
        assert_eq!(result, Err(StoreError::VersionOrder { group: a.clone() }));
    }
    let mut change_set = ChangeSet::new(a.clone(), 0);
    change_set.version = 17;
    store.apply(Transaction::new().change(change_set)).unwrap();
    assert_eq!(version(store, &a), 17);
}

fn one_conflict_refuses_all_groups_and_rows(store: &dyn Store) {
    let (a, b, c) = (group("a"), group("b"), group("c"));
    let row = RowKey::new(NAMESPACE, "row");
    let transaction = |base| {
        Transaction::new()
            .put(row.clone(), b"row".to_vec())
            .change(puts(&a, 0, &[(RecordKey::HEAD, b"a")]))
            .change(puts(&b, base, &[(RecordKey::HEAD, b"b")]))
            .change(puts(&c, 0, &[(RecordKey::HEAD, b"c")]))
    };
    assert!(matches!(store.apply(transaction(4)), Err(StoreError::Conflict { stored: 0, base: 4, .. })));
    assert_eq!((store.groups().unwrap(), store.row(&row).unwrap()), (vec![], None));

    // The other way round: the row refuses the groups.
    let refused = store.apply(transaction(0).take(RowKey::new(NAMESPACE, "absent")));
    assert_eq!(refused, Err(StoreError::RowConflict { index: 1 }));
    assert_eq!((store.groups().unwrap(), store.row(&row).unwrap()), (vec![], None));

    store.apply(transaction(0)).unwrap();
    assert_eq!(store.groups().unwrap(), [(a, 1), (b, 1), (c, 1)]);
    assert_eq!(store.row(&row).unwrap(), Some(value(b"row")));
}

fn change_sets_of_one_group_follow_on_each_other(store: &dyn Store) {
    let a = group("a");
    let step = |base| puts(&a, base, &[(RecordKey::HEAD, &[base as u8]), (key(Ratchet, base, 0), b"r")]);
    store.apply(Transaction::new().change(step(0)).change(step(1)).change(step(2))).unwrap();
    assert_eq!((version(store, &a), get(store, &a, RecordKey::HEAD)), (3, Some(vec![2])));

    let refused = store.apply(Transaction::new().change(step(3)).change(step(3)));
    assert_eq!(refused, Err(StoreError::Conflict { group: a.clone(), stored: 4, base: 3 }));
    assert_eq!((version(store, &a), get(store, &a, RecordKey::HEAD)), (3, Some(vec![2])));
    assert_eq!(get(store, &a, key(Ratchet, 3, 0)), None);
}

fn kinds_are_cleared_before_records_are_written(store: &dyn Store) {
    let a = group("a");
    let records = [key(Secrets, 1, 0), key(Secrets, 1, 9), key(Secrets, 2, 0), key(Ratchet, 1, 0), key(Epoch, 1, 0)];
    let old: Vec<_> = records.iter().map(|key| (*key, b"old".as_slice())).collect();
    store.apply(Transaction::new().change(puts(&a, 0, &old))).unwrap();

    let mut change_set = ChangeSet::new(a.clone(), 1);
    change_set.clear(Secrets, 1);
    change_set.clear(Epoch, 1);
    change_set.clear(Epoch, 7);
    change_set.put(key(Secrets, 1, 9), b"new".to_vec());
    store.apply(Transaction::new().change(change_set)).unwrap();
    let found: Vec<_> = records.iter().map(|key| get(store, &a, *key)).collect();
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(found, [None, new, old.clone(), old, None]);
}

fn a_record_is_deleted(store: &dyn Store) {
    let a = group("a");
    let (gone, kept) = (key(Ratchet, 1, 2), key(Ratchet, 1, 3));
    store.apply(Transaction::new().change(puts(&a, 0, &[(gone, b"1"), (kept, b"2")]))).unwrap();
    let mut change_set = ChangeSet::new(a.clone(), 1);
    change_set.delete(gone);
    change_set.delete(key(Leaf, 0, 0));
    store.apply(Transaction::new().change(change_set)).unwrap();
    assert_eq!((get(store, &a, gone), get(store, &a, kept)), (None, Some(b"2".to_vec())));
    store.apply(Transaction::new().change(puts(&a, 2, &[(gone, b"3")]))).unwrap();
    assert_eq!(get(store, &a, gone), Some(b"3".to_vec()));
}

fn a_group_is_deleted_with_all_it_has(store: &dyn Store) {
    let (a, b) = (group("a"), group("b"));
    let row = RowKey::new(NAMESPACE, "a");
    let records: [(RecordKey, &[u8]); 3] = [(RecordKey::HEAD, b"h"), (key(Epoch, 1, 0), b"e"), (key(Leaf, 0, 5), b"l")];
    let both = Transaction::new().change(puts(&a, 0, &records)).change(puts(&b, 0, &records));
    store.apply(both.put(row.clone(), b"kept".to_vec())).unwrap();

    let mut ending = deletion(&a, 1);
    ending.put(key(Leaf, 0, 6), b"ignored".to_vec());
    store.apply(Transaction::new().change(ending)).unwrap();
    assert_eq!(store.groups().unwrap(), [(b.clone(), 1)]);
    for key in [RecordKey::HEAD, key(Epoch, 1, 0), key(Leaf, 0, 5), key(Leaf, 0, 6)] {
        assert_eq!(get(store, &a, key), None);
    }
    assert_eq!(get(store, &b, RecordKey::HEAD), Some(b"h".to_vec()));
    assert_eq!(store.row(&row).unwrap(), Some(value(b"kept")));

    // Nothing of the old group comes back with a new one.
    store.apply(Transaction::new().change(puts(&a, 0, &[(key(Leaf, 0, 7), b"new")]))).unwrap();
    assert_eq!((version(store, &a), get(store, &a, RecordKey::HEAD)), (1, None));
}

fn a_group_is_replaced_in_one_transaction(store: &dyn Store) {
    let a = group("a");
    let old: [(RecordKey, &[u8]); 2] = [(RecordKey::HEAD, b"old"), (key(Leaf, 0, 1), b"old")];
    store.apply(Transaction::new().change(puts(&a, 0, &old))).unwrap();
    let mut new = puts(&a, 0, &[(RecordKey::HEAD, b"new")]);
    new.version = 3;
    store.apply(Transaction::new().change(deletion(&a, 1)).change(new)).unwrap();
    assert_eq!((version(store, &a), get(store, &a, RecordKey::HEAD)), (3, Some(b"new".to_vec())));
    assert_eq!(get(store, &a, key(Leaf, 0, 1)), None);

    // A group that begins and ends in one transaction was never there.
    let b = group("b");
    store.apply(Transaction::new().change(puts(&b, 0, &old)).change(deletion(&b, 1))).unwrap();
    assert_eq!((version(store, &b), get(store, &b, RecordKey::HEAD)), (0, None));
}

fn values_may_be_empty_or_large(store: &dyn Store) {
    let a = group("a");
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let row = RowKey::new(NAMESPACE, "large");
    let records: [(RecordKey, &[u8]); 3] =
        [(key(Head, 0, 0), b""), (key(Leaf, 0, 0), &large), (key(Epoch, 0, 0), &large)];
    store.apply(Transaction::new().change(puts(&a, 0, &records)).put(row.clone(), large.clone())).unwrap();
    for (key, expected) in records {
        assert!(get(store, &a, key).is_some_and(|found| found == expected));
    }
    assert!(store.row(&row).unwrap().is_some_and(|found| *found == large));
    store
        .apply(Transaction::new().change(puts(&a, 1, &[(key(Epoch, 0, 0), b"small")])).put(row.clone(), b"".to_vec()))
        .unwrap();
    assert_eq!(get(store, &a, key(Epoch, 0, 0)), Some(b"small".to_vec()));
    assert_eq!(store.row(&row).unwrap(), Some(value(b"")));
}

fn numbers_reach_their_ends(store: &dyn Store) {
    let a = group("");
    let ends = [0, 1, i64::MAX as u64, (i64::MAX as u64) + 1, u64::MAX];
    let keys: Vec<_> = ends.iter().flat_map(|major| ends.map(|minor| key(Ratchet, *major, minor))).collect();
    let mut change_set = ChangeSet::new(a.clone(), 0);
    for (index, key) in keys.iter().enumerate() {
        change_set.put(*key, vec![index as u8]);
    }
    change_set.version = u64::MAX - 1;
    store.apply(Transaction::new().change(change_set)).unwrap();
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(get(store, &a, *key), Some(vec![index as u8]));
    }
    let mut change_set = ChangeSet::new(a.clone(), u64::MAX - 1);
    change_set.clear(Ratchet, u64::MAX);
    store.apply(Transaction::new().change(change_set)).unwrap();
    assert_eq!(version(store, &a), u64::MAX);
    assert_eq!(keys.iter().filter(|key| get(store, &a, **key).is_some()).count(), 20);
}
