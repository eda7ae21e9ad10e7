//! What is to be sent, and what became of it.

use keyroom_api::{
    Bundle as _, ClientError, Code, CommitBundle, DeviceClaim, DeviceUri, IdempotencyKey, Offer, Receipt, Report,
    RoomBundle, UserUri,
};
use keyroom_mls::error::{Error as ProtocolError, Usage as ProtocolUsage};
use keyroom_store::Transaction;
use keyroom_wire::Limits;

use super::{Asked, Room};
use crate::context::Env;
use crate::event::{Event, MessageId, MessageState};
use crate::payload;
use crate::rows::{ClaimedPackage, Handshake, HistoryRow, Outgoing, Phase};
use crate::transport::{Answer, Request};
use crate::{Error, Usage};

impl Room {
    /// The next request, made durable as far as it must be. One is under way at a time: ask again
    /// when [`answer`](Self::answer) has taken what came of it.
    pub(crate) fn next_request(&mut self, env: &mut Env) -> Result<Option<(Asked, Request)>, Error> {
        if self.row.phase == Phase::Wanted {
            return Ok(Some(self.join_request()));
        }
        if let Some(proof) = self.prove(env)? {
            return Ok(Some(proof));
        }
        if let Some(handshake) = self.handshake.as_ref().filter(|_| !self.answered) {
            return Ok(Some((Asked::Handshake, self.handshake_request(handshake)?)));
        }
        if self.row.phase != Phase::Active || self.handshake.is_some() {
            return Ok(self.claim_for_successor());
        }
        self.next_entry(env)
    }

    /// What an external join needs: the GroupInfo first, then the tree that it names.
    fn join_request(&self) -> (Asked, Request) {
        let room = self.row.room.clone();
        match &self.info {
            None => (Asked::EpochInfo, Request::EpochInfo { room }),
            Some(info) => (Asked::Tree, Request::Tree { room, tree_hash: info.tree_hash.clone() }),
        }
    }

    fn handshake_request(&self, handshake: &Handshake) -> Result<Request, Error> {
        let room = self.row.room.clone();
        Ok(match handshake {
            Handshake::Create { bundle } => {
                let bundle = RoomBundle::from_bytes(bundle, &Limits::default()).map_err(|_| Error::Corrupt)?;
                Request::CreateRoom { room, bundle }
            }
            Handshake::Report { report } => {
                let report = Report::from_bytes(report, &Limits::default()).map_err(|_| Error::Corrupt)?;
                Request::Report { room, report }
            }
            Handshake::Join { bundle, .. } | Handshake::Commit { bundle, .. } => {
                let bundle = CommitBundle::from_bytes(bundle, &Limits::default()).map_err(|_| Error::Corrupt)?;
                let key = self.key_of(&bundle.commit)?;
                Request::Commit { room, bundle, key }
            }
        })
    }

    /// The first entry of the outbox that is not on its way. Texts overtake neither each other nor a
    /// change that was asked for before them.
    fn next_entry(&mut self, env: &mut Env) -> Result<Option<(Asked, Request)>, Error> {
        loop {
            let first = self.outbox.iter().find(|(entry, _)| !self.taken.contains(entry));
            let Some((entry, outgoing)) = first.map(|(entry, outgoing)| (*entry, outgoing.clone())) else {
                return Ok(None);
            };
            match outgoing {
                Outgoing::Message { history, epoch, .. } if self.late.contains(&entry) => {
                    // It is encrypted again as soon as this device has left its epoch.
                    if self.with_group(|group, _| Ok(group.epoch()))? <= epoch {
                        return Ok(None);
                    }
                    self.late.remove(&entry);
                    self.replace(entry, Outgoing::Text { history })?;
                }
                Outgoing::Message { message, .. } => {
                    let key = self.key_of(&message)?;
                    let request = Request::Send { room: self.row.room.clone(), message, key };
                    return Ok(Some((Asked::Message { entry }, request)));
                }
                Outgoing::Text { history } => {
                    if !self.seal(entry, history, env)? {
                        self.commit_waiting(env)?;
                        return self.next_request(env);
                    }
                }
                Outgoing::Leave { proposed } => return self.leave(entry, proposed, env),
                Outgoing::Invite { .. } | Outgoing::Remove { .. } | Outgoing::Rotate | Outgoing::Cover => {
                    if let Some(claim) = self.claim_for(entry) {
                        return Ok(Some(claim));
                    }
                    self.commit_changes(entry, env)?;
                    if self.handshake.is_some() {
                        return self.next_request(env);
                    }
                }
            }
        }
    }

