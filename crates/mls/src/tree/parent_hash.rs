//! Parent hashes and unmerged leaves of a tree from somebody else (RFC 9420 §7.9.2, §12.4.3.1).
//!
//! **Lists.** A leaf u that is unmerged at P must be unmerged at every non-blank node between. Then
//! each leaf has one number t(u), the height of the highest parent that lists it, and P lists u if
//! and only if t(u) ≥ height(P). So for a fixed node X the sets `unmerged(P) ∩ below(X)` shrink as P
//! rises: *two of the same size are equal*.
//!
//! **Chains.** `unmerged(P) ∩ below(C)` lies within the resolution of C. So it is that resolution
//! without one node D if and only if it is shorter by one, and D is the one that is not in it:
//! comparing lengths replaces comparing sets.
//!
//! A parent hash at the root need not be empty: truncation makes a node the root that was set below
//! another one, and leaves it as it is.
//!
//! **Original hashes.** One remembered hash for each node, with the number of leaves struck from it,
//! is enough: the same number means the same set. In all that makes O(n log log n) hashes, whatever
//! the lists hold.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use keyroom_crypto::Hash;
use keyroom_wire::LeafIndex;

use super::Tree;
use super::error::TreeError;
use super::hash::{BlankMemo, Hasher};
use super::node::NodeId;
use super::page::Parent;
use super::subtree::Subtree;
use crate::error::Rule;

impl Tree {
    /// Checks the unmerged leaves of each parent, and that each has exactly one descendant whose
    /// parent hash is valid with respect to it. For a tree that was imported; the whole tree must be
    /// in memory. Costs O(n log log n) hashes and little more than the size of the tree.
    ///
    /// # Errors
    /// [`Rule::UnmergedLeaves`], [`Rule::UnmergedLeafAbsent`], [`Rule::UnmergedLeafSkipped`];
    /// [`Rule::ParentHash`], [`Rule::ParentHashAbsent`], [`Rule::ParentHashResolution`];
    /// [`TreeError::NotHashed`] before [`Tree::tree_hash`]; [`TreeError::Missing`].
    pub fn verify_parent_hashes(&self) -> Result<(), TreeError> {
        if self.hash.is_none() {
            return Err(TreeError::NotHashed);
        }
        self.verify_unmerged_leaves()?;
        let mut memo = BlankMemo::default();
        let hasher = Hasher::new(self.suite, self.geometry, &mut memo);
        Chains { hasher, originals: BTreeMap::new() }.verify(self.root())
    }

    fn verify_unmerged_leaves(&self) -> Result<(), TreeError> {
        let slots = usize::try_from(self.slots()).map_err(|_| TreeError::OutOfRange)?;
        let mut lists = Lists { parents_above: vec![BLANK; slots], listed: vec![0; slots] };
        lists.count(self.root(), 0)?;
        lists.verify(self.root(), 0)
    }
}

/// In the place of a count of parents: the leaf is blank.
const BLANK: u8 = u8::MAX;

/// One byte of each for each leaf slot.
struct Lists {
    /// Non-blank parents above the leaf.
    parents_above: Vec<u8>,
    /// How many parents have listed the leaf so far.
    listed: Vec<u8>,
}

impl Lists {
    fn count(&mut self, at: Subtree<'_>, above: u8) -> Result<(), TreeError> {
        if at.is_blank() {
            return Ok(());
        }
        let above = above + u8::from(at.parent()?.is_some());
        if let Some((left, right)) = at.children()? {
            self.count(left, above)?;
            return self.count(right, above);
        }
        if let Some(slot) = self.parents_above.get_mut(place(LeafIndex(at.node.index))) {
            *slot = above;
        }
        Ok(())
    }

    /// Children first: when P lists a leaf, all parents between that should list it have done so.
    fn verify(&mut self, at: Subtree<'_>, above: u8) -> Result<(), TreeError> {
        if at.is_blank() {
            return Ok(());
        }
        let parent = at.parent()?;
        let above = above + u8::from(parent.is_some());
        if let Some((left, right)) = at.children()? {
            self.verify(left, above)?;
            self.verify(right, above)?;
        }
        let list = parent.map_or(&[][..], Parent::unmerged);
        if !list.is_sorted_by(|a, b| a < b) {
            return Err(Rule::UnmergedLeaves.into());
        }
        for leaf in list {
            if !at.node.covers(*leaf) {
                return Err(Rule::UnmergedLeafAbsent.into());
            }
            self.list(*leaf, above)?;
        }
        Ok(())
    }

    /// Whether a parent with so many parents from the root down to it may list the leaf.
    fn list(&mut self, leaf: LeafIndex, above: u8) -> Result<(), Rule> {
        let parents_above = self.parents_above.get(place(leaf)).copied().unwrap_or(BLANK);
        let listed = self.listed.get_mut(place(leaf)).filter(|_| parents_above != BLANK);
        let listed = listed.ok_or(Rule::UnmergedLeafAbsent)?;
        let complete = parents_above.checked_sub(above) == Some(*listed);
        *listed = listed.saturating_add(1);
        if complete { Ok(()) } else { Err(Rule::UnmergedLeafSkipped) }
    }
}

fn place(leaf: LeafIndex) -> usize {
    usize::try_from(leaf.0).unwrap_or(usize::MAX)
}

