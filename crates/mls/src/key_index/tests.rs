use alloc::collections::BTreeMap;
use alloc::vec;
use core::convert::Infallible;

use keyroom_wire::{GroupId, LeafIndex};

use super::*;
use crate::record::{ChangeSet, RecordKey, RecordKind};

type Tree = BTreeMap<Slot, Vec<u8>>;

/// A small generator of numbers, so that histories are the same on every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).unwrap()
    }

    fn slot(&mut self, leaves: u32) -> Slot {
        let leaf = LeafIndex(self.below(leaves));
        match self.below(3) {
            0 => Slot::encryption_key(leaf),
            1 => Slot::signature_key(leaf),
            _ => Slot::parent(self.below(leaves) * 2 + 1),
        }
    }

    fn key(&mut self, keys: u32) -> Vec<u8> {
        self.below(keys).to_be_bytes().to_vec()
    }
}

fn seed() -> Seed {
    Seed::from_bytes([9; 16])
}

fn read(tree: &Tree) -> impl FnMut(Slot) -> Result<Option<Vec<u8>>, Infallible> {
    |slot| Ok(tree.get(&slot).cloned())
}

fn apply(store: &mut BTreeMap<RecordKey, Vec<u8>>, changes: &ChangeSet) {
    store.retain(|key, _| !changes.cleared.contains(&(key.kind, key.major)));
    for (key, value) in &changes.writes {
        match value {
            Some(value) => drop(store.insert(*key, value.to_vec())),
            None => drop(store.remove(key)),
        }
    }
}

fn changes() -> ChangeSet {
    ChangeSet::new(GroupId::default(), 0)
}

#[test]
fn slots_name_what_they_were_made_from() {
    let last = LeafIndex((1 << 24) - 1);
    for leaf in [LeafIndex(0), LeafIndex(1), last] {
        assert_eq!(Slot::encryption_key(leaf).place(), Place::LeafEncryption(leaf));
        assert_eq!(Slot::signature_key(leaf).place(), Place::LeafSignature(leaf));
    }
    assert_eq!(Slot::parent((1 << 25) - 3).place(), Place::Parent((1 << 25) - 3));
    assert_eq!(Slot::of(u64::from(Slot::signature_key(last).bits())), Slot::signature_key(last));
}

#[test]
fn rows_066_to_068_lookups_agree_with_a_plain_map_even_when_fingerprints_collide() {
    for bits in [8, 12, 38] {
        let mut rng = Lcg(bits.into());
        let mut index = KeyIndex::with_bits(seed(), bits);
        let mut tree = Tree::new();
        for _ in 0..600 {
            let touched: Vec<(Vec<u8>, Slot)> = (0..=rng.below(4)).map(|_| (rng.key(3_000), rng.slot(200))).collect();
            index.insert_all(touched.iter().map(|(key, slot)| (key, *slot)));
            tree.extend(touched.iter().map(|(key, slot)| (*slot, key.clone())));
            if rng.below(4) == 0 {
                tree.remove(&rng.slot(200));
            }
            for (key, slot) in &touched {
                if tree.get(slot) != Some(key) {
                    continue;
                }
                let twice = tree.iter().any(|(other, held)| other != slot && held == key);
                assert_eq!(index.check_unique(key, *slot, read(&tree)).is_err(), twice);
            }
            let key = rng.key(3_000);
            let holders: Vec<Slot> = tree.iter().filter(|(_, held)| **held == key).map(|(slot, _)| *slot).collect();
            assert_eq!(index.holder(&key, read(&tree)).unwrap(), holders.first().copied());
        }
    }
}

#[test]
fn row_149_keys_may_change_places_in_one_commit() {
    let (a, b) = (Slot::encryption_key(LeafIndex(0)), Slot::encryption_key(LeafIndex(1)));
    let mut tree = Tree::from([(a, vec![1]), (b, vec![2])]);
    let mut index = KeyIndex::build(seed(), tree.iter().map(|(s, k)| (k.clone(), *s)), read(&tree)).unwrap();
    tree.insert(a, vec![2]);
    index.insert(&[2], a);
    assert_eq!(index.check_unique(&[2], a, read(&tree)), Err(KeyConflict::Duplicate(a, b)));
    tree.insert(b, vec![1]);
    index.insert(&[1], b);
    assert_eq!(index.check_unique(&[2], a, read(&tree)), Ok(()));
    assert_eq!(index.check_unique(&[1], b, read(&tree)), Ok(()));
}