    /// The next request for key packages that the changes from `first` on need, so that one commit
    /// can hold them all.
    fn claim_for(&self, first: u64) -> Option<(Asked, Request)> {
        let cipher_suite = self.context.suite.cipher_suite().0;
        let mut run = self.outbox.range(first..).take_while(|(_, outgoing)| outgoing.is_change());
        run.find_map(|(entry, outgoing)| match outgoing {
            Outgoing::Invite { user, claimed: None } => {
                Some((Asked::Claim { entry: *entry }, Request::Claim { user: user.clone(), cipher_suite }))
            }
            _ => None,
        })
    }

    /// Encrypts a text; the key that it takes and the ciphertext become durable together. `false` if
    /// proposals wait for a commit, which has to come first (RFC 9420 §12.4).
    fn seal(&mut self, entry: u64, history: u64, env: &mut Env) -> Result<bool, Error> {
        let row = self.history_row(history)?;
        let sealed = self.with_group(|group, context| {
            let payload = payload::seal(group.next_generation()?, &row.text);
            let sealed = group.encrypt(&payload, b"", context.signer.as_ref(), &mut env.rng)?;
            Ok((group.epoch(), sealed))
        });
        let (epoch, sealed) = match sealed {
            Err(Error::Protocol(ProtocolError::Usage(ProtocolUsage::ProposalsPending))) => return Ok(false),
            Err(Error::Protocol(error @ ProtocolError::Refused(_))) => {
                self.refuse_text(entry, Error::Protocol(error))?;
                return Ok(true);
            }
            other => other?,
        };
        let outgoing = Outgoing::Message { history, epoch, message: sealed.message };
        let change = self.put_outgoing(Transaction::new().change(sealed.changes), entry, &outgoing)?;
        let change = self.put_history(change, history, &HistoryRow { epoch: Some(epoch), ..row })?;
        self.store(change)?;
        self.outbox.insert(entry, outgoing);
        Ok(true)
    }

    fn replace(&mut self, entry: u64, outgoing: Outgoing) -> Result<(), Error> {
        let change = self.put_outgoing(Transaction::new(), entry, &outgoing)?;
        self.store(change)?;
        self.outbox.insert(entry, outgoing);
        Ok(())
    }

