//! The outside of a framed message: what a Delivery Service may read of any message.

use keyroom_api::EntryKind;
use keyroom_wire::{Content, ContentType, Decode, Limits, MlsMessage, Sender};

use crate::Invalid;

/// The part of a message that orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) group_id: Vec<u8>,
    pub(crate) epoch: u64,
    pub(crate) kind: EntryKind,
    pub(crate) wrapping: Wrapping,
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

/// Refuses an epoch that has no next one within 2^63 − 1, the highest that is kept.
pub(crate) fn checked_epoch(epoch: u64) -> Result<(), Invalid> {
    if epoch < i64::MAX.unsigned_abs() { Ok(()) } else { Err(Invalid::EpochTooHigh) }
}
