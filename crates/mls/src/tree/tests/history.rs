//! Random histories of a tree and its model.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_wire::{Encode, GroupId, HpkePublicKey, LeafIndex, LeafNode, LeafNodeSource, Limits};

use super::model::{Model, Random};
use super::suite::TestSuite;
use crate::record::ChangeSet;
use crate::tree::page::{Content, Kid, Page};
use crate::tree::{Leaf, NodeId, Tree, TreeError};

pub(super) const MAX: u32 = 1 << 16;

/// A tree and its model, changed together.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) suite: &'static TestSuite,
    /// Of the model, so that its hashes are not counted.
    naive: &'static TestSuite,
    pub(super) key_len: usize,
    pub(super) tree: Tree,
    pub(super) model: Model,
}

impl Pair {
    pub(super) fn new(key_len: usize, random: &mut Random) -> Self {
        let suite = TestSuite::leaked(key_len);
        let naive = TestSuite::leaked(key_len);
        let mut pair = Self { suite, naive, key_len, tree: Tree::new(suite), model: Model::new() };
        pair.add(random);
        pair
    }

    pub(super) fn of_size(members: usize, key_len: usize, random: &mut Random) -> Self {
        let mut pair = Self::new(key_len, random);
        (1..members).for_each(|_| pair.add(random));
        pair
    }

    pub(super) fn add(&mut self, random: &mut Random) {
        let leaf = random.new_leaf(self.key_len);
        let place = self.tree.add(Leaf::from(&leaf), MAX).unwrap();
        assert_eq!(place.0, self.model.add(leaf));
    }

    pub(super) fn update(&mut self, place: u32, random: &mut Random) {
        let leaf = random.new_leaf(self.key_len);
        self.tree.update(LeafIndex(place), Leaf::from(&leaf)).unwrap();
        self.model.update(place, leaf);
    }

    pub(super) fn remove(&mut self, place: u32) {
        self.tree.remove(LeafIndex(place)).unwrap();
        self.model.remove(place);
    }

    pub(super) fn keys_for(&self, place: u32, random: &mut Random) -> Vec<HpkePublicKey> {
        let steps = self.tree.filtered_direct_path(LeafIndex(place)).unwrap();
        steps.iter().map(|_| random.key(self.key_len)).collect()
    }

    pub(super) fn commit(&mut self, place: u32, random: &mut Random) {
        let keys = self.keys_for(place, random);
        let parent_hash = self.tree.apply_path(LeafIndex(place), &keys).unwrap();
        assert_eq!(parent_hash, self.model.apply_path(self.naive, place, &keys));
        let leaf = self.committed_leaf(parent_hash, random);
        self.tree.set_committed_leaf(LeafIndex(place), Leaf::from(&leaf)).unwrap();
        self.model.leaves.insert(place, leaf);
    }

    pub(super) fn committed_leaf(&self, parent_hash: Vec<u8>, random: &mut Random) -> LeafNode {
        random.leaf(self.key_len, LeafNodeSource::Commit { parent_hash: parent_hash.into() })
    }

    pub(super) fn member(&self, random: &mut Random) -> u32 {
        let members: Vec<u32> = self.model.leaves.keys().copied().collect();
        members[random.below(members.len())]
    }

    /// One random change; removals become rarer the smaller the tree is.
    pub(super) fn step(&mut self, random: &mut Random) {
        let place = self.member(random);
        match random.below(8) {
            0..=2 if self.model.leaves.len() < 40 => self.add(random),
            3 | 4 if self.model.leaves.len() > 1 => self.remove(place),
            5 => self.update(place, random),
            _ => self.commit(place, random),
        }
    }

