//! What comes in by the log.

use keyroom_api::{
    Bundle as _, Closure, Code, CommitBundle, DeviceUri, EntryKind, LogEntry, REPORT_LABEL, Report, ReportContent,
    ReportReason,
};
use keyroom_crypto::labels::sign_with_label;
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error as ProtocolError, NotYet, Refusal, Rule};
use keyroom_mls::group::{Applied, Group, Received, StagedCommit};
use keyroom_mls::identity::Member;
use keyroom_mls::record::ChangeSet;
use keyroom_store::Transaction;
use keyroom_wire::{Decode as _, LeafIndex, Limits, MlsMessage, Sender};

use super::{Room, devices};
use crate::context::{Context, Env};
use crate::event::{Event, MessageId, MessageState, Unreadable};
use crate::judge::{ask, device_of};
use crate::payload;
use crate::rows::{Broken, Handshake, HistoryRow, Phase};
use crate::{Error, Usage};

/// Whether an entry could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has been, now or before.
    Yes,
    /// Entries before it are missing.
    Gap,
}

/// What reading an entry brought.
enum Read {
    Text { sender: DeviceUri, epoch: u64, text: Result<String, Unreadable>, changes: ChangeSet },
    Proposal { changes: ChangeSet },
    Commit { applied: Applied, by: Option<DeviceUri>, added: Vec<DeviceUri>, own: bool, changes: ChangeSet },
    Nothing,
}

impl Room {
    /// Takes the next entry of the log: state, text and cursor become durable together.
    pub(crate) fn entry(&mut self, entry: &LogEntry, env: &mut Env) -> Result<Taken, Error> {
        if entry.sequence <= self.row.cursor {
            return Ok(Taken::Yes);
        }
        if entry.sequence != self.row.cursor.saturating_add(1) {
            return Ok(Taken::Gap);
        }
        match self.row.phase {
            Phase::Active => self.entry_of_member(entry, env)?,
            Phase::Joining => self.entry_of_joiner(entry)?,
            // What comes after is not for this device; but the end of the room is.
            Phase::Halted => self.row.cursor = entry.sequence,
            Phase::Creating | Phase::Wanted | Phase::Removed | Phase::Succeeded => {}
        }
        Ok(Taken::Yes)
    }

    fn entry_of_member(&mut self, entry: &LogEntry, env: &mut Env) -> Result<(), Error> {
        if let Some(own) = self.own_text(&entry.message) {
            return self.confirm_text(own, entry.sequence);
        }
        let now = env.now();
        let read = self.with_group(|group, context| read(group, context, &entry.message, now));
        match read {
            Ok(Read::Text { sender, epoch, text, changes }) => {
                self.take_text(entry.sequence, sender, epoch, text, changes)
            }
            Ok(Read::Proposal { changes }) => {
                self.row.cursor = entry.sequence;
                self.store(Transaction::new().change(changes))?;
                self.hear_proposal(&entry.message);
                Ok(())
            }
            Ok(Read::Commit { applied, by, added, own, changes }) => {
                let maker = by.clone();
                self.take_commit(entry.sequence, applied, by, added, own, changes)?;
                self.followed(entry, maker);
                Ok(())
            }
            Ok(Read::Nothing) => {
                self.skip(entry.sequence)?;
                self.hear_proposal(&entry.message);
                Ok(())
            }
            Err(error @ (Error::Protocol(_) | Error::Rejected)) => self.unreadable(entry, error, env),
            Err(error) => Err(error),
        }
    }

    fn skip(&mut self, sequence: u64) -> Result<(), Error> {
        self.row.cursor = sequence;
        self.store(Transaction::new())
    }

