//! Parent hashes and unmerged leaves of foreign trees (rows 19, 191 to 194, 196 and 197 of the
//! checklist), against a second algorithm that follows the words of §7.9.2 and shares nothing with
//! the first.

use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::{Encode, LeafIndex, LeafNodeSource, Limits, Opaque, ParentNode};

use super::history::{MAX, Pair};
use super::model::{Model, Random};
use super::suite::TestSuite;
use crate::error::Rule;
use crate::tree::{NodeId, Tree, TreeError};

/// Every list against every level; every node of both resolutions as a candidate; a whole tree
/// hashed for each.
fn naive(suite: &dyn Suite, model: &Model) -> Result<(), Fault> {
    for (node, parent) in &model.parents {
        if !parent.unmerged_leaves.iter().all(|leaf| may_list(model, *node, *leaf)) {
            return Err(Fault::Lists);
        }
        if !parent.unmerged_leaves.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Fault::Lists);
        }
    }
    for (node, parent) in &model.parents {
        let (left, right) = (node.left().unwrap(), node.right().unwrap());
        let valid: usize = [(left, right), (right, left)]
            .into_iter()
            .map(|(child, sibling)| {
                let candidates = model.resolution(child);
                candidates
                    .iter()
                    .filter(|d| is_valid(suite, model, (**d, parent), &candidates, (child, sibling)))
                    .count()
            })
            .sum();
        if valid != 1 {
            return Err(Fault::Chains);
        }
    }
    Ok(())
}

/// What is wrong with a tree. Which rule exactly is compared elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Lists,
    Chains,
}

impl From<TreeError> for Fault {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Rule(Rule::UnmergedLeaves | Rule::UnmergedLeafAbsent | Rule::UnmergedLeafSkipped) => Self::Lists,
            TreeError::Rule(Rule::ParentHash | Rule::ParentHashAbsent | Rule::ParentHashResolution) => Self::Chains,
            other => panic!("{other:?}"),
        }
    }
}

fn may_list(model: &Model, node: NodeId, leaf: LeafIndex) -> bool {
    let between = (1..node.height).filter_map(|height| model.parents.get(&NodeId::above(leaf, height)));
    node.covers(leaf)
        && model.leaves.contains_key(&leaf.0)
        && between.into_iter().all(|other| other.unmerged_leaves.contains(&leaf))
}

fn is_valid(
    suite: &dyn Suite,
    model: &Model,
    (d, parent): (NodeId, &ParentNode),
    resolution: &[NodeId],
    (child, sibling): (NodeId, NodeId),
) -> bool {
    let others: Vec<NodeId> = resolution.iter().copied().filter(|node| *node != d).collect();
    let unmerged = parent.unmerged_leaves.iter().filter(|leaf| child.covers(**leaf));
    let found = match d.as_leaf() {
        None => Some(model.parents[&d].parent_hash.as_slice()),
        Some(leaf) => match &model.leaves[&leaf.0].leaf_node_source {
            LeafNodeSource::Commit { parent_hash } => Some(parent_hash.as_slice()),
            _ => None,
        },
    };
    unmerged.map(|leaf| NodeId::leaf(*leaf)).eq(others)
        && found == Some(model.parent_hash(suite, parent, sibling).as_slice())
}

/// The same verdict from both, which is returned; `None` if the tree cannot be written.
fn verdict(suite: &'static TestSuite, model: &Model) -> Option<Result<(), Fault>> {
    let bytes = model.ratchet_tree().to_bytes();
    let mut tree = match Tree::import(suite, &bytes, &Limits::default(), MAX) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(matches!(error, TreeError::Rule(Rule::TreeEmpty | Rule::TreeNotTruncated)), "{error:?}");
            return None;
        }
    };
    if tree.depth() != model.depth {
        return None;
    }
    assert_eq!(tree.verify_parent_hashes(), Err(TreeError::NotHashed));
    tree.tree_hash().unwrap();
    let expected = naive(suite, model);
    assert_eq!(tree.verify_parent_hashes().map_err(Fault::from), expected, "{model:?}");
    Some(expected)
}