    pub(super) fn check(&mut self) {
        let (tree, model) = (&mut self.tree, &self.model);
        let hash = tree.tree_hash().unwrap();
        assert_eq!(hash.to_vec(), model.tree_hash(self.naive, model.root()));
        assert_eq!(tree.depth(), model.depth);
        assert_eq!(tree.members() as usize, model.leaves.len());
        let leaves: Vec<(u32, Leaf)> = tree.leaves().map(|leaf| leaf.unwrap()).map(|(i, l)| (i.0, l.clone())).collect();
        assert_eq!(leaves, model.leaves.iter().map(|(i, l)| (*i, Leaf::from(l))).collect::<Vec<_>>());
        for node in model.nodes() {
            let expected = model.resolution(node);
            let found: Vec<NodeId> = tree.resolution(node).unwrap().iter().map(|r| r.node).collect();
            assert_eq!(found, expected);
            assert_eq!(tree.resolution_len(node).unwrap() as usize, expected.len());
            let parent = tree.parent(node).unwrap();
            assert_eq!(
                parent.map(|p| p.unmerged_leaves),
                model.parents.get(&node).map(|p| p.unmerged_leaves.as_slice())
            );
            if let Some(cached) = tree.node_hash(node).unwrap() {
                assert_eq!(cached.to_vec(), model.tree_hash(self.naive, node));
            }
        }
        for leaf in 0..model.slots() {
            let steps = tree.filtered_direct_path(LeafIndex(leaf)).unwrap();
            let steps: Vec<_> = steps.iter().map(|step| (step.node, step.copath)).collect();
            assert_eq!(steps, model.filtered(leaf));
        }
        let exported = tree.export().unwrap();
        assert_eq!(exported, model.ratchet_tree().to_bytes());
        let mut imported = Tree::import(self.suite, &exported, &Limits::default(), MAX).unwrap();
        assert_eq!(imported.export().unwrap(), exported);
        assert_eq!(imported.tree_hash().unwrap(), hash);
    }
}

#[test]
fn random_histories_agree_with_the_model() {
    for (seed, key_len) in (0..60).zip([32, 65, 1200].into_iter().cycle()) {
        let mut random = Random(seed);
        let mut pair = Pair::new(key_len, &mut random);
        for _ in 0..60 {
            pair.step(&mut random);
            if random.below(3) == 0 {
                pair.check();
            }
        }
        pair.check();
    }
}

#[test]
fn growing_and_shrinking_over_each_power_of_two_agrees_with_the_model() {
    for key_len in [32, 65, 1200] {
        let mut random = Random(7);
        let mut pair = Pair::new(key_len, &mut random);
        for size in 1..36 {
            for _ in 0..3 {
                pair.add(&mut random);
                pair.check();
                pair.remove(size);
                pair.check();
            }
            pair.add(&mut random);
            if size % 3 == 0 {
                pair.commit(size, &mut random);
            }
        }
        for size in (1..36).rev() {
            pair.remove(size);
            pair.check();
        }
    }
}

#[test]
fn the_largest_record_decides_how_many_levels_a_page_has() {
    let levels = |key_len| Tree::new(TestSuite::leaked(key_len)).geometry.levels;
    assert_eq!([32, 56, 65, 97, 133, 1216].map(levels), [3, 3, 2, 2, 2, 1]);
}

#[test]
fn a_clone_is_not_changed_by_what_happens_to_the_other() {
    let mut random = Random(3);
    let mut pair = Pair::of_size(20, 32, &mut random);
    pair.commit(4, &mut random);
    pair.check();
    let mut candidates: Vec<Pair> = (0..8).map(|_| pair.clone()).collect();
    for candidate in &mut candidates {
        (0..12).for_each(|_| candidate.step(&mut random));
        candidate.check();
    }
    pair.tree.hash = None;
    pair.check();
    while !candidates.is_empty() {
        let gone = random.below(candidates.len());
        candidates.remove(gone);
        candidates.iter_mut().for_each(Pair::check);
        pair.check();
    }
}

