//! The ratchet tree once more: an array as in RFC 9420 Appendix C, everything computed afresh in the
//! words of §4.1, §7.7, §7.8 and §7.9. It shares no code with the tree of the protocol but the wire
//! structs and the suite's hash, so that two code paths can be compared, and trees be forged.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use keyroom_crypto::Suite;
use keyroom_mls::error::Rule;
use keyroom_wire::{Encode, HpkePublicKey, LeafIndex, LeafNode, LeafNodeSource, Node, Opaque, ParentNode, RatchetTree};

/// A tree as an array: leaf i stands at 2i, the root in the middle, and blanks are `None`. It always
/// has a full number of nodes.
#[derive(Clone, Debug)]
pub struct ArrayTree {
    pub suite: &'static dyn Suite,
    pub nodes: Vec<Option<Node>>,
}

impl ArrayTree {
    /// One leaf.
    pub fn new(suite: &'static dyn Suite, leaf: LeafNode) -> Self {
        Self { suite, nodes: vec![Some(Node::Leaf(leaf.into()))] }
    }

    /// A tree that was cut off behind its last node (§12.4.3.3).
    pub fn extended(suite: &'static dyn Suite, tree: RatchetTree) -> Self {
        let mut nodes = tree.nodes;
        let full = (nodes.len() + 1).next_power_of_two() - 1;
        nodes.resize(full, None);
        Self { suite, nodes }
    }

    /// The content of a `ratchet_tree` extension: without the blanks at the end.
    pub fn ratchet_tree(&self) -> RatchetTree {
        let used = self.nodes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        RatchetTree { nodes: self.nodes[..used].to_vec() }
    }

    pub fn root(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Leaf slots, blank ones included.
    pub fn slots(&self) -> usize {
        self.nodes.len().div_ceil(2)
    }

    /// The leaves that are not blank.
    pub fn members(&self) -> Vec<usize> {
        (0..self.slots()).filter(|leaf| self.nodes[2 * leaf].is_some()).collect()
    }

    /// # Panics
    /// If it is blank.
    pub fn leaf(&self, leaf: usize) -> &LeafNode {
        match &self.nodes[2 * leaf] {
            Some(Node::Leaf(node)) => node,
            other => panic!("leaf {leaf} is {other:?}"),
        }
    }

    /// # Panics
    /// If it is blank.
    pub fn leaf_mut(&mut self, leaf: usize) -> &mut LeafNode {
        match &mut self.nodes[2 * leaf] {
            Some(Node::Leaf(node)) => node,
            other => panic!("leaf {leaf} is {other:?}"),
        }
    }

    pub fn parent(&self, node: usize) -> Option<&ParentNode> {
        match &self.nodes[node] {
            Some(Node::Parent(parent)) => Some(parent),
            _ => None,
        }
    }

    /// # Panics
    /// If it is blank or a leaf.
    pub fn parent_mut(&mut self, node: usize) -> &mut ParentNode {
        match &mut self.nodes[node] {
            Some(Node::Parent(parent)) => parent,
            other => panic!("node {node} is {other:?}"),
        }
    }

    /// The parents that are not blank.
    pub fn parents(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.parent(*node).is_some()).collect()
    }

    /// From the parent of a leaf up to the root.
    pub fn direct_path(&self, leaf: usize) -> Vec<usize> {
        iter::successors(Some(2 * leaf), |node| (*node != self.root()).then(|| above(*node))).skip(1).collect()
    }

    /// The resolution of a node (§4.1.1).
    pub fn resolution(&self, node: usize) -> Vec<usize> {
        match &self.nodes[node] {
            Some(Node::Leaf(_)) => vec![node],
            Some(Node::Parent(parent)) => {
                iter::once(node).chain(parent.unmerged_leaves.iter().map(|leaf| 2 * leaf.0 as usize)).collect()
            }
            None if level(node) == 0 => Vec::new(),
            None => [self.resolution(left(node)), self.resolution(right(node))].concat(),
        }
    }