    fn take_text(
        &mut self,
        sequence: u64,
        sender: DeviceUri,
        epoch: u64,
        text: Result<String, Unreadable>,
        changes: ChangeSet,
    ) -> Result<(), Error> {
        self.row.cursor = sequence;
        let change = Transaction::new().change(changes);
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                self.store(change)?;
                self.tell(Event::Unreadable { sequence, why });
                return Ok(());
            }
        };
        let id = self.row.next_history;
        self.row.next_history += 1;
        let state = MessageState::Received;
        let row = HistoryRow { sender, epoch: Some(epoch), sequence: Some(sequence), state, text };
        let change = self.put_history(change, id, &row)?;
        self.store(change)?;
        self.tell(Event::Message(super::message(MessageId(id), row)));
        Ok(())
    }

    fn take_commit(
        &mut self,
        sequence: u64,
        applied: Applied,
        by: Option<DeviceUri>,
        added: Vec<DeviceUri>,
        own: bool,
        changes: ChangeSet,
    ) -> Result<(), Error> {
        self.row.cursor = sequence;
        match applied {
            Applied::Epoch { epoch, removed, .. } => {
                let event = Event::Epoch { epoch, by, added, removed: devices(&removed) };
                self.new_epoch(epoch, event, own, changes)
            }
            Applied::Removed => self.out(by, changes),
            Applied::Reinitialised(_) => self.halt(sequence, Usage::Removed.into(), Some(changes), None),
        }
    }

    fn new_epoch(&mut self, epoch: u64, event: Event, own: bool, changes: ChangeSet) -> Result<(), Error> {
        let mut change = Transaction::new().change(changes);
        let mut settled = Vec::new();
        let mut rebased = false;
        if let Some(Handshake::Commit { entries, .. }) = self.handshake.clone() {
            change = self.drop_handshake(change);
            if own {
                for entry in entries.iter().filter(|entry| self.outbox.contains_key(entry)) {
                    change = change.delete(self.outgoing_key(*entry));
                    settled.push(*entry);
                }
                settled.iter().for_each(|entry| drop(self.outbox.remove(entry)));
            } else {
                rebased = true;
            }
        }
        let (change, reproposed) = self.forget_proposal(change)?;
        self.store(change)?;
        self.tell(event);
        if reproposed {
            self.tell(Event::Reproposed { epoch });
        }
        if rebased {
            self.tell(Event::Rebased { epoch });
        }
        settled.into_iter().for_each(|entry| self.settle(entry, Ok(epoch)));
        Ok(())
    }

    /// This device is out: the keys go, the history stays.
    fn out(&mut self, by: Option<DeviceUri>, changes: ChangeSet) -> Result<(), Error> {
        self.row.phase = Phase::Removed;
        let epoch = self.loaded_epoch().unwrap_or_default().saturating_add(1);
        let change = self.drop_handshake(Transaction::new().change(changes));
        let (change, left) = self.left(change, epoch);
        let (change, outputs) = self.empty_outbox(change, &Usage::Removed.into())?;
        self.store(change)?;
        self.group = None;
        self.outputs.extend(outputs);
        self.tell(Event::Removed { by });
        self.outputs.extend(left);
        Ok(())
    }

    /// An entry that cannot be read. A text that is lost leaves the room as it was; a commit that
    /// cannot be followed is the end of this device's view of it.
    fn unreadable(&mut self, entry: &LogEntry, error: Error, env: &mut Env) -> Result<(), Error> {
        let sequence = entry.sequence;
        if entry.kind == EntryKind::Commit {
            let report = self.report_of(entry, &error, env)?;
            if report.is_some() {
                self.row.broken = Some(Broken { sequence, by: self.committer(&entry.message)? });
            }
            return self.halt(sequence, error, None, report);
        }
        let why = reason(&error, entry.epoch, self.row.joined);
        self.skip(sequence)?;
        self.tell(Event::Unreadable { sequence, why });
        Ok(())
    }

    /// The member who made a commit of the current epoch, as far as it shows.
    fn committer(&mut self, commit: &[u8]) -> Result<Option<DeviceUri>, Error> {
        let message = MlsMessage::from_bytes(commit, &self.context.config.limits);
        let Ok(MlsMessage::PublicMessage(message)) = message else { return Ok(None) };
        let Sender::Member(leaf) = message.content.sender else { return Ok(None) };
        self.with_group(|group, _| Ok(group.member(leaf)?.as_ref().and_then(device_of)))
    }

    /// The word of this member that it cannot follow a commit of its epoch; nothing about any other one.
    fn report_of(&mut self, entry: &LogEntry, error: &Error, env: &mut Env) -> Result<Option<Report>, Error> {
        let present = self.with_group(|group, _| Ok(group.epoch()))?;
        if present == entry.epoch { self.report(entry, report_reason(error), env).map(Some) } else { Ok(None) }
    }

    pub(super) fn report(&mut self, entry: &LogEntry, reason: ReportReason, env: &mut Env) -> Result<Report, Error> {
        let room = self.row.room.clone();
        let LogEntry { sequence, epoch, .. } = *entry;
        self.with_group(|group, context| {
            let leaf = group.own_leaf().0;
            let (room, commit) = (room.clone(), entry.message.clone());
            let content = ReportContent { room, commit, sequence, epoch, leaf, reason };
            let signer = context.signer.as_ref();
            let signature = sign_with_label(signer, REPORT_LABEL, &content.to_bytes(), &mut env.rng)
                .map_err(|error| Error::Protocol(error.into()))?;
            Ok(Report { sequence, epoch, leaf, reason, signature: signature.as_slice().to_vec() })
        })
    }

    /// The server has counted our report, or has no use for it.
    pub(super) fn reported(&mut self, closed: Option<Closure>) -> Result<(), Error> {
        let change = self.drop_handshake(Transaction::new());
        self.store(change)?;
        closed.map_or(Ok(()), |closure| self.close(closure))
    }

    /// The room has ended, or its end has got a successor.
    pub(crate) fn close(&mut self, closure: Closure) -> Result<(), Error> {
        if self.closure.as_ref() == Some(&closure) {
            return Ok(());
        }
        if self.row.phase == Phase::Active {
            self.row.phase = Phase::Halted;
            let change = self.drop_handshake(Transaction::new());
            let (change, outputs) = self.empty_outbox(change, &Error::Refused(Code::Closed))?;
            self.store(change)?;
            self.outputs.extend(outputs);
        }
        self.tell(Event::Closed { sequence: closure.at, successor: closure.successor.clone() });
        self.closure = Some(closure);
        Ok(())
    }

    pub(super) fn halt(
        &mut self,
        sequence: u64,
        why: Error,
        changes: Option<ChangeSet>,
        report: Option<Report>,
    ) -> Result<(), Error> {
        self.row.phase = Phase::Halted;
        let change = changes.into_iter().fold(Transaction::new(), Transaction::change);
        let change = match report {
            Some(report) => self.put_handshake(change, Handshake::Report { report: report.to_bytes() })?,
            None => self.drop_handshake(change),
        };
        let (change, outputs) = self.empty_outbox(change, &why)?;
        self.store(change)?;
        self.outputs.extend(outputs);
        self.tell(Event::Halted { sequence, why });
        Ok(())
    }

    /// The log from our external commit on. A server that shows another one in its place has lost ours.
    fn entry_of_joiner(&mut self, entry: &LogEntry) -> Result<(), Error> {
        let Some(Handshake::Join { bundle, epoch }) = &self.handshake else { return Err(Error::Corrupt) };
        let epoch = *epoch;
        let bundle = CommitBundle::from_bytes(bundle, &Limits::default()).map_err(|_| Error::Corrupt)?;
        self.row.cursor = entry.sequence;
        if bundle.commit == entry.message {
            return self.joined();
        }
        if entry.kind == EntryKind::Commit && entry.epoch == epoch {
            return self.join_lost();
        }
        self.store(Transaction::new())
    }
}

