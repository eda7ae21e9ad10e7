//! Leaving: a proposal that others commit, made again in each epoch until one has.

use keyroom_api::{ClientError, Code};
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error as ProtocolError, Usage as ProtocolUsage};
use keyroom_mls::group::{Group, PendingProposal};
use keyroom_store::Transaction;
use keyroom_wire::{Proposal, ProposalRef, Sender};

use super::{Asked, Output, Room, refused};
use crate::Error;
use crate::context::Env;
use crate::event::Event;
use crate::rows::{Outgoing, Phase, Proposed};
use crate::transport::Request;

impl Room {
    /// The next request of a device that leaves. `None` while the log has to show what became of the
    /// last one.
    pub(super) fn leave(
        &mut self,
        entry: u64,
        proposed: Option<Proposed>,
        env: &mut Env,
    ) -> Result<Option<(Asked, Request)>, Error> {
        let sent = self.late.contains(&entry) || self.taken.contains(&entry) || self.heard.contains(&entry);
        if sent {
            return Ok(None);
        }
        let proposed = match proposed {
            Some(proposed) => proposed,
            None if self.with_group(|group, _| Ok(group.members_count()))? == 1 => return self.leave_alone(entry),
            None => self.propose_leaving(entry, env)?,
        };
        let key = self.key_of(&proposed.message)?;
        let room = self.row.room.clone();
        Ok(Some((Asked::Message { entry }, Request::Send { room, message: proposed.message, key })))
    }

    /// A SelfRemove where all support it, so that joiners can commit it too; else a Remove. It becomes
    /// durable before it is sent.
    fn propose_leaving(&mut self, entry: u64, env: &mut Env) -> Result<Proposed, Error> {
        let inputs = Inputs::at(env.now());
        let (epoch, outgoing) = self.with_group(|group, context| {
            let (signer, rng) = (context.signer.as_ref(), &mut env.rng);
            let removed = group.own_leaf();
            let outgoing = if group.is_self_remove_capable() {
                group.propose_self_remove(b"", signer, &inputs, rng)?
            } else {
                group.propose(Proposal::Remove { removed }, b"", signer, &inputs, rng)?
            };
            Ok((group.epoch(), outgoing))
        })?;
        let reference = outgoing.reference.as_slice().to_vec();
        let proposed = Proposed { epoch, reference, message: outgoing.message };
        let leave = Outgoing::Leave { proposed: Some(proposed.clone()) };
        let change = self.put_outgoing(Transaction::new().change(outgoing.changes), entry, &leave)?;
        self.store(change)?;
        self.outbox.insert(entry, leave);
        Ok(proposed)
    }

    /// The only member has nobody to commit its removal, and nobody to hide the room from.
    fn leave_alone(&mut self, entry: u64) -> Result<Option<(Asked, Request)>, Error> {
        let epoch = self.with_group(|group, _| Ok(group.epoch()))?;
        let change = self.delete_group(Transaction::new())?;
        self.row.phase = Phase::Removed;
        self.outbox.remove(&entry);
        self.store(change.delete(self.outgoing_key(entry)))?;
        self.tell(Event::Removed { by: Some(self.context.device.clone()) });
        self.settle(entry, Ok(epoch.saturating_add(1)));
        Ok(None)
    }

    pub(super) fn is_leave(&self, entry: u64) -> bool {
        matches!(self.outbox.get(&entry), Some(Outgoing::Leave { .. }))
    }

    /// The proposal of this epoch, if there is one. The answer about an earlier one may come late.
    fn proposed(&self, entry: u64) -> Option<&Proposed> {
        match self.outbox.get(&entry) {
            Some(Outgoing::Leave { proposed }) => proposed.as_ref(),
            _ => None,
        }
    }

    /// The server has taken the proposal, at this place of the log.
    pub(super) fn leave_taken(&mut self, entry: u64, sequence: u64) {
        if self.proposed(entry).is_none() {
            return;
        }
        // The log may have been faster than the answer.
        let set = if sequence <= self.row.cursor { &mut self.heard } else { &mut self.taken };
        set.insert(entry);
    }

    /// The server has not taken the proposal: its epoch has gone, which the log will show, or for good.
    pub(super) fn leave_not_taken(&mut self, entry: u64, error: &ClientError) -> Result<(), Error> {
        let Some(reference) = self.proposed(entry).map(|proposed| ProposalRef::from(proposed.reference.as_slice()))
        else {
            return Ok(());
        };
        if error.code() == Some(Code::WrongEpoch) {
            self.late.insert(entry);
            return Ok(());
        }
        // It is taken back, so that texts can be sent again.
        let dropped = self.with_group(|group, _| match group.drop_proposal(&reference) {
            Ok(changes) => Ok(Some(changes)),
            Err(ProtocolError::Usage(ProtocolUsage::NoSuchProposal)) => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        let change = dropped.into_iter().fold(Transaction::new(), Transaction::change);
        self.outbox.remove(&entry);
        self.store(change.delete(self.outgoing_key(entry)))?;
        self.settle(entry, Err(refused(error)));
        Ok(())
    }

    /// The log shows a proposal; if it is the own one, only a commit is missing.
    pub(super) fn hear_proposal(&mut self, message: &[u8]) {
        let own = self.outbox.iter().find_map(|(entry, outgoing)| match outgoing {
            Outgoing::Leave { proposed: Some(proposed) } if proposed.message == message => Some(*entry),
            _ => None,
        });
        if let Some(entry) = own {
            self.taken.remove(&entry);
            self.heard.insert(entry);
        }
    }

    /// An epoch began and this device is still there: its proposal is gone. Returns whether there was one.
    pub(super) fn forget_proposal(&mut self, change: Transaction) -> Result<(Transaction, bool), Error> {
        let last = self.outbox.last_key_value();
        let Some((entry, Outgoing::Leave { proposed: Some(_) })) = last else { return Ok((change, false)) };
        let (entry, leave) = (*entry, Outgoing::Leave { proposed: None });
        let change = self.put_outgoing(change, entry, &leave)?;
        self.outbox.insert(entry, leave);
        self.taken.remove(&entry);
        self.late.remove(&entry);
        self.heard.remove(&entry);
        Ok((change, true))
    }

    /// This device is out, as it wished.
    pub(super) fn left(&mut self, change: Transaction, epoch: u64) -> (Transaction, Option<Output>) {
        if !self.is_leaving() {
            return (change, None);
        }
        let Some((entry, _)) = self.outbox.pop_last() else { return (change, None) };
        (change.delete(self.outgoing_key(entry)), Some(Output::Settled { entry, result: Ok(epoch) }))
    }
}

/// Whether others have proposed something that a commit of this device would cover: all but its own
/// removal.
pub(super) fn waits_for_us(group: &Group) -> bool {
    let own = group.own_leaf();
    let coverable = |waiting: &PendingProposal| {
        waiting.sender != Sender::Member(own) && *waiting.proposal != Proposal::Remove { removed: own }
    };
    group.pending_proposals().iter().any(coverable)
}

/// How many leaves are before this one in the order in which members should commit what waits. The
/// order turns with the epochs, so that no member who is away is always the first.
pub(super) fn rank(group: &Group) -> u32 {
    let slots = u64::from(group.tree().slots().max(1));
    let before = (u64::from(group.own_leaf().0) + slots - group.epoch() % slots) % slots;
    u32::try_from(before).unwrap_or(u32::MAX)
}
