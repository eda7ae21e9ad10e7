//! Changes of leaves (RFC 9420 §7.7, §12.1.1–§12.1.3), by copy-on-write along one path.

use alloc::sync::Arc;
use core::mem;

use keyroom_crypto::Hash;
use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::TreeError;
use super::leaf::Leaf;
use super::node::{MAX_DEPTH, NodeId};
use super::page::{ABSENT, Content, Geometry, Kid, Page, PageId, Position, TOP, level};
use super::record::page_key;

impl Tree {
    /// Puts a leaf at the leftmost blank slot, extending the tree if there is none, and into the
    /// unmerged leaves of each ancestor that is not blank (§12.1.1). Returns its index, which stays
    /// below `max_leaves`.
    ///
    /// # Errors
    /// [`TreeError::TooManyLeaves`], [`TreeError::Missing`].
    pub fn add(&mut self, leaf: Leaf, max_leaves: u32) -> Result<LeafIndex, TreeError> {
        let place = self.reserve(max_leaves)?;
        self.edit(place, &mut AddLeaf { place, leaf: Some(leaf) })?;
        self.no_blank_before = LeafIndex(place.0 + 1);
        Ok(place)
    }

    /// The leftmost blank leaf; `None` if the tree is full.
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn first_blank_leaf(&self) -> Result<Option<LeafIndex>, TreeError> {
        let mut at = self.root();
        if at.is_full() {
            return Ok(None);
        }
        while !at.is_blank() {
            at = match at.children() {
                Ok(Some((left, right))) => {
                    if left.is_full() {
                        right
                    } else {
                        left
                    }
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    // Names the whole path at once where it probably is; a wrong guess costs a round.
                    self.require_pages(self.no_blank_before)?;
                    return Err(error);
                }
            };
        }
        Ok(Some(at.node.first_leaf()))
    }

    /// Makes sure that there is a blank leaf, extending the tree if need be, and returns the leftmost
    /// one. A joiner by external commit applies its path there before it can sign its leaf (§12.4.3.2).
    ///
    /// # Errors
    /// [`TreeError::TooManyLeaves`], [`TreeError::Missing`].
    pub fn reserve(&mut self, max_leaves: u32) -> Result<LeafIndex, TreeError> {
        let blank = self.first_blank_leaf()?;
        let place = blank.unwrap_or(LeafIndex(self.slots()));
        if place.0 >= max_leaves || (blank.is_none() && self.depth >= MAX_DEPTH) {
            return Err(TreeError::TooManyLeaves { limit: max_leaves });
        }
        match blank {
            Some(place) => self.require_pages(place)?,
            None => {
                // The top page may have room for the new root.
                self.root().children()?;
                self.extend();
            }
        }
        Ok(place)
    }