#[test]
fn honest_trees_are_valid() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut pair = Pair::new(32, &mut random);
        for _ in 0..60 {
            pair.step(&mut random);
            if random.below(4) == 0 {
                assert_eq!(verdict(pair.suite, &pair.model), Some(Ok(())));
            }
        }
    }
}

/// A tree that no honest history makes: any leaves, any parents, lists that are nested and otherwise
/// arbitrary, and parent hashes that are right wherever they can be.
fn hostile(suite: &dyn Suite, depth: u8, random: &mut Random) -> Model {
    let mut model = Model { depth, ..Model::new() };
    let (leaf_odds, parent_odds) = (1 + random.below(8), 1 + random.below(8));
    for leaf in 0..model.slots() {
        if random.below(8) < leaf_odds || leaf + 1 == model.slots() {
            model.leaves.insert(leaf, random.new_leaf(32));
        }
    }
    let parents: Vec<NodeId> = model.nodes().filter(|node| node.height > 0 && random.below(8) < parent_odds).collect();
    let tops: Vec<(u32, u8)> = model.leaves.keys().map(|leaf| (*leaf, random_top(depth, random))).collect();
    let listed = |node: NodeId| {
        let below = tops.iter().filter(|(leaf, top)| node.covers(LeafIndex(*leaf)) && *top >= node.height);
        below.map(|(leaf, _)| LeafIndex(*leaf)).collect()
    };
    for node in parents {
        let parent = ParentNode {
            encryption_key: random.key(32),
            parent_hash: Opaque::default(),
            unmerged_leaves: listed(node),
        };
        model.parents.insert(node, parent);
    }
    // From the leaves up: a parent that cannot have a chain is blanked, mostly.
    let mut by_height: Vec<NodeId> = model.parents.keys().copied().collect();
    by_height.sort_unstable();
    for node in by_height {
        if sides(&model, node).is_empty() && random.below(20) > 0 {
            model.parents.remove(&node);
        }
    }
    let root = model.root();
    sign(suite, &mut model, root, None, random);
    model
}

fn random_top(depth: u8, random: &mut Random) -> u8 {
    if random.below(3) == 0 { random.below(usize::from(depth) + 1).try_into().unwrap() } else { 0 }
}

/// The children of a parent in which a chain can end: child, sibling and the node that ends it.
fn sides(model: &Model, node: NodeId) -> Vec<(NodeId, NodeId, NodeId)> {
    let unmerged = &model.parents[&node].unmerged_leaves;
    let (left, right) = (node.left().unwrap(), node.right().unwrap());
    let end = |(child, sibling): (NodeId, NodeId)| {
        let resolution = model.resolution(child);
        let mut rest = resolution.iter().filter(|x| !x.as_leaf().is_some_and(|leaf| unmerged.contains(&leaf)));
        match (rest.next(), rest.next()) {
            (Some(d), None) => Some((child, sibling, *d)),
            _ => None,
        }
    };
    [(left, right), (right, left)].into_iter().filter_map(end).collect()
}

