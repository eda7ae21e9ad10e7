//! The naive model: nodes in maps, everything recomputed, nothing cached.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::{
    Capabilities, Credential, Encode, Extensions, HpkePublicKey, LeafIndex, LeafNode, LeafNodeSource, Node, ParentNode,
    RatchetTree,
};

use crate::tree::node::NodeId;

/// A small deterministic generator (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(super) fn key(&mut self, length: usize) -> HpkePublicKey {
        let bytes: Vec<u8> = (0..length).map(|_| self.next().to_le_bytes()[0]).collect();
        bytes.into()
    }

    /// A leaf node with fresh keys.
    pub(super) fn leaf(&mut self, key_len: usize, source: LeafNodeSource) -> LeafNode {
        LeafNode {
            encryption_key: self.key(key_len),
            signature_key: self.key(key_len).as_slice().into(),
            credential: Credential::basic(self.next().to_be_bytes().to_vec()),
            capabilities: Capabilities::default(),
            leaf_node_source: source,
            extensions: Extensions::new(),
            signature: self.key(8).as_slice().into(),
        }
    }

    pub(super) fn new_leaf(&mut self, key_len: usize) -> LeafNode {
        self.leaf(key_len, LeafNodeSource::Update)
    }
}

/// A ratchet tree as the RFC describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) depth: u8,
    pub(super) leaves: BTreeMap<u32, LeafNode>,
    pub(super) parents: BTreeMap<NodeId, ParentNode>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { depth: 0, leaves: BTreeMap::new(), parents: BTreeMap::new() }
    }

    pub(super) fn slots(&self) -> u32 {
        1 << self.depth
    }

    pub(super) fn root(&self) -> NodeId {
        NodeId::new(self.depth, 0)
    }

    pub(super) fn first_blank(&self) -> u32 {
        (0..).find(|index| !self.leaves.contains_key(index)).unwrap()
    }

    pub(super) fn direct_path(&self, leaf: u32) -> Vec<NodeId> {
        (1..=self.depth).map(|height| NodeId::above(LeafIndex(leaf), height)).collect()
    }

    pub(super) fn add(&mut self, leaf: LeafNode) -> u32 {
        let place = self.first_blank();
        while place >= self.slots() {
            self.depth += 1;
        }
        self.leaves.insert(place, leaf);
        for node in self.direct_path(place) {
            if let Some(parent) = self.parents.get_mut(&node) {
                parent.unmerged_leaves.push(LeafIndex(place));
                parent.unmerged_leaves.sort_unstable();
            }
        }
        place
    }

    fn blank_path(&mut self, leaf: u32) {
        for node in self.direct_path(leaf) {
            self.parents.remove(&node);
        }
    }

    pub(super) fn update(&mut self, place: u32, leaf: LeafNode) {
        self.leaves.insert(place, leaf);
        self.blank_path(place);
    }

    pub(super) fn remove(&mut self, place: u32) {
        self.leaves.remove(&place);
        self.blank_path(place);
        while self.depth > 0 && self.leaves.keys().all(|leaf| *leaf < self.slots() / 2) {
            self.parents.remove(&self.root());
            self.depth -= 1;
        }
    }

    pub(super) fn resolution(&self, node: NodeId) -> Vec<NodeId> {
        if let Some(leaf) = node.as_leaf() {
            return if self.leaves.contains_key(&leaf.0) { [node].into() } else { Vec::new() };
        }
        match self.parents.get(&node) {
            Some(parent) => {
                core::iter::once(node).chain(parent.unmerged_leaves.iter().map(|leaf| NodeId::leaf(*leaf))).collect()
            }
            None => {
                let mut list = self.resolution(node.left().unwrap());
                list.extend(self.resolution(node.right().unwrap()));
                list
            }
        }
    }

    /// The filtered direct path with copath children.
    pub(super) fn filtered(&self, leaf: u32) -> Vec<(NodeId, NodeId)> {
        (0..self.depth)
            .map(|height| NodeId::above(LeafIndex(leaf), height))
            .map(|child| (child.parent(), child.sibling()))
            .filter(|(_, copath)| !self.resolution(*copath).is_empty())
            .collect()
    }

    /// Applies a path and returns the parent hash for the leaf.
    pub(super) fn apply_path(&mut self, suite: &dyn Suite, leaf: u32, keys: &[HpkePublicKey]) -> Vec<u8> {
        let filtered = self.filtered(leaf);
        assert_eq!(filtered.len(), keys.len());
        self.blank_path(leaf);
        let mut above = Vec::new();
        for ((node, copath), key) in filtered.iter().zip(keys).rev() {
            let parent =
                ParentNode { encryption_key: key.clone(), parent_hash: above.into(), unmerged_leaves: Vec::new() };
            above = self.parent_hash(suite, &parent, *copath);
            self.parents.insert(*node, parent);
        }
        above
    }

    /// The parent hash of a node towards the child that is not the sibling.
    pub(super) fn parent_hash(&self, suite: &dyn Suite, parent: &ParentNode, sibling: NodeId) -> Vec<u8> {
        let struck: Vec<LeafIndex> =
            parent.unmerged_leaves.iter().copied().filter(|leaf| sibling.covers(*leaf)).collect();
        let original = self.tree_hash_without(suite, sibling, &struck);
        let mut input = Vec::new();
        parent.encryption_key.encode(&mut input);
        parent.parent_hash.encode(&mut input);
        keyroom_wire::write_vector(&mut input, |out| out.extend(original));
        suite.hash(&[&input]).to_vec()
    }

    pub(super) fn tree_hash(&self, suite: &dyn Suite, node: NodeId) -> Vec<u8> {
        self.tree_hash_without(suite, node, &[])
    }

    /// The tree hash after blanking these leaves and striking them from all lists.
    pub(super) fn tree_hash_without(&self, suite: &dyn Suite, node: NodeId, struck: &[LeafIndex]) -> Vec<u8> {
        let mut input = Vec::new();
        match node.as_leaf() {
            Some(leaf) => {
                input.push(1);
                leaf.encode(&mut input);
                self.leaves.get(&leaf.0).filter(|_| !struck.contains(&leaf)).cloned().encode(&mut input);
            }
            None => {
                input.push(2);
                let mut parent = self.parents.get(&node).cloned();
                if let Some(parent) = &mut parent {
                    parent.unmerged_leaves.retain(|leaf| !struck.contains(leaf));
                }
                parent.encode(&mut input);
                for child in [node.left().unwrap(), node.right().unwrap()] {
                    let struck: Vec<LeafIndex> = struck.iter().copied().filter(|leaf| child.covers(*leaf)).collect();
                    let hash = self.tree_hash_without(suite, child, &struck);
                    keyroom_wire::write_vector(&mut input, |out| out.extend(hash));
                }
            }
        }
        suite.hash(&[&input]).to_vec()
    }

    pub(super) fn node(&self, node: NodeId) -> Option<Node> {
        match node.as_leaf() {
            Some(leaf) => self.leaves.get(&leaf.0).cloned().map(|leaf| Node::Leaf(leaf.into())),
            None => self.parents.get(&node).cloned().map(|parent| Node::Parent(parent.into())),
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..2 * self.slots() - 1).map(NodeId::from_array)
    }

    pub(super) fn ratchet_tree(&self) -> RatchetTree {
        let mut nodes: Vec<Option<Node>> = self.nodes().map(|node| self.node(node)).collect();
        while nodes.last().is_some_and(Option::is_none) {
            nodes.pop();
        }
        RatchetTree { nodes }
    }
}
