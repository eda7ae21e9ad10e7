use keyroom_wire::LeafIndex;

/// Names one key of a ratchet tree in 26 bits: the encryption key of a node or the signature key
/// of a leaf. A tree has at most 2^24 leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

/// What a [`Slot`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The encryption key of a leaf.
    LeafEncryption(LeafIndex),
    /// The signature key of a leaf.
    LeafSignature(LeafIndex),
    /// The encryption key of a parent, by its index in the array form of the tree (RFC 9420
    /// Appendix C), which is odd.
    Parent(u32),
}

/// Bits of a slot in an entry of the index.
pub(super) const SLOT_BITS: u32 = 26;
const SIGNATURE: u32 = 1 << 25;

impl Slot {
    /// The encryption key of a leaf below 2^24; a larger index names another leaf's.
    pub const fn encryption_key(leaf_index: LeafIndex) -> Self {
        Self((leaf_index.0 << 1) & (SIGNATURE - 1))
    }

    /// The signature key of a leaf below 2^24; a larger index names another leaf's.
    pub const fn signature_key(leaf_index: LeafIndex) -> Self {
        Self(SIGNATURE | (leaf_index.0 & (SIGNATURE / 2 - 1)))
    }

    /// The encryption key of a parent, by its odd index in the array form below 2^25.
    pub const fn parent(array_index: u32) -> Self {
        Self((array_index | 1) & (SIGNATURE - 1))
    }

    /// What the slot names.
    pub const fn place(self) -> Place {
        if self.0 & SIGNATURE != 0 {
            Place::LeafSignature(LeafIndex(self.0 & (SIGNATURE - 1)))
        } else if self.0 & 1 == 0 {
            Place::LeafEncryption(LeafIndex(self.0 >> 1))
        } else {
            Place::Parent(self.0)
        }
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn of(entry: u64) -> Self {
        Self((entry & ((1 << SLOT_BITS) - 1)) as u32)
    }
}
