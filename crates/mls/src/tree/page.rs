//! A page: a complete subtree of a few parent levels, the unit that is copied, stored and loaded.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::LeafIndex;

use super::leaf::Leaf;
use super::node::{NodeId, shift_left, shift_right};

/// How many levels a page has, and how long hashes are. Fixed when the tree is made.
///
/// Page (row g, place i) holds the parents of heights g·L + 1 … (g + 1)·L above the leaves from
/// i·2^((g + 1)·L) on. Within a page a node is named as in a binary heap: the top is 1, the children
/// of p are 2p and 2p + 1, and the 2^L subtrees that hang below are 2^L … 2^(L + 1) − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// L, from 1 to [`Geometry::MOST_LEVELS`].
    pub(super) levels: u8,
    /// Bytes in a hash.
    pub(super) hash_len: usize,
}

/// Names a page: its row counted from the leaves and its place in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PageId {
    pub(super) row: u8,
    pub(super) index: u32,
}

/// The name of a node within its page, see [`Geometry`].
pub(super) type Position = u8;

/// The top of a page.
pub(super) const TOP: Position = 1;

impl Geometry {
    /// A mask of parents must fit a byte.
    pub(super) const MOST_LEVELS: u8 = 3;
    /// A record beyond this leaves the B-tree page of an embedded database and costs a page of its own.
    const RECORD_TARGET: usize = 1_000;

    /// The largest page whose full record stays below 1,000 bytes.
    pub(super) fn of(suite: &dyn Suite) -> Self {
        let (hash_len, key_len) = (suite.kdf().output_len(), suite.kem().public_key_len());
        let record = |levels: u8| {
            let kids = 1usize << levels;
            1 + (kids - 1) * (key_len + hash_len + 4) + kids * (hash_len + 8)
        };
        let fits = (2..=Self::MOST_LEVELS).rev().find(|levels| record(*levels) < Self::RECORD_TARGET);
        Self { levels: fits.unwrap_or(1), hash_len }
    }

    /// How many subtrees hang below a page.
    pub(super) fn kids(self) -> u8 {
        1 << self.levels
    }

    /// The row of the top page of a tree of this depth (at least 1).
    pub(super) fn top_row(self, depth: u8) -> u8 {
        depth.saturating_sub(1) / self.levels
    }

    /// Where the root of a tree of this depth (at least 1) stands in the top page.
    pub(super) fn root_position(self, depth: u8) -> Position {
        let used = depth - self.top_row(depth) * self.levels;
        1 << (self.levels - used)
    }

    /// The page below which a leaf stands, in this row.
    pub(super) fn page_above(self, leaf: LeafIndex, row: u8) -> PageId {
        PageId { row, index: shift_right(leaf.0, (row + 1) * self.levels) }
    }

    /// The subtree of that page in which the leaf stands.
    pub(super) fn kid_towards(self, leaf: LeafIndex, row: u8) -> Position {
        let [low, ..] = shift_right(leaf.0, row * self.levels).to_le_bytes();
        self.kids() | (low & (self.kids() - 1))
    }

    /// The page that holds a parent, and where.
    pub(super) fn place_of(self, parent: NodeId) -> (PageId, Position) {
        let row = self.top_row(parent.height);
        let level = ((row + 1) * self.levels).saturating_sub(parent.height);
        let index = shift_right(parent.index, level);
        let [place, ..] = (parent.index - shift_left(index, level)).to_le_bytes();
        (PageId { row, index }, 1 << level | place)
    }

    /// The full name of a node in a page, or of a subtree below it.
    pub(super) fn node_at(self, page: PageId, position: Position) -> NodeId {
        let level = level(position);
        let place = u32::from(position) - shift_left(1, level);
        NodeId::new((page.row + 1) * self.levels - level, shift_left(page.index, level) | place)
    }

    /// The page that hangs below another one at `position`.
    pub(super) fn page_below(self, page: PageId, position: Position) -> PageId {
        PageId { row: page.row.saturating_sub(1), index: self.node_at(page, position).index }
    }
}

/// Levels between the top of the page and the position.
pub(super) fn level(position: Position) -> u8 {
    7u8.saturating_sub(u8::try_from(position.leading_zeros()).unwrap_or(7))
}

/// Sums over a subtree, held by whatever is above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Non-blank leaves.
    pub(super) leaves: u32,
    /// Length of the resolution; 0 if and only if every node of the subtree is blank.
    pub(super) resolution: u32,
}

