//! The ratchet tree (RFC 9420 §4.1, §7) as a persistent tree of pages.
//!
//! A [`Tree`] is a value: cloning it copies a pointer, changing a clone copies the pages on the path
//! that changes and nothing else, and dropping a clone frees what it alone owns. So an epoch that
//! may never come to be costs O(log n), and so does keeping an old one.
//!
//! Each page holds, for each subtree below it, the tree hash, the number of leaves and the length of
//! the resolution. From these follow the filtered direct path, the leftmost blank leaf, truncation
//! and the place of a ciphertext without a walk over the members.
//!
//! A tree may be partly in storage: a node that is not in memory ends an operation with
//! [`TreeError::Missing`] before anything has changed. Public keys and hashes only: no secret is
//! ever in a tree.

mod changes;
mod edit;
mod error;
mod hash;
mod leaf;
mod node;
mod page;
mod parent_hash;
mod path;
mod record;
mod resolution;
mod subtree;
mod supply;
#[cfg(test)]
mod tests;
mod walk;
mod wire_form;

use alloc::sync::Arc;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::LeafIndex;

pub use error::{RecordFault, TreeError};
pub use leaf::Leaf;
pub use node::{MAX_DEPTH, NodeId};
pub use path::PathStep;
pub use resolution::{PlaceInResolution, Recipient};

use hash::{BlankMemo, Hasher, leaf_hash};
use node::shift_left;
use page::{ABSENT, Content, Geometry, Kid, PageId};

/// A ratchet tree. See the [module](self).
#[derive(Clone, Debug)]
pub struct Tree {
    suite: &'static dyn Suite,
    geometry: Geometry,
    /// log2 of the number of leaf slots.
    depth: u8,
    root: Kid,
    /// The tree hash; `None` after a change.
    hash: Option<Hash>,
    memo: BlankMemo,
    /// No leaf to the left of this is blank. Only says what to load first for an add when the tree is
    /// in storage. Follows from the operations alone, so that loaded and stored trees agree on it.
    no_blank_before: LeafIndex,
}

/// A parent node that is not blank (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentView<'a> {
    /// HPKE public key.
    pub encryption_key: &'a [u8],
    /// Parent hash; empty at the topmost node of a path.
    pub parent_hash: &'a [u8],
    /// Leaves below that do not know the node's secret.
    pub unmerged_leaves: &'a [LeafIndex],
}

impl Tree {
    /// A tree of one leaf slot, which is blank.
    pub fn new(suite: &'static dyn Suite) -> Self {
        Self {
            suite,
            geometry: Geometry::of(suite),
            depth: 0,
            root: ABSENT.clone(),
            hash: None,
            memo: BlankMemo::default(),
            no_blank_before: LeafIndex(0),
        }
    }

    /// The suite whose hash and keys the tree uses.
    pub fn suite(&self) -> &'static dyn Suite {
        self.suite
    }

    /// The height of the root: log2 of the number of leaf slots.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Leaf slots, blank ones included: 2^depth.
    pub fn slots(&self) -> u32 {
        shift_left(1, self.depth)
    }

    /// Leaves that are not blank.
    pub fn members(&self) -> u32 {
        self.root.summary.leaves
    }

    /// The name of the root.
    pub fn root_node(&self) -> NodeId {
        NodeId::new(self.depth, 0)
    }

    /// A leaf, or `None` if it is blank.
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`], [`TreeError::Missing`].
    pub fn leaf(&self, leaf: LeafIndex) -> Result<Option<&Leaf>, TreeError> {
        if leaf.0 >= self.slots() {
            return Err(TreeError::OutOfRange);
        }
        self.require_paths(&[leaf])?;
        self.subtree(NodeId::leaf(leaf))?.map_or(Ok(None), |at| at.leaf())
    }

    /// A parent, or `None` if it is blank, outside the tree or a leaf.
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn parent(&self, node: NodeId) -> Result<Option<ParentView<'_>>, TreeError> {
        let Some(subtree) = self.subtree(node)? else { return Ok(None) };
        Ok(subtree.parent()?.map(ParentView::of))
    }

    /// The tree hash of the root (§7.8). Computes the hashes of changed nodes only, and keeps them.
    ///
    /// # Errors
    /// None for a tree that this crate made: whatever changed is in memory.
    pub fn tree_hash(&mut self) -> Result<Hash, TreeError> {
        if let Some(hash) = self.hash {
            return Ok(hash);
        }
        let mut hasher = Hasher::new(self.suite, self.geometry, &mut self.memo);
        let hash = match &mut self.root.content {
            Content::Page(page) => {
                let id = PageId { row: self.geometry.top_row(self.depth), index: 0 };
                let root = self.geometry.root_position(self.depth);
                hasher.position(Arc::make_mut(page), id, root)?
            }
            Content::Leaf(leaf) => leaf_hash(self.suite, LeafIndex(0), Some(leaf.bytes())),
            Content::Absent => hasher.blank(NodeId::new(self.depth, 0)),
            Content::Stored => return Err(TreeError::NotHashed),
        };
        self.hash = Some(hash);
        Ok(hash)
    }

    /// The tree hash of one node, as of the last call of [`Tree::tree_hash`]; `None` for a node
    /// outside the tree or in an all-blank part, whose hash follows from its place alone.
    ///
    /// # Errors
    /// [`TreeError::NotHashed`] after a change, [`TreeError::Missing`].
    pub fn node_hash(&self, node: NodeId) -> Result<Option<Hash>, TreeError> {
        if self.hash.is_none() {
            return Err(TreeError::NotHashed);
        }
        Ok(self.subtree(node)?.and_then(|subtree| subtree.hash()).and_then(Hash::from_slice))
    }
}

impl<'a> ParentView<'a> {
    fn of(parent: &'a page::Parent) -> Self {
        Self {
            encryption_key: parent.encryption_key(),
            parent_hash: parent.parent_hash(),
            unmerged_leaves: parent.unmerged(),
        }
    }
}