    /// Takes what came of a request. An error that says nothing about the request (the server was
    /// not reached) leaves everything as it is, and the request is made again.
    pub(crate) fn answer(
        &mut self,
        asked: &Asked,
        answer: Result<Answer, ClientError>,
        env: &mut Env,
    ) -> Result<(), Error> {
        match (asked, answer) {
            (_, Err(error)) if error.is_retryable() && self.unreachable(&error).is_none() => Ok(()),
            (Asked::Handshake, Ok(Answer::Room(_))) => self.created(),
            (Asked::Handshake, Ok(Answer::Accepted(receipt))) => self.handshake_accepted(&receipt),
            (Asked::Handshake, Ok(Answer::Reported(receipt))) => self.reported(receipt.closed),
            (Asked::Handshake, Err(error)) => self.handshake_refused(&error),
            (Asked::EpochInfo, Ok(Answer::EpochInfo(info))) => {
                self.info = Some(info);
                Ok(())
            }
            (Asked::Tree, Ok(Answer::Tree(tree))) => self.make_join(&tree, env),
            (Asked::Tree, Err(error)) if error.code() == Some(Code::UnknownTree) => {
                // Its epoch has gone meanwhile.
                self.info = None;
                Ok(())
            }
            (Asked::EpochInfo | Asked::Tree, Err(error)) => self.join_failed(refused(&error)),
            (Asked::Access { epoch }, Ok(Answer::Proved)) => {
                self.proved(*epoch);
                Ok(())
            }
            (Asked::Access { epoch }, Err(error)) => self.not_proved(*epoch, &error, env),
            (Asked::Claim { entry }, Ok(Answer::Claimed(devices))) => self.claimed(*entry, devices),
            (Asked::Claim { entry }, Err(error)) => self.refuse_change(*entry, refused(&error)),
            (Asked::ClaimForSuccessor { user }, Ok(Answer::Claimed(devices))) => {
                self.claimed_for_successor(user, devices);
                Ok(())
            }
            (Asked::ClaimForSuccessor { user }, Err(_)) => {
                self.claimed_for_successor(user, Vec::new());
                Ok(())
            }
            (Asked::Message { entry }, Ok(Answer::Accepted(receipt))) => {
                if self.is_leave(*entry) {
                    self.leave_taken(*entry, receipt.sequence);
                } else if self.awaits(*entry) {
                    self.taken.insert(*entry);
                }
                Ok(())
            }
            (Asked::Message { entry }, Err(error)) if self.is_leave(*entry) => self.leave_not_taken(*entry, &error),
            (Asked::Message { entry }, Err(error)) if error.code() == Some(Code::WrongEpoch) => {
                self.late.insert(*entry);
                Ok(())
            }
            (Asked::Message { entry }, Err(error)) => self.refuse_text(*entry, refused(&error)),
            (_, Ok(_)) => Err(Error::Answer),
        }
    }

    fn created(&mut self) -> Result<(), Error> {
        if self.row.phase != Phase::Creating {
            return Ok(());
        }
        self.row.phase = Phase::Active;
        let change = self.drop_handshake(Transaction::new());
        self.store(change)?;
        self.tell(Event::Joined { epoch: self.row.joined });
        self.outputs.push(super::Output::Opened(Ok(())));
        Ok(())
    }

    /// The log will show the handshake, or has been faster than the answer.
    fn handshake_accepted(&mut self, receipt: &Receipt) -> Result<(), Error> {
        if self.row.phase == Phase::Joining {
            // From its own commit on it may read the log.
            self.row.cursor = receipt.sequence.saturating_sub(1);
            self.store(Transaction::new())?;
        }
        self.answered = self.handshake.is_some();
        Ok(())
    }

    /// The server did not take the handshake. If another commit was first, the log brings it to a member
    /// and decides, and somebody who is not in the room yet begins again; any other refusal is final.
    fn handshake_refused(&mut self, error: &ClientError) -> Result<(), Error> {
        match &self.handshake {
            Some(Handshake::Join { .. }) if error.code() == Some(Code::WrongEpoch) => self.join_lost(),
            Some(_) if error.code() == Some(Code::WrongEpoch) => {
                self.answered = true;
                Ok(())
            }
            Some(Handshake::Report { .. }) => {
                let closed = match error {
                    ClientError::Problem(problem) => problem.closed.clone(),
                    _ => None,
                };
                self.reported(closed)
            }
            Some(Handshake::Create { .. }) => self.creation_failed(error),
            Some(Handshake::Join { .. }) => self.join_failed(refused(error)),
            Some(Handshake::Commit { entries, .. }) => {
                let without = self.unreachable(error).map(|device| device.user());
                let to_blame = |entry: &&u64| match (self.outbox.get(entry), &without) {
                    (Some(Outgoing::Invite { user, .. }), Some(without)) => user == without,
                    _ => false,
                };
                let blamed: Vec<u64> = entries.iter().filter(to_blame).copied().collect();
                // What else was asked for goes into the next commit.
                let entries = if blamed.is_empty() { entries.clone() } else { blamed };
                self.commit_refused(&entries, &refused(error))
            }
            None => Ok(()),
        }
    }

