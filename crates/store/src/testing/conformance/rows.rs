use super::value;
use crate::{Direction, Namespace, RowKey, Scan, Store, StoreError, Transaction};

pub(super) const CHECKS: [fn(&dyn Store); 6] = [
    a_row_is_put_replaced_and_deleted,
    a_name_is_claimed_once,
    a_row_is_taken_once,
    changes_of_one_row_follow_on_each_other,
    a_series_is_listed_in_its_order,
    a_namespace_is_listed_page_by_page,
];

const ONE: Namespace = Namespace::new("one");
const TWO: Namespace = Namespace::new("two");

fn a_row_is_put_replaced_and_deleted(store: &dyn Store) {
    let row = RowKey::new(ONE, "name");
    assert_eq!(store.row(&row).unwrap(), None);
    store.apply(Transaction::new().put(row.clone(), b"1".to_vec())).unwrap();
    assert_eq!(store.row(&row).unwrap(), Some(value(b"1")));
    for other in [RowKey::new(TWO, "name"), RowKey::at(ONE, "name", 1), RowKey::new(ONE, "nam"), RowKey::new(ONE, "")] {
        assert_eq!(store.row(&other).unwrap(), None);
    }
    store.apply(Transaction::new().put(row.clone(), b"two".to_vec())).unwrap();
    assert_eq!(store.row(&row).unwrap(), Some(value(b"two")));
    store.apply(Transaction::new().delete(row.clone())).unwrap();
    store.apply(Transaction::new().delete(row.clone())).unwrap();
    assert_eq!(store.row(&row).unwrap(), None);
    store.apply(Transaction::new().put(row.clone(), b"3".to_vec())).unwrap();
    assert_eq!(store.row(&row).unwrap(), Some(value(b"3")));
}

fn a_name_is_claimed_once(store: &dyn Store) {
    let (row, beside) = (RowKey::new(ONE, "claim"), RowKey::new(ONE, "beside"));
    store.apply(Transaction::new().insert(row.clone(), b"first".to_vec())).unwrap();
    let second = Transaction::new().put(beside.clone(), b"x".to_vec()).insert(row.clone(), b"second".to_vec());
    assert_eq!(store.apply(second), Err(StoreError::RowConflict { index: 1 }));
    assert_eq!(store.row(&row).unwrap(), Some(value(b"first")));
    assert_eq!(store.row(&beside).unwrap(), None);
}

fn a_row_is_taken_once(store: &dyn Store) {
    let row = RowKey::new(ONE, "key package");
    store.apply(Transaction::new().put(row.clone(), b"private key".to_vec())).unwrap();
    store.apply(Transaction::new().take(row.clone())).unwrap();
    assert_eq!(store.row(&row).unwrap(), None);
    assert_eq!(store.apply(Transaction::new().take(row)), Err(StoreError::RowConflict { index: 0 }));
}

fn changes_of_one_row_follow_on_each_other(store: &dyn Store) {
    let row = RowKey::new(ONE, "row");
    let steps = |first: Transaction| first.take(row.clone()).insert(row.clone(), b"2".to_vec());
    assert_eq!(store.apply(steps(Transaction::new())), Err(StoreError::RowConflict { index: 0 }));
    store.apply(steps(Transaction::new().insert(row.clone(), b"1".to_vec()))).unwrap();
    assert_eq!(store.row(&row).unwrap(), Some(value(b"2")));
    let twice = Transaction::new().take(row.clone()).take(row.clone());
    assert_eq!(store.apply(twice), Err(StoreError::RowConflict { index: 1 }));
    assert_eq!(store.row(&row).unwrap(), Some(value(b"2")));
}

fn a_series_is_listed_in_its_order(store: &dyn Store) {
    let orders = [0, 1, 2, 255, 256, i64::MAX as u64, (i64::MAX as u64) + 1, u64::MAX];
    let mut transaction = Transaction::new();
    // From the middle outwards, so that the sequence of writing is not the order.
    for order in [256, 255, 2, i64::MAX as u64, 0, (i64::MAX as u64) + 1, u64::MAX, 1] {
        transaction = transaction.put(RowKey::at(ONE, "room", order), order.to_be_bytes().to_vec());
    }
    let others = [RowKey::at(ONE, "roon", 3), RowKey::at(ONE, "roo", 4), RowKey::at(TWO, "room", 5)];
    for other in others {
        transaction = transaction.put(other, b"other".to_vec());
    }
    store.apply(transaction).unwrap();

    let listed = |scan: Scan<'_>, limit: usize| -> Vec<u64> {
        let rows = store.rows(scan, limit).unwrap();
        assert!(rows.iter().all(|row| *row.value == row.key.order.to_be_bytes()));
        assert!(rows.iter().all(|row| row.key == RowKey::at(ONE, "room", row.key.order)));
        rows.into_iter().map(|row| row.key.order).collect()
    };
    let within = |within, direction| Scan::Series { namespace: ONE, name: b"room", within, direction };
    assert_eq!(listed(Scan::series(ONE, b"room"), usize::MAX), orders);
    assert_eq!(listed(Scan::series(ONE, b"room"), 3), [0, 1, 2]);
    assert_eq!(listed(Scan::series(ONE, b"room"), 0), []);
    assert_eq!(listed(Scan::latest(ONE, b"room"), 2), [u64::MAX, (i64::MAX as u64) + 1]);
    assert_eq!(listed(within(2..=256, Direction::Ascending), 9), [2, 255, 256]);
    assert_eq!(listed(within(3..=256, Direction::Descending), 9), [256, 255]);
    assert_eq!(listed(within(257..=u64::MAX, Direction::Ascending), 1), [i64::MAX as u64]);
    assert_eq!(listed(within(3..=254, Direction::Ascending), 9), []);
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may ask for it")]
    let empty = 9..=2;
    assert_eq!(listed(within(empty, Direction::Descending), 9), []);
    assert_eq!(listed(Scan::series(ONE, b"nothing"), 9), []);
}

fn a_namespace_is_listed_page_by_page(store: &dyn Store) {
    let mut expected: Vec<RowKey> =
        (0..40).map(|number| RowKey::at(ONE, format!("name {}", number % 13), number)).collect();
    let mut transaction = Transaction::new().put(RowKey::new(TWO, "name 1"), b"other".to_vec());
    for key in &expected {
        transaction = transaction.put(key.clone(), key.name.clone());
    }
    store.apply(transaction).unwrap();
    expected.sort();

    let mut found = Vec::new();
    loop {
        let page = store.rows(Scan::Namespace { namespace: ONE, after: found.last() }, 7).unwrap();
        assert!(page.iter().all(|row| *row.value == row.key.name));
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|row| row.key));
    }
    let together = found.chunk_by(|a, b| a.name == b.name).map(|series| series.is_sorted_by_key(|key| key.order));
    assert_eq!(together.collect::<Vec<_>>(), [true; 13]);

    // The sequence is the same each time, and the last row of a page need not be there any more.
    store.apply(Transaction::new().delete(found[19].clone())).unwrap();
    let rest = store.rows(Scan::Namespace { namespace: ONE, after: Some(&found[19]) }, usize::MAX).unwrap();
    assert!(rest.iter().map(|row| &row.key).eq(&found[20..]));
    assert_eq!(store.rows(Scan::namespace(TWO), 9).unwrap().len(), 1);
    found.sort();
    assert_eq!(found, expected);
}