/// Reads one message and applies it, if it is a commit that the judge accepts.
fn read(group: &mut Group, context: &Context, message: &[u8], now: u64) -> Result<Read, Error> {
    let inputs = Inputs::at(now);
    let processed = group.process(message, &inputs)?;
    match (processed.received, processed.changes) {
        (Received::Application { sender, epoch, generation, data, .. }, Some(changes)) => {
            let sender = device_of(&sender).ok_or(Error::Rejected)?;
            let text = payload::open(generation, &data);
            Ok(Read::Text { sender, epoch, text, changes })
        }
        (Received::Proposal(_), Some(changes)) => Ok(Read::Proposal { changes }),
        (Received::OwnCommit(id), _) => {
            let staged = group.pending_commit(id, &inputs)?.into_staged();
            apply(group, context, staged, true)
        }
        (Received::Commit(staged), _) => apply(group, context, staged, false),
        _ => Ok(Read::Nothing),
    }
}

fn apply(group: &mut Group, context: &Context, staged: StagedCommit, own: bool) -> Result<Read, Error> {
    let verdict = ask(context.judge.as_ref(), staged.questions())?;
    let committer = match staged.committer() {
        Sender::Member(leaf) => group.member(leaf)?,
        _ => None,
    };
    let external = !matches!(staged.committer(), Sender::Member(_));
    let (applied, changes) = group.apply(staged, &verdict)?;
    let mut added = match &applied {
        Applied::Epoch { added, .. } => members(group, added)?,
        _ => Vec::new(),
    };
    let by = match committer {
        Some(member) => device_of(&member),
        // An external committer is the one who comes in.
        None if external => added.first().cloned(),
        None => None,
    };
    added.dedup();
    Ok(Read::Commit { applied, by, added, own, changes })
}

fn members(group: &Group, leaves: &[LeafIndex]) -> Result<Vec<DeviceUri>, Error> {
    let found: Result<Vec<Option<Member>>, ProtocolError> = leaves.iter().map(|leaf| group.member(*leaf)).collect();
    Ok(devices(found?.iter().flatten()))
}

/// What is wrong with a commit, in the words of a report.
fn report_reason(error: &Error) -> ReportReason {
    match error {
        Error::Protocol(ProtocolError::Rule(Rule::MembershipTag)) => ReportReason::MembershipTag,
        Error::Protocol(ProtocolError::Rule(Rule::ConfirmationTag)) => ReportReason::ConfirmationTag,
        Error::Protocol(ProtocolError::Rule(Rule::PathDecryption | Rule::PathKeyMismatch)) => ReportReason::Path,
        Error::Protocol(ProtocolError::NotYet(NotYet::Psks(_))) => ReportReason::Psk,
        _ => ReportReason::Other,
    }
}

/// Why a message of `epoch` cannot be read by a device that came in at `joined`.
fn reason(error: &Error, epoch: u64, joined: u64) -> Unreadable {
    let Error::Protocol(error) = error else { return Unreadable::Tampered };
    match error {
        ProtocolError::Refused(Refusal::EpochNotKept) if epoch < joined => Unreadable::BeforeJoining,
        ProtocolError::Refused(Refusal::EpochNotKept) | ProtocolError::Rule(Rule::WrongEpoch) => Unreadable::TooOld,
        ProtocolError::Refused(_) => Unreadable::Gap,
        ProtocolError::NotYet(NotYet::FutureEpoch { .. }) => Unreadable::Fork,
        ProtocolError::Rule(Rule::GenerationConsumed | Rule::OwnMessage) => Unreadable::Repeated,
        ProtocolError::Malformed(_) => Unreadable::Malformed,
        _ => Unreadable::Tampered,
    }
}