#[test]
fn an_operation_that_fails_leaves_the_tree_as_it_was() {
    let mut random = Random(4);
    let mut pair = Pair::of_size(8, 32, &mut random);
    pair.remove(5);
    let leaf = Leaf::from(&random.new_leaf(32));
    let blank = TreeError::BlankLeaf(LeafIndex(5));
    assert_eq!(pair.tree.update(LeafIndex(5), leaf.clone()), Err(blank.clone()));
    assert_eq!(pair.tree.remove(LeafIndex(5)), Err(blank));
    assert_eq!(pair.tree.remove(LeafIndex(8)), Err(TreeError::OutOfRange));
    assert_eq!(pair.tree.leaf(LeafIndex(8)), Err(TreeError::OutOfRange));
    assert_eq!(pair.tree.add(leaf.clone(), 5), Err(TreeError::TooManyLeaves { limit: 5 }));
    assert!(pair.tree.apply_path(LeafIndex(0), &[]).is_err());
    pair.add(&mut random);
    assert_eq!(pair.tree.add(leaf, 8), Err(TreeError::TooManyLeaves { limit: 8 }));
    pair.check();
}

#[test]
fn nothing_that_takes_hashes_is_given_between_a_change_and_the_next_hash() {
    let mut random = Random(4);
    let mut pair = Pair::of_size(8, 32, &mut random);
    pair.tree.tree_hash().unwrap();
    let old = pair.tree.clone();
    pair.tree.remove(LeafIndex(5)).unwrap();
    let refused = TreeError::NotHashed;
    assert_eq!(pair.tree.node_hash(NodeId::leaf(LeafIndex(0))).map(drop).unwrap_err(), refused);
    assert_eq!(pair.tree.summary().unwrap_err(), refused);
    assert_eq!(pair.tree.verify_parent_hashes().unwrap_err(), refused);
    let mut changes = ChangeSet::new(GroupId::default(), 0);
    assert_eq!(pair.tree.changes(&old, &mut changes).unwrap_err(), refused);
    assert!(changes.writes.is_empty());
}

#[test]
fn who_is_outside_the_tree_has_no_path_and_no_leaf() {
    let mut random = Random(4);
    let mut tree = Pair::of_size(8, 32, &mut random).tree;
    let leaf = Leaf::from(&random.new_leaf(32));
    for outside in [8, 9, u32::MAX].map(LeafIndex) {
        assert_eq!(tree.filtered_direct_path(outside), Err(TreeError::OutOfRange));
        assert_eq!(tree.set_committed_leaf(outside, leaf.clone()), Err(TreeError::OutOfRange));
    }
}

#[test]
fn a_received_commit_costs_one_hash_for_each_node_on_the_path() {
    let mut random = Random(5);
    for key_len in [32, 65] {
        let mut pair = Pair::of_size(200, key_len, &mut random);
        (0..10).for_each(|_| pair.commit(random.below(200).try_into().unwrap(), &mut random));
        pair.tree.tree_hash().unwrap();
        pair.suite.counts();
        let depth = usize::from(pair.tree.depth());
        for place in [0, 77, 199] {
            let keys = pair.keys_for(place, &mut random);
            let parent_hash = pair.tree.apply_path(LeafIndex(place), &keys).unwrap();
            assert_eq!(pair.suite.counts(), (0, keys.len()));
            let leaf = pair.committed_leaf(parent_hash, &mut random);
            pair.tree.set_committed_leaf(LeafIndex(place), Leaf::from(&leaf)).unwrap();
            pair.tree.tree_hash().unwrap();
            assert_eq!(pair.suite.counts(), (depth + 1, 0));
        }
    }
}

#[test]
fn each_member_finds_its_ciphertext_without_leaves_added_in_the_same_commit() {
    let mut random = Random(6);
    for _ in 0..25 {
        let mut pair = Pair::of_size(1 + random.below(30), 32, &mut random);
        (0..30).for_each(|_| pair.step(&mut random));
        let before = pair.clone();
        (0..random.below(12)).for_each(|_| pair.add(&mut random));
        let committers: Vec<u32> = pair.model.leaves.keys().copied().collect();
        for committer in committers {
            for step in pair.tree.filtered_direct_path(LeafIndex(committer)).unwrap() {
                check_places(&before, &pair, step.copath);
            }
        }
    }
}

