//! Own commits: from what was asked for to what is sent.

use keyroom_api::{Bundle as _, CommitBundle, DeviceUri, UserUri, WelcomeTo};
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error as ProtocolError, Usage as ProtocolUsage};
use keyroom_mls::group::{PendingId, TreeDelivery};
use keyroom_mls::identity::Member;
use keyroom_store::Transaction;
use keyroom_wire::{Decode as _, KeyPackage, LeafIndex, Limits, MlsMessage};

use super::Room;
use crate::context::Env;
use crate::judge::{ask, credential_device, device_of};
use crate::rows::{ClaimedPackage, Handshake, Outgoing};
use crate::{Error, Judge, Usage};

/// What a commit shall do.
#[derive(Default)]
struct Plan {
    entries: Vec<u64>,
    add: Vec<(DeviceUri, KeyPackage)>,
    remove: Vec<LeafIndex>,
}

impl Room {
    /// Makes one commit of the changes that come next in the outbox, as many as there are before the
    /// next text. What makes no sense any more is settled instead.
    pub(super) fn commit_changes(&mut self, first: u64, env: &mut Env) -> Result<(), Error> {
        let run: Vec<(u64, Outgoing)> = self
            .outbox
            .range(first..)
            .take_while(|(_, outgoing)| outgoing.is_change())
            .map(|(entry, outgoing)| (*entry, outgoing.clone()))
            .collect();
        // New keys alone concern nobody else: in a large room the list would cost more than the commit.
        let alone = run.iter().all(|(_, outgoing)| matches!(outgoing, Outgoing::Rotate | Outgoing::Cover));
        let members = if alone { Vec::new() } else { self.with_group(|group, _| Ok(group.members()?))? };
        match self.commit_run(&run, &members, env) {
            Err(error) if is_final(&error) => self.blame(&run, &members, env, error),
            done => done,
        }
    }

    fn commit_run(&mut self, run: &[(u64, Outgoing)], members: &[Member], env: &mut Env) -> Result<(), Error> {
        let mut plan = Plan::default();
        let covers = run.iter().any(|(_, outgoing)| *outgoing == Outgoing::Cover);
        let waiting = covers && self.cover_rank()?.is_some();
        for (entry, outgoing) in run {
            match self.plan(&mut plan, outgoing, members, waiting) {
                Planned::In => plan.entries.push(*entry),
                Planned::Done => self.settle_done(*entry)?,
                Planned::Impossible(why) => self.refuse_change(*entry, why)?,
            }
        }
        if plan.entries.is_empty() { Ok(()) } else { self.build(&plan, env) }
    }

    /// The commit cannot be made, or the judge refuses it. Who is to blame shows when the changes are
    /// tried one by one.
    fn blame(&mut self, run: &[(u64, Outgoing)], members: &[Member], env: &mut Env, why: Error) -> Result<(), Error> {
        let open: Vec<(u64, Outgoing)> =
            run.iter().filter(|(entry, _)| self.outbox.contains_key(entry)).cloned().collect();
        match open.as_slice() {
            [] => Err(why),
            [(only, _)] => self.refuse_change(*only, why),
            [first, ..] => match self.commit_run(std::slice::from_ref(first), members, env) {
                Err(error) if is_final(&error) => self.refuse_change(first.0, error),
                done => done,
            },
        }
    }

    /// A commit that covers what others have proposed, so that texts can be sent again.
    pub(super) fn commit_waiting(&mut self, env: &mut Env) -> Result<(), Error> {
        self.build(&Plan::default(), env)
    }

    /// Adds what an entry of the outbox asks for to the plan; `waiting` tells whether others have proposed
    /// something.
    fn plan(&self, plan: &mut Plan, outgoing: &Outgoing, members: &[Member], waiting: bool) -> Planned {
        let added = match outgoing {
            Outgoing::Invite { claimed, .. } => {
                let claimed = claimed.as_deref().unwrap_or_default();
                additions(claimed, members, &plan.add, self.context.judge.as_ref()).map(|new| {
                    let any = !new.is_empty();
                    plan.add.extend(new);
                    any
                })
            }
            Outgoing::Remove { user } => removals(user, members, &self.context.device).map(|leaves| {
                let new: Vec<_> = leaves.into_iter().filter(|leaf| !plan.remove.contains(leaf)).collect();
                plan.remove.extend(new);
                true
            }),
            Outgoing::Rotate => Ok(true),
            Outgoing::Cover => Ok(waiting),
            Outgoing::Text { .. } | Outgoing::Message { .. } | Outgoing::Leave { .. } => Err(Error::Corrupt),
        };
        match added {
            Ok(true) => Planned::In,
            Ok(false) => Planned::Done,
            Err(why) => Planned::Impossible(why),
        }
    }

    /// Settles an entry that needs no commit any more.
    fn settle_done(&mut self, entry: u64) -> Result<(), Error> {
        let epoch = self.with_group(|group, _| Ok(group.epoch()))?;
        self.outbox.remove(&entry);
        self.store(Transaction::new().delete(self.outgoing_key(entry)))?;
        self.settle(entry, Ok(epoch));
        Ok(())
    }

