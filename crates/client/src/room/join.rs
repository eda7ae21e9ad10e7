//! Coming in: founding a room, by Welcome, by external commit.

use std::sync::Arc;

use keyroom_api::{Bundle as _, ClientError, Code, CommitBundle, EpochInfo, MailboxItem, RoomBundle, RoomUri};
use keyroom_crypto::Secret;
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error as ProtocolError, NotYet};
use keyroom_mls::group::{Founder, Group, GroupInfoContent, JoinOptions, Joining, TreeDelivery};
use keyroom_mls::record::ChangeSet;
use keyroom_store::Transaction;
use keyroom_wire::{Decode as _, Extensions, GroupId, LeafIndex, Limits, Node, Psk, RatchetTree};

use super::outbox::refused;
use super::{Output, Room};
use crate::context::{Context, Env};
use crate::event::Event;
use crate::judge::ask;
use crate::rows::{Handshake, Phase, RoomRow};
use crate::stock::{self, bundle_of};
use crate::{Error, Usage};

/// Random bytes in a group's identifier.
const NONCE: usize = 16;

impl Room {
    /// Founds a room. It exists once the server has confirmed it.
    pub(crate) fn create(context: Arc<Context>, room: RoomUri, env: &mut Env) -> Result<Self, Error> {
        let now = env.now();
        let bundle = stock::make(&context, stock::Kind::OneTime, env)?;
        let group_id = group_id(&room, env);
        let founder = Founder { bundle, group_id: group_id.clone().into(), extensions: Extensions::new() };
        let inputs = Inputs::at(now);
        let (group, changes) = Group::create(context.suite, founder, context.config.clone(), &inputs, &mut env.rng)?;
        let content = GroupInfoContent { tree: TreeDelivery::OutOfBand, ..context.group_info() };
        let group_info = group.group_info(content, context.signer.as_ref(), &mut env.rng)?;
        let access_key = context.access_key(&room, |label, context, length| group.export(label, context, length))?;
        let bundle = RoomBundle { access_key, ..RoomBundle::new(group_info, Some(group.ratchet_tree()?)) };
        let mut created = Self::new(context, new_row(room, group_id, Phase::Creating));
        created.group = Some(group);
        let change = Transaction::new().change(changes);
        let change = created.put_handshake(change, Handshake::Create { bundle: bundle.to_bytes() })?;
        created.store(change)?;
        Ok(created)
    }

    /// Notes that an external join is wanted.
    pub(crate) fn want(context: Arc<Context>, room: RoomUri) -> Result<Self, Error> {
        let wanted = Self::new(context, new_row(room, Vec::new(), Phase::Wanted));
        wanted.store(Transaction::new())?;
        Ok(wanted)
    }

    /// Comes in again by external commit, after a halt or a removal. The history stays.
    pub(crate) fn want_again(&mut self) -> Result<(), Error> {
        if !matches!(self.row.phase, Phase::Removed | Phase::Halted) {
            return Err(Usage::RoomExists.into());
        }
        if self.closure.is_some() {
            // It takes nobody any more, and only with the keys of its group does one come into its successor.
            return Err(Error::Refused(Code::Closed));
        }
        let change = self.delete_group(Transaction::new())?;
        self.row.phase = Phase::Wanted;
        // The group that it comes into has gone on from that commit: nothing good branches from there.
        self.row.broken = None;
        self.store(change)
    }

    /// Makes the external commit. The group as it will be is stored with it, so that a kill after
    /// the request loses nothing; if another commit is first, it is deleted.
    pub(super) fn make_join(&mut self, tree: &[u8], env: &mut Env) -> Result<(), Error> {
        let Some(info) = self.info.take().filter(|_| self.row.phase == Phase::Wanted) else { return Ok(()) };
        match self.build_join(&info, tree, env) {
            Err(error @ (Error::Protocol(_) | Error::Rejected)) => self.join_failed(error),
            done => done,
        }
    }

