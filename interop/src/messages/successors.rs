//! Reinitialisation and branching.

use super::{Extension, hide};

/// A commit has been applied that ends the group.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HandleReInitCommitResponse {
    /// The group that ended, waiting for its successor.
    #[prost(uint32, tag = "1")]
    pub reinit_id: u32,
    /// The member's key package for the successor.
    #[prost(bytes = "vec", tag = "2")]
    pub key_package: Vec<u8>,
    /// That of the last epoch, to be compared with the others'.
    #[prost(bytes = "vec", tag = "3")]
    pub epoch_authenticator: Vec<u8>,
}

/// Founds the successor of a group that ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReInitWelcomeRequest {
    /// The group that ended.
    #[prost(uint32, tag = "1")]
    pub reinit_id: u32,
    /// Key packages of all other members.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub key_package: Vec<Vec<u8>>,
    /// Whether the first commit must have a path.
    #[prost(bool, tag = "3")]
    pub force_path: bool,
    /// Whether the tree stays out of the Welcome.
    #[prost(bool, tag = "4")]
    pub external_tree: bool,
}

/// Joins the successor of a group that ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HandleReInitWelcomeRequest {
    /// The group that ended.
    #[prost(uint32, tag = "1")]
    pub reinit_id: u32,
    /// The Welcome.
    #[prost(bytes = "vec", tag = "2")]
    pub welcome: Vec<u8>,
    /// The tree, if the Welcome does not carry it.
    #[prost(bytes = "vec", tag = "3")]
    pub ratchet_tree: Vec<u8>,
}

/// Founds a group beside another, with some of its members.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateBranchRequest {
    /// The founder in the old group.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The new group's id.
    #[prost(bytes = "vec", tag = "2")]
    pub group_id: Vec<u8>,
    /// The new group's extensions.
    #[prost(message, repeated, tag = "3")]
    pub extensions: Vec<Extension>,
    /// Key packages of the other members.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub key_packages: Vec<Vec<u8>>,
    /// Whether the first commit must have a path.
    #[prost(bool, tag = "5")]
    pub force_path: bool,
    /// Whether the tree stays out of the Welcome.
    #[prost(bool, tag = "6")]
    pub external_tree: bool,
}

/// A successor or a branch has been founded.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct CreateSubgroupResponse {
    /// The founder's state in the new group.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The Welcome for the others.
    #[prost(bytes = "vec", tag = "2")]
    pub welcome: Vec<u8>,
    /// The tree, if it travels apart.
    #[prost(bytes = "vec", tag = "3")]
    pub ratchet_tree: Vec<u8>,
    /// That of epoch 1, to be compared with the others'.
    #[prost(bytes = "vec", tag = "4")]
    pub epoch_authenticator: Vec<u8>,
}

/// Joins a branch.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HandleBranchRequest {
    /// The joiner in the old group.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// The pending join.
    #[prost(uint32, tag = "2")]
    pub transaction_id: u32,
    /// The Welcome.
    #[prost(bytes = "vec", tag = "3")]
    pub welcome: Vec<u8>,
    /// The tree, if the Welcome does not carry it.
    #[prost(bytes = "vec", tag = "4")]
    pub ratchet_tree: Vec<u8>,
}

/// A branch has been joined.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HandleBranchResponse {
    /// The joiner's state in the new group.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
    /// To be compared with the others'.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_authenticator: Vec<u8>,
}

hide!(CreateSubgroupResponse, HandleBranchResponse, HandleReInitCommitResponse);
