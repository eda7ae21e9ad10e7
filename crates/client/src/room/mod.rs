//! A room as a state machine over the store.
//!
//! Entries of the log and answers of the server come in; requests and outputs come out; nothing
//! here waits or speaks to anybody. Every step is one transaction, made before its outputs are
//! taken. If the store fails, the value is dropped and opened again: what it held in memory is
//! not trusted any more.
//!
//! The log decides. An own commit or text takes effect when it comes back in the log, never by
//! the answer to the request that sent it; so the answer may be lost, come late or come twice.

mod access;
mod commit;
mod inbox;
mod join;
mod leave;
mod outbox;
mod successor;

pub(crate) use inbox::Taken;
pub(crate) use outbox::refused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyroom_api::{Closure, Code, DeviceUri, EpochInfo, RoomUri, UserUri};
use keyroom_mls::group::{CommitAdvice, Group};
use keyroom_store::{RowKey, Scan, Transaction};

use crate::context::Context;
use crate::event::{Event, Message, MessageId, MessageState};
use crate::judge::device_of;
use crate::rows::{self, Handshake, HistoryRow, Outgoing, Phase, RoomRow};
use crate::view::{Agreement, Member, View, agreement, draw};
use crate::{Error, Usage};
use access::Followed;
use successor::Founding;

/// Rows are listed in pages of this many.
const PAGE: usize = 256;

/// What a room has to say.
#[derive(Debug)]
pub(crate) enum Output {
    /// For whoever listens.
    Event(Event),
    /// An entry of the outbox is done: in this epoch, or not at all.
    Settled { entry: u64, result: Result<u64, Error> },
    /// The room can be used, or never will.
    Opened(Result<(), Error>),
    /// There is no such room any more: the predecessor goes on in another one, perhaps without the device that
    /// stood in the way of this one.
    Gone { without: Option<DeviceUri> },
}

/// What the state machine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Handshake,
    EpochInfo,
    Tree,
    Access { epoch: u64 },
    Claim { entry: u64 },
    ClaimForSuccessor { user: UserUri },
    Message { entry: u64 },
}

/// A room.
pub(crate) struct Room {
    context: Arc<Context>,
    row: RoomRow,
    group: Option<Group>,
    handshake: Option<Handshake>,
    outbox: BTreeMap<u64, Outgoing>,
    /// What is known of the room's end.
    closure: Option<Closure>,
    /// The key packages for its successor, while this device founds it.
    founding: Option<Founding>,
    /// Who cannot be brought along.
    left_out: BTreeSet<DeviceUri>,
    /// The epoch into which an external join leads, until its tree is there.
    info: Option<EpochInfo>,
    /// The epoch whose secrets the server knows that this device has, where it asks.
    proved: Option<u64>,
    /// The commit that began the present epoch, where it might have to be reported later.
    followed: Option<Followed>,
    /// The server has answered the request of the handshake: the log will show what became of it.
    answered: bool,
    /// Texts that the server has taken and the log has not shown.
    taken: BTreeSet<u64>,
    /// Texts that the server has refused because their epoch is too old.
    late: BTreeSet<u64>,
    /// Proposals that the log has shown: they wait for the commit of somebody else.
    heard: BTreeSet<u64>,
    outputs: Vec<Output>,
}

