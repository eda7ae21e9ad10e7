//! What a member does: GroupInfo, secrets, application data, commits.

use super::{ProposalDescription, hide};

/// Asks for a GroupInfo.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GroupInfoRequest {
    /// The member.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// Whether the tree travels apart.
    #[prost(bool, tag = "2")]
    pub external_tree: bool,
}

/// A GroupInfo that lets external joiners in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupInfoResponse {
    /// The GroupInfo.
    #[prost(bytes = "vec", tag = "1")]
    pub group_info: Vec<u8>,
    /// The tree, if it travels apart.
    #[prost(bytes = "vec", tag = "2")]
    pub ratchet_tree: Vec<u8>,
}

/// Asks for the epoch authenticator.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct StateAuthRequest {
    /// The member.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
}

/// The epoch authenticator.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct StateAuthResponse {
    /// The epoch authenticator.
    #[prost(bytes = "vec", tag = "1")]
    pub state_auth_secret: Vec<u8>,
}

/// Asks for an exported secret.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportRequest {
    /// The member.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The label.
    #[prost(string, tag = "2")]
    pub label: String,
    /// The context.
    #[prost(bytes = "vec", tag = "3")]
    pub context: Vec<u8>,
    /// Length in bytes.
    #[prost(uint32, tag = "4")]
    pub key_length: u32,
}

/// An exported secret.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ExportResponse {
    /// The secret.
    #[prost(bytes = "vec", tag = "1")]
    pub exported_secret: Vec<u8>,
}

/// Encrypts application data.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProtectRequest {
    /// The sender.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// Travels in the clear.
    #[prost(bytes = "vec", tag = "2")]
    pub authenticated_data: Vec<u8>,
    /// Is encrypted.
    #[prost(bytes = "vec", tag = "3")]
    pub plaintext: Vec<u8>,
}

/// An application message.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProtectResponse {
    /// The message.
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
}

/// Decrypts an application message.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnprotectRequest {
    /// The reader.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The message.
    #[prost(bytes = "vec", tag = "2")]
    pub ciphertext: Vec<u8>,
}

/// What an application message said.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnprotectResponse {
    /// Travelled in the clear.
    #[prost(bytes = "vec", tag = "1")]
    pub authenticated_data: Vec<u8>,
    /// Was encrypted.
    #[prost(bytes = "vec", tag = "2")]
    pub plaintext: Vec<u8>,
}

/// Makes a commit, which takes effect later.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommitRequest {
    /// The committer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The proposals that it names, all senders' alike.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub by_reference: Vec<Vec<u8>>,
    /// The proposals that it carries.
    #[prost(message, repeated, tag = "3")]
    pub by_value: Vec<ProposalDescription>,
    /// Whether it must have a path.
    #[prost(bool, tag = "4")]
    pub force_path: bool,
    /// Whether the tree stays out of the Welcome.
    #[prost(bool, tag = "5")]
    pub external_tree: bool,
}

/// A commit has been made.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommitResponse {
    /// The commit.
    #[prost(bytes = "vec", tag = "1")]
    pub commit: Vec<u8>,
    /// The Welcome, if somebody was added.
    #[prost(bytes = "vec", tag = "2")]
    pub welcome: Vec<u8>,
    /// The tree of the new epoch, if it travels apart.
    #[prost(bytes = "vec", tag = "3")]
    pub ratchet_tree: Vec<u8>,
}

/// Applies the commit of another.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HandleCommitRequest {
    /// The reader.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// All proposals that the commit names, the reader's own too.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub proposal: Vec<Vec<u8>>,
    /// The commit.
    #[prost(bytes = "vec", tag = "3")]
    pub commit: Vec<u8>,
}

/// A commit has been applied.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HandleCommitResponse {
    /// The id to use from now on.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// To be compared with the others'; empty for a member that was removed.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_authenticator: Vec<u8>,
}

/// Applies the own commit.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct HandlePendingCommitRequest {
    /// The committer.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
}

hide!(ExportResponse, HandleCommitResponse, StateAuthResponse);
