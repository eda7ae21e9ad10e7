//! Ways to become a member, and the outsiders who propose (§10, §12.1.8, §12.4.3 of the RFC).

use super::{ProposalDescription, hide};

/// Founds a group of one member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateGroupRequest {
    /// The id of the group.
    #[prost(bytes = "vec", tag = "1")]
    pub group_id: Vec<u8>,
    /// Code point of the cipher suite.
    #[prost(uint32, tag = "2")]
    pub cipher_suite: u32,
    /// Whether the founder's handshake messages are private ones.
    #[prost(bool, tag = "3")]
    pub encrypt_handshake: bool,
    /// The founder.
    #[prost(bytes = "vec", tag = "4")]
    pub identity: Vec<u8>,
}

/// A group has been founded.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct CreateGroupResponse {
    /// The founder's state.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
}

/// Makes a key package.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateKeyPackageRequest {
    /// Code point of the cipher suite.
    #[prost(uint32, tag = "1")]
    pub cipher_suite: u32,
    /// The client.
    #[prost(bytes = "vec", tag = "2")]
    pub identity: Vec<u8>,
}

/// A key package has been made.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct CreateKeyPackageResponse {
    /// The pending join.
    #[prost(uint32, tag = "1")]
    pub transaction_id: u32,
    /// The key package.
    #[prost(bytes = "vec", tag = "2")]
    pub key_package: Vec<u8>,
    /// Opens the Welcome.
    #[prost(bytes = "vec", tag = "3")]
    pub init_priv: Vec<u8>,
    /// The private key of the leaf.
    #[prost(bytes = "vec", tag = "4")]
    pub encryption_priv: Vec<u8>,
    /// The private signature key.
    #[prost(bytes = "vec", tag = "5")]
    pub signature_priv: Vec<u8>,
}

/// Joins by Welcome.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JoinGroupRequest {
    /// The pending join.
    #[prost(uint32, tag = "1")]
    pub transaction_id: u32,
    /// The Welcome.
    #[prost(bytes = "vec", tag = "2")]
    pub welcome: Vec<u8>,
    /// Whether the joiner's handshake messages are private ones.
    #[prost(bool, tag = "3")]
    pub encrypt_handshake: bool,
    /// The joiner.
    #[prost(bytes = "vec", tag = "4")]
    pub identity: Vec<u8>,
    /// The tree, if the Welcome does not carry it.
    #[prost(bytes = "vec", tag = "5")]
    pub ratchet_tree: Vec<u8>,
}

/// A group has been joined.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct JoinGroupResponse {
    /// The joiner's state.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// To be compared with the others'.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_authenticator: Vec<u8>,
}

/// A PSK with its name.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct PreSharedKey {
    /// Its name.
    #[prost(bytes = "vec", tag = "1")]
    pub psk_id: Vec<u8>,
    /// The key.
    #[prost(bytes = "vec", tag = "2")]
    pub psk_secret: Vec<u8>,
}

/// Joins by external commit.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExternalJoinRequest {
    /// The GroupInfo.
    #[prost(bytes = "vec", tag = "1")]
    pub group_info: Vec<u8>,
    /// The tree, if the GroupInfo does not carry it.
    #[prost(bytes = "vec", tag = "2")]
    pub ratchet_tree: Vec<u8>,
    /// Whether the joiner's later handshake messages are private ones.
    #[prost(bool, tag = "3")]
    pub encrypt_handshake: bool,
    /// The joiner.
    #[prost(bytes = "vec", tag = "4")]
    pub identity: Vec<u8>,
    /// Whether the leaf with the same identity goes.
    #[prost(bool, tag = "5")]
    pub remove_prior: bool,
    /// PSKs that the commit mixes in.
    #[prost(message, repeated, tag = "6")]
    pub psks: Vec<PreSharedKey>,
}

/// A group has been joined by external commit.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ExternalJoinResponse {
    /// The joiner's state, in the new epoch.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The commit.
    #[prost(bytes = "vec", tag = "2")]
    pub commit: Vec<u8>,
    /// To be compared with the others'.
    #[prost(bytes = "vec", tag = "3")]
    pub epoch_authenticator: Vec<u8>,
}

/// Gives an actor an external PSK.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct StorePskRequest {
    /// The member or the pending join.
    #[prost(uint32, tag = "1")]
    pub state_or_transaction_id: u32,
    /// The PSK's name.
    #[prost(bytes = "vec", tag = "2")]
    pub psk_id: Vec<u8>,
    /// The PSK.
    #[prost(bytes = "vec", tag = "3")]
    pub psk_secret: Vec<u8>,
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct StorePskResponse {}

/// Makes the proposal of a client that asks to be added.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NewMemberAddProposalRequest {
    /// The GroupInfo.
    #[prost(bytes = "vec", tag = "1")]
    pub group_info: Vec<u8>,
    /// The client.
    #[prost(bytes = "vec", tag = "2")]
    pub identity: Vec<u8>,
}

/// A client has asked to be added.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct NewMemberAddProposalResponse {
    /// The pending join.
    #[prost(uint32, tag = "1")]
    pub transaction_id: u32,
    /// The proposal.
    #[prost(bytes = "vec", tag = "2")]
    pub proposal: Vec<u8>,
    /// Opens the Welcome.
    #[prost(bytes = "vec", tag = "3")]
    pub init_priv: Vec<u8>,
    /// The private key of the leaf.
    #[prost(bytes = "vec", tag = "4")]
    pub encryption_priv: Vec<u8>,
    /// The private signature key.
    #[prost(bytes = "vec", tag = "5")]
    pub signature_priv: Vec<u8>,
}

/// Makes an external signer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateExternalSignerRequest {
    /// Code point of the cipher suite.
    #[prost(uint32, tag = "1")]
    pub cipher_suite: u32,
    /// The signer.
    #[prost(bytes = "vec", tag = "2")]
    pub identity: Vec<u8>,
}

/// An external signer has been made.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateExternalSignerResponse {
    /// The signer.
    #[prost(uint32, tag = "1")]
    pub signer_id: u32,
    /// Its ExternalSender struct.
    #[prost(bytes = "vec", tag = "2")]
    pub external_sender: Vec<u8>,
}

/// Makes a proposal of an external signer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExternalSignerProposalRequest {
    /// The signer.
    #[prost(uint32, tag = "1")]
    pub signer_id: u32,
    /// Its place among the group's external senders; runners leave it 0, so the key decides.
    #[prost(uint32, tag = "2")]
    pub signer_index: u32,
    /// The GroupInfo.
    #[prost(bytes = "vec", tag = "3")]
    pub group_info: Vec<u8>,
    /// The tree, if the GroupInfo does not carry it.
    #[prost(bytes = "vec", tag = "4")]
    pub ratchet_tree: Vec<u8>,
    /// What is proposed.
    #[prost(message, optional, tag = "5")]
    pub description: Option<ProposalDescription>,
}

hide!(
    CreateKeyPackageResponse,
    ExternalJoinResponse,
    JoinGroupResponse,
    NewMemberAddProposalResponse,
    PreSharedKey,
    StorePskRequest
);