impl Room {
    fn new(context: Arc<Context>, row: RoomRow) -> Self {
        Self {
            context,
            row,
            group: None,
            handshake: None,
            outbox: BTreeMap::new(),
            closure: None,
            founding: None,
            left_out: BTreeSet::new(),
            info: None,
            proved: None,
            followed: None,
            answered: false,
            taken: BTreeSet::new(),
            late: BTreeSet::new(),
            heard: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }

    /// Reads a room from the store.
    pub(crate) fn open(context: Arc<Context>, room: &RoomUri) -> Result<Option<Self>, Error> {
        let name = room.to_string().into_bytes();
        let Some(row) = context.store.row(&RowKey::new(rows::ROOMS, name.clone()))? else { return Ok(None) };
        let handshake = context.store.row(&RowKey::new(rows::HANDSHAKES, name.clone()))?;
        let mut opened = Self::new(context.clone(), rows::decode(&row)?);
        opened.handshake = handshake.map(|row| rows::decode(&row)).transpose()?;
        let mut from = 0;
        loop {
            let page = context.store.rows(series(rows::OUTBOX, &name, from), PAGE)?;
            let Some(last) = page.last().map(|row| row.key.order) else { break };
            for row in page {
                opened.outbox.insert(row.key.order, rows::decode(&row.value)?);
            }
            from = last.saturating_add(1);
        }
        Ok(Some(opened))
    }

    pub(crate) fn uri(&self) -> &RoomUri {
        &self.row.room
    }

    pub(crate) fn phase(&self) -> Phase {
        self.row.phase
    }

    /// The cursor from which the log is wanted, if it is.
    pub(crate) fn wants_log(&self) -> Option<u64> {
        let member = match self.row.phase {
            Phase::Active => self.has_access(),
            // Before its commit is taken, the server lets it read nothing.
            Phase::Joining => self.answered,
            Phase::Halted => true,
            Phase::Creating | Phase::Wanted | Phase::Removed | Phase::Succeeded => false,
        };
        member.then_some(self.row.cursor)
    }

    /// Whether nothing waits to be sent or confirmed.
    pub(crate) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && self.handshake.is_none()
    }

    /// The epoch, if the group is in memory.
    pub(crate) fn loaded_epoch(&self) -> Option<u64> {
        self.group.as_ref().map(Group::epoch)
    }

    /// Whether this device should commit for the sake of the others.
    pub(crate) fn commit_advice(&mut self) -> Result<Option<CommitAdvice>, Error> {
        self.with_group(|group, _| Ok(group.commit_advice()?))
    }

    /// Whether this entry of the outbox is still to be done.
    pub(crate) fn awaits(&self, entry: u64) -> bool {
        self.outbox.contains_key(&entry)
    }

    /// Whether the log has yet to show what the server has taken.
    pub(crate) fn awaits_log(&self) -> bool {
        self.answered || !self.taken.is_empty()
    }

    /// Whether this device has been told to leave.
    fn is_leaving(&self) -> bool {
        self.outbox.last_key_value().is_some_and(|(_, last)| matches!(last, Outgoing::Leave { .. }))
    }

    /// If others have proposed something that a commit of this device would cover: how many members are
    /// before it in the order in which they should commit.
    pub(crate) fn cover_rank(&mut self) -> Result<Option<u32>, Error> {
        self.with_group(|group, _| Ok(leave::waits_for_us(group).then(|| leave::rank(group))))
    }

    /// What has been said since it was last asked.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Takes a text into the outbox.
    pub(crate) fn send(&mut self, text: String) -> Result<MessageId, Error> {
        self.check_alive()?;
        let id = MessageId(self.row.next_history);
        let sender = self.context.device.clone();
        let history = HistoryRow { sender, epoch: None, sequence: None, state: MessageState::Sending, text };
        self.row.next_history += 1;
        let change = self.put_history(Transaction::new(), id.0, &history)?;
        self.enqueue(change, [Outgoing::Text { history: id.0 }])?;
        Ok(id)
    }

    /// Takes changes of the members or keys into the outbox, all or none, so that one commit holds them
    /// as far as it can; the entries' numbers name them in [`Output::Settled`].
    pub(crate) fn change(&mut self, changes: impl IntoIterator<Item = Outgoing>) -> Result<Vec<u64>, Error> {
        self.check_alive()?;
        let changes: Vec<Outgoing> = changes.into_iter().collect();
        let foreign = |user: &UserUri| user.host() != self.row.room.host();
        let abroad = changes.iter().any(|change| match change {
            Outgoing::Invite { user, .. } | Outgoing::Remove { user } => foreign(user),
            _ => false,
        });
        if abroad { Err(Usage::ForeignHost.into()) } else { self.enqueue(Transaction::new(), changes) }
    }

