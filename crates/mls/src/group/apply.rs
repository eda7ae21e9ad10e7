//! Moving to the next epoch (RFC 9420 §12.4.2, §14).

use alloc::vec::Vec;

use keyroom_wire::{LeafIndex, ReInit};

use super::past::{Kept, PastEpoch, encode_leaves, leaves_key};
use super::propose::ProposalCache;
use super::psks::ResumptionPsks;
use super::stage::{Base, Effect, NextEpoch};
use super::{Admission, Group, PathKeys, StagedCommit, Status};
use crate::error::{Error, Usage};
use crate::identity::{Member, Verdict};
use crate::key_schedule::EpochSecrets;
use crate::record::{ChangeSet, RecordKey, RecordKind};
use crate::secret_tree::{RatchetType, SecretTree, SecretTreeError};

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A new epoch began.
    Epoch {
        /// Its number.
        epoch: u64,
        /// The leaves that were added.
        added: Vec<LeafIndex>,
        /// The members that were removed, as they were.
        removed: Vec<Member>,
        /// What an own commit brings for newcomers; empty for that of another member. It belongs
        /// into the transaction that stores the change set, unless it was delivered with the commit.
        admission: Admission,
    },
    /// This client was removed; its state is gone.
    Removed,
    /// The group ended in favour of a successor (§11.2).
    Reinitialised(ReInit),
}

impl Group {
    /// Applies a staged commit, own or received. The verdict must answer exactly its questions.
    ///
    /// The record of an own commit goes with it; its Welcome comes back in [`Applied::Epoch`].
    ///
    /// # Errors
    /// [`Usage::StaleCommit`] if the commit was made from another state; [`Usage::WrongVerdict`].
    pub fn apply(&mut self, staged: StagedCommit, verdict: &Verdict) -> Result<(Applied, ChangeSet), Error> {
        self.check_active()?;
        if staged.base != Base::of(&self.public) {
            return Err(Usage::StaleCommit.into());
        }
        if !verdict.answers(&staged.questions) {
            return Err(Usage::WrongVerdict.into());
        }
        let StagedCommit { effect, added, removed, replaced, reinit, now, spent, admission, .. } = staged;
        let mut changes = self.changes();
        match effect {
            Effect::Removed => {
                self.leave(&mut changes);
                Ok((Applied::Removed, self.changed(changes)))
            }
            Effect::Epoch(next) => {
                let past = PastLeaves { replaced, now, spent };
                self.advance(*next, past, reinit.as_ref(), &mut changes)?;
                let applied = match reinit {
                    Some(reinit) => Applied::Reinitialised(reinit),
                    None => Applied::Epoch { epoch: self.epoch(), added, removed, admission: *admission },
                };
                Ok((applied, self.changed(changes)))
            }
        }
    }

    /// Forgets a past epoch that is too old at `now`, in seconds since 1970; `None` if there is none.
    pub fn expire(&mut self, now: u64) -> Result<Option<ChangeSet>, Error> {
        let mut changes = self.changes();
        let (window, age) = (self.config.past_epochs, self.config.past_epoch_seconds);
        if self.past.expire(window, age, now, &mut changes) == 0 {
            return Ok(None);
        }
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(Some(self.changed(changes)))
    }

    fn leave(&mut self, changes: &mut ChangeSet) {
        changes.deleted = true;
        self.status = Status::Removed;
        self.secrets = EpochSecrets::erased(self.suite());
        self.secret_tree = SecretTree::stored(self.suite(), 0, self.epoch());
        self.keys = PathKeys::default();
        self.past = super::PastEpochs::default();
        self.resumption = ResumptionPsks::default();
        self.proposals.clear();
        self.pending.clear();
    }

    fn advance(
        &mut self,
        mut next: NextEpoch,
        past: PastLeaves,
        reinit: Option<&ReInit>,
        changes: &mut ChangeSet,
    ) -> Result<(), Error> {
        let ended = self.epoch();
        next.public.tree.changes(&self.public.tree, changes)?;
        next.public.index.write(changes);
        next.public.index.maintain_loaded(changes);
        self.delete_spent(past.spent, changes)?;
        next.public.counts.write(Some(&self.public.counts), changes);
        let own_update = next.own_update.as_ref().and_then(|reference| self.proposals.take_leaf_private(reference));
        self.keys.advance(next.keys, |height| next.heights.contains(&height));
        if let Some(private) = own_update {
            self.keys.set(0, private);
        }
        let secret_tree = SecretTree::new(self.suite(), next.encryption, next.public.tree.depth(), next.public.epoch());
        let old_public = core::mem::replace(&mut self.public, next.public);
        let old_tree = core::mem::replace(&mut self.secret_tree, secret_tree);
        let (old_secrets, psk) = core::mem::replace(&mut self.secrets, next.secrets).into_past();
        self.resumption.push(ended, psk.into_secret(), self.config.resumption_epochs);
        for key in self.pending.clear() {
            changes.delete(key);
        }
        self.proposals = ProposalCache::with_next(self.proposals.next());
        changes.clear(RecordKind::Proposal, ended);
        self.keep_past(
            ended,
            past,
            Kept {
                context_bytes: old_public.context_bytes,
                slots: old_public.tree.slots(),
                secrets: old_secrets,
                secret_tree: old_tree,
            },
            changes,
        );
        if let Some(reinit) = reinit {
            self.status = Status::Reinitialised(reinit.clone());
        }
        self.store_epoch(changes)
    }

    /// Deletes the key that opened the commit which ends this epoch. It is still there: reading the
    /// commit moved nothing.
    fn delete_spent(&mut self, spent: Option<(LeafIndex, u32)>, changes: &mut ChangeSet) -> Result<(), Error> {
        let Some((leaf_index, generation)) = spent else { return Ok(()) };
        match self.secret_tree.open_key(leaf_index, RatchetType::Handshake, generation, &self.config.ratchet) {
            Ok((_, puncture)) => Ok(self.secret_tree.apply(puncture, changes)?),
            Err(SecretTreeError::Consumed | SecretTreeError::TooOld) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the epoch that ended into the window of late messages.
    fn keep_past(&mut self, epoch: u64, past: PastLeaves, kept: Kept, changes: &mut ChangeSet) {
        changes.put(RecordKey::new(RecordKind::Epoch, epoch, 0), kept.encode());
        changes.put(leaves_key(epoch), encode_leaves(&past.replaced));
        let past = PastEpoch { epoch, ended: past.now, kept: Some(kept), leaves: Some(past.replaced) };
        self.past.push(past, self.config.past_epochs, self.config.past_epoch_seconds, changes);
    }
}

struct PastLeaves {
    replaced: alloc::collections::BTreeMap<LeafIndex, Option<crate::tree::Leaf>>,
    now: u64,
    spent: Option<(LeafIndex, u32)>,
}