    /// Makes the commit. Its secrets, its bytes and the entries that it is for become durable
    /// together, before anything is sent.
    fn build(&mut self, plan: &Plan, env: &mut Env) -> Result<(), Error> {
        let now = env.now();
        let renewed = if self.shows_credential()? { None } else { Some(self.context.credential()) };
        let (pending, changes) = self.with_group(|group, context| {
            let mut commit = group.commit().group_info(context.group_info()).welcome_tree(TreeDelivery::OutOfBand);
            for (_, key_package) in &plan.add {
                commit = commit.add(key_package.clone());
            }
            for leaf in &plan.remove {
                commit = commit.remove(*leaf);
            }
            if let Some(credential) = &renewed {
                commit = commit.new_identity(context.signer.as_ref(), credential.clone());
            }
            Ok(commit.build(context.signer.as_ref(), &Inputs::at(now), &mut env.rng)?)
        })?;
        let verdict = match ask(self.context.judge.as_ref(), pending.questions()) {
            Ok(verdict) => verdict,
            Err(rejected) => {
                self.discard(Transaction::new().change(changes), pending.id)?;
                return Err(rejected);
            }
        };
        // The server hands out the Welcome if and when it accepts the commit, in one step.
        let delivery = pending.for_atomic_delivery(&verdict)?;
        let devices: Vec<DeviceUri> = plan.add.iter().map(|(device, _)| device.clone()).collect();
        let welcome = delivery.admission.welcome.clone().map(|welcome| WelcomeTo { devices, welcome });
        let (commit, group_info) = (delivery.message.to_vec(), delivery.admission.group_info.clone());
        let staged = pending.into_staged();
        let bundle = CommitBundle {
            commit,
            group_info: group_info.ok_or(Error::Corrupt)?,
            welcomes: welcome.into_iter().collect(),
            access_key: self
                .context
                .access_key(&self.row.room, |label, context, length| staged.export(label, context, length))?,
        };
        let handshake = Handshake::Commit { bundle: bundle.to_bytes(), entries: plan.entries.clone() };
        let change = self.put_handshake(Transaction::new().change(changes), handshake)?;
        self.store(change)
    }

    /// Whether the own leaf has the credential that this device has now.
    pub(crate) fn shows_credential(&mut self) -> Result<bool, Error> {
        let own = self.with_group(|group, _| Ok(group.member(group.own_leaf())?))?;
        let shown = own.and_then(|member| member.credential().ok());
        Ok(shown == Some(self.context.credential()))
    }

    /// The server refused the commit for good.
    pub(super) fn commit_refused(&mut self, entries: &[u64], why: &Error) -> Result<(), Error> {
        let pending = self.with_group(|group, _| Ok(group.pending_commits().next()))?;
        let mut change = match pending {
            Some(id) => self.forget(Transaction::new(), id)?,
            None => Transaction::new(),
        };
        change = self.drop_handshake(change);
        let mut outputs = Vec::new();
        for entry in entries {
            if let Some(outgoing) = self.outbox.remove(entry) {
                let (next, output) = self.give_up(change, *entry, &outgoing, why.clone())?;
                change = next;
                outputs.push(output);
            }
        }
        self.store(change)?;
        self.outputs.extend(outputs);
        Ok(())
    }

    fn discard(&mut self, change: Transaction, id: PendingId) -> Result<(), Error> {
        let change = self.forget(change, id)?;
        self.store(change)
    }

    fn forget(&mut self, change: Transaction, id: PendingId) -> Result<Transaction, Error> {
        match self.with_group(|group, _| Ok(group.discard(id)?)) {
            Ok(changes) => Ok(change.change(changes)),
            Err(Error::Protocol(ProtocolError::Usage(ProtocolUsage::NoSuchPendingCommit))) => Ok(change),
            Err(error) => Err(error),
        }
    }
}

/// What becomes of an entry of the outbox.
enum Planned {
    /// It is part of the commit.
    In,
    /// What it asks for is so already.
    Done,
    /// It cannot be done.
    Impossible(Error),
}

/// Whether the same commit would fail again.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::Rejected
            | Error::Protocol(
                ProtocolError::Rule(_)
                    | ProtocolError::Refused(_)
                    | ProtocolError::Malformed(_)
                    | ProtocolError::Usage(_)
            )
    )
}

/// The key packages of devices that are not in the room yet.
pub(super) fn additions(
    claimed: &[ClaimedPackage],
    members: &[Member],
    planned: &[(DeviceUri, KeyPackage)],
    judge: &dyn Judge,
) -> Result<Vec<(DeviceUri, KeyPackage)>, Error> {
    let mut new = Vec::new();
    for package in claimed {
        let present = members.iter().any(|member| device_of(member).as_ref() == Some(&package.device))
            || planned.iter().any(|(device, _)| *device == package.device);
        if present {
            continue;
        }
        let Ok(MlsMessage::KeyPackage(key_package)) = MlsMessage::from_bytes(&package.message, &Limits::default())
        else {
            return Err(Error::Answer);
        };
        // The server must not give out one device's key package as another's.
        if credential_device(&key_package.leaf_node.credential).as_ref() != Some(&package.device) {
            return Err(Error::Rejected);
        }
        judge.invite(&key_package.leaf_node)?;
        new.push((package.device.clone(), key_package));
    }
    Ok(new)
}

/// The leaves of a user, the own one apart.
fn removals(user: &UserUri, members: &[Member], own: &DeviceUri) -> Result<Vec<LeafIndex>, Error> {
    let of_user = |member: &&Member| device_of(member).is_some_and(|device| device.user() == *user);
    let leaves: Vec<LeafIndex> = members
        .iter()
        .filter(of_user)
        .filter(|member| device_of(member).as_ref() != Some(own))
        .map(|member| member.leaf_index)
        .collect();
    match (leaves.is_empty(), own.user() == *user) {
        (false, _) => Ok(leaves),
        (true, true) => Err(Usage::OwnDevice.into()),
        (true, false) => Err(Usage::NotMember.into()),
    }
}