/// The part of a sorted list in the left half of a node, and the part in the right half.
fn split(list: &[LeafIndex], right: NodeId) -> (&[LeafIndex], &[LeafIndex]) {
    let middle = list.partition_point(|leaf| *leaf < right.first_leaf());
    list.split_at_checked(middle).unwrap_or((list, &[]))
}

/// What one side of a parent says about it; what speaks louder is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    /// Nobody there could end a chain.
    Nobody,
    /// Who could has no parent hash.
    Absent,
    /// Who could has another parent hash.
    Differs,
    /// A chain ends there.
    Holds,
}

struct Chains<'a> {
    hasher: Hasher<'a>,
    /// For a node: how many leaves were struck from it last, and its tree hash without them.
    originals: BTreeMap<NodeId, (usize, Hash)>,
}

impl Chains<'_> {
    /// Children first: the sets of struck leaves shrink as parents rise.
    fn verify(&mut self, at: Subtree<'_>) -> Result<(), TreeError> {
        if at.is_blank() {
            return Ok(());
        }
        let Some((left, right)) = at.children()? else { return Ok(()) };
        self.verify(left)?;
        self.verify(right)?;
        let Some(parent) = at.parent()? else { return Ok(()) };
        let (in_left, in_right) = split(parent.unmerged(), right.node);
        // Two chains to one parent would need each hash to contain the other: the first is the only one.
        let link = match self.chain(parent, (left, in_left), (right, in_right))? {
            Link::Holds => Link::Holds,
            link => link.max(self.chain(parent, (right, in_right), (left, in_left))?),
        };
        match link {
            Link::Holds => Ok(()),
            Link::Differs => Err(Rule::ParentHash.into()),
            Link::Absent => Err(Rule::ParentHashAbsent.into()),
            Link::Nobody => Err(Rule::ParentHashResolution.into()),
        }
    }

    /// Whether a node in the resolution of `child` has a parent hash that is valid with respect to
    /// the parent. Each side comes with the unmerged leaves of the parent in it.
    fn chain(
        &mut self,
        parent: &Parent,
        (child, unmerged): (Subtree<'_>, &[LeafIndex]),
        (sibling, struck): (Subtree<'_>, &[LeafIndex]),
    ) -> Result<Link, TreeError> {
        if !lacks_one(child, unmerged) {
            return Ok(Link::Nobody);
        }
        let found = parent_hash_of_the_one(child, unmerged)?.unwrap_or_default();
        if found.is_empty() {
            return Ok(Link::Absent);
        }
        let original = self.original(sibling, struck)?;
        let expected = self.hasher.parent_hash(parent.encryption_key(), parent.parent_hash(), &original);
        Ok(if found == expected.as_slice() { Link::Holds } else { Link::Differs })
    }

    /// The tree hash of a node without these leaves, which are in increasing order and below it.
    fn original(&mut self, at: Subtree<'_>, struck: &[LeafIndex]) -> Result<Hash, TreeError> {
        if struck.is_empty() {
            return match at.hash() {
                Some(hash) => Hash::from_slice(hash).ok_or(TreeError::NotHashed),
                None => Ok(self.hasher.blank(at.node)),
            };
        }
        if let Some((count, hash)) = self.originals.get(&at.node)
            && *count == struck.len()
        {
            return Ok(*hash);
        }
        let hash = match at.children()? {
            None => self.hasher.blank(at.node),
            Some((left, right)) => {
                let (in_left, in_right) = split(struck, right.node);
                let left = self.original(left, in_left)?;
                let right = self.original(right, in_right)?;
                let parent = at.parent()?;
                let unmerged = parent.map(|parent| without(parent.unmerged(), struck)).unwrap_or_default();
                self.hasher.parent_listing(parent, &unmerged, &left, &right)
            }
        };
        self.originals.insert(at.node, (struck.len(), hash));
        Ok(hash)
    }
}

/// Whether the resolution of the node holds one element more than these unmerged leaves.
fn lacks_one(at: Subtree<'_>, unmerged: &[LeafIndex]) -> bool {
    usize::try_from(at.resolution()) == Ok(unmerged.len() + 1)
}

/// The parent hash of the one node of the resolution that is not among the unmerged leaves; `None`
/// if it has no such field.
fn parent_hash_of_the_one<'a>(at: Subtree<'a>, unmerged: &[LeafIndex]) -> Result<Option<&'a [u8]>, TreeError> {
    let (mut at, mut unmerged) = (at, unmerged);
    loop {
        if let Some(parent) = at.parent()? {
            return Ok(Some(parent.parent_hash()));
        }
        let Some((left, right)) = at.children()? else {
            return Ok(at.leaf()?.and_then(|leaf| leaf.parent_hash()));
        };
        let (in_left, in_right) = split(unmerged, right.node);
        (at, unmerged) = if lacks_one(left, in_left) { (left, in_left) } else { (right, in_right) };
    }
}

/// The elements of a sorted list that are not in another one.
fn without(list: &[LeafIndex], struck: &[LeafIndex]) -> Vec<LeafIndex> {
    let mut struck = struck.iter().peekable();
    let kept = list.iter().filter(|leaf| {
        while struck.next_if(|next| next < leaf).is_some() {}
        struck.peek() != Some(leaf)
    });
    kept.copied().collect()
}
