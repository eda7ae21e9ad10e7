//! The `ratchet_tree` extension (RFC 9420 §12.4.3.3): nodes in order, blanks as one byte, read and
//! written in place.

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::{LeafIndex, LeafNodeRef, Limits, NodeRef, ParentNodeRef, RatchetTreeNodes, write_vector};

use super::Tree;
use super::error::TreeError;
use super::hash::{leaf_list, vector};
use super::leaf::Leaf;
use super::node::{MAX_DEPTH, NodeId, shift_left, shift_right};
use super::page::{Geometry, Kid, Page, PageId, Parent, TOP};
use super::subtree::Subtree;
use crate::error::Rule;

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
const LEAF: u8 = 1;
const PARENT: u8 = 2;

impl Tree {
    /// Reads an encoded `optional<Node> ratchet_tree<V>`. Checks its form (§12.4.3.3): not empty,
    /// leaves and parents at their places, no blank at the end, which is a leaf; leaf indexes stay
    /// below `max_leaves`. Costs O(bytes) and keeps nothing for blank subtrees.
    ///
    /// Nothing else is checked: [`Tree::tree_hash`] and [`Tree::verify_parent_hashes`] come next.
    ///
    /// # Errors
    /// [`TreeError::Malformed`], [`TreeError::TooManyLeaves`], [`Rule::TreeEmpty`], [`Rule::TreeEndsBlank`],
    /// [`Rule::TreeNotTruncated`].
    pub fn import(
        suite: &'static dyn Suite,
        bytes: &[u8],
        limits: &Limits,
        max_leaves: u32,
    ) -> Result<Self, TreeError> {
        let mut tree = Self::new(suite);
        let mut builder = Builder { geometry: tree.geometry, open: Vec::new() };
        let mut last = Err(Rule::TreeEmpty);
        let mut indexes = 0u32..;
        for node in RatchetTreeNodes::new(bytes, limits)? {
            let id = indexes.next().map(NodeId::from_array).ok_or(TreeError::OutOfRange)?;
            let beyond = id.as_leaf().is_some_and(|leaf| leaf.0 >= max_leaves || leaf.0 >= 1 << MAX_DEPTH);
            if beyond {
                return Err(TreeError::TooManyLeaves { limit: max_leaves });
            }
            let node = node?;
            last = match &node {
                None => Err(Rule::TreeEndsBlank),
                Some(_) => id.as_leaf().ok_or(Rule::TreeNotTruncated),
            };
            match node {
                None => {}
                Some(NodeRef::Leaf(leaf)) => builder.leaf(LeafIndex(id.index), &leaf),
                Some(NodeRef::Parent(parent)) => builder.parent(id, &parent),
            }
        }
        tree.depth = depth_for(last?);
        tree.root = builder.finish(tree.depth);
        tree.no_blank_before = tree.first_blank_leaf()?.unwrap_or(LeafIndex(tree.slots()));
        Ok(tree)
    }

    /// The encoded `optional<Node> ratchet_tree<V>`.
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn export(&self) -> Result<Vec<u8>, TreeError> {
        self.require_all()?;
        let mut out = Vec::new();
        let mut result = Ok(());
        write_vector(&mut out, |out| {
            let mut used = out.len();
            result = write_subtree(out, &mut used, self.root());
            out.truncate(used);
        });
        result.map(|()| out)
    }
}

/// The least depth of a tree that has this leaf.
fn depth_for(last: LeafIndex) -> u8 {
    let bits = u32::BITS - last.0.leading_zeros();
    u8::try_from(bits).unwrap_or(MAX_DEPTH)
}

/// Appends a `ParentNode` with these unmerged leaves.
pub(super) fn encode_parent(out: &mut Vec<u8>, parent: &Parent, unmerged: &[LeafIndex]) {
    vector(out, parent.encryption_key());
    vector(out, parent.parent_hash());
    leaf_list(out, unmerged);
}