/// A subtree below a page.
#[derive(Clone, Debug)]
pub(super) struct Kid {
    pub(super) summary: Summary,
    pub(super) content: Content,
}

/// What a subtree below a page is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// All its nodes are blank. It takes no memory.
    Absent,
    /// It has nodes, and they are not in memory.
    Stored,
    /// A page.
    Page(Arc<Page>),
    /// A leaf that is not blank.
    Leaf(Leaf),
}

/// The subtree that has no nodes.
pub(super) static ABSENT: Kid = Kid { summary: Summary { leaves: 0, resolution: 0 }, content: Content::Absent };

impl Kid {
    /// The sums over one leaf that is not blank.
    pub(super) const LEAF: Summary = Summary { leaves: 1, resolution: 1 };

    pub(super) fn leaf(leaf: Leaf) -> Self {
        Self { summary: Self::LEAF, content: Content::Leaf(leaf) }
    }

    /// A page that is the root of its subtree at `root`; absent if all its nodes are blank.
    pub(super) fn page(page: Arc<Page>, root: Position) -> Self {
        if page.is_blank(root) {
            return ABSENT.clone();
        }
        Self { summary: page.summary(root), content: Content::Page(page) }
    }
}

/// A parent node that is not blank (§7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    /// Encryption key, then parent hash. Shared, so that copying a page does not copy keys.
    bytes: Arc<[u8]>,
    key_len: u32,
    /// `Vec`, so that many adds to one list in one commit push in place after one copy.
    unmerged: Option<Arc<Vec<LeafIndex>>>,
}

impl Parent {
    pub(super) fn new(encryption_key: &[u8], parent_hash: &[u8], unmerged: Vec<LeafIndex>) -> Self {
        Self {
            bytes: [encryption_key, parent_hash].concat().into(),
            key_len: u32::try_from(encryption_key.len()).unwrap_or(u32::MAX),
            unmerged: if unmerged.is_empty() { None } else { Some(Arc::new(unmerged)) },
        }
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let middle = usize::try_from(self.key_len).unwrap_or(usize::MAX);
        self.bytes.split_at_checked(middle).unwrap_or((&self.bytes, &[]))
    }

    pub(super) fn encryption_key(&self) -> &[u8] {
        self.split().0
    }

    pub(super) fn parent_hash(&self) -> &[u8] {
        self.split().1
    }

    pub(super) fn unmerged(&self) -> &[LeafIndex] {
        self.unmerged.as_ref().map_or(&[], |list| list.as_slice())
    }

    /// Inserts a leaf in its order; nothing happens if it is there.
    fn add_unmerged(&mut self, leaf: LeafIndex) {
        let list = Arc::make_mut(self.unmerged.get_or_insert_default());
        if let Err(place) = list.binary_search(&leaf) {
            list.insert(place, leaf);
        }
    }
}

/// The parents of a few levels, the subtrees below, and the hashes of all of them but the top,
/// whose hash is held above.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Bit p is set if the parent at position p is not blank.
    mask: u8,
    /// Bit p is set if the hash of position p is not known.
    stale: u16,
    parents: Vec<Parent>,
    kids: Box<[Kid]>,
    /// The hash of position p stands at (p − 2) · hash length: packed, since suites differ.
    hashes: Box<[u8]>,
}

impl Page {
    /// All nodes blank, no hash known.
    pub(super) fn blank(geometry: Geometry) -> Self {
        let kids = usize::from(geometry.kids());
        Self {
            mask: 0,
            stale: u16::MAX,
            parents: Vec::new(),
            kids: vec![ABSENT.clone(); kids].into_boxed_slice(),
            hashes: vec![0; (2 * kids - 2) * geometry.hash_len].into_boxed_slice(),
        }
    }

    fn kid_count(&self) -> usize {
        self.kids.len()
    }

    /// Whether the position names a subtree below the page.
    pub(super) fn is_kid(&self, position: Position) -> bool {
        usize::from(position) >= self.kid_count()
    }

    /// The subtree at a position of the lowest level.
    pub(super) fn kid(&self, position: Position) -> &Kid {
        let place = usize::from(position).checked_sub(self.kid_count());
        place.and_then(|place| self.kids.get(place)).unwrap_or(&ABSENT)
    }

