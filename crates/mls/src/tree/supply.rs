//! Loading parts of a tree: what is needed, and taking it in.
//!
//! Names of records follow from leaf index and depth, so everything on a path is asked for at once.
//! A record is hashed and compared with what the page above it, or the head, commits to: the tree
//! hash is a Merkle tree, so an old or foreign record is found at once.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::{RecordFault, TreeError};
use super::hash::{BlankMemo, Hasher, leaf_hash};
use super::leaf::Leaf;
use super::node::{NodeId, shift_left};
use super::page::{Content, Geometry, Kid, PageId, Position, TOP};
use super::record::{RecordName, decode_page, leaf_key, page_key};
use super::subtree::Subtree;
use crate::record::{Missing, RecordKey, RecordValue};

impl Tree {
    /// Succeeds if everything is in memory that reading or changing these leaves and their direct
    /// paths takes; else names all of it. One round is enough. Leaves outside the tree need nothing.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn require_paths(&self, leaves: &[LeafIndex]) -> Result<(), Missing> {
        let mut wanted = Wanted::default();
        leaves.iter().for_each(|leaf| wanted.path(self, *leaf));
        wanted.finish()
    }

    /// As [`Tree::require_paths`], and also for as many adds: the pages above the leftmost blank
    /// leaves. Which those are is known only when the pages are there, so this may take one round for
    /// each row of pages.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn require_change(&self, leaves: &[LeafIndex], adds: u32) -> Result<(), Missing> {
        let mut wanted = Wanted::default();
        leaves.iter().for_each(|leaf| wanted.path(self, *leaf));
        wanted.blanks(self, adds);
        wanted.finish()
    }

    /// Succeeds if the pages above a leaf slot are in memory; else names all of them.
    pub(super) fn require_pages(&self, leaf: LeafIndex) -> Result<(), Missing> {
        let mut wanted = Wanted::default();
        wanted.pages(self, leaf);
        wanted.finish()
    }

    /// Succeeds if everything is in memory that a commit by this leaf takes: its path and the keys in
    /// the resolutions on its copath. What lies below a blank page is known only when the page is
    /// there, so this may take one round for each row of pages.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn require_resolutions(&self, committer: LeafIndex) -> Result<(), Missing> {
        let mut wanted = Wanted::default();
        wanted.path(self, committer);
        let mut at = self.root();
        while let Ok(Some((towards, copath))) = at.children_towards(committer) {
            wanted.resolution(self, copath);
            at = towards;
        }
        wanted.finish()
    }

    /// Succeeds if the whole tree is in memory. Takes one round for each row of pages and one for
    /// the leaves.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn require_all(&self) -> Result<(), Missing> {
        let mut wanted = Wanted::default();
        let mut stack: Vec<Subtree<'_>> = [self.root()].into();
        while let Some(at) = stack.pop() {
            match at.children() {
                _ if at.is_blank() => {}
                Ok(Some((left, right))) => stack.extend([right, left]),
                Ok(None) => wanted.unless_loaded(at.leaf().err()),
                Err(error) => wanted.unless_loaded(Some(error)),
            }
        }
        wanted.finish()
    }

    /// Takes in records of leaves and pages, in any order; those of other kinds are ignored. `None`
    /// says that the store has no such record. What is in memory already stays as it is.
    ///
    /// Each record is recomputed and compared with what the tree commits to. This changes what is
    /// loaded, not what the tree means.
    ///
    /// # Errors
    /// [`TreeError::Record`] and nothing is taken in; [`TreeError::Missing`] if a page above one of
    /// the records is neither in memory nor among them.
    pub fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), TreeError> {
        let mut named: Vec<_> =
            records.iter().filter_map(|(key, value)| Some((RecordName::of(*key)?, key, value))).collect();
        // From the top down: a record is compared with the one above it.
        named.sort_by_key(|(name, ..)| match name {
            RecordName::Page(page) => core::cmp::Reverse(page.row.saturating_add(1)),
            RecordName::Leaf(_) => core::cmp::Reverse(0),
        });
        let mut next = self.clone();
        for (name, key, value) in named {
            next.take_in(name, *key, value.as_ref().map(|value| value.as_slice()))?;
        }
        *self = next;
        Ok(())
    }

    fn take_in(&mut self, name: RecordName, key: RecordKey, value: Option<&[u8]>) -> Result<(), TreeError> {
        let check = Check { suite: self.suite, geometry: self.geometry, key };
        match (self.slot(name)?, value) {
            (Some(Slot { kid: Kid { content: Content::Stored, .. }, .. }), None) => {
                Err(check.fault(RecordFault::Absent))
            }
            (Some(Slot { kid, hash, root }), Some(value)) => match kid.content {
                Content::Stored => check.attach(name, kid, &hash, root, value),
                Content::Absent => Err(check.fault(RecordFault::Unexpected)),
                Content::Page(_) | Content::Leaf(_) => Ok(()),
            },
            (None, Some(_)) => Err(check.fault(RecordFault::Unexpected)),
            (_, None) => Ok(()),
        }
    }

    /// The place of a record in the tree; `None` if the tree has no node there.
    fn slot(&mut self, name: RecordName) -> Result<Option<Slot<'_>>, TreeError> {
        let top = self.geometry.top_row(self.depth);
        let (first, least) = match name {
            RecordName::Leaf(leaf) => (leaf, None),
            RecordName::Page(page) if page.row > top || self.depth == 0 => return Ok(None),
            RecordName::Page(page) => (self.geometry.node_at(page, TOP).first_leaf(), Some(page.row)),
        };
        if first.0 >= self.slots() {
            return Ok(None);
        }
        let hash = self.hash.unwrap_or(Hash::from([0; 0]));
        let root = if self.depth == 0 { TOP } else { self.geometry.root_position(self.depth) };
        let mut slot = Slot { kid: &mut self.root, hash, root };
        if self.depth == 0 {
            return Ok(Some(slot));
        }
        for row in (0..=top).rev() {
            if least == Some(row) {
                break;
            }
            let page = match &mut slot.kid.content {
                Content::Page(page) => Arc::make_mut(page),
                Content::Stored => return Err(TreeError::missing(page_key(self.geometry.page_above(first, row)))),
                Content::Absent | Content::Leaf(_) => return Ok(None),
            };
            let position = self.geometry.kid_towards(first, row);
            let hash = page.hash(position, self.geometry).and_then(Hash::from_slice).unwrap_or(Hash::from([0; 0]));
            let Some(kid) = page.kid_mut(position) else { return Ok(None) };
            slot = Slot { kid, hash, root: TOP };
        }
        Ok(Some(slot))
    }
}

