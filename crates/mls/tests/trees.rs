//! Tree hashes, parent hashes, resolutions and filtered direct paths by two code paths that share
//! nothing but the wire structs and the hash function: the tree of the protocol, and an array that
//! follows the words of RFC 9420 §4 and §7.7 to §7.9 (`keyroom_insider::naive`).
//!
//! The histories are random; between the changes of each, trees that nobody makes honestly are
//! forged from its tree, and both must say the same of them.
//!
//! The long run: `KEYROOM_COUNT=1000000 cargo test --release -p keyroom-mls --test trees`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::collections::BTreeMap;

use keyroom_crypto::{CryptoRng, Suite};
use keyroom_insider::naive::{ArrayTree, covers, left, level, right};
use keyroom_insider::{below, count, seed, suite};
use keyroom_mls::error::Rule;
use keyroom_mls::tree::{Leaf, NodeId, Tree, TreeError};
use keyroom_wire::{
    Capabilities, Credential, Decode, Encode, Extensions, HpkePublicKey, LeafIndex, LeafNode, LeafNodeSource, Limits,
    Node, Opaque, ParentNode, RatchetTree,
};

const MAX: u32 = 1 << 16;

fn bytes(length: usize, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn key(rng: &mut dyn CryptoRng) -> HpkePublicKey {
    bytes(32, rng).into()
}

/// A leaf whose keys are no keys: nothing here asks.
fn leaf(leaf_node_source: LeafNodeSource, rng: &mut dyn CryptoRng) -> LeafNode {
    LeafNode {
        encryption_key: key(rng),
        signature_key: bytes(32, rng).as_slice().into(),
        credential: Credential::basic(bytes(2, rng)),
        capabilities: Capabilities::default(),
        leaf_node_source,
        extensions: Extensions::new(),
        signature: bytes(8, rng).as_slice().into(),
    }
}

fn index(leaf: usize) -> LeafIndex {
    LeafIndex(leaf.try_into().unwrap())
}

fn node(index: usize) -> NodeId {
    NodeId::from_array(index.try_into().unwrap())
}

/// One tree, twice.
struct Pair {
    tree: Tree,
    array: ArrayTree,
}

impl Pair {
    fn new(suite: &'static dyn Suite, rng: &mut dyn CryptoRng) -> Self {
        let first = leaf(LeafNodeSource::Update, rng);
        let mut tree = Tree::new(suite);
        tree.add(Leaf::from(&first), MAX).unwrap();
        Self { tree, array: ArrayTree::new(suite, first) }
    }

    fn add(&mut self, rng: &mut dyn CryptoRng) {
        let new = leaf(LeafNodeSource::Update, rng);
        let place = self.tree.add(Leaf::from(&new), MAX).unwrap();
        assert_eq!(place, index(self.array.add(new)));
    }

    fn member(&self, rng: &mut dyn CryptoRng) -> usize {
        let members = self.array.members();
        members[below(rng, members.len())]
    }

    /// Commits of whoever, some with leaves that they add and remove: unmerged leaves, extension and
    /// truncation follow by themselves.
    fn step(&mut self, most: usize, rng: &mut dyn CryptoRng) {
        let place = self.member(rng);
        match below(rng, 9) {
            0..=2 if self.array.members().len() < most => self.add(rng),
            3 | 4 if self.array.members().len() > 1 => {
                self.tree.remove(index(place)).unwrap();
                self.array.remove(place);
            }
            5 => {
                let new = leaf(LeafNodeSource::Update, rng);
                self.tree.update(index(place), Leaf::from(&new)).unwrap();
                self.array.update(place, new);
            }
            _ => self.commit(place, rng),
        }
    }

    fn commit(&mut self, place: usize, rng: &mut dyn CryptoRng) {
        let steps = self.tree.filtered_direct_path(index(place)).unwrap();
        let keys: Vec<HpkePublicKey> = steps.iter().map(|_| key(rng)).collect();
        let parent_hash = self.tree.apply_path(index(place), &keys).unwrap();
        assert_eq!(parent_hash, self.array.set_path(place, &keys), "the parent hash of the committer");
        let new = leaf(LeafNodeSource::Commit { parent_hash: parent_hash.into() }, rng);
        self.tree.set_committed_leaf(index(place), Leaf::from(&new)).unwrap();
        *self.array.leaf_mut(place) = new;
    }

    fn check(&mut self) {
        let (tree, array) = (&mut self.tree, &self.array);
        tree.tree_hash().unwrap();
        same_shape(tree, array);
        assert_eq!(tree.export().unwrap(), array.ratchet_tree().to_bytes());
        assert_eq!(tree.verify_parent_hashes(), Ok(()), "an honest tree");
        assert!(array.faults().is_empty(), "an honest tree");
    }
}

/// Hashes, resolutions and paths of all nodes and leaves.
fn same_shape(tree: &Tree, array: &ArrayTree) {
    assert_eq!(tree.slots() as usize, array.slots());
    for at in 0..array.nodes.len() {
        if let Some(hash) = tree.node_hash(node(at)).unwrap() {
            assert_eq!(hash.as_slice(), array.tree_hash(at), "the tree hash of node {at}");
        }
        let recipients = tree.resolution(node(at)).unwrap();
        let found: Vec<usize> = recipients.iter().map(|recipient| recipient.node.to_array() as usize).collect();
        assert_eq!(found, array.resolution(at), "the resolution of node {at}");
        assert_eq!(tree.resolution_len(node(at)).unwrap() as usize, found.len());
    }
    for at in array.members() {
        let steps = tree.filtered_direct_path(index(at)).unwrap();
        let array_of = |id: NodeId| id.to_array() as usize;
        let steps: Vec<_> = steps.iter().map(|step| (array_of(step.node), array_of(step.copath))).collect();
        assert_eq!(steps, array.filtered_direct_path(at), "the filtered direct path of leaf {at}");
    }
}

/// How often each verdict was given.
type Verdicts = BTreeMap<&'static str, usize>;

/// Both verdicts on a forged tree.
fn judge(forged: &ArrayTree, verdicts: &mut Verdicts) {
    let encoded = forged.ratchet_tree().to_bytes();
    let mut tree = match Tree::import(forged.suite, &encoded, &Limits::default(), MAX) {
        Ok(tree) => tree,
        Err(TreeError::Rule(Rule::TreeEmpty | Rule::TreeNotTruncated)) => return,
        Err(error) => panic!("{error:?}"),
    };
    // What was cut off with the last leaf is gone for the array too.
    let read = RatchetTree::from_bytes(&encoded, &Limits::default()).unwrap();
    let array = ArrayTree::extended(forged.suite, read);
    assert_eq!(tree.tree_hash().unwrap().as_slice(), array.tree_hash(array.root()));
    let faults = array.faults();
    let verdict = match tree.verify_parent_hashes() {
        Ok(()) => {
            assert!(faults.is_empty(), "{faults:?} in {array:?}");
            same_shape(&tree, &array);
            "valid"
        }
        Err(TreeError::Rule(rule)) => {
            assert!(faults.contains(&rule), "{rule:?} instead of {faults:?}: {array:?}");
            rule.code()
        }
        Err(error) => panic!("{error:?}"),
    };
    *verdicts.entry(verdict).or_default() += 1;
}

/// Changes one thing, or one leaf's entry on all levels.
fn forge(array: &mut ArrayTree, rng: &mut dyn CryptoRng) {
    let members = array.members();
    let parents = array.parents();
    let leaf = members[below(rng, members.len())];
    if parents.is_empty() {
        return add_parent(array, rng);
    }
    let at = parents[below(rng, parents.len())];
    let listed = array.parent(at).unwrap().unmerged_leaves.len();
    match below(rng, 12) {
        0 => array.parent_mut(at).encryption_key = key(rng),
        1 => array.parent_mut(at).parent_hash = bytes(32, rng).into(),
        2 => array.parent_mut(at).parent_hash = Opaque::default(),
        3 => array.nodes[at] = None,
        4 if listed > 0 => drop(array.parent_mut(at).unmerged_leaves.remove(below(rng, listed))),
        5 if listed > 0 => {
            let list = &mut array.parent_mut(at).unmerged_leaves;
            list.push(list[listed - 1]);
        }
        6 if listed > 1 => array.parent_mut(at).unmerged_leaves.swap(0, 1),
        7 => above_of(array, leaf).for_each(|at| list(array, at, leaf)),
        8 => above_of(array, leaf).for_each(|at| array.parent_mut(at).unmerged_leaves.retain(|l| *l != index(leaf))),
        9 => list(array, at, below(rng, array.slots() + 2)),
        10 if members.len() > 1 => array.nodes[2 * leaf] = None,
        11 => array.leaf_mut(leaf).leaf_node_source = LeafNodeSource::Update,
        _ => add_parent(array, rng),
    }
}

fn above_of(array: &ArrayTree, leaf: usize) -> impl Iterator<Item = usize> + use<> {
    let parents = array.parents();
    array.direct_path(leaf).into_iter().filter(move |at| parents.contains(at))
}

fn list(array: &mut ArrayTree, at: usize, leaf: usize) {
    let list = &mut array.parent_mut(at).unmerged_leaves;
    list.push(index(leaf));
    list.sort_unstable();
}

/// A parent that nobody has set.
fn add_parent(array: &mut ArrayTree, rng: &mut dyn CryptoRng) {
    let at = below(rng, array.nodes.len());
    if level(at) == 0 {
        return;
    }
    let members = array.members().into_iter().filter(|leaf| covers(at, 2 * leaf)).map(index);
    let unmerged_leaves = members.filter(|_| below(rng, 4) == 0).collect();
    let parent = ParentNode { encryption_key: key(rng), parent_hash: Opaque::default(), unmerged_leaves };
    array.nodes[at] = Some(Node::Parent(parent.into()));
}

/// Writes parent hashes that are right wherever they can be, as an insider could who holds all keys.
fn reseal(array: &mut ArrayTree, at: usize, rng: &mut dyn CryptoRng) {
    if level(at) == 0 {
        return;
    }
    let mut sides = [(left(at), right(at)), (right(at), left(at))];
    if below(rng, 2) == 0 {
        sides.swap(0, 1);
    }
    let Some(parent) = array.parent(at) else {
        return sides.into_iter().for_each(|(child, _)| reseal(array, child, rng));
    };
    let unmerged = parent.unmerged_leaves.clone();
    let end = |(child, sibling): (usize, usize)| {
        let mut rest = array.resolution(child);
        rest.retain(|x| level(*x) > 0 || !unmerged.contains(&index(x / 2)));
        if rest.len() == 1 { Some((child, sibling, rest[0])) } else { None }
    };
    let Some((child, sibling, end)) = sides.into_iter().find_map(end) else {
        return sides.into_iter().for_each(|(child, _)| reseal(array, child, rng));
    };
    reseal(array, sibling, rng);
    let parent_hash = Opaque::from(array.parent_hash(at, sibling));
    match &mut array.nodes[end] {
        Some(Node::Parent(parent)) => parent.parent_hash = parent_hash,
        Some(Node::Leaf(leaf)) => leaf.leaf_node_source = LeafNodeSource::Commit { parent_hash },
        None => {}
    }
    reseal(array, child, rng);
}

/// Whether all unmerged leaves stand where they are said to, so that a resolution can be written.
fn has_resolutions(array: &ArrayTree) -> bool {
    let is_leaf = |leaf: &LeafIndex| array.nodes.get(2 * leaf.0 as usize).is_some_and(Option::is_some);
    array.parents().into_iter().all(|at| array.parent(at).unwrap().unmerged_leaves.iter().all(is_leaf))
}

#[test]
fn rows_019_191_to_194_196_197_trees_and_forgeries_get_the_same_hashes_and_verdicts_from_two_code_paths() {
    let rng = &mut keyroom_vectors::rng(seed());
    let wanted = count(10_000);
    let (mut trees, mut depths) = (0, BTreeMap::<usize, usize>::new());
    let mut verdicts = Verdicts::new();
    while trees < wanted {
        let most = [4, 8, 12, if trees % 40 == 0 { 70 } else { 18 }][below(rng, 4)];
        let mut pair = Pair::new(suite(1), rng);
        (0..below(rng, most)).for_each(|_| pair.add(rng));
        for _ in 0..24 {
            pair.step(most, rng);
            pair.check();
            *depths.entry(pair.array.slots()).or_default() += 1;
            let mut forged = pair.array.clone();
            (0..1 + below(rng, 3)).for_each(|_| forge(&mut forged, rng));
            if below(rng, 2) == 0 && has_resolutions(&forged) {
                let root = forged.root();
                reseal(&mut forged, root, rng);
            }
            judge(&forged, &mut verdicts);
            trees += 2;
        }
    }
    println!("{trees} trees, by leaf slots {depths:?}, forged {verdicts:?}");
    let all = [
        "valid",
        Rule::UnmergedLeaves.code(),
        Rule::UnmergedLeafAbsent.code(),
        Rule::UnmergedLeafSkipped.code(),
        Rule::ParentHash.code(),
        Rule::ParentHashAbsent.code(),
        Rule::ParentHashResolution.code(),
    ];
    let rare: Vec<_> = all.into_iter().filter(|name| verdicts.get(name).is_none_or(|n| *n < wanted / 400)).collect();
    assert!(rare.is_empty(), "hardly ever met: {rare:?} in {verdicts:?}");
}
