//! The successor of a room that was closed because its members could not follow a commit: a branch of
//! the last good epoch (RFC 9420 §11.3), without whoever made that commit.
//!
//! Any member who stands still there may found it; the server takes the first. The others come in by a
//! Welcome, which holds a secret of the old group: no server and no stranger makes one.

use std::collections::BTreeSet;

use keyroom_api::{
    Bundle as _, ClientError, DeviceClaim, DeviceUri, RoomBundle, RoomUri, ShortName, UserUri, WelcomeTo,
};
use keyroom_crypto::Secret;
use keyroom_mls::config::Inputs;
use keyroom_mls::group::{Group, GroupInfoContent, Succession, Successor, TreeDelivery};
use keyroom_mls::record::ChangeSet;
use keyroom_store::{RowKey, Transaction};
use keyroom_wire::{GroupId, KeyPackage};

use super::commit::{additions, is_final};
use super::join::{group_id, new_row};
use super::outbox::packages;
use super::{Asked, Output, Room, devices, leave};
use crate::Error;
use crate::context::{Context, Env};
use crate::judge::ask;
use crate::rows::{self, Handshake, Phase, RoomRow};
use crate::stock::{self, Kind};
use crate::transport::Request;

/// Random bytes in the name of a successor: nobody can have taken it.
const SUFFIX: usize = 4;
/// Longest part of the old name that the new one keeps, in bytes.
const KEPT: usize = 48;

/// What the founder of a successor gathers before it makes the group.
pub(super) struct Founding {
    /// Who was in the room and shall be in its successor.
    members: BTreeSet<DeviceUri>,
    /// Whose key packages have not been asked for.
    unclaimed: BTreeSet<UserUri>,
    claimed: Vec<Claimed>,
}

/// A member and the key package by which it comes along.
type Claimed = (DeviceUri, KeyPackage);

/// A group that continues another, what is to be stored of it, and what its room is created with.
type Branch = (Group, ChangeSet, RoomBundle);

impl Room {
    /// If a successor is to be founded and this device may do it: how many members are before it in the
    /// order in which they should.
    pub(crate) fn founder_rank(&mut self) -> Result<Option<u32>, Error> {
        if !self.may_found() || self.founding.is_some() {
            return Ok(None);
        }
        self.with_group(|group, _| Ok(Some(leave::rank(group))))
    }

    /// The room that it goes on in, once it is known.
    pub(crate) fn successor(&self) -> Option<&RoomUri> {
        self.closure.as_ref()?.successor.as_ref()
    }

    /// The room that this one continues.
    pub(crate) fn predecessor(&self) -> Option<&RoomUri> {
        self.row.predecessor.as_ref()
    }

    /// Begins to gather the key packages of those who shall come along.
    pub(crate) fn begin_founding(&mut self) -> Result<(), Error> {
        if !self.may_found() {
            return Ok(());
        }
        let mut members: BTreeSet<DeviceUri> =
            self.with_group(|group, _| Ok(devices(&group.members()?)))?.into_iter().collect();
        members.remove(&self.context.device);
        if let Some(by) = self.row.broken.as_ref().and_then(|broken| broken.by.as_ref()) {
            members.remove(by);
        }
        members.retain(|device| device.host() == self.row.room.host() && !self.left_out.contains(device));
        let unclaimed = members.iter().map(DeviceUri::user).collect();
        self.founding = Some(Founding { members, unclaimed, claimed: Vec::new() });
        Ok(())
    }

    /// Whether all key packages are there that the server has.
    pub(crate) fn is_ready_to_found(&self) -> bool {
        self.founding.as_ref().is_some_and(|founding| founding.unclaimed.is_empty())
    }

    /// Makes the successor: its group, and what the server is asked to create it with, become durable
    /// before it is asked. `None` if another one is known meanwhile.
    pub(crate) fn found(&mut self, env: &mut Env) -> Result<Option<Self>, Error> {
        let Some(founding) = self.founding.take().filter(|_| self.may_found()) else { return Ok(None) };
        let room = successor_name(&self.row.room, env)?;
        let id = group_id(&room, env);
        let (group, changes, bundle) = match self.branch((&room, &id), &founding.claimed, env) {
            Err(error) if is_final(&error) => {
                let fitting = self.fitting((&room, &id), &founding.claimed, env)?;
                self.branch((&room, &id), &fitting, env)?
            }
            made => made?,
        };
        let bundle = RoomBundle { predecessor: Some(self.row.room.clone()), ..bundle };
        let row = new_row(room, id.clone(), Phase::Creating);
        let row = RoomRow { joined: group.epoch(), predecessor: Some(self.row.room.clone()), ..row };
        let mut founded = Self::new(self.context.clone(), row);
        founded.group = Some(group);
        let change = Transaction::new().change(changes);
        let change = founded.put_handshake(change, Handshake::Create { bundle: bundle.to_bytes() })?;
        founded.store(change)?;
        Ok(Some(founded))
    }

    /// This device is in the successor: the keys of the old group go, the history stays.
    pub(crate) fn retire(&mut self) -> Result<(), Error> {
        let change = self.delete_group(Transaction::new())?;
        let change = self.drop_handshake(change);
        self.row.phase = Phase::Succeeded;
        self.store(change)
    }

    /// The next request for key packages of those who shall come along.
    pub(super) fn claim_for_successor(&self) -> Option<(Asked, Request)> {
        let user = self.founding.as_ref()?.unclaimed.first()?.clone();
        let cipher_suite = self.context.suite.cipher_suite().0;
        Some((Asked::ClaimForSuccessor { user: user.clone() }, Request::Claim { user, cipher_suite }))
    }