#[test]
fn rows_198_to_200_building_finds_a_key_that_stands_twice_in_any_role() {
    for bits in [4, 8, 38] {
        let mut tree: Tree = (0..300).map(|n| (Slot::encryption_key(LeafIndex(n)), n.to_be_bytes().to_vec())).collect();
        tree.extend((0..300).map(|n| (Slot::signature_key(LeafIndex(n)), (1_000 + n).to_be_bytes().to_vec())));
        let build = |tree: &Tree| {
            let keys = tree.iter().map(|(slot, key)| (key.clone(), *slot));
            KeyIndex::with_bits(seed(), bits).filled(keys, read(tree))
        };
        assert!(build(&tree).is_ok());
        for (again, first) in [
            (Slot::parent(7), Slot::encryption_key(LeafIndex(5))),
            (Slot::signature_key(LeafIndex(3)), Slot::encryption_key(LeafIndex(3))),
            (Slot::signature_key(LeafIndex(9)), Slot::signature_key(LeafIndex(8))),
        ] {
            let mut bad = tree.clone();
            bad.insert(again, tree[&first].clone());
            let Err(KeyConflict::Duplicate(a, b)) = build(&bad) else { panic!("a key stands twice") };
            assert_eq!([a.min(b), a.max(b)], [again.min(first), again.max(first)]);
        }
    }
}

#[test]
fn a_clone_that_goes_on_leaves_the_original_as_it_was() {
    let mut index = KeyIndex::new(seed());
    index.insert(&[1], Slot::parent(1));
    let mut candidates = [index.clone(), index.clone()];
    candidates[0].insert(&[2], Slot::parent(1));
    candidates[1].insert(&[3], Slot::parent(3));
    drop(candidates);
    let tree = Tree::from([(Slot::parent(1), vec![1])]);
    assert_eq!(index.holder(&[1], read(&tree)).unwrap(), Some(Slot::parent(1)));
    assert_eq!(index.suspects(&[2]).unwrap().count() + index.suspects(&[3]).unwrap().count(), 0);
}

#[test]
fn stale_entries_do_not_pile_up() {
    let mut index = KeyIndex::new(seed());
    for n in 0..10_000_u32 {
        index.insert(&n.to_be_bytes(), Slot::parent(2 * (n % 50) + 1));
    }
    assert!(index.runs.iter().map(<[u64]>::len).sum::<usize>() < 200);
    assert!(index.runs.iter().count() < 10);
}

/// A loaded index, and the same one opened from storage again and again.
struct Twins {
    tree: Tree,
    loaded: KeyIndex,
    lazy: KeyIndex,
    store: BTreeMap<RecordKey, Vec<u8>>,
    next_key: u32,
}

impl Twins {
    fn new(leaves: u32, bits: u32) -> Self {
        let key = |n: u32| n.to_be_bytes().to_vec();
        let mut tree: Tree = (0..leaves).map(|n| (Slot::encryption_key(LeafIndex(n)), key(n))).collect();
        tree.extend((0..leaves).map(|n| (Slot::signature_key(LeafIndex(n)), key(leaves + n))));
        let keys = tree.iter().map(|(slot, key)| (key.clone(), *slot));
        let mut loaded = KeyIndex::with_bits(seed(), bits).filled(keys, read(&tree)).unwrap();
        let mut store = BTreeMap::new();
        let mut first = changes();
        loaded.write(&mut first);
        apply(&mut store, &first);
        let mut twins = Self { tree, lazy: loaded.clone(), loaded, store, next_key: 2 * leaves };
        twins.reopen();
        twins
    }

