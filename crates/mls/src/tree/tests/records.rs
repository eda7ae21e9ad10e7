//! Change sets, and trees that are partly in storage.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::Zeroizing;
use keyroom_wire::{GroupId, HpkePublicKey, LeafIndex};

use super::history::{MAX, Pair};
use super::model::Random;
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind, RecordValue};
use crate::tree::{Leaf, RecordFault, Tree, TreeError};

/// A store of one group's tree.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Records {
    summary: Vec<u8>,
    map: BTreeMap<RecordKey, Vec<u8>>,
}

impl Records {
    fn of(tree: &Tree) -> Self {
        let mut records = Self::default();
        records.save(&Tree::new(tree.suite()), tree);
        records
    }

    /// Applies the change set and returns it.
    fn save(&mut self, old: &Tree, new: &Tree) -> ChangeSet {
        let mut changes = ChangeSet::new(GroupId::default(), 0);
        new.changes(old, &mut changes).unwrap();
        for (key, value) in &changes.writes {
            match value {
                Some(value) => self.map.insert(*key, value.to_vec()),
                None => Some(self.map.remove(key).expect("only what is there is deleted")),
            };
        }
        self.summary = new.summary().unwrap();
        changes
    }

    fn read(&self, missing: &Missing) -> Vec<(RecordKey, Option<RecordValue>)> {
        missing.0.iter().map(|key| (*key, self.map.get(key).map(|value| Zeroizing::new(value.clone())))).collect()
    }

    fn open(&self, pair: &Pair) -> Tree {
        Tree::from_summary(pair.suite, &self.summary).unwrap()
    }

    fn load_all(&self, tree: &mut Tree) -> Result<(), TreeError> {
        while let Err(missing) = tree.require_all() {
            tree.supply(&self.read(&missing))?;
        }
        Ok(())
    }