    /// Texts from the one after `after` on.
    pub(crate) fn history(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<Message>, Error> {
        let from = after.map_or(0, |id| id.0.saturating_add(1));
        let name = self.name();
        let found = self.context.store.rows(series(rows::HISTORY, &name, from), limit)?;
        found.iter().map(|row| Ok(message(MessageId(row.key.order), rows::decode(&row.value)?))).collect()
    }

    /// The last texts, at most `limit`, oldest first.
    pub(crate) fn recent(&self, limit: usize) -> Result<Vec<Message>, Error> {
        let name = self.name();
        let mut found = self.context.store.rows(Scan::latest(rows::HISTORY, &name), limit)?;
        found.reverse();
        found.iter().map(|row| Ok(message(MessageId(row.key.order), rows::decode(&row.value)?))).collect()
    }

    /// What an onlooker with the keys sees.
    pub(crate) fn view(&mut self) -> Result<View, Error> {
        self.check_entered()?;
        self.with_group(|group, _| {
            let members = group.members()?;
            let members = members.iter().map(Member::of).collect();
            Ok(View {
                epoch: group.epoch(),
                own_leaf: group.own_leaf().0,
                members,
                authenticator: group.epoch_authenticator().to_vec(),
                tree: draw(group.tree())?,
            })
        })
    }

    /// Holds what a peer sees of an epoch against what this device sees.
    pub(crate) fn compare(&mut self, epoch: u64, authenticator: &[u8]) -> Result<Agreement, Error> {
        self.check_entered()?;
        self.with_group(|group, _| Ok(agreement(group, epoch, authenticator)))
    }

    fn check_entered(&self) -> Result<(), Error> {
        match self.row.phase {
            Phase::Removed => Err(Usage::Removed.into()),
            Phase::Succeeded => Err(Error::Refused(Code::Closed)),
            Phase::Wanted | Phase::Joining => Err(Usage::NotEntered.into()),
            Phase::Creating | Phase::Active | Phase::Halted => Ok(()),
        }
    }

    fn check_alive(&self) -> Result<(), Error> {
        match self.row.phase {
            Phase::Removed => Err(Usage::Removed.into()),
            Phase::Succeeded => Err(Error::Refused(Code::Closed)),
            _ if self.closure.is_some() => Err(Error::Refused(Code::Closed)),
            _ if self.is_leaving() => Err(Usage::Leaving.into()),
            _ => Ok(()),
        }
    }

    fn enqueue(
        &mut self,
        mut change: Transaction,
        outgoing: impl IntoIterator<Item = Outgoing>,
    ) -> Result<Vec<u64>, Error> {
        let mut entries = Vec::new();
        for outgoing in outgoing {
            let entry = self.row.next_outgoing;
            self.row.next_outgoing += 1;
            change = self.put_outgoing(change, entry, &outgoing)?;
            self.outbox.insert(entry, outgoing);
            entries.push(entry);
        }
        self.store(change)?;
        Ok(entries)
    }

    /// Runs an operation of the group with all records that it needs.
    fn with_group<T>(&mut self, operation: impl FnMut(&mut Group, &Context) -> Result<T, Error>) -> Result<T, Error> {
        let mut operation = operation;
        let context = self.context.clone();
        let mut group = match self.group.take() {
            Some(group) => group,
            None => context.open_group(&self.row.group_id)?,
        };
        let done = context.supply(&mut group, |group| operation(group, &context));
        self.group = Some(group);
        done
    }

    /// Stores a transaction together with the row of the room.
    fn store(&self, change: Transaction) -> Result<(), Error> {
        let change = change.put(RowKey::new(rows::ROOMS, self.name()), rows::encode(&self.row)?);
        Ok(self.context.store.apply(change)?)
    }

    fn name(&self) -> Vec<u8> {
        self.row.room.to_string().into_bytes()
    }

    fn handshake_key(&self) -> RowKey {
        RowKey::new(rows::HANDSHAKES, self.name())
    }

    fn outgoing_key(&self, entry: u64) -> RowKey {
        RowKey::at(rows::OUTBOX, self.name(), entry)
    }

    fn put_outgoing(&self, change: Transaction, entry: u64, outgoing: &Outgoing) -> Result<Transaction, Error> {
        Ok(change.put(self.outgoing_key(entry), rows::encode(outgoing)?))
    }

    fn put_handshake(&mut self, change: Transaction, handshake: Handshake) -> Result<Transaction, Error> {
        let change = change.put(self.handshake_key(), rows::encode(&handshake)?);
        self.handshake = Some(handshake);
        self.answered = false;
        Ok(change)
    }

    fn drop_handshake(&mut self, change: Transaction) -> Transaction {
        self.handshake = None;
        self.answered = false;
        change.delete(self.handshake_key())
    }

    fn history_row(&self, id: u64) -> Result<HistoryRow, Error> {
        let row = self.context.store.row(&RowKey::at(rows::HISTORY, self.name(), id))?;
        rows::decode(&row.ok_or(Error::Corrupt)?)
    }

    fn put_history(&self, change: Transaction, id: u64, row: &HistoryRow) -> Result<Transaction, Error> {
        Ok(change.put(RowKey::at(rows::HISTORY, self.name(), id), rows::encode(row)?))
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    fn settle(&mut self, entry: u64, result: Result<u64, Error>) {
        self.outputs.push(Output::Settled { entry, result });
    }

    /// Gives up everything in the outbox; the outputs that say so are returned, to be told once the
    /// transaction is stored.
    fn empty_outbox(&mut self, mut change: Transaction, why: &Error) -> Result<(Transaction, Vec<Output>), Error> {
        let mut outputs = Vec::new();
        for (entry, outgoing) in std::mem::take(&mut self.outbox) {
            let (next, output) = self.give_up(change, entry, &outgoing, why.clone())?;
            change = next;
            outputs.push(output);
        }
        self.taken.clear();
        self.late.clear();
        self.heard.clear();
        Ok((change, outputs))
    }

    /// Deletes an entry of the outbox that will not be sent.
    fn give_up(
        &self,
        change: Transaction,
        entry: u64,
        outgoing: &Outgoing,
        why: Error,
    ) -> Result<(Transaction, Output), Error> {
        let change = change.delete(self.outgoing_key(entry));
        match outgoing {
            Outgoing::Text { history } | Outgoing::Message { history, .. } => {
                let row = HistoryRow { state: MessageState::Failed, ..self.history_row(*history)? };
                let change = self.put_history(change, *history, &row)?;
                Ok((change, Output::Event(Event::NotSent { id: MessageId(*history), why })))
            }
            Outgoing::Invite { .. }
            | Outgoing::Remove { .. }
            | Outgoing::Rotate
            | Outgoing::Cover
            | Outgoing::Leave { .. } => Ok((change, Output::Settled { entry, result: Err(why) })),
        }
    }
}

/// Rows of a series from `from` on.
fn series(namespace: keyroom_store::Namespace, name: &[u8], from: u64) -> Scan<'_> {
    let direction = keyroom_store::Direction::Ascending;
    Scan::Series { namespace, name, within: from..=u64::MAX, direction }
}

pub(crate) fn message(id: MessageId, row: HistoryRow) -> Message {
    let HistoryRow { sender, epoch, sequence, state, text } = row;
    Message { id, sender, epoch, sequence, state, text }
}

/// The devices of these members, as far as their credentials name any.
fn devices<'a>(members: impl IntoIterator<Item = &'a keyroom_mls::identity::Member>) -> Vec<DeviceUri> {
    members.into_iter().filter_map(device_of).collect()
}

#[cfg(test)]
mod tests;
