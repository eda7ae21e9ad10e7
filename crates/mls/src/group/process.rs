//! Reading messages (RFC 9420 §6, §12.4.2).
//!
//! A message that fails leaves the group as it was, to the byte. One that succeeds and spends a key
//! comes with a change set, to be stored before its content is shown.

use alloc::vec::Vec;
use core::fmt;

use keyroom_wire::{
    AuthenticatedContent, Content, ContentType, Decode, FramedContent, LeafIndex, MlsMessage, PrivateMessage, Proposal,
    PublicMessage, Sender, SenderData, WireFormat,
};

use super::pending::PendingId;
use super::propose::{Kept, PendingProposal};
use super::stage::StagedCommit;
use super::{Group, Status};
use crate::config::Inputs;
use crate::error::{Error, NotYet, Refusal, Rule, Usage};
use crate::framing::VerifiedContent;
use crate::identity::Member;
use crate::private_message;
use crate::public_message;
use crate::record::ChangeSet;
use crate::secret_tree::{Puncture, RatchetType, SecretTree};
use crate::tree::Leaf;

/// What a message was. Its `Debug` form shows no plaintext.
#[non_exhaustive]
pub enum Received {
    /// Application data from a member.
    Application {
        /// The sender, as its leaf was in the message's epoch.
        sender: Member,
        /// The epoch in which it was sent.
        epoch: u64,
        /// Its number among the sender's application messages of that epoch, for gaps (§9.1).
        generation: u32,
        /// The plaintext.
        data: Vec<u8>,
        /// What the message authenticates without encrypting it.
        authenticated_data: Vec<u8>,
    },
    /// A proposal, now kept for a commit.
    Proposal(PendingProposal),
    /// A commit, to be judged and applied.
    Commit(StagedCommit),
    /// An own commit that came back: apply the value that [`Group::commit`] gave, or find it again
    /// with [`Group::pending_commit`].
    OwnCommit(PendingId),
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { sender, epoch, generation, data, .. } => f
                .debug_struct("Application")
                .field("sender", sender)
                .field("epoch", epoch)
                .field("generation", generation)
                .field("bytes", &data.len())
                .finish_non_exhaustive(),
            Self::Proposal(proposal) => f.debug_tuple("Proposal").field(proposal).finish(),
            Self::Commit(staged) => f.debug_tuple("Commit").field(staged).finish(),
            Self::OwnCommit(id) => f.debug_tuple("OwnCommit").field(id).finish(),
        }
    }
}

/// A message that has been read.
#[derive(Debug)]
pub struct Processed {
    /// What it was.
    pub received: Received,
    /// What changed; `None` if nothing did, as for a commit that is only staged.
    pub changes: Option<ChangeSet>,
}

impl Group {
    /// Reads one message of this group, an encoded MLSMessage.
    ///
    /// # Errors
    /// [`Error`] says who is at fault and whether trying again can help; the group is unchanged.
    pub fn process(&mut self, message: &[u8], inputs: &Inputs<'_>) -> Result<Processed, Error> {
        if self.status == Status::Removed {
            return Err(Usage::NotMember.into());
        }
        if let Some(id) = self.pending.find(message) {
            return Ok(Processed { received: Received::OwnCommit(id), changes: None });
        }
        match MlsMessage::from_bytes(message, &self.config.limits)? {
            MlsMessage::PublicMessage(message) => self.process_public(message, inputs),
            MlsMessage::PrivateMessage(message) => self.process_private(message, inputs),
            MlsMessage::Welcome(_) | MlsMessage::GroupInfo(_) | MlsMessage::KeyPackage(_) => {
                Err(Usage::WrongMessageKind.into())
            }
        }
    }

    fn process_public(&mut self, message: PublicMessage, inputs: &Inputs<'_>) -> Result<Processed, Error> {
        self.public.check_place(message.content.group_id.as_slice(), message.content.epoch)?;
        self.check_active()?;
        let from_member = matches!(message.content.sender, Sender::Member(_));
        // Joiners have to read it, so there is no private form of it.
        let leaves = matches!(message.content.content, Content::Proposal(Proposal::SelfRemove));
        if from_member && !leaves && !self.config.handshakes.accepts(WireFormat::PUBLIC_MESSAGE) {
            return Err(Refusal::HandshakeFormat.into());
        }
        let (key, context) = (self.secrets.membership_key(), &self.public.context_bytes);
        let content = public_message::unprotect(self.suite(), key, message, context)?;
        if let Sender::Member(leaf_index) = content.content.sender {
            self.require_sender(leaf_index)?;
        }
        let verified = self.public.verify(content)?;
        self.process_handshake(verified, None, None, inputs)
    }