/// A place in the tree, the hash that must stand there, and where the root of the subtree stands in
/// its page.
struct Slot<'a> {
    kid: &'a mut Kid,
    hash: Hash,
    root: Position,
}

struct Check {
    suite: &'static dyn Suite,
    geometry: Geometry,
    key: RecordKey,
}

impl Check {
    fn fault(&self, fault: RecordFault) -> TreeError {
        TreeError::record(self.key, fault)
    }

    fn attach(
        &self,
        name: RecordName,
        kid: &mut Kid,
        hash: &Hash,
        root: Position,
        value: &[u8],
    ) -> Result<(), TreeError> {
        let found = match name {
            RecordName::Leaf(leaf) => self.leaf(leaf, hash, value)?,
            RecordName::Page(page) => self.page(page, hash, root, value)?,
        };
        if found.summary != kid.summary {
            return Err(self.fault(RecordFault::Mismatch));
        }
        *kid = found;
        Ok(())
    }

    fn leaf(&self, leaf: LeafIndex, hash: &Hash, value: &[u8]) -> Result<Kid, TreeError> {
        if leaf_hash(self.suite, leaf, Some(value)) != *hash {
            return Err(self.fault(RecordFault::Mismatch));
        }
        Leaf::parse_stored(value).map(Kid::leaf).map_err(|_| self.fault(RecordFault::Malformed))
    }

