//! A borrowed view of one node and what is below it: how everything that reads a tree walks it.

use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::TreeError;
use super::leaf::Leaf;
use super::node::{NodeId, shift_left};
use super::page::{Content, Geometry, Kid, Page, Parent, Position, TOP};
use super::record::{leaf_key, page_key};

/// A node of the tree and the way to its children.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subtree<'a> {
    pub(super) node: NodeId,
    geometry: Geometry,
    place: Place<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// Below a blank subtree.
    Absent,
    /// A subtree that hangs below a page, or the root; its hash if that is known; and where the
    /// subtree begins in its own page.
    Kid { kid: &'a Kid, hash: Option<&'a [u8]>, top: Position },
    /// A node of a page below its top.
    Inside { page: &'a Page, position: Position },
}

impl<'a> Subtree<'a> {
    /// The page in which this node is, with its position; `None` if it is blank, a leaf or in storage.
    fn page(&self) -> Option<(&'a Page, Position)> {
        match self.place {
            Place::Kid { kid: Kid { content: Content::Page(page), .. }, top, .. } => Some((page, top)),
            Place::Inside { page, position } => Some((page, position)),
            Place::Kid { .. } | Place::Absent => None,
        }
    }

    /// An error if the node is in storage.
    fn require(&self) -> Result<(), TreeError> {
        match self.place {
            Place::Kid { kid: Kid { content: Content::Stored, .. }, .. } => Err(self.missing()),
            _ => Ok(()),
        }
    }

    /// The tree hash, if it is known.
    pub(super) fn hash(&self) -> Option<&'a [u8]> {
        match self.place {
            Place::Absent => None,
            Place::Kid { hash, .. } => hash,
            Place::Inside { page, position } => page.hash(position, self.geometry),
        }
    }

    /// Non-blank leaves.
    pub(super) fn leaves(&self) -> u32 {
        match self.place {
            Place::Absent => 0,
            Place::Kid { kid, .. } => kid.summary.leaves,
            Place::Inside { page, position } => page.leaves(position),
        }
    }

    /// The length of the resolution.
    pub(super) fn resolution(&self) -> u32 {
        match self.place {
            Place::Absent => 0,
            Place::Kid { kid, .. } => kid.summary.resolution,
            Place::Inside { page, position } => page.resolution(position),
        }
    }

    /// Whether every node of the subtree is blank.
    pub(super) fn is_blank(&self) -> bool {
        match self.place {
            Place::Absent => true,
            Place::Kid { kid, .. } => kid.summary.resolution == 0,
            Place::Inside { page, position } => page.is_blank(position),
        }
    }

    /// Whether every leaf is a member.
    pub(super) fn is_full(&self) -> bool {
        self.leaves() >= shift_left(1, self.node.height)
    }

    /// The parent node; `None` if it is blank or this is a leaf.
    pub(super) fn parent(&self) -> Result<Option<&'a Parent>, TreeError> {
        self.require()?;
        Ok(self.page().and_then(|(page, position)| page.parent(position)))
    }

    /// The leaf; `None` if it is blank or this is a parent.
    pub(super) fn leaf(&self) -> Result<Option<&'a Leaf>, TreeError> {
        self.require()?;
        match self.place {
            Place::Kid { kid: Kid { content: Content::Leaf(leaf), .. }, .. } => Ok(Some(leaf)),
            _ => Ok(None),
        }
    }

    /// Left and right child; `None` for a leaf.
    pub(super) fn children(&self) -> Result<Option<(Self, Self)>, TreeError> {
        let (Some(left), Some(right)) = (self.node.left(), self.node.right()) else { return Ok(None) };
        self.require()?;
        Ok(Some((self.child(left, 0), self.child(right, 1))))
    }

    /// The child on the way to the leaf; `None` for a leaf.
    pub(super) fn child_towards(&self, leaf: LeafIndex) -> Result<Option<Self>, TreeError> {
        let (Some(left), Some(right)) = (self.node.left(), self.node.right()) else { return Ok(None) };
        self.require()?;
        Ok(Some(if left.covers(leaf) { self.child(left, 0) } else { self.child(right, 1) }))
    }

    /// The child on one side, once it is known that the node is in memory and no leaf.
    fn child(&self, node: NodeId, side: Position) -> Self {
        let place = match self.page() {
            None => Place::Absent,
            Some((page, position)) => {
                let position = position * 2 + side;
                if page.is_kid(position) {
                    Place::Kid { kid: page.kid(position), hash: page.hash(position, self.geometry), top: TOP }
                } else {
                    Place::Inside { page, position }
                }
            }
        };
        Self { node, geometry: self.geometry, place }
    }

    /// The child on the way to the leaf and the other one; `None` for a leaf.
    pub(super) fn children_towards(&self, leaf: LeafIndex) -> Result<Option<(Self, Self)>, TreeError> {
        let children = self.children()?;
        Ok(children.map(|(left, right)| if left.node.covers(leaf) { (left, right) } else { (right, left) }))
    }

    /// The record that holds this node, when it is not in memory.
    fn missing(&self) -> TreeError {
        match self.node.as_leaf() {
            Some(leaf) => TreeError::missing(leaf_key(leaf)),
            None => TreeError::missing(page_key(self.geometry.place_of(self.node).0)),
        }
    }
}

impl Tree {
    /// The whole tree.
    pub(super) fn root(&self) -> Subtree<'_> {
        let top = if self.depth == 0 { TOP } else { self.geometry.root_position(self.depth) };
        let place = Place::Kid { kid: &self.root, hash: self.hash.as_deref(), top };
        Subtree { node: NodeId::new(self.depth, 0), geometry: self.geometry, place }
    }

    /// One node of the tree, or `None` if it is outside.
    pub(super) fn subtree(&self, node: NodeId) -> Result<Option<Subtree<'_>>, TreeError> {
        if node.height > self.depth || !NodeId::new(self.depth, 0).covers(node.first_leaf()) {
            return Ok(None);
        }
        let mut at = self.root();
        while at.node.height > node.height {
            match at.child_towards(node.first_leaf())? {
                Some(towards) => at = towards,
                None => return Ok(None),
            }
        }
        Ok(if at.node == node { Some(at) } else { None })
    }
}