    fn reopen(&mut self) {
        self.lazy = KeyIndex::from_summary(&self.loaded.summary()).unwrap();
        self.lazy.bits = self.loaded.bits;
    }

    fn supply(&mut self, missing: Missing) {
        for key in missing.0 {
            let value = self.store.get(&key).unwrap_or_else(|| panic!("{key:?} is stored"));
            self.lazy.supply(key, value).unwrap();
        }
    }

    fn commit(&mut self, rng: &mut Lcg, keys: u32, leaves: u32) {
        let mut fresh = Vec::new();
        for _ in 0..keys {
            self.next_key += 1;
            fresh.push((self.next_key.to_be_bytes().to_vec(), rng.slot(leaves)));
        }
        if rng.below(3) == 0 {
            fresh.push((rng.key(2 * leaves), rng.slot(leaves)));
        }
        let asked: Vec<&[u8]> = fresh.iter().map(|(key, _)| key.as_slice()).collect();
        if let Err(missing) = self.lazy.require(&asked) {
            self.supply(missing);
        }
        assert_eq!(self.lazy.require(&asked), Ok(()));
        for (key, slot) in &fresh {
            self.loaded.insert(key, *slot);
            self.lazy.insert(key, *slot);
            self.tree.insert(*slot, key.clone());
        }
        for (key, slot) in &fresh {
            let expected = self.loaded.check_unique(key, *slot, read(&self.tree));
            assert_eq!(self.lazy.check_unique(key, *slot, read(&self.tree)), expected);
            let twice =
                self.tree.get(slot) == Some(key) && self.tree.iter().any(|(other, held)| other != slot && held == key);
            assert!(!twice || expected.is_err());
        }
        self.store_changes();
    }

    fn store_changes(&mut self) {
        let (mut of_loaded, mut of_lazy) = (changes(), changes());
        self.loaded.write(&mut of_loaded);
        self.lazy.write(&mut of_lazy);
        self.loaded.maintain(&mut of_loaded).unwrap();
        if let Err(missing) = self.lazy.maintain(&mut of_lazy) {
            self.supply(missing);
            self.lazy.maintain(&mut of_lazy).unwrap();
        }
        assert_eq!(of_loaded, of_lazy);
        assert_eq!(self.loaded.summary(), self.lazy.summary());
        assert!(of_loaded.writes.values().flatten().all(|value| value.len() < 1_000));
        apply(&mut self.store, &of_loaded);
    }

    fn named(&self) -> Vec<RecordKey> {
        let mut opened = KeyIndex::from_summary(&self.loaded.summary()).unwrap();
        opened.bits = self.loaded.bits;
        let mut named = opened.require_all().err().map(|missing| missing.0).unwrap_or_default();
        named.sort();
        named
    }
}

#[test]
fn an_index_opened_from_storage_does_the_same_as_a_loaded_one() {
    for bits in [12, 38] {
        let mut rng = Lcg(5);
        let mut twins = Twins::new(300, bits);
        let mut generations = 0;
        for round in 0..700 {
            let before = twins.loaded.log.shape.generation;
            twins.commit(&mut rng, 40, 300);
            generations += twins.loaded.log.shape.generation - before;
            if round % 7 == 0 {
                twins.reopen();
            }
            if round % 50 == 0 {
                assert_eq!(twins.named(), twins.store.keys().copied().collect::<Vec<_>>());
            }
        }
        assert!(generations >= 2, "the log was folded");
    }
}

#[test]
fn a_commit_writes_about_150_bytes_and_few_records_are_read() {
    let mut rng = Lcg(6);
    let mut twins = Twins::new(2_000, 38);
    for commits in 1..=200_u32 {
        let fresh: Vec<(Vec<u8>, Slot)> =
            (0..18).map(|n| ((100_000 + commits * 100 + n).to_be_bytes().to_vec(), rng.slot(2_000))).collect();
        twins.loaded.insert_all(fresh.iter().map(|(key, slot)| (key, *slot)));
        let mut change = changes();
        twins.loaded.write(&mut change);
        assert!(change.bytes() <= 18 * 8 + 9);
        twins.loaded.maintain(&mut change).unwrap();
        apply(&mut twins.store, &change);
    }
    twins.reopen();
    let missing = twins.lazy.require(&[[1_u8; 4]]).unwrap_err().0;
    let buckets = missing.iter().filter(|key| key.kind == RecordKind::IndexBase).count();
    assert_eq!(buckets, 1);
    assert!(missing.len() < 110, "{} log records", missing.len() - 1);
}

