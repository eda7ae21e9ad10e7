//! The public state of an epoch: what every member and every observer agrees on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::{AuthenticatedContent, ExternalSender, GroupContext, LeafIndex, Mac, ProposalType, Sender};

use crate::counts::Counts;
use crate::error::{Error, NotYet, Rule};
use crate::extension::GroupExtensions;
use crate::framing::{self, VerifiedContent};
use crate::identity::Member;
use crate::key_index::KeyIndex;
use crate::tree::{Leaf, Tree, TreeError};

/// Everything public about one epoch. Cloning copies a few pointers: the tree and the key index
/// share their structure between epochs.
#[derive(Clone, Debug)]
pub(crate) struct PublicState {
    pub(crate) suite: &'static dyn Suite,
    pub(crate) context: Arc<GroupContext>,
    /// The encoded context, as signatures and the key schedule take it.
    pub(crate) context_bytes: Arc<[u8]>,
    pub(crate) tree: Tree,
    pub(crate) index: KeyIndex,
    pub(crate) counts: Counts,
    pub(crate) interim_transcript_hash: Hash,
    pub(crate) confirmation_tag: Mac,
    /// The extensions of the context that the protocol itself reads, parsed.
    pub(crate) extensions: Arc<GroupExtensions>,
}

impl PublicState {
    pub(crate) fn epoch(&self) -> u64 {
        self.context.epoch
    }

    pub(crate) fn external_senders(&self) -> &[ExternalSender] {
        self.extensions.external_senders()
    }

    /// Whether every member supports a proposal type (§12.2).
    pub(crate) fn supports_proposal(&self, proposal_type: ProposalType) -> bool {
        self.counts.every_member_supports_proposal(proposal_type, self.tree.members())
    }

    /// A member's leaf.
    pub(crate) fn member(&self, leaf_index: LeafIndex) -> Result<Option<Member>, Error> {
        Ok(self.leaf(leaf_index)?.map(|leaf| Member::new(leaf_index, leaf.clone())))
    }

    /// All members in the order of their leaves.
    pub(crate) fn members(&self) -> Result<Vec<Member>, Error> {
        self.tree.require_all()?;
        let leaves = self.tree.leaves();
        leaves
            .map(|entry| entry.map(|(leaf_index, leaf)| Member::new(leaf_index, leaf.clone())).map_err(Error::from))
            .collect()
    }

    /// The leaf at an index, or `None` if it is blank or outside the tree.
    pub(crate) fn leaf(&self, leaf_index: LeafIndex) -> Result<Option<&Leaf>, Error> {
        match self.tree.leaf(leaf_index) {
            Err(TreeError::OutOfRange) => Ok(None),
            other => Ok(other?),
        }
    }

    /// Checks that a handshake message is for this group and this epoch.
    pub(crate) fn check_place(&self, group_id: &[u8], epoch: u64) -> Result<(), Error> {
        if group_id != self.context.group_id.as_slice() {
            return Err(Rule::WrongGroup.into());
        }
        match epoch.cmp(&self.context.epoch) {
            core::cmp::Ordering::Less => Err(Rule::WrongEpoch.into()),
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Greater => Err(NotYet::FutureEpoch { epoch }.into()),
        }
    }

    /// Checks sender type and signature of a message of this epoch (§6.1).
    pub(crate) fn verify(&self, content: AuthenticatedContent) -> Result<VerifiedContent, Error> {
        framing::check_sender(&content)?;
        let key: Vec<u8> = match content.content.sender {
            Sender::Member(leaf_index) => self.leaf(leaf_index)?.ok_or(Rule::SenderNotMember)?.signature_key().to_vec(),
            Sender::External(sender_index) => {
                let position = usize::try_from(sender_index).unwrap_or(usize::MAX);
                let sender = self.external_senders().get(position).ok_or(Rule::UnknownExternalSender)?;
                sender.signature_key.as_slice().to_vec()
            }
            Sender::NewMemberProposal | Sender::NewMemberCommit => {
                framing::key_in_message(&content.content).ok_or(Rule::PathMissing)?
            }
        };
        VerifiedContent::verify(self.suite, content, &key, &self.context_bytes)
    }
}