/// Compares with the resolution in the new tree, from which the new leaves are struck.
fn check_places(before: &Pair, after: &Pair, copath: NodeId) {
    let is_new = |node: &NodeId| node.as_leaf().is_some_and(|leaf| !before.model.leaves.contains_key(&leaf.0));
    let expected: Vec<NodeId> = after.model.resolution(copath).into_iter().filter(|node| !is_new(node)).collect();
    let found: Vec<NodeId> = before.tree.resolution(copath).unwrap().iter().map(|r| r.node).collect();
    assert_eq!(found, expected);
    assert_eq!(before.tree.resolution_len(copath).unwrap() as usize, expected.len());
    for me in after.model.leaves.keys().copied() {
        let place = before.tree.place_in_resolution(copath, LeafIndex(me)).unwrap();
        if !copath.covers(LeafIndex(me)) || is_new(&NodeId::leaf(LeafIndex(me))) {
            assert_eq!(place, None);
            continue;
        }
        let knows = |node: &NodeId| {
            *node == NodeId::leaf(LeafIndex(me))
                || node.covers(LeafIndex(me)) && !before.model.parents[node].unmerged_leaves.contains(&LeafIndex(me))
        };
        let position = expected.iter().position(knows).unwrap();
        assert_eq!(place.map(|p| (p.position, p.key_holder)), Some((position, expected[position])));
    }
}

#[test]
fn alternating_at_the_edge_does_not_hash_the_blank_half_again() {
    let mut random = Random(8);
    let mut pair = Pair::of_size(256, 32, &mut random);
    pair.tree.tree_hash().unwrap();
    let round = |pair: &mut Pair, random: &mut Random| {
        pair.add(random);
        pair.tree.tree_hash().unwrap();
        pair.remove(256);
        pair.tree.tree_hash().unwrap();
        pair.suite.counts().0
    };
    let first = round(&mut pair, &mut random);
    let second = round(&mut pair, &mut random);
    assert!(first > 255, "{first}");
    assert!(second < 150, "{second}");
}

/// The addresses of all pages.
fn pages(kid: &Kid, out: &mut BTreeSet<*const Page>) {
    if let Content::Page(page) = &kid.content {
        out.insert(Arc::as_ptr(page));
        (0..16).for_each(|position| pages(page.kid(position), out));
    }
}

#[test]
fn a_commit_copies_the_pages_on_its_path_and_no_other() {
    let mut random = Random(9);
    for (members, key_len, levels) in [(1_000, 32, 3), (1_000, 65, 2), (10_000, 32, 3)] {
        let mut tree = Tree::new(TestSuite::leaked(key_len));
        for index in 0..members {
            assert_eq!(tree.add(Leaf::from(&random.new_leaf(key_len)), MAX), Ok(LeafIndex(index)));
        }
        tree.tree_hash().unwrap();
        let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
        pages(&tree.root, &mut before);
        let mut next = tree.clone();
        let place = LeafIndex(members / 3);
        let keys: Vec<HpkePublicKey> =
            next.filtered_direct_path(place).unwrap().iter().map(|_| random.key(key_len)).collect();
        next.apply_path(place, &keys).unwrap();
        next.set_committed_leaf(place, Leaf::from(&random.new_leaf(key_len))).unwrap();
        next.tree_hash().unwrap();
        pages(&next.root, &mut after);
        assert_eq!(after.difference(&before).count(), usize::from(tree.depth()).div_ceil(levels));
    }
}

#[test]
fn hashes_are_computed_for_nodes_on_touched_paths_only() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut pair = Pair::of_size(33 + random.below(20), 32, &mut random);
        pair.tree.tree_hash().unwrap();
        for _ in 0..8 {
            pair.suite.counts();
            let depth = pair.tree.depth();
            let mut touched = BTreeSet::new();
            // Not removals: a page that becomes blank is hashed afresh.
            for left in (0..1 + random.below(5)).rev() {
                let place = pair.member(&mut random);
                if left > 0 {
                    pair.update(place, &mut random)
                } else {
                    pair.commit(place, &mut random)
                }
                touched.extend((0..=depth).map(|height| NodeId::above(LeafIndex(place), height)));
            }
            pair.tree.tree_hash().unwrap();
            let (tree_hashes, parent_hashes) = pair.suite.counts();
            assert!(tree_hashes <= touched.len(), "{tree_hashes} of {}", touched.len());
            assert!(parent_hashes <= usize::from(depth));
        }
    }
}