    fn page(&self, id: PageId, hash: &Hash, root: Position, value: &[u8]) -> Result<Kid, TreeError> {
        let mut page =
            decode_page(self.geometry, value, id.row, root).map_err(|_| self.fault(RecordFault::Malformed))?;
        let mut memo = BlankMemo::default();
        let mut hasher = Hasher::new(self.suite, self.geometry, &mut memo);
        if hasher.position(Arc::make_mut(&mut page), id, root)? != *hash {
            return Err(self.fault(RecordFault::Mismatch));
        }
        Ok(Kid::page(page, root))
    }
}

/// Collects names of records.
#[derive(Default)]
struct Wanted(BTreeSet<RecordKey>);

impl Wanted {
    fn finish(self) -> Result<(), Missing> {
        if self.0.is_empty() { Ok(()) } else { Err(Missing(self.0.into_iter().collect())) }
    }

    fn unless_loaded(&mut self, error: Option<TreeError>) {
        if let Some(TreeError::Missing(Missing(keys))) = error {
            self.0.extend(keys);
        }
    }

    /// A leaf and the pages above it.
    fn path(&mut self, tree: &Tree, leaf: LeafIndex) {
        match tree.subtree(NodeId::leaf(leaf)) {
            Ok(None) => {}
            Ok(Some(at)) => self.unless_loaded(at.leaf().err()),
            Err(_) => {
                self.pages(tree, leaf);
                self.0.insert(leaf_key(leaf));
            }
        }
    }

    /// The pages above a leaf. Below the first that is not in memory all are named.
    fn pages(&mut self, tree: &Tree, leaf: LeafIndex) {
        if tree.depth == 0 || leaf.0 >= tree.slots() {
            return;
        }
        let mut kid = &tree.root;
        for row in (0..=tree.geometry.top_row(tree.depth)).rev() {
            match &kid.content {
                Content::Page(page) => kid = page.kid(tree.geometry.kid_towards(leaf, row)),
                Content::Stored => {
                    return self.0.extend((0..=row).map(|row| page_key(tree.geometry.page_above(leaf, row))));
                }
                Content::Absent | Content::Leaf(_) => return,
            }
        }
    }

    /// The pages above the leftmost blank leaves, as far as what is in memory tells.
    fn blanks(&mut self, tree: &Tree, adds: u32) {
        let mut left = adds;
        let mut stack: Vec<Subtree<'_>> = [tree.root()].into();
        if adds > 0 {
            // A tree without room grows, and its top page changes.
            self.unless_loaded(tree.root().children().err());
        }
        while let Some(at) = stack.pop().filter(|_| left > 0) {
            let free = shift_left(1, at.node.height).saturating_sub(at.leaves());
            match at.children() {
                _ if free == 0 => {}
                Ok(Some((towards, further))) if !at.is_blank() => stack.extend([further, towards]),
                Ok(_) => left = left.saturating_sub(free),
                Err(_) => {
                    let first = at.node.first_leaf();
                    self.pages(tree, if at.node.covers(tree.no_blank_before) { tree.no_blank_before } else { first });
                    left = left.saturating_sub(free);
                }
            }
        }
    }

    /// The nodes of a resolution, as far as what is in memory tells.
    fn resolution(&mut self, tree: &Tree, root: Subtree<'_>) {
        let mut stack: Vec<Subtree<'_>> = [root].into();
        while let Some(at) = stack.pop() {
            if at.is_blank() {
                continue;
            }
            match (at.parent(), at.children()) {
                (Ok(Some(parent)), _) => parent.unmerged().iter().for_each(|leaf| self.path(tree, *leaf)),
                (Ok(None), Ok(Some((left, right)))) => stack.extend([right, left]),
                (Ok(None), Ok(None)) => self.unless_loaded(at.leaf().err()),
                (Err(error), _) | (_, Err(error)) => self.unless_loaded(Some(error)),
            }
        }
    }
}
