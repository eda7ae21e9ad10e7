use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::wire_struct;
use crate::{
    Decode, DecodeError, DecodeErrorKind, Encode, HpkePublicKey, LeafIndex, LeafNode, LeafNodeRef, Limits, Opaque,
    Reader,
};

wire_struct! {
    /// An inner node of the ratchet tree (RFC 9420 §7.1).
    pub struct ParentNode {
        /// HPKE public key.
        pub encryption_key: HpkePublicKey,
        /// Parent hash of the node (§7.9); empty at the root.
        pub parent_hash: Opaque,
        /// Leaves below that do not know the node's secret, in increasing order when valid.
        pub unmerged_leaves: Vec<LeafIndex>,
    }
}

/// A node of the tree that is not blank (§12.4.3.3).
///
/// Boxed, so that a list of many blanks takes little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A leaf, at an even index.
    Leaf(Box<LeafNode>),
    /// A parent, at an odd index.
    Parent(Box<ParentNode>),
}

const LEAF: u8 = 1;
const PARENT: u8 = 2;

impl Encode for Node {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Leaf(leaf) => {
                out.push(LEAF);
                leaf.encode(out);
            }
            Self::Parent(parent) => {
                out.push(PARENT);
                parent.encode(out);
            }
        }
    }
}

impl<'a> Decode<'a> for Node {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        NodeRef::decode(reader)?.to_owned()
    }
}

/// The content of a `ratchet_tree` extension: the nodes of the tree in order (§12.4.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatchetTree {
    /// Node i of the array representation; blank is `None`.
    pub nodes: Vec<Option<Node>>,
}

impl Encode for RatchetTree {
    fn encode(&self, out: &mut Vec<u8>) {
        self.nodes.encode(out);
    }
}

impl<'a> Decode<'a> for RatchetTree {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut nodes = Vec::new();
        for node in RatchetTreeNodes::decode(reader)? {
            nodes.push(node?.map(|node| node.to_owned()).transpose()?);
        }
        Ok(Self { nodes })
    }
}

/// A parent node read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentNodeRef<'a> {
    /// HPKE public key.
    pub encryption_key: &'a [u8],
    /// Parent hash.
    pub parent_hash: &'a [u8],
    unmerged_leaves: &'a [u8],
}

impl<'a> ParentNodeRef<'a> {
    /// The unmerged leaves, in the order sent.
    pub fn unmerged_leaves(&self) -> impl ExactSizeIterator<Item = LeafIndex> + 'a {
        self.unmerged_leaves.as_chunks::<4>().0.iter().map(|bytes| LeafIndex(u32::from_be_bytes(*bytes)))
    }

    /// The same node as an owned struct.
    pub fn to_owned(&self) -> ParentNode {
        ParentNode {
            encryption_key: self.encryption_key.into(),
            parent_hash: self.parent_hash.into(),
            unmerged_leaves: self.unmerged_leaves().collect(),
        }
    }
}

impl<'a> Decode<'a> for ParentNodeRef<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let encryption_key = reader.read_field("ParentNode.encryption_key")?;
        let parent_hash = reader.read_field("ParentNode.parent_hash")?;
        let list = reader.vector().map_err(|e| e.inside("ParentNode.unmerged_leaves"))?;
        let over = list.rest().len() % 4;
        if over != 0 {
            let at = list.offset() + list.rest().len() - over;
            let error = DecodeError::new(at, DecodeErrorKind::EndOfInput { needed: 4, left: over });
            return Err(error.inside("ParentNode.unmerged_leaves"));
        }
        Ok(Self { encryption_key, parent_hash, unmerged_leaves: list.rest() })
    }
}

/// A node read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRef<'a> {
    /// A leaf.
    Leaf(LeafNodeRef<'a>),
    /// A parent.
    Parent(ParentNodeRef<'a>),
}

impl NodeRef<'_> {
    /// The same node as an owned value.
    ///
    /// # Errors
    /// None for a value that was decoded: its parts have been checked.
    pub fn to_owned(&self) -> Result<Node, DecodeError> {
        Ok(match self {
            Self::Leaf(leaf) => Node::Leaf(Box::new(leaf.to_owned()?)),
            Self::Parent(parent) => Node::Parent(Box::new(parent.to_owned())),
        })
    }
}

impl<'a> Decode<'a> for NodeRef<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let node_type = reader.selector::<u8>("Node.node_type")?;
        match node_type.value {
            LEAF => Ok(Self::Leaf(reader.read("Node.leaf_node")?)),
            PARENT => Ok(Self::Parent(reader.read("Node.parent_node")?)),
            _ => Err(node_type.unknown()),
        }
    }
}

/// Reads the nodes of an encoded [`RatchetTree`] one by one, in place.
///
/// Each item is node i of the array representation; a leaf at an odd index or a parent at an even
/// one is an error (§12.4.3.3). After an error the iterator ends.
#[derive(Clone, Debug)]
pub struct RatchetTreeNodes<'a> {
    content: Reader<'a>,
    index: usize,
}

impl<'a> RatchetTreeNodes<'a> {
    /// Starts at the first node of an encoded ratchet tree that takes up the whole input.
    ///
    /// # Errors
    /// The outer vector is malformed or bytes follow it.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes, limits)
    }

    fn read_node(&mut self) -> Result<Option<NodeRef<'a>>, DecodeError> {
        let at = self.content.offset();
        let node = self.content.read("RatchetTree.nodes")?;
        let even = self.index.is_multiple_of(2);
        let in_place = match &node {
            None => true,
            Some(NodeRef::Leaf(_)) => even,
            Some(NodeRef::Parent(_)) => !even,
        };
        if !in_place {
            return Err(DecodeError::new(at, DecodeErrorKind::NodeTypeAtWrongParity).inside("RatchetTree.nodes"));
        }
        self.index += 1;
        Ok(node)
    }
}

impl<'a> Decode<'a> for RatchetTreeNodes<'a> {
    /// Reads past the whole tree; its nodes are decoded by the iterator.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let content = reader.vector().map_err(|e| e.inside("RatchetTree.nodes"))?;
        Ok(Self { content, index: 0 })
    }
}

impl<'a> Iterator for RatchetTreeNodes<'a> {
    type Item = Result<Option<NodeRef<'a>>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.content.is_empty() {
            return None;
        }
        let node = self.read_node();
        if node.is_err() {
            self.content = Reader::new(&[], *self.content.limits());
        }
        Some(node)
    }
}
