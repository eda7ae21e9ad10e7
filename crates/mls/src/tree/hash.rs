//! Tree hashes (RFC 9420 §7.8) and parent hashes (§7.9), each computed once for each change.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::{Encode, LeafIndex, write_vector};

use super::error::TreeError;
use super::node::NodeId;
use super::page::{Content, Geometry, Page, PageId, Parent, Position, TOP};
use super::record::{leaf_key, page_key};
use super::wire_form::encode_parent;

const LEAF: u8 = 1;
const PARENT: u8 = 2;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Hashes of subtrees without any node, which depend on the leaf indexes below and on nothing else.
/// Kept when the tree shrinks, so that growing again does not cost O(n) hashes. Only subtrees that
/// are worth it are kept: at most one for 2^6 leaf slots and the few above.
#[derive(Clone, Debug, Default)]
pub(super) struct BlankMemo(Arc<BTreeMap<NodeId, Hash>>);

impl BlankMemo {
    const LEAST_HEIGHT: u8 = 6;

    fn keep(&mut self, node: NodeId, hash: Hash) {
        if node.height >= Self::LEAST_HEIGHT && !self.0.contains_key(&node) {
            Arc::make_mut(&mut self.0).insert(node, hash);
        }
    }
}

/// Computes hashes and remembers those of blank subtrees.
pub(super) struct Hasher<'a> {
    suite: &'static dyn Suite,
    geometry: Geometry,
    memo: &'a mut BlankMemo,
    /// Reused for each input.
    buffer: Vec<u8>,
}

impl<'a> Hasher<'a> {
    pub(super) fn new(suite: &'static dyn Suite, geometry: Geometry, memo: &'a mut BlankMemo) -> Self {
        Self { suite, geometry, memo, buffer: Vec::new() }
    }

    /// The tree hash at a position of a page. Whatever is known below is used; whatever is not is
    /// computed, children first, and kept.
    ///
    /// # Errors
    /// [`TreeError::Missing`] if a page with unknown hashes is not in memory, which no operation leaves behind.
    pub(super) fn position(&mut self, page: &mut Page, id: PageId, position: Position) -> Result<Hash, TreeError> {
        if let Some(hash) = page.hash(position, self.geometry).and_then(Hash::from_slice) {
            return Ok(hash);
        }
        let hash = if page.is_kid(position) {
            self.kid(page, id, position)?
        } else {
            let left = self.position(page, id, position * 2)?;
            let right = self.position(page, id, position * 2 + 1)?;
            self.parent(page.parent(position), &left, &right)
        };
        page.set_hash(position, &hash, self.geometry);
        Ok(hash)
    }

    fn kid(&mut self, page: &mut Page, id: PageId, position: Position) -> Result<Hash, TreeError> {
        let node = self.geometry.node_at(id, position);
        match page.kid_mut(position).map(|kid| &mut kid.content) {
            Some(Content::Leaf(leaf)) => Ok(leaf_hash(self.suite, LeafIndex(node.index), Some(leaf.bytes()))),
            Some(Content::Page(below)) => {
                self.position(Arc::make_mut(below), self.geometry.page_below(id, position), TOP)
            }
            Some(Content::Stored) if id.row == 0 => Err(TreeError::missing(leaf_key(LeafIndex(node.index)))),
            Some(Content::Stored) => Err(TreeError::missing(page_key(self.geometry.page_below(id, position)))),
            Some(Content::Absent) | None => Ok(self.blank(node)),
        }
    }

    /// The tree hash of a subtree whose nodes are all blank.
    pub(super) fn blank(&mut self, node: NodeId) -> Hash {
        let hash = self.blank_below(node);
        self.memo.keep(node, hash);
        hash
    }

    fn blank_below(&mut self, node: NodeId) -> Hash {
        let (Some(left), Some(right)) = (node.left(), node.right()) else {
            return leaf_hash(self.suite, LeafIndex(node.index), None);
        };
        if let Some(hash) = self.memo.0.get(&node) {
            return *hash;
        }
        let (left, right) = (self.blank_below(left), self.blank_below(right));
        self.parent(None, &left, &right)
    }

    /// The tree hash of a parent or of a blank in its place.
    pub(super) fn parent(&mut self, parent: Option<&Parent>, left: &[u8], right: &[u8]) -> Hash {
        self.parent_listing(parent, parent.map_or(&[], Parent::unmerged), left, right)
    }

    /// The tree hash of a parent as if it had these unmerged leaves.
    pub(super) fn parent_listing(
        &mut self,
        parent: Option<&Parent>,
        unmerged: &[LeafIndex],
        left: &[u8],
        right: &[u8],
    ) -> Hash {
        self.buffer.clear();
        self.buffer.push(PARENT);
        match parent {
            None => self.buffer.push(ABSENT),
            Some(parent) => {
                self.buffer.push(PRESENT);
                encode_parent(&mut self.buffer, parent, unmerged);
            }
        }
        vector(&mut self.buffer, left);
        vector(&mut self.buffer, right);
        self.suite.hash(&[&self.buffer])
    }

    /// The parent hash of a node with this key and parent hash towards the child that is not the
    /// sibling (`ParentHashInput`, §7.9).
    pub(super) fn parent_hash(&mut self, encryption_key: &[u8], parent_hash: &[u8], sibling: &[u8]) -> Hash {
        self.buffer.clear();
        vector(&mut self.buffer, encryption_key);
        vector(&mut self.buffer, parent_hash);
        vector(&mut self.buffer, sibling);
        self.suite.hash(&[&self.buffer])
    }
}

/// The tree hash of a leaf or of a blank in its place.
pub(super) fn leaf_hash(suite: &dyn Suite, index: LeafIndex, leaf: Option<&[u8]>) -> Hash {
    let place = index.0.to_be_bytes();
    match leaf {
        None => suite.hash(&[&[LEAF], &place, &[ABSENT]]),
        Some(bytes) => suite.hash(&[&[LEAF], &place, &[PRESENT], bytes]),
    }
}

/// Appends an `opaque<V>`.
pub(super) fn vector(out: &mut Vec<u8>, bytes: &[u8]) {
    write_vector(out, |out| out.extend_from_slice(bytes));
}

/// Appends a `LeafIndex<V>`.
pub(super) fn leaf_list(out: &mut Vec<u8>, leaves: &[LeafIndex]) {
    write_vector(out, |out| leaves.iter().for_each(|leaf| leaf.encode(out)));
}