    /// The direct path without the nodes whose child on the copath has an empty resolution (§4.2),
    /// each with that child.
    pub fn filtered_direct_path(&self, leaf: usize) -> Vec<(usize, usize)> {
        let mut child = 2 * leaf;
        let mut path = Vec::new();
        for node in self.direct_path(leaf) {
            let copath = if left(node) == child { right(node) } else { left(node) };
            if !self.resolution(copath).is_empty() {
                path.push((node, copath));
            }
            child = node;
        }
        path
    }

    /// Adds a leaf at the leftmost blank (§7.7, §12.1.1).
    pub fn add(&mut self, leaf: LeafNode) -> usize {
        let free = (0..self.slots()).find(|leaf| self.nodes[2 * leaf].is_none());
        let place = free.unwrap_or_else(|| {
            let before = self.slots();
            self.nodes.resize(2 * self.nodes.len() + 1, None);
            before
        });
        self.nodes[2 * place] = Some(Node::Leaf(leaf.into()));
        for node in self.direct_path(place) {
            if let Some(Node::Parent(parent)) = &mut self.nodes[node] {
                parent.unmerged_leaves.push(LeafIndex(place.try_into().unwrap()));
                parent.unmerged_leaves.sort_unstable();
            }
        }
        place
    }

    /// Replaces a leaf and blanks what is above it (§12.1.2).
    pub fn update(&mut self, place: usize, leaf: LeafNode) {
        self.nodes[2 * place] = Some(Node::Leaf(leaf.into()));
        self.blank_path(place);
    }

    /// Blanks a leaf and what is above it, and cuts the tree (§7.7, §12.1.3).
    pub fn remove(&mut self, place: usize) {
        self.nodes[2 * place] = None;
        self.blank_path(place);
        while self.nodes.len() > 1 && self.nodes[self.root() + 1..].iter().all(Option::is_none) {
            self.nodes.truncate(self.root());
        }
    }

    fn blank_path(&mut self, place: usize) {
        for node in self.direct_path(place) {
            self.nodes[node] = None;
        }
    }

    /// Sets the keys of a filtered direct path, its lowest node first, and gives the parent hash of
    /// the leaf (§7.5, §7.9).
    pub fn set_path(&mut self, leaf: usize, keys: &[HpkePublicKey]) -> Vec<u8> {
        let path = self.filtered_direct_path(leaf);
        assert_eq!(path.len(), keys.len());
        self.blank_path(leaf);
        let mut parent_hash = Vec::new();
        for ((node, copath), key) in path.into_iter().zip(keys).rev() {
            let parent = ParentNode {
                encryption_key: key.clone(),
                parent_hash: parent_hash.into(),
                unmerged_leaves: Vec::new(),
            };
            self.nodes[node] = Some(Node::Parent(parent.into()));
            parent_hash = self.parent_hash(node, copath);
        }
        parent_hash
    }

    /// The tree hash of a node (§7.8).
    pub fn tree_hash(&self, node: usize) -> Vec<u8> {
        self.original_tree_hash(node, &[])
    }

    /// The tree hash of a node when these leaves are blank and no parent lists them.
    fn original_tree_hash(&self, node: usize, without: &[LeafIndex]) -> Vec<u8> {
        let mut input = Vec::new();
        if level(node) == 0 {
            let leaf_index = LeafIndex((node / 2).try_into().unwrap());
            input.push(1);
            leaf_index.encode(&mut input);
            match &self.nodes[node] {
                Some(Node::Leaf(leaf)) if !without.contains(&leaf_index) => {
                    input.push(1);
                    leaf.encode(&mut input);
                }
                _ => input.push(0),
            }
        } else {
            input.push(2);
            match self.parent(node) {
                Some(parent) => {
                    let mut parent = parent.clone();
                    parent.unmerged_leaves.retain(|leaf| !without.contains(leaf));
                    input.push(1);
                    parent.encode(&mut input);
                }
                None => input.push(0),
            }
            Opaque::from(self.original_tree_hash(left(node), without)).encode(&mut input);
            Opaque::from(self.original_tree_hash(right(node), without)).encode(&mut input);
        }
        self.suite.hash(&[&input]).to_vec()
    }

