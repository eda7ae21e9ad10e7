//! The outside of a framed message: what a Delivery Service may read of any message.

use std::collections::BTreeSet;

use keyroom_api::EntryKind;
use keyroom_wire::{Content, ContentType, Decode, LeafIndex, Limits, MlsMessage, Proposal, PublicMessage, Sender};

use crate::Invalid;

/// The part of a message that orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) group_id: Vec<u8>,
    pub(crate) epoch: u64,
    pub(crate) kind: EntryKind,
    pub(crate) wrapping: Wrapping,
    /// The leaf of a member that takes itself out.
    pub(crate) leaving: Option<LeafIndex>,
    pub(crate) author: Author,
}

/// Who says that it sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// A member; of a private message nobody else can be.
    Member,
    /// Somebody who wants to be one.
    NewMember,
    /// Somebody whom the group lets propose.
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Public,
    Private,
}

impl Framed {
    pub(crate) fn read(message: &[u8], limits: &Limits) -> Result<Self, Invalid> {
        let framed = match MlsMessage::from_bytes(message, limits).map_err(|_| Invalid::Malformed)? {
            MlsMessage::PublicMessage(message) => Self {
                leaving: leaving(&message),
                group_id: message.content.group_id.into_vec(),
                epoch: message.content.epoch,
                kind: match message.content.content {
                    Content::Application(_) => {
                        return Err(Invalid::Rule { code: "application-in-public-message", section: "6" });
                    }
                    Content::Proposal(_) => EntryKind::Proposal,
                    Content::Commit(_) => EntryKind::Commit,
                },
                wrapping: Wrapping::Public,
                author: match message.content.sender {
                    Sender::Member(_) => Author::Member,
                    Sender::NewMemberProposal | Sender::NewMemberCommit => Author::NewMember,
                    Sender::External(_) => Author::External,
                },
            },
            MlsMessage::PrivateMessage(message) => Self {
                leaving: None,
                group_id: message.group_id.into_vec(),
                epoch: message.epoch,
                kind: match message.content_type {
                    ContentType::Application => EntryKind::Application,
                    ContentType::Proposal => EntryKind::Proposal,
                    ContentType::Commit => EntryKind::Commit,
                },
                wrapping: Wrapping::Private,
                author: Author::Member,
            },
            MlsMessage::Welcome(_) | MlsMessage::GroupInfo(_) | MlsMessage::KeyPackage(_) => {
                return Err(Invalid::WrongKind);
            }
        };
        checked_epoch(framed.epoch)?;
        Ok(framed)
    }
}

fn leaving(message: &PublicMessage) -> Option<LeafIndex> {
    match (&message.content.content, message.content.sender) {
        (Content::Proposal(Proposal::SelfRemove), Sender::Member(leaf_index)) => Some(leaf_index),
        _ => None,
    }
}

/// The SelfRemoves among the proposals of an epoch, the first of each member: two that come at the same
/// moment are both in the log, and members take the first.
pub(crate) fn self_removes(proposals: Vec<Vec<u8>>, limits: &Limits) -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let mut first =
        |message: &[u8]| Framed::read(message, limits).ok()?.leaving.map(|leaf_index| seen.insert(leaf_index));
    proposals.into_iter().filter(|message| first(message) == Some(true)).collect()
}

/// Refuses an epoch that has no next one within 2^63 − 1, the highest that is kept.
pub(crate) fn checked_epoch(epoch: u64) -> Result<(), Invalid> {
    if epoch < i64::MAX.unsigned_abs() { Ok(()) } else { Err(Invalid::EpochTooHigh) }
}
