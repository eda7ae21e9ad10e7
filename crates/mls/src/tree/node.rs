//! Names of nodes and the arithmetic of RFC 9420 Appendix C.

use keyroom_wire::LeafIndex;

/// Largest depth of a tree: 2^24 leaf slots.
pub const MAX_DEPTH: u8 = 24;

/// Names a node by its height above the leaves and its place among the nodes of that height,
/// counted from the left. Leaves have height 0.
///
/// Unlike the index into an array, the name says at once what lies below and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height above the leaves; at most [`MAX_DEPTH`] in a tree.
    pub height: u8,
    /// Place among the nodes of this height.
    pub index: u32,
}

impl NodeId {
    /// The node of this height and place.
    pub const fn new(height: u8, index: u32) -> Self {
        Self { height, index }
    }

    /// A leaf.
    pub const fn leaf(leaf: LeafIndex) -> Self {
        Self::new(0, leaf.0)
    }

    /// The ancestor of a leaf that stands at this height; the leaf itself at height 0.
    pub fn above(leaf: LeafIndex, height: u8) -> Self {
        Self::new(height, shift_right(leaf.0, height))
    }

    /// The leaf index, if this is a leaf.
    pub const fn as_leaf(self) -> Option<LeafIndex> {
        if self.height == 0 { Some(LeafIndex(self.index)) } else { None }
    }

    /// The parent, in a tree that reaches above this node.
    pub const fn parent(self) -> Self {
        Self::new(self.height.saturating_add(1), self.index >> 1)
    }

    /// The other child of the parent.
    pub const fn sibling(self) -> Self {
        Self::new(self.height, self.index ^ 1)
    }

    /// The left child; `None` for a leaf.
    pub fn left(self) -> Option<Self> {
        Some(Self::new(self.height.checked_sub(1)?, self.index << 1))
    }

    /// The right child; `None` for a leaf.
    pub fn right(self) -> Option<Self> {
        self.left().map(Self::sibling)
    }

    /// Whether this node is the leaf or one of its ancestors.
    pub fn covers(self, leaf: LeafIndex) -> bool {
        shift_right(leaf.0, self.height) == self.index
    }

    /// The leftmost leaf below.
    pub fn first_leaf(self) -> LeafIndex {
        LeafIndex(shift_left(self.index, self.height))
    }

    /// The node at this index of the array representation (Appendix C).
    pub const fn from_array(index: u32) -> Self {
        let height = index.trailing_ones();
        #[expect(clippy::cast_possible_truncation, reason = "a u32 has at most 32 trailing ones")]
        let short = height as u8;
        Self::new(short, if height >= 31 { 0 } else { index >> (height + 1) })
    }

    /// The index in the array representation (Appendix C).
    pub fn to_array(self) -> u32 {
        shift_left(self.index, self.height.saturating_add(1)) + shift_left(1, self.height).wrapping_sub(1)
    }
}

/// `value >> by`, 0 when nothing is left.
pub(super) fn shift_right(value: u32, by: u8) -> u32 {
    value.checked_shr(u32::from(by)).unwrap_or(0)
}

/// `value << by`, 0 when nothing is left.
pub(super) fn shift_left(value: u32, by: u8) -> u32 {
    value.checked_shl(u32::from(by)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_index_and_the_name_say_the_same() {
        for index in 0..5000 {
            let node = NodeId::from_array(index);
            assert_eq!(node.to_array(), index);
            assert_eq!(node.height == 0, index % 2 == 0);
            if let (Some(left), Some(right)) = (node.left(), node.right()) {
                assert_eq!((left.parent(), right.parent()), (node, node));
                assert_eq!((left.sibling(), right.sibling()), (right, left));
                assert!(node.covers(right.first_leaf()) && node.covers(left.first_leaf()));
                assert!(!left.covers(right.first_leaf()));
            }
        }
    }
}