    /// The device to which the server cannot deliver the Welcome that a handshake has for it. Its mailbox may have
    /// space again some day, but the others do not wait.
    pub(super) fn unreachable(&self, why: &ClientError) -> Option<DeviceUri> {
        let ClientError::Problem(problem) = why else { return None };
        let index = problem.index.filter(|_| matches!(problem.code, Code::MailboxFull | Code::UnknownDevice))?;
        let limits = Limits::default();
        let welcomes = match self.handshake.as_ref()? {
            Handshake::Create { bundle } => RoomBundle::from_bytes(bundle, &limits).ok()?.welcomes,
            Handshake::Commit { bundle, .. } => CommitBundle::from_bytes(bundle, &limits).ok()?.welcomes,
            Handshake::Join { .. } | Handshake::Report { .. } => return None,
        };
        welcomes.into_iter().flat_map(|welcome| welcome.devices).nth(index)
    }

    /// Takes over the key packages that the server has given out for an invitation.
    fn claimed(&mut self, entry: u64, devices: Vec<DeviceClaim>) -> Result<(), Error> {
        let Some(Outgoing::Invite { user, .. }) = self.outbox.get(&entry) else { return Ok(()) };
        let user = user.clone();
        let packages = packages(&user, devices);
        if packages.is_empty() {
            return self.refuse_change(entry, Usage::NoKeyPackage.into());
        }
        self.replace(entry, Outgoing::Invite { user, claimed: Some(packages) })
    }

    /// A change will not happen.
    pub(super) fn refuse_change(&mut self, entry: u64, why: Error) -> Result<(), Error> {
        let Some(outgoing) = self.outbox.remove(&entry) else { return Ok(()) };
        let (change, output) = self.give_up(Transaction::new(), entry, &outgoing, why)?;
        self.store(change)?;
        self.outputs.push(output);
        Ok(())
    }

    fn refuse_text(&mut self, entry: u64, why: Error) -> Result<(), Error> {
        self.late.remove(&entry);
        self.refuse_change(entry, why)
    }

    /// An own text has come back in the log.
    pub(super) fn confirm_text(&mut self, entry: u64, sequence: u64) -> Result<(), Error> {
        let Some(Outgoing::Message { history, .. }) = self.outbox.remove(&entry) else { return Ok(()) };
        self.taken.remove(&entry);
        self.late.remove(&entry);
        let row = HistoryRow { sequence: Some(sequence), state: MessageState::Sent, ..self.history_row(history)? };
        let change = self.put_history(Transaction::new(), history, &row)?.delete(self.outgoing_key(entry));
        self.row.cursor = sequence;
        self.store(change)?;
        self.tell(Event::Sent(super::message(MessageId(history), row)));
        Ok(())
    }

    /// The entry of the outbox that this message is.
    pub(super) fn own_text(&self, message: &[u8]) -> Option<u64> {
        self.outbox.iter().find_map(|(entry, outgoing)| match outgoing {
            Outgoing::Message { message: own, .. } if own == message => Some(*entry),
            _ => None,
        })
    }

    /// The idempotency key of a message: its hash, so that a repetition has the same by itself.
    pub(super) fn key_of(&self, message: &[u8]) -> Result<IdempotencyKey, Error> {
        let hash = self.context.suite.hash(&[message]);
        let text: String = hex::encode(hash.as_slice()).chars().take(64).collect();
        text.parse().map_err(|_| Error::Corrupt)
    }
}

/// The key packages of a user's devices, as far as the server has given any out.
pub(super) fn packages(user: &UserUri, devices: Vec<DeviceClaim>) -> Vec<ClaimedPackage> {
    let of_user = devices.into_iter().filter(|claim| claim.device.user() == *user);
    let package = |claim: DeviceClaim| match claim.offer {
        Offer::OneTime(message) | Offer::LastResort(message) => Some(ClaimedPackage { device: claim.device, message }),
        Offer::Exhausted | Offer::Incompatible => None,
    };
    of_user.filter_map(package).collect()
}

/// A refusal as an error of this crate.
pub(crate) fn refused(error: &ClientError) -> Error {
    match error {
        ClientError::Problem(problem) => Error::Refused(problem.code),
        ClientError::Unavailable => Error::Unreachable,
        _ => Error::Answer,
    }
}