    /// Runs an operation, supplies what it misses and runs it again. Returns the number of rounds.
    fn run<T>(&self, tree: &mut Tree, mut operation: impl FnMut(&mut Tree) -> Result<T, TreeError>) -> (T, usize) {
        for round in 0..64 {
            let before = tree.clone();
            match operation(tree) {
                Ok(value) => return (value, round),
                Err(TreeError::Missing(missing)) => {
                    assert_eq!(tree.summary(), before.summary());
                    tree.supply(&self.read(&missing)).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("supplying does not help");
    }
}

#[test]
fn old_records_and_the_change_set_are_the_records_of_the_new_tree() {
    for (seed, key_len) in (0..40).zip([32, 65, 1200].into_iter().cycle()) {
        let mut random = Random(seed);
        let mut pair = Pair::new(key_len, &mut random);
        pair.tree.tree_hash().unwrap();
        let mut records = Records::of(&pair.tree);
        for _ in 0..40 {
            let old = pair.tree.clone();
            (0..1 + random.below(4)).for_each(|_| pair.step(&mut random));
            pair.tree.tree_hash().unwrap();
            records.save(&old, &pair.tree);
            assert_eq!(records, Records::of(&pair.tree));
            assert!(records.map.keys().all(|key| matches!(key.kind, RecordKind::Leaf | RecordKind::Page)));
        }
    }
}

#[test]
fn a_commit_with_a_path_writes_one_leaf_and_the_pages_on_its_path() {
    let mut random = Random(1);
    for (key_len, levels) in [(32, 3), (65, 2), (1200, 1)] {
        let mut pair = Pair::of_size(300, key_len, &mut random);
        pair.tree.tree_hash().unwrap();
        for place in [0, 150, 299] {
            let old = pair.tree.clone();
            pair.commit(place, &mut random);
            pair.tree.tree_hash().unwrap();
            let mut changes = ChangeSet::new(GroupId::default(), 0);
            pair.tree.changes(&old, &mut changes).unwrap();
            let pages = changes.writes.keys().filter(|key| key.kind == RecordKind::Page).count();
            assert_eq!(pages, usize::from(pair.tree.depth()).div_ceil(levels));
            assert_eq!(changes.writes.len(), pages + 1);
        }
    }
}

#[test]
fn a_full_record_stays_below_a_thousand_bytes_where_keys_are_short() {
    let mut random = Random(2);
    for key_len in [32, 65, 133] {
        let mut pair = Pair::of_size(128, key_len, &mut random);
        (0..128).for_each(|place| pair.commit(place, &mut random));
        pair.tree.tree_hash().unwrap();
        let records = Records::of(&pair.tree);
        let longest = records.map.iter().filter(|(key, _)| key.kind == RecordKind::Page).map(|(_, v)| v.len()).max();
        assert!(longest < Some(1_000), "{longest:?}");
    }
}

/// One operation, the same for the loaded and for the lazy tree.
#[derive(Clone, Debug)]
enum Operation {
    Add(Leaf),
    Update(LeafIndex, Leaf),
    Remove(LeafIndex),
    Path(LeafIndex, Vec<HpkePublicKey>, Leaf),
}

impl Operation {
    fn random(pair: &Pair, random: &mut Random) -> Self {
        let place = LeafIndex(pair.member(random));
        let leaf = Leaf::from(&random.new_leaf(pair.key_len));
        match random.below(5) {
            0 => Self::Add(leaf),
            1 => Self::Update(place, leaf),
            2 if pair.tree.members() > 1 => Self::Remove(place),
            _ => Self::Path(place, pair.keys_for(place.0, random), leaf),
        }
    }

    fn apply(&self, tree: &mut Tree) -> Result<Vec<u8>, TreeError> {
        match self {
            Self::Add(leaf) => tree.add(leaf.clone(), MAX).map(|place| place.0.to_be_bytes().to_vec()),
            Self::Update(place, leaf) => tree.update(*place, leaf.clone()).map(|()| Vec::new()),
            Self::Remove(place) => tree.remove(*place).map(|()| Vec::new()),
            Self::Path(place, keys, leaf) => {
                let mut next = tree.clone();
                let parent_hash = next.apply_path(*place, keys)?;
                next.set_committed_leaf(*place, leaf.clone())?;
                *tree = next;
                Ok(parent_hash)
            }
        }
    }
}

#[test]
fn a_tree_opened_from_storage_does_what_a_loaded_one_does() {
    for (seed, key_len) in (0..40).zip([32, 65, 1200].into_iter().cycle()) {
        let mut random = Random(seed);
        let mut pair = Pair::of_size(2 + random.below(60), key_len, &mut random);
        (0..30).for_each(|_| pair.step(&mut random));
        pair.tree.tree_hash().unwrap();
        let records = Records::of(&pair.tree);
        for _ in 0..10 {
            let operation = Operation::random(&pair, &mut random);
            let mut loaded = pair.tree.clone();
            let mut lazy = records.open(&pair);
            let expected = operation.apply(&mut loaded).unwrap();
            // What is read stays in the base, from which the next epoch is made.
            let mut base = lazy.clone();
            let (found, rounds) = records.run(&mut base, |base| {
                lazy = base.clone();
                operation.apply(&mut lazy)
            });
            assert_eq!(found, expected);
            let at_once = matches!(operation, Operation::Update(..) | Operation::Path(..));
            assert!(rounds <= if at_once { 1 } else { 6 }, "{rounds}");
            assert_eq!(lazy.tree_hash().unwrap(), loaded.tree_hash().unwrap());
            let (mut from_lazy, mut from_loaded) = (records.clone(), records.clone());
            from_lazy.save(&base, &lazy);
            from_loaded.save(&pair.tree, &loaded);
            assert_eq!(from_lazy, from_loaded);
            let (exported, _) = from_lazy.run(&mut lazy, |tree| {
                tree.require_all()?;
                tree.export()
            });
            assert_eq!(exported, loaded.export().unwrap());
            assert_eq!(lazy.require_all(), Ok(()));
        }
    }
}

#[test]
fn everything_on_a_path_is_asked_for_at_once() {
    let mut random = Random(3);
    let mut pair = Pair::of_size(200, 32, &mut random);
    (0..60).for_each(|_| pair.commit(random.below(200).try_into().unwrap(), &mut random));
    (0..10).for_each(|_| pair.step(&mut random));
    pair.tree.tree_hash().unwrap();
    let records = Records::of(&pair.tree);
    for _ in 0..20 {
        let leaves: Vec<LeafIndex> = (0..3).map(|_| LeafIndex(pair.member(&mut random))).collect();
        let mut lazy = records.open(&pair);
        let missing = lazy.require_paths(&leaves).unwrap_err();
        lazy.supply(&records.read(&missing)).unwrap();
        assert_eq!(lazy.require_paths(&leaves), Ok(()));
        for leaf in leaves {
            assert_eq!(lazy.leaf(leaf), pair.tree.leaf(leaf));
            assert_eq!(lazy.filtered_direct_path(leaf), pair.tree.filtered_direct_path(leaf));
            for step in pair.tree.filtered_direct_path(leaf).unwrap() {
                assert_eq!(lazy.parent(step.node), pair.tree.parent(step.node));
                assert_eq!(lazy.resolution_len(step.copath), pair.tree.resolution_len(step.copath));
            }
        }
    }
}

#[test]
fn a_committer_asks_for_all_keys_that_it_encrypts_to() {
    let mut random = Random(4);
    for _ in 0..20 {
        let mut pair = Pair::of_size(60, 32, &mut random);
        (0..20).for_each(|_| pair.commit(pair.member(&mut random), &mut random));
        (0..20).for_each(|_| pair.step(&mut random));
        pair.tree.tree_hash().unwrap();
        let records = Records::of(&pair.tree);
        let committer = LeafIndex(pair.member(&mut random));
        let mut lazy = records.open(&pair);
        let ((), rounds) = records.run(&mut lazy, |tree| Ok(tree.require_resolutions(committer)?));
        assert!(rounds <= 3, "{rounds}");
        for step in lazy.filtered_direct_path(committer).unwrap() {
            assert_eq!(lazy.resolution(step.copath), pair.tree.resolution(step.copath));
        }
    }
}

#[test]
fn a_record_that_is_withheld_old_foreign_or_cut_is_refused_and_nothing_is_taken_in() {
    let mut random = Random(5);
    let mut pair = Pair::of_size(70, 32, &mut random);
    (0..30).for_each(|_| pair.commit(pair.member(&mut random), &mut random));
    pair.tree.tree_hash().unwrap();
    let old = Records::of(&pair.tree);
    (0..40).for_each(|_| pair.step(&mut random));
    pair.tree.tree_hash().unwrap();
    let records = Records::of(&pair.tree);
    let mut lazy = records.open(&pair);
    let target = LeafIndex(pair.member(&mut random));
    let wanted = records.read(&lazy.require_paths(&[target]).unwrap_err());
    assert_eq!(wanted.len(), usize::from(pair.tree.depth()).div_ceil(3) + 1);
    let (mut named, mut tried) = (0, 0);
    for (place, (key, value)) in wanted.iter().enumerate() {
        let value = value.as_ref().unwrap();
        let mut others: Vec<Option<Vec<u8>>> = [None, old.map.get(key).cloned()].into();
        others.extend(records.map.values().step_by(7).map(|other| Some(other.clone())));
        others.extend((0..value.len()).map(|cut| Some(value[..cut].to_vec())));
        others.extend((0..value.len()).map(|at| {
            let mut changed = value.to_vec();
            changed[at] ^= 1 << (at % 8);
            Some(changed)
        }));
        others.push(Some(value.iter().copied().chain([0]).collect()));
        for other in others.into_iter().filter(|other| other.as_deref() != Some(value.as_slice())) {
            let mut bad = wanted.clone();
            bad[place].1 = other.map(Zeroizing::new);
            let mut victim = lazy.clone();
            let error = victim.supply(&bad).and_then(|()| records.load_all(&mut victim)).unwrap_err();
            assert!(matches!(error, TreeError::Record { .. }), "{error}");
            named += usize::from(matches!(error, TreeError::Record { key: named, .. } if named == *key));
            tried += 1;
        }
    }
    // All but wrong sums below a parent that is not blank, which are found one page further down.
    assert!(named * 50 > tried * 49, "{named} of {tried}");
    lazy.supply(&wanted).unwrap();
    assert_eq!(lazy.leaf(target), pair.tree.leaf(target));
}

#[test]
fn a_record_without_a_place_in_the_tree_is_refused() {
    let mut random = Random(6);
    let mut pair = Pair::of_size(20, 32, &mut random);
    pair.tree.tree_hash().unwrap();
    let records = Records::of(&pair.tree);
    let some = || Some(Zeroizing::new(Vec::from([1, 2, 3])));
    for key in [
        RecordKey::new(RecordKind::Leaf, 0, 32),
        RecordKey::new(RecordKind::Page, 2, 0),
        RecordKey::new(RecordKind::Page, 255, 0),
        RecordKey::new(RecordKind::Page, 1, 7),
    ] {
        let mut lazy = records.open(&pair);
        let unexpected = TreeError::Record { key, fault: RecordFault::Unexpected };
        assert_eq!(lazy.supply(&[(key, some())]), Err(unexpected));
        assert_eq!(lazy.supply(&[(key, None)]), Ok(()));
    }
    // A page whose neighbour above is not there cannot be checked.
    let key = RecordKey::new(RecordKind::Page, 0, 0);
    let above = Missing([RecordKey::new(RecordKind::Page, 1, 0)].into());
    assert_eq!(records.open(&pair).supply(&[(key, some())]), Err(TreeError::Missing(above)));
    // Records of other kinds are somebody else's.
    assert_eq!(records.open(&pair).supply(&[(RecordKey::HEAD, some())]), Ok(()));
}

#[test]
fn a_malformed_summary_is_refused() {
    let mut random = Random(7);
    let mut pair = Pair::of_size(20, 32, &mut random);
    pair.tree.tree_hash().unwrap();
    let summary = pair.tree.summary().unwrap();
    assert!(Tree::from_summary(pair.suite, &summary).is_ok());
    // Nobody is in it, and yet there are keys in it; behind the bytes for the levels and the depth.
    let empty = [&summary[..2], &[0; 4], &summary[6..]].concat();
    assert!(Tree::from_summary(pair.suite, &empty).is_err());
    assert!(Tree::from_summary(pair.suite, &[&summary[..], &[0]].concat()).is_err());
    for cut in 0..summary.len() {
        assert!(Tree::from_summary(pair.suite, &summary[..cut]).is_err());
    }
    for (at, value) in [(0, 0), (0, 4), (1, 25), (14, 31)] {
        let mut bad = summary.clone();
        bad[at] = value;
        assert!(Tree::from_summary(pair.suite, &bad).is_err(), "{at}");
    }
}
