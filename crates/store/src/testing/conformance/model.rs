use std::collections::BTreeMap;

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};

use super::{Handle, deletion, group, key};
use crate::{Expect, Namespace, RowChange, RowKey, Scan, Store, Transaction};

const KINDS: [RecordKind; 5] =
    [RecordKind::Head, RecordKind::Leaf, RecordKind::Secrets, RecordKind::Ratchet, RecordKind::IndexLog];
const NAMESPACE: Namespace = Namespace::new("model");
const GROUPS: [&str; 3] = ["a", "b", "a longer name of a group, longer than a hash of it would be"];

/// Random transactions, some of which are refused, against the simplest thing that can be right.
pub(super) fn agrees_with_a_plain_map(open: &impl Fn() -> Handle, seed: u64) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut store = open();
    for step in 0..120 {
        if step % 40 == 39 {
            store.scrub().unwrap();
            store = open();
        }
        let (transaction, expected) = random_transaction(&mut random, &mut model);
        assert_eq!(store.apply(transaction).is_ok(), expected);
        if step % 8 == 7 {
            model.compare(&store);
        }
    }
    model.compare(&store);
}

#[derive(Clone, Default)]
struct Model {
    groups: BTreeMap<&'static str, (u64, BTreeMap<RecordKey, RecordValue>)>,
    rows: BTreeMap<RowKey, RecordValue>,
}

impl Model {
    fn compare(&self, store: &dyn Store) {
        let mut versions: Vec<_> = self.groups.iter().map(|(name, (version, _))| (group(name), *version)).collect();
        versions.sort();
        assert_eq!(store.groups().unwrap(), versions);
        for name in GROUPS {
            let keys: Vec<_> = all_keys().collect();
            let snapshot = store.read(&group(name), &keys).unwrap();
            for (key, value) in snapshot.records {
                assert_eq!(value.as_ref(), self.groups.get(name).and_then(|(_, records)| records.get(&key)));
            }
        }
        let mut rows: Vec<_> = store
            .rows(Scan::namespace(NAMESPACE), usize::MAX)
            .unwrap()
            .into_iter()
            .map(|row| (row.key, row.value))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(rows.iter().map(|(key, value)| (key, value)).eq(&self.rows));
    }
}

/// A transaction, and whether it is to be accepted; if it is, the model has taken it.
fn random_transaction(random: &mut Random, model: &mut Model) -> (Transaction, bool) {
    let mut next = model.clone();
    let mut transaction = Transaction::new();
    let mut accepted = true;
    for _ in 0..random.below(3) {
        let (change_set, fits) = random_change_set(random, &mut next);
        transaction = transaction.change(change_set);
        accepted &= fits;
    }
    for _ in 0..random.below(4) {
        let (change, fits) = random_row(random, &mut next);
        transaction.rows.push(change);
        accepted &= fits;
    }
    if accepted {
        *model = next;
    }
    (transaction, accepted)
}

fn random_change_set(random: &mut Random, model: &mut Model) -> (ChangeSet, bool) {
    let name = GROUPS[random.below(3) as usize];
    let stored = model.groups.get(name).map_or(0, |(version, _)| *version);
    let base = if random.below(12) == 0 { stored + 1 } else { stored };
    if random.below(15) == 0 {
        model.groups.remove(name);
        return (deletion(&group(name), base), base == stored);
    }
    let mut change_set = ChangeSet::new(group(name), base);
    let (version, records) = model.groups.entry(name).or_default();
    *version = change_set.version;
    for _ in 0..random.below(2) {
        let (kind, major) = (KINDS[random.below(5) as usize], random.below(2));
        change_set.clear(kind, major);
        records.retain(|key, _| (key.kind, key.major) != (kind, major));
    }
    for _ in 0..random.below(12) {
        let key = random_key(random);
        if random.below(4) == 0 {
            change_set.delete(key);
            records.remove(&key);
        } else {
            let value = random.value();
            records.insert(key, value.clone());
            change_set.put(key, value);
        }
    }
    (change_set, base == stored)
}

fn random_row(random: &mut Random, model: &mut Model) -> (RowChange, bool) {
    let key = RowKey::at(NAMESPACE, format!("{}", random.below(5)), random.below(6));
    let present = model.rows.contains_key(&key);
    let expect = match random.below(12) {
        0 => Expect::Absent,
        1 => Expect::Present,
        _ => Expect::Any,
    };
    let value = (random.below(3) > 0).then(|| random.value());
    match value.clone() {
        Some(value) => drop(model.rows.insert(key.clone(), value)),
        None => drop(model.rows.remove(&key)),
    }
    let fits = expect == Expect::Any || present == (expect == Expect::Present);
    (RowChange { key, expect, value }, fits)
}

fn random_key(random: &mut Random) -> RecordKey {
    key(KINDS[random.below(5) as usize], random.below(2), random.below(8))
}

fn all_keys() -> impl Iterator<Item = RecordKey> {
    KINDS.into_iter().flat_map(|kind| (0..2).flat_map(move |major| (0..8).map(move |minor| key(kind, major, minor))))
}

/// splitmix64: enough to choose test cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn value(&mut self) -> RecordValue {
        let length = match self.below(10) {
            0 => 0,
            1 => self.below(9_000),
            _ => self.below(700),
        };
        RecordValue::new((0..length).map(|_| self.next() as u8).collect())
    }
}