/// Writes parent hashes below a node, from the top down and siblings first. `end` is the node that
/// ends a chain from above, with its parent hash.
fn sign(suite: &dyn Suite, model: &mut Model, at: NodeId, end: Option<(NodeId, Vec<u8>)>, random: &mut Random) {
    let mine = end.as_ref().filter(|(node, _)| *node == at).map(|(_, hash)| hash.clone());
    if let Some(leaf) = at.as_leaf() {
        if let (Some(hash), Some(leaf)) = (mine, model.leaves.get_mut(&leaf.0)) {
            leaf.leaf_node_source = LeafNodeSource::Commit { parent_hash: hash.into() };
        }
        return;
    }
    let (left, right) = (at.left().unwrap(), at.right().unwrap());
    let Some(parent) = model.parents.get_mut(&at) else {
        for child in [left, right] {
            let below = end.clone().filter(|(node, _)| child.covers(node.first_leaf()) && node.height <= child.height);
            sign(suite, model, child, below, random);
        }
        return;
    };
    let length = random.below(2) * 32;
    parent.parent_hash = mine.unwrap_or_else(|| random.key(length).into_vec()).into();
    let sides = sides(model, at);
    if sides.is_empty() {
        sign(suite, model, left, None, random);
        sign(suite, model, right, None, random);
        return;
    }
    let (child, sibling, d) = sides[random.below(sides.len())];
    sign(suite, model, sibling, None, random);
    let hash = model.parent_hash(suite, &model.parents[&at], sibling);
    sign(suite, model, child, Some((d, hash)), random);
}

#[test]
fn rows_191_192_193_hostile_trees_get_the_same_verdict_from_both_algorithms() {
    let suite = TestSuite::leaked(32);
    let mut counts = [0; 3];
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let depth = 1 + u8::try_from(random.below(if seed % 20 == 0 { 6 } else { 4 })).unwrap();
        let model = hostile(suite, depth, &mut random);
        match verdict(suite, &model) {
            Some(Ok(())) => counts[0] += usize::from(!model.parents.is_empty()),
            Some(Err(Fault::Lists)) => counts[1] += 1,
            Some(Err(Fault::Chains)) => counts[2] += 1,
            None => {}
        }
    }
    assert!(counts[0] > 1_000 && counts[2] > 100, "{counts:?}");
}

/// Changes one thing, or one entry at all levels.
fn mutate(model: &mut Model, random: &mut Random) {
    let leaves: Vec<u32> = model.leaves.keys().copied().collect();
    if leaves.len() < 2 {
        return;
    }
    let nodes: Vec<NodeId> = model.parents.keys().copied().collect();
    let leaf = leaves[random.below(leaves.len())];
    if nodes.is_empty() || random.below(10) == 0 {
        model.leaves.remove(&leaf);
        return;
    }
    let node = nodes[random.below(nodes.len())];
    let parent = model.parents.get_mut(&node).unwrap();
    let count = parent.unmerged_leaves.len();
    match random.below(8) {
        0 => parent.encryption_key = random.key(32),
        1 => parent.parent_hash = random.key(32).into_vec().into(),
        2 => drop(model.parents.remove(&node)),
        3 if count > 0 => drop(parent.unmerged_leaves.remove(random.below(count))),
        4 if count > 1 => parent.unmerged_leaves.swap(0, 1),
        5 => {
            for at in nodes.into_iter().filter(|at| at.covers(LeafIndex(leaf))) {
                list(model.parents.get_mut(&at).unwrap(), leaf);
            }
        }
        6 => {
            for at in nodes.into_iter().filter(|at| at.covers(LeafIndex(leaf))) {
                model.parents.get_mut(&at).unwrap().unmerged_leaves.retain(|other| other.0 != leaf);
            }
        }
        _ => list(parent, random.below(model.depth.into()).try_into().unwrap_or(leaf)),
    }
}

fn list(parent: &mut ParentNode, leaf: u32) {
    parent.unmerged_leaves.push(LeafIndex(leaf));
    parent.unmerged_leaves.sort_unstable();
}

#[test]
fn rows_019_191_192_193_196_197_mutants_get_the_same_verdict_from_both_algorithms() {
    let mut counts = [0; 3];
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let (suite, mut model) = if seed % 3 == 0 {
            let mut pair = Pair::of_size(3 + random.below(9), 32, &mut random);
            (0..12).for_each(|_| pair.step(&mut random));
            (pair.suite, pair.model)
        } else {
            let suite = TestSuite::leaked(32);
            let depth = 1 + u8::try_from(random.below(4)).unwrap();
            (suite, hostile(suite, depth, &mut random))
        };
        (0..1 + random.below(2)).for_each(|_| mutate(&mut model, &mut random));
        match verdict(suite, &model) {
            Some(Ok(())) => counts[0] += 1,
            Some(Err(Fault::Lists)) => counts[1] += 1,
            Some(Err(Fault::Chains)) => counts[2] += 1,
            None => {}
        }
    }
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