    fn process_private(&mut self, message: PrivateMessage, inputs: &Inputs<'_>) -> Result<Processed, Error> {
        if message.group_id != *self.group_id() {
            return Err(Rule::WrongGroup.into());
        }
        match message.content_type {
            ContentType::Application => self.process_application(message, inputs),
            ContentType::Proposal | ContentType::Commit => {
                self.public.check_place(message.group_id.as_slice(), message.epoch)?;
                self.check_active()?;
                if !self.config.handshakes.accepts(WireFormat::PRIVATE_MESSAGE) {
                    return Err(Refusal::HandshakeFormat.into());
                }
                let sender = self.sender_of(&message)?;
                let leaf = self.require_sender(sender.leaf_index).and_then(|()| self.public.leaf(sender.leaf_index));
                let opened = self.unseal(&self.secret_tree, message, &sender, RatchetType::Handshake);
                let (_, (content, puncture)) = with_sender(leaf, opened)?;
                let verified = self.public.verify(content)?;
                self.process_handshake(verified, Some(puncture), Some((sender.leaf_index, sender.generation)), inputs)
            }
        }
    }

    fn process_handshake(
        &mut self,
        verified: VerifiedContent,
        puncture: Option<Puncture>,
        spent: Option<(LeafIndex, u32)>,
        inputs: &Inputs<'_>,
    ) -> Result<Processed, Error> {
        match &verified.framed().content {
            Content::Commit(commit) => {
                if let Sender::Member(leaf_index) = verified.framed().sender {
                    self.check_not_own(leaf_index)?;
                }
                let mut staged = self.stage(&verified, commit, None, inputs)?;
                staged.spent = spent;
                Ok(Processed { received: Received::Commit(staged), changes: None })
            }
            Content::Proposal(proposal) => {
                let mut changes = self.changes();
                let (kept, kind) = self.keep_proposal(&verified, proposal, inputs, &mut changes)?;
                if let Some(puncture) = puncture {
                    self.secret_tree.apply(puncture, &mut changes)?;
                } else if kind == Kept::Known {
                    return Ok(Processed { received: Received::Proposal(kept), changes: None });
                }
                Ok(Processed { received: Received::Proposal(kept), changes: Some(self.changed(changes)) })
            }
            Content::Application(_) => Err(Rule::ApplicationInPublicMessage.into()),
        }
    }

    fn process_application(&mut self, message: PrivateMessage, inputs: &Inputs<'_>) -> Result<Processed, Error> {
        let epoch = message.epoch;
        if epoch > self.epoch() {
            return Err(NotYet::FutureEpoch { epoch }.into());
        }
        let current = epoch == self.epoch();
        if current {
            // Late messages of past epochs may still come after a ReInit; new ones may not be sent.
            self.check_active()?;
        } else if !self.past.is_kept(epoch, self.config.past_epoch_seconds, inputs.now) {
            return Err(Refusal::EpochNotKept.into());
        }
        let opened = if current {
            let sender = self.sender_of(&message)?;
            self.open_current(message, sender)?
        } else {
            self.open_past(message)?
        };
        let past = if current { None } else { self.past.kept(epoch)? };
        let context = past.map_or(&self.public.context_bytes, |kept| &kept.context_bytes);
        let Opened { sender, member, content, puncture } = opened;
        let verified = VerifiedContent::verify(self.suite(), content, member.leaf().signature_key(), context)?;
        let mut changes = self.changes();
        let tree = if current {
            &mut self.secret_tree
        } else {
            &mut self.past.kept_mut(epoch).ok_or(Refusal::EpochNotKept)?.secret_tree
        };
        tree.apply(puncture, &mut changes)?;
        let received = application(member, sender.generation, verified)?;
        Ok(Processed { received, changes: Some(self.changed(changes)) })
    }

