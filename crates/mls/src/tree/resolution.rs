//! Resolutions (RFC 9420 §4.1.1) and the place of a member in them.
//!
//! A path secret is encrypted to the resolution of a copath node *without* the leaves that the same
//! commit adds (§7.6). Adds neither fill nor blank a parent, so that is the resolution in the tree
//! as it was after updates and removes and before adds: the caller keeps a clone from that moment
//! and asks it. It may be less deep; what is outside it counts as empty.

use alloc::vec::Vec;

use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::TreeError;
use super::node::NodeId;
use super::subtree::Subtree;
use crate::error::Rule;

/// A node of a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient<'a> {
    /// Which node: its private key opens what is encrypted to it.
    pub node: NodeId,
    /// Its HPKE public key.
    pub encryption_key: &'a [u8],
}

/// Where a member finds its ciphertext among those for one copath node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceInResolution {
    /// Index of the ciphertext.
    pub position: usize,
    /// The node whose private key opens it: the first one on the way from the copath node to the
    /// member's leaf that is not blank, or the leaf itself if it is unmerged there.
    pub key_holder: NodeId,
}

/// A part of the tree for which a path carries many ciphertexts: its top is blank, or many below do not
/// know its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// The length of its resolution.
    pub resolution: u32,
    /// The members in it.
    pub members: u32,
    /// The members in it that stand left of the leaf that was asked about.
    pub before: u32,
}

impl Tree {
    /// The largest part of the tree around a leaf whose resolution has at least `least` nodes. The whole
    /// tree does not count: nobody encrypts to its root. O(depth).
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn crowd_around(&self, leaf: LeafIndex, least: u32) -> Result<Option<Crowd>, TreeError> {
        self.require_pages(leaf)?;
        let mut at = self.root();
        let mut crowd: Option<Crowd> = None;
        while let Some((towards, other)) = at.children_towards(leaf)? {
            if let Some(crowd) = &mut crowd {
                let left = other.node.index < towards.node.index;
                crowd.before = crowd.before.saturating_add(if left { other.leaves() } else { 0 });
            } else if towards.resolution() >= least {
                crowd = Some(Crowd { resolution: towards.resolution(), members: towards.leaves(), before: 0 });
            }
            at = towards;
        }
        Ok(crowd)
    }

    /// The resolution of a node, in order (§4.1.1).
    ///
    /// # Errors
    /// [`TreeError::Missing`]; [`Rule::UnmergedLeafAbsent`] if a parent lists a leaf that is blank.
    pub fn resolution(&self, node: NodeId) -> Result<Vec<Recipient<'_>>, TreeError> {
        let mut out = Vec::new();
        let mut stack: Vec<Subtree<'_>> = self.here_or_above(node)?.into_iter().collect();
        while let Some(at) = stack.pop() {
            if at.is_blank() {
                continue;
            }
            if let Some(leaf) = at.leaf()? {
                out.push(Recipient { node: at.node, encryption_key: leaf.encryption_key() });
            } else if let Some(parent) = at.parent()? {
                out.push(Recipient { node: at.node, encryption_key: parent.encryption_key() });
                for unmerged in parent.unmerged() {
                    let leaf = self.subtree(NodeId::leaf(*unmerged))?.map_or(Ok(None), |leaf| leaf.leaf())?;
                    let encryption_key = leaf.ok_or(Rule::UnmergedLeafAbsent)?.encryption_key();
                    out.push(Recipient { node: NodeId::leaf(*unmerged), encryption_key });
                }
            } else if let Some((left, right)) = at.children()? {
                stack.extend([right, left]);
            }
        }
        Ok(out)
    }

    /// The length of the resolution of a node. O(depth).
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn resolution_len(&self, node: NodeId) -> Result<u32, TreeError> {
        Ok(self.here_or_above(node)?.map_or(0, |subtree| subtree.resolution()))
    }

    /// Which element of the resolution of `copath` is meant for the member at `me`, without making a
    /// list. `None` if the member is not below the node, is blank or is not in this tree. O(depth).
    ///
    /// # Errors
    /// [`TreeError::Missing`].
    pub fn place_in_resolution(&self, copath: NodeId, me: LeafIndex) -> Result<Option<PlaceInResolution>, TreeError> {
        let Some(mut at) = self.here_or_above(copath)?.filter(|at| at.node.covers(me)) else { return Ok(None) };
        self.require_pages(me)?;
        if self.subtree(NodeId::leaf(me))?.is_none_or(|leaf| leaf.is_blank()) {
            return Ok(None);
        }
        let mut passed = 0u32;
        while !at.is_blank() {
            if let Some(parent) = at.parent()? {
                let (rank, key_holder) = match parent.unmerged().binary_search(&me) {
                    Ok(rank) => (rank.saturating_add(1), NodeId::leaf(me)),
                    Err(_) => (0, at.node),
                };
                let position = usize::try_from(passed).unwrap_or(usize::MAX).saturating_add(rank);
                return Ok(Some(PlaceInResolution { position, key_holder }));
            }
            let Some((towards, other)) = at.children_towards(me)? else {
                let position = usize::try_from(passed).unwrap_or(usize::MAX);
                return Ok(Some(PlaceInResolution { position, key_holder: at.node }));
            };
            if other.node.index < towards.node.index {
                passed = passed.saturating_add(other.resolution());
            }
            at = towards;
        }
        Ok(None)
    }

    /// The part of this tree below a node of a tree that may be deeper than this one.
    fn here_or_above(&self, node: NodeId) -> Result<Option<Subtree<'_>>, TreeError> {
        if node.height > self.depth && node.index == 0 { Ok(Some(self.root())) } else { self.subtree(node) }
    }
}
