//! Proposals of members.

use super::Extension;

/// Proposes to add a client.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The client's key package.
    #[prost(bytes = "vec", tag = "2")]
    pub key_package: Vec<u8>,
}

/// Proposes a new key for the proposer's leaf.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct UpdateProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
}

/// Proposes to remove a member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The member's identity.
    #[prost(bytes = "vec", tag = "2")]
    pub removed_id: Vec<u8>,
}

/// Proposes to mix in an external PSK.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExternalPskProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The PSK's name.
    #[prost(bytes = "vec", tag = "2")]
    pub psk_id: Vec<u8>,
}

/// Proposes to mix in the resumption PSK of an epoch of this group.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ResumptionPskProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The epoch.
    #[prost(uint64, tag = "2")]
    pub epoch_id: u64,
}

/// Proposes another list of extensions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupContextExtensionsProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The whole new list.
    #[prost(message, repeated, tag = "2")]
    pub extensions: Vec<Extension>,
}

/// Proposes to trust an external signer with proposals.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddExternalSignerRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The ExternalSender struct.
    #[prost(bytes = "vec", tag = "2")]
    pub external_sender: Vec<u8>,
}

/// Proposes to end the group in favour of another.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReInitProposalRequest {
    /// The proposer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// Code point of the other group's cipher suite.
    #[prost(uint32, tag = "2")]
    pub cipher_suite: u32,
    /// The other group's id.
    #[prost(bytes = "vec", tag = "3")]
    pub group_id: Vec<u8>,
    /// The other group's extensions.
    #[prost(message, repeated, tag = "4")]
    pub extensions: Vec<Extension>,
}

/// A proposal has been made.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProposalResponse {
    /// The proposal.
    #[prost(bytes = "vec", tag = "1")]
    pub proposal: Vec<u8>,
}

/// A proposal in words: for a commit by value, and for external signers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProposalDescription {
    /// `add`, `remove`, `externalPSK`, `resumptionPSK`, `groupContextExtensions` or `reinit`.
    #[prost(bytes = "vec", tag = "1")]
    pub proposal_type: Vec<u8>,
    /// For `add`: the key package.
    #[prost(bytes = "vec", tag = "2")]
    pub key_package: Vec<u8>,
    /// For `remove`: the member's identity.
    #[prost(bytes = "vec", tag = "3")]
    pub removed_id: Vec<u8>,
    /// For `externalPSK`: the PSK's name.
    #[prost(bytes = "vec", tag = "4")]
    pub psk_id: Vec<u8>,
    /// For `resumptionPSK`: the epoch.
    #[prost(uint64, tag = "5")]
    pub epoch_id: u64,
    /// For `groupContextExtensions` and `reinit`.
    #[prost(message, repeated, tag = "6")]
    pub extensions: Vec<Extension>,
    /// For `reinit`: the other group's id.
    #[prost(bytes = "vec", tag = "7")]
    pub group_id: Vec<u8>,
    /// For `reinit`: code point of the other group's cipher suite.
    #[prost(uint32, tag = "8")]
    pub cipher_suite: u32,
}