type Top = fn(u32, &mut Random) -> u8;

/// All leaves and all parents there; `top` says up to which height a leaf is listed.
fn full_lists(suite: &dyn Suite, depth: u8, random: &mut Random, top: Top) -> Model {
    let mut model = Model { depth, ..Model::new() };
    let tops: Vec<u8> = (0..model.slots()).map(|leaf| top(leaf, random)).collect();
    for node in model.nodes().collect::<Vec<_>>() {
        let Some(leaf) = node.as_leaf() else {
            let first = node.first_leaf().0;
            let below = (first..first + (1 << node.height)).filter(|leaf| tops[*leaf as usize] >= node.height);
            let unmerged_leaves = below.map(LeafIndex).collect();
            let parent = ParentNode { encryption_key: random.key(32), parent_hash: Opaque::default(), unmerged_leaves };
            model.parents.insert(node, parent);
            continue;
        };
        model.leaves.insert(leaf.0, random.new_leaf(32));
    }
    let root = model.root();
    sign(suite, &mut model, root, None, random);
    model
}

#[test]
fn the_number_of_hashes_stays_near_linear_whatever_the_lists_hold() {
    let depth = 9u8;
    // With each chain ending on the left, a leaf may be listed up to the height of an ancestor that is a
    // right child, or up to the root.
    fn tops(leaf: u32) -> Vec<u8> {
        (1..9).filter(|height| leaf >> height & 1 == 1).chain([9]).collect()
    }
    let shapes: [Top; 5] = [
        |_, _| 0,
        |leaf, _| if leaf % 2 == 1 { 9 } else { 0 },
        |leaf, _| if leaf % 2 == 1 { tops(leaf)[0] } else { 0 },
        |leaf, random| if leaf % 2 == 1 { tops(leaf)[random.below(tops(leaf).len())] } else { 0 },
        |leaf, random| if leaf % 2 == 1 && random.below(2) == 0 { tops(leaf)[0] } else { 0 },
    ];
    for shape in shapes {
        let suite = TestSuite::leaked(32);
        let mut random = Random(1);
        let model = full_lists(suite, depth, &mut random, shape);
        let bytes = model.ratchet_tree().to_bytes();
        suite.counts();
        let mut tree = Tree::import(suite, &bytes, &Limits::default(), MAX).unwrap();
        tree.tree_hash().unwrap();
        assert_eq!(tree.verify_parent_hashes(), Ok(()));
        let (tree_hashes, parent_hashes) = suite.counts();
        assert!(tree_hashes + parent_hashes <= 12 << depth, "{tree_hashes} {parent_hashes}");
    }
}

#[test]
fn a_blank_parent_hash_source_does_not_end_a_chain() {
    let mut random = Random(2);
    let mut pair = Pair::of_size(2, 32, &mut random);
    pair.commit(0, &mut random);
    assert_eq!(verdict(pair.suite, &pair.model), Some(Ok(())));
    let leaf = pair.model.leaves.get_mut(&0).unwrap();
    leaf.leaf_node_source = LeafNodeSource::Update;
    assert_eq!(verdict(pair.suite, &pair.model), Some(Err(Fault::Chains)));
}

#[test]
fn row_194_a_root_that_truncation_made_keeps_its_parent_hash_and_is_valid() {
    let mut random = Random(3);
    let mut pair = Pair::of_size(3, 32, &mut random);
    pair.commit(0, &mut random);
    pair.remove(2);
    let root = pair.tree.parent(pair.tree.root_node()).unwrap().unwrap();
    assert!(!root.parent_hash.is_empty());
    assert_eq!(verdict(pair.suite, &pair.model), Some(Ok(())));
}
