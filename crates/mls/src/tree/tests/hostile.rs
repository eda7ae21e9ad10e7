//! Trees from bytes that no honest member sent: an error or a tree, never a panic.

use alloc::vec::Vec;

use keyroom_crypto::Zeroizing;
use keyroom_wire::{GroupId, HpkePublicKey, LeafIndex, Limits};

use super::history::Pair;
use super::model::Random;
use crate::record::ChangeSet;
use crate::tree::{Leaf, NodeId, Tree, TreeError};

const MAX: u32 = 64;

/// Reads and changes everything. Errors are fine.
fn exercise(tree: &mut Tree, random: &mut Random) {
    let before = tree.clone();
    let hash = tree.tree_hash().unwrap();
    let _ = tree.verify_parent_hashes();
    let nodes = 2 * tree.slots() + 3;
    for node in (0..nodes).map(NodeId::from_array) {
        let _ = (tree.resolution(node), tree.resolution_len(node), tree.parent(node));
        let _ = tree.place_in_resolution(node, LeafIndex(u32::try_from(random.below(70)).unwrap()));
    }
    assert_eq!(
        Tree::import(tree.suite(), &tree.export().unwrap(), &Limits::default(), MAX).unwrap().tree_hash(),
        Ok(hash)
    );
    let leaf = Leaf::from(&random.new_leaf(32));
    for _ in 0..6 {
        let place = LeafIndex(u32::try_from(random.below(70)).unwrap());
        let old = tree.clone();
        let _ = match random.below(4) {
            0 => tree.add(leaf.clone(), MAX).map(drop),
            1 => tree.update(place, leaf.clone()),
            2 => tree.remove(place),
            _ => tree.filtered_direct_path(place).and_then(|steps| {
                let keys: Vec<HpkePublicKey> = steps.iter().map(|_| random.key(32)).collect();
                tree.apply_path(place, &keys).map(drop)
            }),
        };
        tree.tree_hash().unwrap();
        let mut changes = ChangeSet::new(GroupId::default(), 0);
        let _ = tree.changes(&old, &mut changes);
    }
    assert_eq!(before.clone().tree_hash(), Ok(hash));
}

#[test]
fn changed_bytes_give_an_error_or_a_tree_and_never_a_panic() {
    let mut imported = 0;
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let mut pair = Pair::of_size(1 + random.below(12), 32, &mut random);
        (0..12).for_each(|_| pair.step(&mut random));
        let mut bytes = pair.tree.export().unwrap();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = 0,
                _ => bytes[at] = bytes[random.below(bytes.len())],
            }
        }
        match Tree::import(pair.suite, &bytes, &Limits::default(), MAX) {
            Ok(mut tree) => {
                imported += 1;
                exercise(&mut tree, &mut random);
            }
            Err(error) => assert!(!matches!(error, TreeError::Missing(_) | TreeError::Record { .. })),
        }
    }
    assert!(imported > 300, "{imported}");
}

#[test]
fn a_wide_tree_of_blanks_costs_no_more_than_its_bytes() {
    let mut random = Random(1);
    let pair = Pair::new(32, &mut random);
    let leaf = pair.tree.leaf(LeafIndex(0)).unwrap().unwrap().bytes().to_vec();
    let mut node = Vec::from([1, 1]);
    node.extend(&leaf);
    let mut bytes = Vec::new();
    keyroom_wire::write_vector(&mut bytes, |out| {
        out.extend(&node);
        out.resize(out.len() + 2 * 9_000 - 1, 0);
        out.extend(&node);
    });
    pair.suite.counts();
    let mut tree = Tree::import(pair.suite, &bytes, &Limits::default(), 1 << 16).unwrap();
    assert_eq!((tree.members(), tree.slots()), (2, 16_384));
    tree.tree_hash().unwrap();
    assert!(pair.suite.counts().0 < 2 * 16_384);
    assert_eq!(tree.first_blank_leaf(), Ok(Some(LeafIndex(1))));
    assert_eq!(tree.export().unwrap(), bytes);
    let too_many = Tree::import(pair.suite, &bytes, &Limits::default(), 9_000).unwrap_err();
    assert_eq!(too_many, TreeError::TooManyLeaves { limit: 9_000 });
}

#[test]
fn records_of_garbage_are_refused() {
    let mut random = Random(2);
    let mut pair = Pair::of_size(30, 32, &mut random);
    pair.tree.tree_hash().unwrap();
    let mut lazy = Tree::from_summary(pair.suite, &pair.tree.summary().unwrap()).unwrap();
    let missing = lazy.require_paths(&[LeafIndex(7)]).unwrap_err();
    for _ in 0..500 {
        let length = random.below(400);
        let garbage = |random: &mut Random| Some(Zeroizing::new(random.key(length).into_vec()));
        let records: Vec<_> = missing.0.iter().map(|key| (*key, garbage(&mut random))).collect();
        assert!(matches!(lazy.supply(&records), Err(TreeError::Record { .. })));
        let length = random.below(2) * 40 + 7;
        let summary = random.key(length);
        let _ = Tree::from_summary(pair.suite, summary.as_slice());
    }
}
