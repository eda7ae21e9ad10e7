//! The change set between two trees: the difference of two roots.
//!
//! Nobody keeps a list of what changed, so nobody can forget an entry: both trees are walked side by
//! side, and only where their hashes differ.

use alloc::sync::Arc;

use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::TreeError;
use super::page::{Content, Geometry, Kid, PageId, Position, TOP};
use super::record::{encode_page, leaf_key, page_key};
use crate::record::{ChangeSet, RecordKey};

impl Tree {
    /// Writes the records that lead from `old`, which is what the store holds, to this tree: changed
    /// pages and leaves are set, those that are gone are deleted. Costs O(changed pages).
    ///
    /// # Errors
    /// [`TreeError::NotHashed`] if this tree was changed since [`Tree::tree_hash`];
    /// [`TreeError::Missing`] if a part that differs is not in memory in one of the two.
    pub fn changes(&self, old: &Self, out: &mut ChangeSet) -> Result<(), TreeError> {
        if self.hash.is_none() {
            return Err(TreeError::NotHashed);
        }
        let rank = self.top_rank().max(old.top_rank());
        Difference { geometry: self.geometry, out }.node(rank, 0, Side::top(old, rank), Side::top(self, rank))
    }

    /// 0 if the root is a leaf, else 1 + the row of the top page.
    fn top_rank(&self) -> u8 {
        if self.depth == 0 { 0 } else { self.geometry.top_row(self.depth) + 1 }
    }
}

/// What one of the trees has at a place. Ranks count from the leaves: 0 is a leaf, r the pages of
/// row r − 1.
#[derive(Clone, Copy)]
enum Side<'a> {
    /// No node.
    Nothing,
    /// The place of a page above the top of this tree.
    Beyond(&'a Tree),
    /// A subtree, its hash if known, and where its root stands in its page.
    Here { kid: &'a Kid, hash: Option<&'a [u8]>, root: Position },
}

impl<'a> Side<'a> {
    fn top(tree: &'a Tree, rank: u8) -> Self {
        if tree.top_rank() < rank {
            return Side::Beyond(tree);
        }
        let root = if tree.depth == 0 { TOP } else { tree.geometry.root_position(tree.depth) };
        Side::here(&tree.root, tree.hash.as_deref(), root)
    }

    fn here(kid: &'a Kid, hash: Option<&'a [u8]>, root: Position) -> Self {
        if matches!(kid.content, Content::Absent) { Side::Nothing } else { Side::Here { kid, hash, root } }
    }

    /// What lies below at `position`, which has this rank.
    fn below(self, geometry: Geometry, rank: u8, position: Position) -> Self {
        match self {
            Side::Beyond(tree) if position == geometry.kids() => Side::top(tree, rank),
            Side::Here { kid: Kid { content: Content::Page(page), .. }, .. } => {
                Side::here(page.kid(position), page.hash(position, geometry), TOP)
            }
            _ => Side::Nothing,
        }
    }

    /// Whether both hold the same nodes. The tree hash covers all of them.
    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Side::Nothing, Side::Nothing) => true,
            (Side::Here { kid: a, hash: Some(x), root: p }, Side::Here { kid: b, hash: Some(y), root: q }) => {
                let shared = match (&a.content, &b.content) {
                    (Content::Page(a), Content::Page(b)) => Arc::ptr_eq(a, b),
                    _ => false,
                };
                p == q && (shared || x == y)
            }
            _ => false,
        }
    }

    fn has_record(self) -> bool {
        matches!(self, Side::Here { .. })
    }

    fn is_stored(self) -> bool {
        matches!(self, Side::Here { kid: Kid { content: Content::Stored, .. }, .. })
    }
}

struct Difference<'a> {
    geometry: Geometry,
    out: &'a mut ChangeSet,
}

impl Difference<'_> {
    fn node(&mut self, rank: u8, index: u32, old: Side<'_>, new: Side<'_>) -> Result<(), TreeError> {
        if old.same(new) {
            return Ok(());
        }
        let Some(row) = rank.checked_sub(1) else {
            return self.record(leaf_key(LeafIndex(index)), 0, old, new);
        };
        let page = PageId { row, index };
        if old.is_stored() || new.is_stored() {
            return Err(TreeError::missing(page_key(page)));
        }
        self.record(page_key(page), row, old, new)?;
        for position in self.geometry.kids()..=self.geometry.kids() * 2 - 1 {
            let index = self.geometry.node_at(page, position).index;
            let (old, new) = (old.below(self.geometry, row, position), new.below(self.geometry, row, position));
            self.node(row, index, old, new)?;
        }
        Ok(())
    }

    fn record(&mut self, key: RecordKey, row: u8, old: Side<'_>, new: Side<'_>) -> Result<(), TreeError> {
        match new {
            Side::Here { kid, root, .. } => match &kid.content {
                Content::Leaf(leaf) => self.out.put(key, leaf.bytes().to_vec()),
                Content::Page(page) => {
                    let value = encode_page(self.geometry, page, row, root).ok_or(TreeError::NotHashed)?;
                    self.out.put(key, value);
                }
                Content::Stored => return Err(TreeError::missing(key)),
                Content::Absent => {}
            },
            Side::Nothing | Side::Beyond(_) if old.has_record() => self.out.delete(key),
            Side::Nothing | Side::Beyond(_) => {}
        }
        Ok(())
    }
}