    /// Takes over key packages of a member's devices. Whoever has none, or none that is its own, can come
    /// in later by itself.
    pub(super) fn claimed_for_successor(&mut self, user: &UserUri, claims: Vec<DeviceClaim>) {
        let Some(founding) = &mut self.founding else { return };
        founding.unclaimed.remove(user);
        for package in packages(user, claims) {
            if !founding.members.contains(&package.device) {
                continue;
            }
            match additions(std::slice::from_ref(&package), &[], &founding.claimed, self.context.judge.as_ref()) {
                Ok(new) => founding.claimed.extend(new),
                Err(error) => tracing::warn!(%error, "a key package for a successor was refused"),
            }
        }
    }

    /// A successor that the server does not take: nothing of it stays.
    pub(super) fn vanish(&mut self, why: &ClientError) -> Result<(), Error> {
        tracing::debug!(%why, "a successor was not taken");
        let without = self.unreachable(why);
        let change = self.delete_group(Transaction::new())?;
        let change = self.drop_handshake(change).delete(RowKey::new(rows::ROOMS, self.name()));
        self.context.store.apply(change)?;
        self.outputs.push(Output::Gone { without });
        Ok(())
    }

    /// Goes on without a device that cannot be brought along. Returns whether that makes a difference.
    pub(crate) fn leave_out(&mut self, device: DeviceUri) -> bool {
        self.left_out.insert(device)
    }

    fn branch(&mut self, name: (&RoomUri, &[u8]), members: &[Claimed], env: &mut Env) -> Result<Branch, Error> {
        self.with_group(|old, context| branch(old, context, name, members, env))
    }

    /// Those of them with whom a group can be made: two that use one key, say, keep out nobody else.
    fn fitting(&mut self, name: (&RoomUri, &[u8]), members: &[Claimed], env: &mut Env) -> Result<Vec<Claimed>, Error> {
        let mut fitting = Vec::new();
        // The halves of what does not fit are tried by themselves.
        let mut parts = vec![members];
        while let Some(part) = parts.pop() {
            let more = [fitting.as_slice(), part].concat();
            match self.branch(name, &more, env) {
                Ok(_) => fitting = more,
                Err(error) if !is_final(&error) => return Err(error),
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => tracing::warn!(%error, "a member cannot be brought along"),
            }
        }
        Ok(fitting)
    }

    /// Whether this device stands still where the room was closed, and it goes on nowhere yet.
    fn may_found(&self) -> bool {
        let Some(closure) = self.closure.as_ref().filter(|closure| closure.successor.is_none()) else { return false };
        let broken = self.row.broken.as_ref().is_some_and(|broken| broken.sequence == closure.at);
        broken && self.row.phase == Phase::Halted
    }
}

/// Branches a group into one with these members, as it is after the first commit.
fn branch(
    old: &Group,
    context: &Context,
    (room, group_id): (&RoomUri, &[u8]),
    members: &[Claimed],
    env: &mut Env,
) -> Result<Branch, Error> {
    let succession = Succession {
        successor: Successor::Branch {
            group_id: GroupId::from(group_id),
            extensions: old.context().extensions.clone(),
        },
        bundle: stock::make(context, Kind::OneTime, env)?,
        members: members.iter().map(|(_, key_package)| key_package.clone()).collect(),
        welcome_tree: TreeDelivery::OutOfBand,
        group_info: Some(GroupInfoContent { tree: TreeDelivery::OutOfBand, ..context.group_info() }),
    };
    let (signer, config, inputs) = (context.signer.as_ref(), context.config.clone(), Inputs::at(env.now()));
    let (mut group, created, pending, committed) =
        old.succeed(context.suite, succession, signer, config, &inputs, &mut env.rng)?;
    let verdict = ask(context.judge.as_ref(), pending.questions())?;
    // The server hands out the Welcome if and when it takes the room, in one step.
    let admission = pending.for_atomic_delivery(&verdict)?.admission.clone();
    let (_, applied) = group.apply(pending.into_staged(), &verdict)?;
    let devices = members.iter().map(|(device, _)| device.clone()).collect();
    let bundle = RoomBundle {
        access_key: context.access_key(room, |label, context, length| group.export(label, context, length))?,
        welcomes: admission.welcome.map(|welcome| WelcomeTo { devices, welcome }).into_iter().collect(),
        ..RoomBundle::new(admission.group_info.ok_or(Error::Corrupt)?, Some(group.ratchet_tree()?))
    };
    Ok((group, created.then(committed).then(applied), bundle))
}

/// `meeting.5fe21b07` continues `meeting`, and `meeting.88a0d3c4` that one.
fn successor_name(room: &RoomUri, env: &mut Env) -> Result<RoomUri, Error> {
    let suffix = hex::encode(Secret::random(SUFFIX, &mut env.rng).expose());
    let name = room.name().as_str();
    let base = match name.rsplit_once('.') {
        Some((base, last)) if last.len() == suffix.len() && last.bytes().all(|byte| byte.is_ascii_hexdigit()) => base,
        _ => name,
    };
    let base: String = base.chars().take(KEPT).collect();
    let name: ShortName = format!("{base}.{suffix}").parse().map_err(|_| Error::Corrupt)?;
    Ok(RoomUri::new(room.host().clone(), name))
}
