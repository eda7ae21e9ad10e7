//! The filtered direct path (RFC 9420 §4.1.2) and new keys along it (§7.5, §7.9).

use alloc::vec::Vec;
use core::slice;

use keyroom_crypto::Hash;
use keyroom_wire::{HpkePublicKey, LeafIndex};

use super::Tree;
use super::edit::{PagePath, PathEdit};
use super::error::TreeError;
use super::hash::Hasher;
use super::node::NodeId;
use super::page::{Kid, Page, Parent};
use crate::error::Rule;

/// A node of a filtered direct path and its child that is not on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// The node, which gets a new key.
    pub node: NodeId,
    /// Its child on the copath: the path secret is encrypted to its resolution.
    pub copath: NodeId,
}

impl Tree {
    /// The ancestors of a leaf, from the leaf to the root, without those whose child on the copath
    /// has an empty resolution (§4.1.2). O(depth).
    ///
    /// # Errors
    /// [`TreeError::OutOfRange`], [`TreeError::Missing`].
    pub fn filtered_direct_path(&self, leaf: LeafIndex) -> Result<Vec<PathStep>, TreeError> {
        if leaf.0 >= self.slots() {
            return Err(TreeError::OutOfRange);
        }
        self.require_pages(leaf)?;
        let mut steps = Vec::new();
        let mut at = self.root();
        while let Some((towards, copath)) = at.children_towards(leaf)? {
            if !copath.is_blank() {
                steps.push(PathStep { node: at.node, copath: copath.node });
            }
            at = towards;
        }
        steps.reverse();
        Ok(steps)
    }

    /// Blanks the direct path of a leaf, puts the keys on its filtered direct path, from the leaf to
    /// the root, and computes their parent hashes (§7.5, §7.9). Returns the parent hash that the
    /// leaf must carry: empty if the filtered path is.
    ///
    /// The leaf itself is left as it is; [`Tree::set_committed_leaf`] replaces it.
    ///
    /// # Errors
    /// [`Rule::PathLength`] if the path has another number of nodes, [`TreeError::OutOfRange`],
    /// [`TreeError::Missing`].
    pub fn apply_path(&mut self, leaf: LeafIndex, keys: &[HpkePublicKey]) -> Result<Vec<u8>, TreeError> {
        if self.filtered_direct_path(leaf)?.len() != keys.len() {
            return Err(Rule::PathLength.into());
        }
        // The hasher borrows the memo, the edit borrows the rest.
        let mut memo = core::mem::take(&mut self.memo);
        let mut edit = FillPath {
            hasher: Hasher::new(self.suite, self.geometry, &mut memo),
            keys: keys.iter(),
            parent_hash: None,
        };
        let edited = self.edit(leaf, &mut edit);
        let parent_hash = edit.parent_hash.as_deref().unwrap_or_default().to_vec();
        self.memo = memo;
        edited.map(|()| parent_hash)
    }
}

/// Fills a path from the root down. A parent hash needs the one above and the final hash of the
/// sibling, and both are known on the way down: all new lists of unmerged leaves are empty, so the
/// original sibling tree hash is the plain one.
struct FillPath<'a> {
    hasher: Hasher<'a>,
    keys: slice::Iter<'a, HpkePublicKey>,
    parent_hash: Option<Hash>,
}

impl PathEdit for FillPath<'_> {
    fn parents(&mut self, page: &mut Page, on: PagePath) -> Result<(), TreeError> {
        for step in on.steps() {
            let filtered_out = page.is_blank(step.sibling);
            let Some(key) = (if filtered_out { None } else { self.keys.next_back() }) else {
                page.set_parent(step.position, None);
                continue;
            };
            let sibling = self.hasher.position(page, on.id, step.sibling)?;
            let above = self.parent_hash.as_deref().unwrap_or_default();
            let parent = Parent::new(key.as_slice(), above, Vec::new());
            let parent_hash = self.hasher.parent_hash(key.as_slice(), above, &sibling);
            page.set_parent(step.position, Some(parent));
            self.parent_hash = Some(parent_hash);
        }
        Ok(())
    }

    fn leaf(&mut self, before: &Kid) -> Kid {
        before.clone()
    }
}
