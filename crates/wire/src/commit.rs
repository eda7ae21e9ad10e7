use alloc::vec::Vec;

use crate::codec::wire_struct;
use crate::{Decode, DecodeError, Encode, HpkePublicKey, LeafNode, Opaque, Proposal, ProposalRef, Reader};

/// A proposal inside a commit, by value or by reference (RFC 9420 §12.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalOrRef {
    /// The proposal itself; the committer is its sender.
    Proposal(Proposal),
    /// The reference of a proposal that was sent before.
    Reference(ProposalRef),
}

impl Encode for ProposalOrRef {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Proposal(proposal) => {
                out.push(1);
                proposal.encode(out);
            }
            Self::Reference(reference) => {
                out.push(2);
                reference.encode(out);
            }
        }
    }
}

impl<'a> Decode<'a> for ProposalOrRef {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let selector = reader.selector::<u8>("ProposalOrRef.type")?;
        match selector.value {
            1 => Ok(Self::Proposal(reader.read("ProposalOrRef.proposal")?)),
            2 => Ok(Self::Reference(reader.read("ProposalOrRef.reference")?)),
            _ => Err(selector.unknown()),
        }
    }
}

wire_struct! {
    /// A list of proposals that takes effect, with fresh keys for the committer's path (§12.4).
    pub struct Commit {
        /// The proposals, in order.
        pub proposals: Vec<ProposalOrRef>,
        /// The new keys; absent only where every proposal allows it.
        pub path: Option<UpdatePath>,
    }
}

wire_struct! {
    /// The committer's new leaf and the new keys above it (§7.6).
    pub struct UpdatePath {
        /// The new leaf.
        pub leaf_node: LeafNode,
        /// One entry per node of the filtered direct path, from the leaf towards the root.
        pub nodes: Vec<UpdatePathNode>,
    }
}

wire_struct! {
    /// A new parent key and its path secret, encrypted to the resolution of the copath node (§7.6).
    pub struct UpdatePathNode {
        /// The new public key.
        pub encryption_key: HpkePublicKey,
        /// One ciphertext per node of the resolution, leaves added in the same commit excluded.
        pub encrypted_path_secret: Vec<HpkeCiphertext>,
    }
}

wire_struct! {
    /// An HPKE encryption (§5.1.3).
    pub struct HpkeCiphertext {
        /// Encapsulated key.
        pub kem_output: Opaque,
        /// Sealed message.
        pub ciphertext: Opaque,
    }
}