/// Appends the nodes of a subtree in order; `used` ends behind the last that is not blank.
fn write_subtree(out: &mut Vec<u8>, used: &mut usize, at: Subtree<'_>) -> Result<(), TreeError> {
    if at.is_blank() {
        let nodes = usize::try_from(shift_left(2, at.node.height)).unwrap_or_default().saturating_sub(1);
        out.resize(out.len().saturating_add(nodes), ABSENT);
        return Ok(());
    }
    if let Some(leaf) = at.leaf()? {
        out.extend_from_slice(&[PRESENT, LEAF]);
        out.extend_from_slice(leaf.bytes());
        *used = out.len();
        return Ok(());
    }
    let Some((left, right)) = at.children()? else { return Ok(()) };
    write_subtree(out, used, left)?;
    match at.parent()? {
        None => out.push(ABSENT),
        Some(parent) => {
            out.extend_from_slice(&[PRESENT, PARENT]);
            encode_parent(out, parent, parent.unmerged());
            *used = out.len();
        }
    }
    write_subtree(out, used, right)
}

/// Builds pages from nodes that come in order. At most one page of each row is open, and each open
/// page lies below those of the rows above: a page that ends before the next node hangs itself below
/// its page in the next row.
struct Builder {
    geometry: Geometry,
    /// By row: the place in the row, and the page.
    open: Vec<Option<(u32, Page)>>,
}

impl Builder {
    fn leaf(&mut self, place: LeafIndex, leaf: &LeafNodeRef<'_>) {
        self.close_before(NodeId::leaf(place));
        let position = self.geometry.kid_towards(place, 0);
        if let Some(page) = self.page(self.geometry.page_above(place, 0)) {
            page.set_kid(position, Kid::leaf(Leaf::from(leaf)));
        }
    }

    fn parent(&mut self, node: NodeId, parent: &ParentNodeRef<'_>) {
        self.close_before(node);
        let (id, position) = self.geometry.place_of(node);
        let parent = Parent::new(parent.encryption_key, parent.parent_hash, parent.unmerged_leaves().collect());
        if let Some(page) = self.page(id) {
            page.set_parent(position, Some(parent));
        }
    }

    /// The open page with this name, or a new one where none is open.
    fn page(&mut self, id: PageId) -> Option<&mut Page> {
        let row = usize::from(id.row);
        if self.open.len() <= row {
            self.open.resize_with(row + 1, || None);
        }
        let slot = self.open.get_mut(row)?;
        Some(&mut slot.get_or_insert_with(|| (id.index, Page::blank(self.geometry))).1)
    }

    /// Closes the pages that end before this node.
    fn close_before(&mut self, node: NodeId) {
        let mut row = 0;
        while let Some(page) = self.open.get(usize::from(row)) {
            if let Some((index, _)) = page {
                let top = NodeId::new((row + 1) * self.geometry.levels, *index);
                if top.height >= node.height && top.covers(node.first_leaf()) {
                    break;
                }
                self.close(row);
            }
            row += 1;
        }
    }

    /// Hangs the open page of a row below its page in the next row.
    fn close(&mut self, row: u8) {
        let Some((index, page)) = self.open.get_mut(usize::from(row)).and_then(Option::take) else { return };
        let [low, ..] = index.to_le_bytes();
        let position = self.geometry.kids() | (low & (self.geometry.kids() - 1));
        let above = PageId { row: row + 1, index: shift_right(index, self.geometry.levels) };
        if let Some(above) = self.page(above) {
            above.set_kid(position, Kid::page(Arc::new(page), TOP));
        }
    }

    fn finish(mut self, depth: u8) -> Kid {
        if depth == 0 {
            let page = self.open.first().and_then(Option::as_ref);
            return page.map_or_else(|| super::ABSENT.clone(), |(_, page)| page.kid(self.geometry.kids()).clone());
        }
        let top = self.geometry.top_row(depth);
        (0..top).for_each(|row| self.close(row));
        let position = self.geometry.root_position(depth);
        let page = self.open.get_mut(usize::from(top)).and_then(Option::take);
        page.map_or_else(|| super::ABSENT.clone(), |(_, page)| Kid::page(Arc::new(page), position))
    }
}