    fn build_join(&mut self, info: &EpochInfo, tree: &[u8], env: &mut Env) -> Result<(), Error> {
        let context = self.context.clone();
        let bundle = stock::make(&context, stock::Kind::OneTime, env)?;
        let inputs = Inputs::at(env.now());
        let groups = context.groups()?;
        let builder = Group::join_external(context.suite, &bundle, context.config.clone());
        let mut builder = builder.group_info(context.group_info()).groups(&groups).ratchet_tree(tree);
        if let Some(leaf) = own_leaf(&context, tree)? {
            builder = builder.resync(leaf);
        }
        for message in &info.self_removes {
            builder = builder.self_remove(message);
        }
        let join = builder.build(&info.group_info, context.signer.as_ref(), &inputs, &mut env.rng)?;
        check_name(join.group(), &self.row.room)?;
        let verdict = ask(context.judge.as_ref(), join.questions())?;
        let commit = join.message.clone();
        let group_info = join.group_info.clone().ok_or(Error::Corrupt)?;
        let (group, changes) = join.accept(&verdict)?;
        let export = |label: &str, context: &[u8], length| group.export(label, context, length);
        let access_key = context.access_key(&self.row.room, export)?;
        let bundle = CommitBundle { access_key, ..CommitBundle::new(commit, group_info) };
        self.row.group_id = group.group_id().as_slice().to_vec();
        self.row.phase = Phase::Joining;
        self.row.cursor = info.head;
        self.row.joined = group.epoch();
        let epoch = group.epoch().saturating_sub(1);
        self.group = Some(group);
        let handshake = Handshake::Join { bundle: bundle.to_bytes(), epoch };
        let change = self.put_handshake(Transaction::new().change(changes), handshake)?;
        self.store(change)
    }

    /// Our external commit is in the log.
    pub(super) fn joined(&mut self) -> Result<(), Error> {
        self.row.phase = Phase::Active;
        let change = self.drop_handshake(Transaction::new());
        self.store(change)?;
        self.tell(Event::Joined { epoch: self.row.joined });
        self.outputs.push(Output::Opened(Ok(())));
        Ok(())
    }

    /// Another commit was first: the join is made anew.
    pub(super) fn join_lost(&mut self) -> Result<(), Error> {
        let change = self.delete_group(Transaction::new())?;
        self.row.phase = Phase::Wanted;
        let change = self.drop_handshake(change);
        self.store(change)
    }

    /// The join is given up, and the room with it.
    pub(super) fn join_failed(&mut self, why: Error) -> Result<(), Error> {
        self.give_up_room(why)
    }

    /// The room is given up: its name is taken, say.
    pub(super) fn creation_failed(&mut self, why: &ClientError) -> Result<(), Error> {
        match self.row.predecessor {
            Some(_) => self.vanish(why),
            None => self.give_up_room(refused(why)),
        }
    }

    fn give_up_room(&mut self, why: Error) -> Result<(), Error> {
        let change = self.delete_group(Transaction::new())?;
        let change = self.drop_handshake(change);
        let (change, outputs) = self.empty_outbox(change, &why)?;
        self.row.phase = Phase::Removed;
        self.store(change)?;
        self.outputs.extend(outputs);
        self.outputs.push(Output::Opened(Err(why)));
        Ok(())
    }

    /// Deletes what is stored of the group, if anything is.
    pub(super) fn delete_group(&mut self, change: Transaction) -> Result<Transaction, Error> {
        self.group = None;
        let id = self.row.group_id.as_slice().into();
        let version = self.context.store.read(&id, &[])?.version;
        if version == 0 {
            return Ok(change);
        }
        let mut changes = ChangeSet::new(id, version);
        changes.deleted = true;
        Ok(change.change(changes))
    }