    /// Replaces a leaf and blanks its direct path (§12.1.2).
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`], [`TreeError::BlankLeaf`], [`TreeError::Missing`].
    pub fn update(&mut self, place: LeafIndex, leaf: Leaf) -> Result<(), TreeError> {
        self.require_member(place)?;
        self.edit(place, &mut SetAndBlank { leaf: Some(leaf) })
    }

    /// Blanks a leaf and its direct path, and truncates the tree while its right half is blank
    /// (§12.1.3, §7.7).
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`], [`TreeError::BlankLeaf`], [`TreeError::Missing`].
    pub fn remove(&mut self, place: LeafIndex) -> Result<(), TreeError> {
        self.require_member(place)?;
        self.require_truncation_loaded(place)?;
        self.edit(place, &mut SetAndBlank { leaf: None })?;
        self.no_blank_before = self.no_blank_before.min(place);
        self.truncate();
        Ok(())
    }

    /// Puts the leaf of a commit in its place and changes nothing above (§7.5). The path must have
    /// been applied before ([`Tree::apply_path`]).
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`], [`TreeError::Missing`].
    pub fn set_committed_leaf(&mut self, place: LeafIndex, leaf: Leaf) -> Result<(), TreeError> {
        self.edit(place, &mut SetLeaf { leaf: Some(leaf) })
    }

    fn require_member(&self, place: LeafIndex) -> Result<(), TreeError> {
        self.require_pages(place)?;
        let leaf = self.subtree(NodeId::leaf(place))?.ok_or(TreeError::OutOfRange)?;
        if leaf.is_blank() { Err(TreeError::BlankLeaf(place)) } else { Ok(()) }
    }

    /// Whether the pages are in memory that become the top when this leaf goes.
    fn require_truncation_loaded(&self, place: LeafIndex) -> Result<(), TreeError> {
        let mut at = self.root();
        while let Some((left, right)) = at.children()? {
            if right.leaves() > u32::from(right.node.covers(place)) {
                break;
            }
            at = left;
        }
        Ok(())
    }

    /// Walks down to a leaf, lets the edit change parents on the way and the leaf at the end, and
    /// brings the summaries up to date on the way back. Nothing changes if a page is not in memory.
    pub(super) fn edit(&mut self, place: LeafIndex, edit: &mut dyn PathEdit) -> Result<(), TreeError> {
        if place.0 >= self.slots() {
            return Err(TreeError::OutOfRange);
        }
        self.require_pages(place)?;
        self.hash = None;
        if self.depth == 0 {
            self.root = edit.leaf(&self.root);
            return Ok(());
        }
        let id = PageId { row: self.geometry.top_row(self.depth), index: 0 };
        edit_page(self.geometry, &mut self.root, id, self.geometry.root_position(self.depth), place, edit)
    }

    /// Doubles the leaf slots: the tree becomes the left half of a new one with a blank root (§7.7).
    fn extend(&mut self) {
        let hash = self.hash.take();
        let same_page = !self.depth.is_multiple_of(self.geometry.levels);
        self.depth += 1;
        let position = self.geometry.root_position(self.depth);
        match &mut self.root.content {
            Content::Absent => {}
            // There is room for one row more, and the old root is where the new one has its left child.
            Content::Page(page) if same_page => Arc::make_mut(page).touch(position),
            Content::Page(_) | Content::Leaf(_) | Content::Stored => {
                let mut page = Page::blank(self.geometry);
                let left = position * 2;
                page.set_kid(left, mem::replace(&mut self.root, ABSENT.clone()));
                if let Some(hash) = hash {
                    page.set_hash(left, &hash, self.geometry);
                }
                self.root = Kid::page(Arc::new(page), position);
            }
        }
    }

    /// Halves the tree while its right half has no nodes (§7.7).
    fn truncate(&mut self) {
        while self.depth > 0 && self.truncate_once() {}
    }

    fn truncate_once(&mut self) -> bool {
        let Content::Page(page) = &self.root.content else {
            // Nothing at all is left; a tree has at least one slot.
            if matches!(self.root.content, Content::Absent) {
                self.depth = 0;
                self.hash = None;
            }
            return false;
        };
        let position = self.geometry.root_position(self.depth);
        let left = position * 2;
        if !page.is_blank(left + 1) {
            return false;
        }
        let hash = page.hash(left, self.geometry).and_then(Hash::from_slice);
        if page.is_kid(left) {
            self.root = page.kid(left).clone();
        } else {
            let mut page = Arc::clone(page);
            self.root = ABSENT.clone();
            Arc::make_mut(&mut page).set_parent(position, None);
            Arc::make_mut(&mut page).touch(position);
            self.root = Kid::page(page, left);
        }
        self.hash = hash;
        self.depth -= 1;
        true
    }
}

/// A change along the direct path of one leaf.
pub(super) trait PathEdit {
    /// Changes the parents at the positions on the path, from the top of the page down.
    fn parents(&mut self, page: &mut Page, on: PagePath) -> Result<(), TreeError>;

    /// The leaf after the change.
    fn leaf(&mut self, before: &Kid) -> Kid;
}

/// The part of a direct path that lies in one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct PagePath {
    pub(super) id: PageId,
    top: Position,
    end: Position,
}

impl PagePath {
    /// The parents on the path from the top down, each with its children on and off the path.
    pub(super) fn steps(self) -> impl Iterator<Item = Step> {
        let levels = level(self.end) - level(self.top);
        (0..levels).rev().map(move |left| {
            let towards = self.end >> left;
            Step { position: towards >> 1, sibling: towards ^ 1 }
        })
    }
}

/// A parent on a path.
pub(super) struct Step {
    pub(super) position: Position,
    /// The child that is not on the path.
    pub(super) sibling: Position,
}

fn edit_page(
    geometry: Geometry,
    kid: &mut Kid,
    id: PageId,
    top: Position,
    place: LeafIndex,
    edit: &mut dyn PathEdit,
) -> Result<(), TreeError> {
    let mut page = match mem::replace(&mut kid.content, Content::Absent) {
        Content::Page(page) => page,
        Content::Absent | Content::Leaf(_) => Arc::new(Page::blank(geometry)),
        Content::Stored => {
            kid.content = Content::Stored;
            return Err(TreeError::missing(page_key(id)));
        }
    };
    let result = edit_inside(geometry, Arc::make_mut(&mut page), id, top, place, edit);
    *kid = Kid::page(page, top);
    result
}

fn edit_inside(
    geometry: Geometry,
    page: &mut Page,
    id: PageId,
    top: Position,
    place: LeafIndex,
    edit: &mut dyn PathEdit,
) -> Result<(), TreeError> {
    let end = geometry.kid_towards(place, id.row);
    edit.parents(page, PagePath { id, top, end })?;
    page.touch(end);
    let Some(below) = page.kid_mut(end) else { return Ok(()) };
    if id.row == 0 {
        *below = edit.leaf(below);
        return Ok(());
    }
    edit_page(geometry, below, geometry.page_below(id, end), TOP, place, edit)
}

struct AddLeaf {
    place: LeafIndex,
    leaf: Option<Leaf>,
}

impl PathEdit for AddLeaf {
    fn parents(&mut self, page: &mut Page, on: PagePath) -> Result<(), TreeError> {
        on.steps().for_each(|step| page.add_unmerged(step.position, self.place));
        Ok(())
    }

    fn leaf(&mut self, _: &Kid) -> Kid {
        self.leaf.take().map_or_else(|| ABSENT.clone(), Kid::leaf)
    }
}

struct SetAndBlank {
    leaf: Option<Leaf>,
}

impl PathEdit for SetAndBlank {
    fn parents(&mut self, page: &mut Page, on: PagePath) -> Result<(), TreeError> {
        on.steps().for_each(|step| page.set_parent(step.position, None));
        Ok(())
    }

    fn leaf(&mut self, _: &Kid) -> Kid {
        self.leaf.take().map_or_else(|| ABSENT.clone(), Kid::leaf)
    }
}

struct SetLeaf {
    leaf: Option<Leaf>,
}

impl PathEdit for SetLeaf {
    fn parents(&mut self, _: &mut Page, _: PagePath) -> Result<(), TreeError> {
        Ok(())
    }

    fn leaf(&mut self, before: &Kid) -> Kid {
        self.leaf.take().map_or_else(|| before.clone(), Kid::leaf)
    }
}