#[test]
fn records_withheld_one_by_one_are_named_and_nothing_is_answered_without_them() {
    let mut rng = Lcg(7);
    let mut twins = Twins::new(300, 38);
    for _ in 0..5 {
        twins.commit(&mut rng, 18, 300);
    }
    let asked = [[0_u8; 4], [1; 4], [2; 4]];
    twins.reopen();
    let all = twins.lazy.require(&asked).unwrap_err().0;
    for withheld in &all {
        twins.reopen();
        twins.supply(Missing(all.iter().copied().filter(|key| key != withheld).collect()));
        assert_eq!(twins.lazy.require(&asked), Err(Missing(vec![*withheld])));
        assert!(asked.iter().any(|key| twins.lazy.suspects(key).is_err()));
    }
}

#[test]
fn keys_inserted_and_written_before_the_log_is_read_are_found_afterwards() {
    let mut rng = Lcg(8);
    let mut twins = Twins::new(300, 38);
    twins.commit(&mut rng, 18, 300);
    twins.reopen();
    let mut change = changes();
    twins.lazy.insert(b"new", Slot::parent(1));
    twins.lazy.write(&mut change);
    twins.lazy.insert(b"newer", Slot::parent(3));
    apply(&mut twins.store, &change);
    let missing = twins.lazy.require(&[&b"new"[..], b"newer"]).unwrap_err();
    twins.supply(missing);
    assert_eq!(twins.lazy.suspects(b"new").unwrap().collect::<Vec<_>>(), [Slot::parent(1)]);
    assert_eq!(twins.lazy.suspects(b"newer").unwrap().collect::<Vec<_>>(), [Slot::parent(3)]);
}

#[test]
fn stale_swapped_and_damaged_records_are_refused() {
    let mut rng = Lcg(9);
    let mut twins = Twins::new(300, 38);
    twins.commit(&mut rng, 18, 300);
    let old = twins.store.clone();
    let old_generation = twins.loaded.log.shape.generation;
    while twins.loaded.log.shape.generation == old_generation {
        twins.commit(&mut rng, 50, 300);
    }
    twins.commit(&mut rng, 18, 300);
    twins.reopen();
    let named = twins.named();
    let summary = twins.lazy.summary();
    let mut refused = |key: RecordKey, value: &[u8]| {
        assert_eq!(twins.lazy.supply(key, value), Err(IndexError(key)));
    };
    for (key, value) in &old {
        refused(*key, value);
        refused(RecordKey::new(key.kind, key.major + 1, key.minor), value);
    }
    for pair in named.windows(2) {
        refused(pair[0], &twins.store[&pair[1]]);
        let value = &twins.store[&pair[0]];
        refused(pair[0], &value[..value.len() - 1]);
        refused(pair[0], &value[..value.len().min(9)][..8]);
        let mut damaged = value.clone();
        *damaged.last_mut().unwrap() ^= 1;
        refused(pair[0], &damaged);
    }
    refused(RecordKey::HEAD, &[]);
    assert_eq!(twins.lazy.require_all().unwrap_err().0.len(), named.len());
    assert_eq!(twins.lazy.summary(), summary);
    assert!(KeyIndex::from_summary(&summary[1..]).is_err());
    assert!(KeyIndex::from_summary(&[]).is_err());
}

#[test]
fn debug_does_not_show_the_seed() {
    let shown = alloc::format!("{:?}", KeyIndex::new(Seed::from_bytes([0xab; 16])));
    assert!(!shown.contains("171") && !shown.contains("ab"));
    assert_eq!(alloc::format!("{:?}", Seed::from_bytes([0xab; 16])), "Seed(16 bytes)");
}