    /// The parent hash of a node with this child on the copath (§7.9).
    ///
    /// # Panics
    /// If the node is blank.
    pub fn parent_hash(&self, node: usize, copath: usize) -> Vec<u8> {
        let parent = self.parent(node).unwrap();
        let mut input = Vec::new();
        parent.encryption_key.encode(&mut input);
        parent.parent_hash.encode(&mut input);
        Opaque::from(self.original_tree_hash(copath, &parent.unmerged_leaves)).encode(&mut input);
        self.suite.hash(&[&input]).to_vec()
    }

    /// What is wrong with unmerged leaves and parent hashes (§7.9.2, §12.4.3.1). Unmerged leaves come
    /// first: without them nothing can be said of parent hashes.
    pub fn faults(&self) -> HashSet<Rule> {
        let wrong: HashSet<Rule> = self.parents().into_iter().flat_map(|node| self.list_faults(node)).collect();
        if !wrong.is_empty() {
            return wrong;
        }
        self.parents().into_iter().filter_map(|node| self.chain_fault(node)).collect()
    }

    fn list_faults(&self, node: usize) -> HashSet<Rule> {
        let list = &self.parent(node).unwrap().unmerged_leaves;
        let mut faults = HashSet::new();
        for pair in list.windows(2) {
            if pair[0] >= pair[1] {
                faults.insert(Rule::UnmergedLeaves);
            }
        }
        for leaf in list {
            let place = 2 * leaf.0 as usize;
            if !covers(node, place) || self.nodes.get(place).is_none_or(Option::is_none) {
                faults.insert(Rule::UnmergedLeafAbsent);
                continue;
            }
            let between = self.direct_path(leaf.0 as usize).into_iter().take_while(|above| *above != node);
            if between.filter_map(|above| self.parent(above)).any(|parent| !parent.unmerged_leaves.contains(leaf)) {
                faults.insert(Rule::UnmergedLeafSkipped);
            }
        }
        faults
    }

    /// Asks of every descendant whether its parent hash is valid with respect to the parent.
    fn chain_fault(&self, node: usize) -> Option<Rule> {
        let mut loudest = Rule::ParentHashResolution;
        for (child, sibling) in [(left(node), right(node)), (right(node), left(node))] {
            let listed = self.parent(node).unwrap().unmerged_leaves.iter().map(|leaf| 2 * leaf.0 as usize);
            let unmerged: BTreeSet<usize> = listed.filter(|leaf| covers(child, *leaf)).collect();
            let resolution: BTreeSet<usize> = self.resolution(child).into_iter().collect();
            for descendant in &resolution {
                let mut rest = resolution.clone();
                rest.remove(descendant);
                if rest != unmerged {
                    continue;
                }
                match self.parent_hash_of(*descendant) {
                    Some(hash) if hash == self.parent_hash(node, sibling) => return None,
                    Some(hash) if !hash.is_empty() => loudest = Rule::ParentHash,
                    _ if loudest != Rule::ParentHash => loudest = Rule::ParentHashAbsent,
                    _ => {}
                }
            }
        }
        Some(loudest)
    }

    fn parent_hash_of(&self, node: usize) -> Option<&[u8]> {
        match self.nodes[node].as_ref()? {
            Node::Parent(parent) => Some(parent.parent_hash.as_slice()),
            Node::Leaf(leaf) => match &leaf.leaf_node_source {
                LeafNodeSource::Commit { parent_hash } => Some(parent_hash.as_slice()),
                _ => None,
            },
        }
    }
}

/// The height of a node above the leaves (Appendix C).
pub fn level(node: usize) -> u32 {
    node.trailing_ones()
}

/// The left child of a parent.
pub fn left(node: usize) -> usize {
    node - (1 << (level(node) - 1))
}

/// The right child of a parent.
pub fn right(node: usize) -> usize {
    node + (1 << (level(node) - 1))
}

/// The parent of a node, in a tree that reaches above it.
pub fn above(node: usize) -> usize {
    let step = 1 << level(node);
    if (node / (2 * step)).is_multiple_of(2) { node + step } else { node - step }
}

/// Whether one node is below another, or is the other.
pub fn covers(node: usize, other: usize) -> bool {
    let reach = (1 << level(node)) - 1;
    (node - reach..=node + reach).contains(&other)
}