    /// Which key of which other member opens a message of this epoch.
    pub(super) fn sender_of(&self, message: &PrivateMessage) -> Result<SenderData, Error> {
        let secret = self.secrets.sender_data_secret();
        let sender = private_message::open_sender_data(self.suite(), secret, message)?;
        self.check_not_own(sender.leaf_index)?;
        Ok(sender)
    }

    /// Decrypts application data of this epoch. The signature is not verified.
    pub(super) fn open_current(&self, message: PrivateMessage, sender: SenderData) -> Result<Opened, Error> {
        let leaf = self.public.leaf(sender.leaf_index);
        let opened = self.unseal(&self.secret_tree, message, &sender, RatchetType::Application);
        Ok(Opened::new(sender, with_sender(leaf, opened)?))
    }

    /// A late message is opened with the secrets of its epoch and verified with its sender's leaf
    /// of that epoch (checklist row 101).
    fn open_past(&self, message: PrivateMessage) -> Result<Opened, Error> {
        self.past.require(message.epoch)?;
        let kept = self.past.kept(message.epoch)?.ok_or(Refusal::EpochNotKept)?;
        let sender = private_message::open_sender_data(self.suite(), &kept.secrets.sender_data_secret, &message)?;
        self.check_not_own(sender.leaf_index)?;
        let leaf_index = sender.leaf_index;
        if leaf_index.0 >= kept.slots {
            return Err(Rule::SenderNotMember.into());
        }
        let leaf = match self.past.leaf(message.epoch, leaf_index)? {
            Some(earlier) => Ok(earlier),
            None => self.public.leaf(leaf_index),
        };
        let opened = self.unseal(&kept.secret_tree, message, &sender, RatchetType::Application);
        Ok(Opened::new(sender, with_sender(leaf, opened)?))
    }

    /// Decrypts the content of a private message on copies of the keys; nothing is spent yet.
    fn unseal(
        &self,
        tree: &SecretTree,
        message: PrivateMessage,
        sender: &SenderData,
        ratchet: RatchetType,
    ) -> Result<(AuthenticatedContent, Puncture), Error> {
        let (key, puncture) = tree.open_key(sender.leaf_index, ratchet, sender.generation, &self.config.ratchet)?;
        let content = private_message::open(self.suite(), message, &key, sender, &self.config.limits)?;
        Ok((content, puncture))
    }

    /// Asks for the leaf of the sender of a handshake message, and for the own path, which a commit
    /// needs next.
    fn require_sender(&self, leaf_index: LeafIndex) -> Result<(), Error> {
        Ok(self.public.tree.require_paths(&[leaf_index, self.own_leaf])?)
    }

    fn check_not_own(&self, leaf_index: LeafIndex) -> Result<(), Rule> {
        if leaf_index == self.own_leaf { Err(Rule::OwnMessage) } else { Ok(()) }
    }
}

/// A message that has been decrypted; neither is its signature verified nor its key spent.
pub(super) struct Opened {
    pub(super) sender: SenderData,
    /// The sender, as its leaf was in the message's epoch.
    pub(super) member: Member,
    pub(super) content: AuthenticatedContent,
    pub(super) puncture: Puncture,
}

impl Opened {
    fn new(sender: SenderData, (leaf, (content, puncture)): (&Leaf, (AuthenticatedContent, Puncture))) -> Self {
        Self { sender, member: Member::new(sender.leaf_index, leaf.clone()), content, puncture }
    }
}

/// What the application gets of a message.
pub(super) fn application(sender: Member, generation: u32, verified: VerifiedContent) -> Result<Received, Rule> {
    let FramedContent { epoch, content, authenticated_data, .. } = verified.into_inner().content;
    let Content::Application(data) = content else { return Err(Rule::PrivateContent) };
    let authenticated_data = authenticated_data.into_vec();
    Ok(Received::Application { sender, epoch, generation, data: data.into_vec(), authenticated_data })
}

/// The sender's leaf and the opened message. Both may lack records: all are asked for in one round.
fn with_sender<T>(leaf: Result<Option<&Leaf>, Error>, opened: Result<T, Error>) -> Result<(&Leaf, T), Error> {
    match (leaf, opened) {
        (Err(Error::Missing(mut keys)), Err(Error::Missing(more))) => {
            keys.0.extend(more.0);
            Err(keys.into())
        }
        (leaf, opened) => Ok((leaf?.ok_or(Rule::SenderNotMember)?, opened?)),
    }
}