    pub(super) fn kid_mut(&mut self, position: Position) -> Option<&mut Kid> {
        let place = usize::from(position).checked_sub(self.kid_count())?;
        self.kids.get_mut(place)
    }

    pub(super) fn set_kid(&mut self, position: Position, kid: Kid) {
        if let Some(slot) = self.kid_mut(position) {
            *slot = kid;
        }
    }

    /// Which positions have a parent that is not blank: bit p for position p.
    pub(super) fn mask(&self) -> u8 {
        self.mask
    }

    /// The parents that are not blank, by position.
    pub(super) fn parents(&self) -> &[Parent] {
        &self.parents
    }

    fn rank(&self, position: Position) -> usize {
        (self.mask & (1u8 << position).wrapping_sub(1)).count_ones().try_into().unwrap_or_default()
    }

    fn has_parent(&self, position: Position) -> bool {
        !self.is_kid(position) && self.mask & 1 << position != 0
    }

    pub(super) fn parent(&self, position: Position) -> Option<&Parent> {
        if self.has_parent(position) { self.parents.get(self.rank(position)) } else { None }
    }

    /// Puts a parent, or blank, at a position.
    pub(super) fn set_parent(&mut self, position: Position, parent: Option<Parent>) {
        if self.is_kid(position) {
            return;
        }
        let rank = self.rank(position);
        match (self.has_parent(position), parent) {
            (true, Some(parent)) => {
                if let Some(slot) = self.parents.get_mut(rank) {
                    *slot = parent;
                }
            }
            (true, None) => {
                self.parents.remove(rank);
                self.mask &= !(1 << position);
            }
            (false, Some(parent)) => {
                self.parents.insert(rank, parent);
                self.mask |= 1 << position;
            }
            (false, None) => {}
        }
    }

    /// Adds a leaf to the unmerged leaves of the parent, if it is not blank.
    pub(super) fn add_unmerged(&mut self, position: Position, leaf: LeafIndex) {
        let rank = self.rank(position);
        if self.has_parent(position)
            && let Some(parent) = self.parents.get_mut(rank)
        {
            parent.add_unmerged(leaf);
        }
    }

    /// Sums over the subtree at a position.
    pub(super) fn summary(&self, position: Position) -> Summary {
        Summary { leaves: self.leaves(position), resolution: self.resolution(position) }
    }

    /// Non-blank leaves below a position.
    pub(super) fn leaves(&self, position: Position) -> u32 {
        if self.is_kid(position) {
            return self.kid(position).summary.leaves;
        }
        self.leaves(position * 2).saturating_add(self.leaves(position * 2 + 1))
    }

    /// The length of the resolution of a position.
    pub(super) fn resolution(&self, position: Position) -> u32 {
        if self.is_kid(position) {
            return self.kid(position).summary.resolution;
        }
        match self.parent(position) {
            None => self.resolution(position * 2).saturating_add(self.resolution(position * 2 + 1)),
            Some(parent) => u32::try_from(parent.unmerged().len()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    /// Whether every node of the subtree at a position is blank.
    pub(super) fn is_blank(&self, position: Position) -> bool {
        if self.is_kid(position) {
            return self.kid(position).summary.resolution == 0;
        }
        !self.has_parent(position) && self.is_blank(position * 2) && self.is_blank(position * 2 + 1)
    }

    /// The tree hash of a position below the top, if it is known.
    pub(super) fn hash(&self, position: Position, geometry: Geometry) -> Option<&[u8]> {
        let slot = usize::from(position).checked_sub(2)? * geometry.hash_len;
        let known = self.stale & 1u16.checked_shl(u32::from(position))? == 0;
        if known { self.hashes.get(slot..slot + geometry.hash_len) } else { None }
    }

    /// Keeps a hash, which the suite makes as long as the geometry says.
    pub(super) fn set_hash(&mut self, position: Position, hash: &Hash, geometry: Geometry) {
        let Some(slot) = usize::from(position).checked_sub(2).map(|place| place * geometry.hash_len) else { return };
        if let Some(bytes) = self.hashes.get_mut(slot..slot + geometry.hash_len)
            && bytes.len() == hash.len()
        {
            bytes.copy_from_slice(hash);
            self.stale &= !(1 << position);
        }
    }

    /// Forgets the hashes of a position and of everything above it in this page.
    pub(super) fn touch(&mut self, position: Position) {
        let mut at = position;
        while at > TOP {
            self.stale |= 1 << at;
            at >>= 1;
        }
    }
}
