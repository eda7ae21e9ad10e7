use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{closed_enum, wire_struct};
use crate::{
    CipherSuite, Decode, DecodeError, Encode, Extensions, GroupId, KeyPackage, LeafIndex, LeafNode, Opaque,
    ProposalType, ProtocolVersion, Reader,
};

/// A change to the group (RFC 9420 §12.1).
///
/// The large variants are boxed, so that a list of many small proposals takes little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Adds a client (§12.1.1).
    Add {
        /// Its key package.
        key_package: Box<KeyPackage>,
    },
    /// Replaces the sender's leaf (§12.1.2).
    Update {
        /// The new leaf.
        leaf_node: Box<LeafNode>,
    },
    /// Removes a member (§12.1.3).
    Remove {
        /// Its leaf.
        removed: LeafIndex,
    },
    /// Mixes a pre-shared key into the key schedule (§12.1.4).
    PreSharedKey {
        /// Which one.
        psk: PreSharedKeyId,
    },
    /// Ends the group in favour of another (§12.1.5).
    ReInit(ReInit),
    /// The KEM output of an external joiner (§12.1.6).
    ExternalInit {
        /// Encapsulated to the group's `external_pub`.
        kem_output: Opaque,
    },
    /// Replaces all extensions of the GroupContext (§12.1.7).
    GroupContextExtensions {
        /// The new list.
        extensions: Extensions,
    },
    /// Takes its sender out of the group (draft-ietf-mls-extensions, SelfRemove Proposal). It is an
    /// empty struct: the leaf is that of the sender.
    SelfRemove,
    /// A type that is not named above: an application's own or an unknown one (§13.2). The
    /// RFC gives it no length, so inside a commit nobody can read past one that they do not know;
    /// here it is read and written as one `opaque<V>`, as other implementations do. Whoever
    /// processes it must refuse every type that the group has not negotiated.
    Custom {
        /// Its code point.
        proposal_type: ProposalType,
        /// The content of its vector.
        body: Opaque,
    },
}

impl Proposal {
    /// The code point.
    pub fn proposal_type(&self) -> ProposalType {
        match self {
            Self::Add { .. } => ProposalType::ADD,
            Self::Update { .. } => ProposalType::UPDATE,
            Self::Remove { .. } => ProposalType::REMOVE,
            Self::PreSharedKey { .. } => ProposalType::PSK,
            Self::ReInit(_) => ProposalType::REINIT,
            Self::ExternalInit { .. } => ProposalType::EXTERNAL_INIT,
            Self::GroupContextExtensions { .. } => ProposalType::GROUP_CONTEXT_EXTENSIONS,
            Self::SelfRemove => ProposalType::SELF_REMOVE,
            Self::Custom { proposal_type, .. } => *proposal_type,
        }
    }
}

impl Encode for Proposal {
    fn encode(&self, out: &mut Vec<u8>) {
        self.proposal_type().encode(out);
        match self {
            Self::Add { key_package } => key_package.encode(out),
            Self::Update { leaf_node } => leaf_node.encode(out),
            Self::Remove { removed } => removed.encode(out),
            Self::PreSharedKey { psk } => psk.encode(out),
            Self::ReInit(reinit) => reinit.encode(out),
            Self::ExternalInit { kem_output } => kem_output.encode(out),
            Self::GroupContextExtensions { extensions } => extensions.encode(out),
            Self::SelfRemove => {}
            Self::Custom { body, .. } => body.encode(out),
        }
    }
}

impl<'a> Decode<'a> for Proposal {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let proposal_type = reader.selector::<u16>("Proposal.proposal_type")?;
        Ok(match ProposalType(proposal_type.value) {
            ProposalType(0) => return Err(proposal_type.unknown()),
            ProposalType::ADD => Self::Add { key_package: reader.read("Add.key_package")? },
            ProposalType::UPDATE => Self::Update { leaf_node: reader.read("Update.leaf_node")? },
            ProposalType::REMOVE => Self::Remove { removed: reader.read("Remove.removed")? },
            ProposalType::PSK => Self::PreSharedKey { psk: reader.read("PreSharedKey.psk")? },
            ProposalType::REINIT => Self::ReInit(reader.read("Proposal.reinit")?),
            ProposalType::EXTERNAL_INIT => Self::ExternalInit { kem_output: reader.read("ExternalInit.kem_output")? },
            ProposalType::GROUP_CONTEXT_EXTENSIONS => {
                Self::GroupContextExtensions { extensions: reader.read("GroupContextExtensions.extensions")? }
            }
            ProposalType::SELF_REMOVE => Self::SelfRemove,
            proposal_type => Self::Custom { proposal_type, body: reader.read("Proposal.body")? },
        })
    }
}

wire_struct! {
    /// What the successor of a reinitialised group must be (§12.1.5).
    pub struct ReInit {
        /// Its group id.
        pub group_id: GroupId,
        /// Its protocol version.
        pub version: ProtocolVersion,
        /// Its cipher suite.
        pub cipher_suite: CipherSuite,
        /// Its extensions.
        pub extensions: Extensions,
    }
}

closed_enum! {
    /// What a resumption PSK is used for (§8.4).
    pub enum ResumptionPskUsage {
        /// Any use inside a group.
        Application = 1,
        /// The first epoch of a reinitialised group (§11.2).
        ReInit = 2,
        /// The first epoch of a branch (§11.3).
        Branch = 3,
    }
}

/// Which pre-shared key is meant, without the nonce (§8.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Psk {
    /// A key that the application supplies under an identifier.
    External {
        /// The identifier.
        psk_id: Opaque,
    },
    /// The resumption PSK of an epoch of a group.
    Resumption {
        /// What for.
        usage: ResumptionPskUsage,
        /// The group.
        psk_group_id: GroupId,
        /// The epoch.
        psk_epoch: u64,
    },
}

impl Encode for Psk {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::External { psk_id } => {
                out.push(1);
                psk_id.encode(out);
            }
            Self::Resumption { usage, psk_group_id, psk_epoch } => {
                out.push(2);
                usage.encode(out);
                psk_group_id.encode(out);
                psk_epoch.encode(out);
            }
        }
    }
}

impl Decode<'_> for Psk {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let psktype = reader.selector::<u8>("PreSharedKeyID.psktype")?;
        match psktype.value {
            1 => Ok(Self::External { psk_id: reader.read("PreSharedKeyID.psk_id")? }),
            2 => Ok(Self::Resumption {
                usage: reader.read("PreSharedKeyID.usage")?,
                psk_group_id: reader.read("PreSharedKeyID.psk_group_id")?,
                psk_epoch: reader.read("PreSharedKeyID.psk_epoch")?,
            }),
            _ => Err(psktype.unknown()),
        }
    }
}

wire_struct! {
    /// A pre-shared key together with the nonce of its use (§8.4).
    #[derive(PartialOrd, Ord, Hash)]
    pub struct PreSharedKeyId {
        /// Which key.
        pub psk: Psk,
        /// Fresh for each use; as long as the suite's KDF output when valid.
        pub psk_nonce: Opaque,
    }
}