    /// Comes in by a Welcome from the mailbox. `None` if it is not for us any more: its key package
    /// has been used, or this device is in the room.
    pub(crate) fn welcome(
        context: Arc<Context>,
        item: &MailboxItem,
        tree: Option<&[u8]>,
        before: Option<Self>,
        env: &mut Env,
    ) -> Result<Option<Self>, Error> {
        if before.as_ref().is_some_and(|room| !matches!(room.row.phase, Phase::Removed | Phase::Wanted)) {
            return Ok(None);
        }
        let Some((key, bundle)) = bundle_of(&context, &item.welcome)? else { return Ok(None) };
        let last_resort = bundle.is_last_resort();
        let bundles = [bundle];
        let groups = context.groups()?;
        let options = JoinOptions { groups: &groups, ratchet_tree: tree, ..JoinOptions::new(&bundles) };
        let (joining, predecessor) = open_welcome(&context, &item.welcome, &options, env)?;
        check_name(joining.group(), &item.room)?;
        let verdict = ask(context.judge.as_ref(), joining.questions())?;
        let (group, changes) = joining.accept(&verdict)?;
        let row = new_row(item.room.clone(), group.group_id().as_slice().to_vec(), Phase::Active);
        let row = RoomRow { cursor: item.cursor, joined: group.epoch(), predecessor, ..row };
        let mut joined = Self::new(context, row);
        if let Some(before) = before {
            joined.row.next_history = before.row.next_history;
            joined.row.next_outgoing = before.row.next_outgoing;
        }
        joined.group = Some(group);
        let change = Transaction::new().change(changes);
        // The private keys of a package for one use go with the join (RFC 9420 §16.8).
        let change = if last_resort { change } else { change.take(key) };
        joined.store(change)?;
        joined.tell(Event::Joined { epoch: joined.row.joined });
        joined.outputs.push(Output::Opened(Ok(())));
        Ok(Some(joined))
    }
}

/// Opens a Welcome. One into the successor of another group needs a secret of that group: which one, it
/// says itself. Returns the room that is continued.
fn open_welcome(
    context: &Context,
    welcome: &[u8],
    options: &JoinOptions<'_>,
    env: &mut Env,
) -> Result<(Joining, Option<RoomUri>), Error> {
    let inputs = Inputs::at(env.now());
    let mut join = |options: &JoinOptions<'_>| {
        Group::join(context.suite, welcome, options, context.config.clone(), &inputs, &mut env.rng)
    };
    let psks = match join(options) {
        Err(ProtocolError::NotYet(NotYet::Psks(psks))) => psks,
        joined => return Ok((joined?, None)),
    };
    let continued = psks.iter().find_map(|psk| match psk {
        Psk::Resumption { psk_group_id, .. } => Some(psk_group_id),
        Psk::External { .. } => None,
    });
    let Some(group_id) = continued.filter(|group_id| options.groups.contains(group_id)) else {
        return Err(ProtocolError::NotYet(NotYet::Psks(psks)).into());
    };
    let mut group = context.open_group(group_id.as_slice())?;
    let joining =
        context.supply(&mut group, |group| Ok(join(&JoinOptions { predecessor: Some(group), ..*options })?))?;
    Ok((joining, room_of(group_id)))
}

pub(super) fn new_row(room: RoomUri, group_id: Vec<u8>, phase: Phase) -> RoomRow {
    RoomRow {
        room,
        group_id,
        phase,
        cursor: 0,
        joined: 0,
        next_outgoing: 0,
        next_history: 0,
        broken: None,
        predecessor: None,
    }
}

/// The room that the identifier of a group names.
fn room_of(group_id: &GroupId) -> Option<RoomUri> {
    let text = std::str::from_utf8(group_id.as_slice()).ok()?;
    text.split_once('#')?.0.parse().ok()
}

/// The identifier of a new group: the name of its room, so that a server cannot pass one room off as
/// another, and random bytes.
pub(super) fn group_id(room: &RoomUri, env: &mut Env) -> Vec<u8> {
    let nonce = Secret::random(NONCE, &mut env.rng);
    format!("{room}#{}", hex::encode(nonce.expose())).into_bytes()
}

fn check_name(group: &Group, room: &RoomUri) -> Result<(), Error> {
    let name = format!("{room}#").into_bytes();
    if group.group_id().as_slice().starts_with(&name) { Ok(()) } else { Err(Error::Rejected) }
}

/// The leaf that this device still has in the room: it is removed by the same commit.
fn own_leaf(context: &Context, tree: &[u8]) -> Result<Option<LeafIndex>, Error> {
    let malformed = |error| Error::Protocol(ProtocolError::Malformed(error));
    let tree = RatchetTree::from_bytes(tree, &Limits::default()).map_err(malformed)?;
    let key = context.signer.public_key();
    let found = tree.nodes.iter().step_by(2).position(|node| match node {
        Some(Node::Leaf(leaf)) => leaf.signature_key == *key,
        _ => false,
    });
    Ok(found.and_then(|leaf| u32::try_from(leaf).ok()).map(LeafIndex))
}
