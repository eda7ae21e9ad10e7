//! Commits, proposals and application messages on their way into the log.

use std::sync::Arc;

use keyroom_api::{CommitBundle, DeviceUri, EntryKind, IdempotencyKey, Receipt, RoomUri, WelcomeTo};
use keyroom_mls::error::Rule;

use super::access::conflict_for;
use super::{Delivery, Done, Sent, compute};
use crate::framed::{Framed, Wrapping};
use crate::welcome::cut;
use crate::{
    Appended, Invalid, Judged, NewCommit, NewEntry, NewEpoch, NewWelcome, Once, PublicView, Refusal, RoomId,
    RoomRecord, Roster, RosterChange, Standing, Topic, Validator,
};

/// A commit that has been judged: the view of the epoch that it starts, and what is to be stored.
type Next = (Arc<dyn PublicView>, NewEpoch, RosterChange);

impl Delivery {
    /// Takes a commit with all that belongs to it. Of all commits for one epoch one is taken; who
    /// comes later learns the winner.
    ///
    /// # Errors
    /// [`Refusal::WrongEpoch`] with the winner, [`Refusal::Invalid`], [`Refusal::UnknownDevice`],
    /// [`Refusal::MailboxFull`], [`Refusal::KeyReused`], [`Refusal::UnknownRoom`], [`Refusal::NotMember`].
    pub async fn commit(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        bundle: CommitBundle,
        key: Option<IdempotencyKey>,
    ) -> Result<Sent, Refusal> {
        self.own_host(caller.host())?;
        let welcomes = self.cut_all(bundle.welcomes)?;
        let framed = Framed::read(&bundle.commit, &self.limits.wire())?;
        if framed.kind != EntryKind::Commit {
            return Err(Invalid::WrongKind.into());
        }
        let found = self.find(caller, room).await?;
        let mut entry = self.entry(caller, found.id, &framed, bundle.commit, key);
        let author = self.check_author(caller, &found, &framed, &entry.message).await;
        if let Some(sent) = self.repetition(&found, &entry, author.as_ref().err()).await? {
            // The first time may have been cut off between the ledger and the wake-up.
            self.bus.publish(&Topic::Room(room.clone()));
            return Ok(sent);
        }
        entry.member = author?;
        self.check_fits(&framed, &found)?;
        self.in_epoch(&found, framed.epoch).await?;
        self.check_outsider(caller, &found, &framed, &entry.message).await?;
        let access = self.next_access(caller, &found, bundle.access_key, &welcomes)?;
        let (view, next, roster) = self.judge(&found, &framed, entry.message.clone(), bundle.group_info).await?;
        let roster = match found.keyed {
            true => RosterChange::default(),
            false => RosterChange { added: self.own_places(roster.added), ..roster },
        };
        let addressees = addressees(&welcomes);
        let commit = NewCommit {
            entry,
            next,
            roster,
            access,
            welcomes,
            mailbox: self.limits.mailbox,
            epochs_kept: if found.keyed { self.limits.private_epochs_kept } else { self.limits.epochs_kept },
            epochs_for_welcomes: self.limits.epochs_for_welcomes,
            closes: view.is_ended(),
        };
        let appended = self.ledger.append_commit(commit).await?;
        let sent = outcome(&found, self.overtaken(&found, framed.epoch, appended).await?)?;
        if let Done::Now(_) = sent {
            self.views.put(found.id, view);
            self.bus.publish(&Topic::Room(room.clone()));
            addressees.into_iter().for_each(|device| self.bus.publish(&Topic::Mailbox(device)));
        }
        Ok(sent)
    }

    /// Takes an application message or a proposal.
    ///
    /// # Errors
    /// [`Refusal::WrongEpoch`], [`Refusal::Invalid`], [`Refusal::KeyReused`],
    /// [`Refusal::UnknownRoom`], [`Refusal::NotMember`], [`Refusal::TooLarge`].
    pub async fn send(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        message: Vec<u8>,
        key: Option<IdempotencyKey>,
    ) -> Result<Sent, Refusal> {
        self.own_host(caller.host())?;
        if message.len() > self.limits.message {
            return Err(Refusal::TooLarge { limit: self.limits.message });
        }
        let framed = Framed::read(&message, &self.limits.wire())?;
        let late = match framed.kind {
            EntryKind::Application => self.limits.late_epochs,
            EntryKind::Proposal => 0,
            EntryKind::Commit => return Err(Invalid::WrongKind.into()),
        };
        if let Some(receipt) = self.send_at_once(caller, room, &framed, &message, key.as_ref()).await? {
            return Ok(Done::Now(receipt));
        }
        let found = self.find(caller, room).await?;
        let mut entry = self.entry(caller, found.id, &framed, message, key);
        let author = self.check_author(caller, &found, &framed, &entry.message).await;
        if let Some(sent) = self.repetition(&found, &entry, author.as_ref().err()).await? {
            // The first time may have been cut off between the ledger and the wake-up.
            self.bus.publish(&Topic::Room(room.clone()));
            return Ok(sent);
        }
        entry.member = author?;
        self.check_fits(&framed, &found)?;
        if framed.kind == EntryKind::Proposal && framed.wrapping == Wrapping::Public {
            self.in_epoch(&found, framed.epoch).await?;
            self.check_outsider(caller, &found, &framed, &entry.message).await?;
            let view = self.current_view(&found, framed.epoch).await?;
            self.check_first(&found, &framed).await?;
            let (message, now) = (entry.message.clone(), self.seconds());
            compute(move || Ok(view.check_proposal(&message, now)?)).await?;
        }
        let appended = self.ledger.append(entry, late).await?;
        let sent = outcome(&found, self.overtaken(&found, framed.epoch, appended).await?)?;
        if let Done::Now(_) = sent {
            self.bus.publish(&Topic::Room(room.clone()));
        }
        Ok(sent)
    }

    /// Appends an application message to a room whose group is known here. Everything else that decides is asked
    /// by the ledger, in the statement that appends. `None` where the message is not appended so: why is found
    /// out step by step.
    async fn send_at_once(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        framed: &Framed,
        message: &[u8],
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Receipt>, Refusal> {
        if framed.kind != EntryKind::Application {
            return Ok(None);
        }
        let Some(known) = self.known.find(room).filter(|known| *known.group_id == *framed.group_id) else {
            return Ok(None);
        };
        let mut entry = self.entry(caller, known.id, framed, message.to_vec(), key.cloned());
        entry.member = Some(caller.clone());
        match self.ledger.append(entry, self.limits.late_epochs).await? {
            Appended::Accepted(receipt) => {
                self.bus.publish(&Topic::Room(room.clone()));
                Ok(Some(receipt))
            }
            _ => Ok(None),
        }
    }

    /// In a keyed room a commit that came first has ended the sender's place: it has to follow, like everybody.
    async fn overtaken(&self, room: &RoomRecord, epoch: u64, appended: Appended) -> Result<Appended, Refusal> {
        match appended {
            Appended::NotMember if room.keyed => Ok(Appended::WrongEpoch(self.ledger.conflict(room.id, epoch).await?)),
            appended => Ok(appended),
        }
    }

    /// A member takes itself out once in an epoch.
    async fn check_first(&self, room: &RoomRecord, framed: &Framed) -> Result<(), Refusal> {
        if framed.leaving.is_none() {
            return Ok(());
        }
        let limits = self.limits.wire();
        let earlier = self.ledger.proposals(room.id, framed.epoch).await?;
        let again =
            |message: &Vec<u8>| Framed::read(message, &limits).is_ok_and(|earlier| earlier.leaving == framed.leaving);
        if earlier.iter().any(again) {
            let rule = Rule::SelfRemoveTwice;
            return Err(Invalid::Rule { code: rule.code(), section: rule.section() }.into());
        }
        Ok(())
    }

    /// Whether a message may be sent to this room at all.
    fn check_fits(&self, framed: &Framed, room: &RoomRecord) -> Result<(), Refusal> {
        if framed.group_id != room.group_id {
            return Err(Invalid::WrongGroup.into());
        }
        let private_handshake = framed.wrapping == Wrapping::Private && framed.kind != EntryKind::Application;
        if private_handshake && !room.keyed {
            return Err(Invalid::PrivateHandshake.into());
        }
        Ok(())
    }

    fn entry(
        &self,
        caller: &DeviceUri,
        room: RoomId,
        framed: &Framed,
        message: Vec<u8>,
        key: Option<IdempotencyKey>,
    ) -> NewEntry {
        let once = key.map(|key| Once { device: caller.clone(), key });
        let accepted_at = self.milliseconds();
        NewEntry { room, epoch: framed.epoch, kind: framed.kind, message, accepted_at, once, member: None }
    }

    /// The stored outcome, asked for before anything is judged: by now the room may be in another
    /// epoch. The ledger looks again when it appends, for two that come at once.
    /// A device that has been removed gets it too; a stranger, to whom the room may not exist, learns nothing.
    async fn repetition(
        &self,
        room: &RoomRecord,
        entry: &NewEntry,
        refused: Option<&Refusal>,
    ) -> Result<Option<Sent>, Refusal> {
        if let (Standing::Stranger, Some(refusal)) = (room.standing, refused) {
            return Err(refusal.clone());
        }
        let Some(once) = &entry.once else { return Ok(None) };
        match self.ledger.remembered(once).await? {
            None => Ok(None),
            Some(before) if before.room == entry.room && before.message == entry.message => {
                Ok(Some(Done::Before(before.receipt)))
            }
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    async fn in_epoch(&self, room: &RoomRecord, epoch: u64) -> Result<(), Refusal> {
        if let Some(closure) = &room.status.closed {
            return Err(Refusal::Closed(closure.clone()));
        }
        if epoch == room.status.epoch {
            return Ok(());
        }
        Err(self.wrong_epoch(room, epoch).await?)
    }

    pub(super) async fn wrong_epoch(&self, room: &RoomRecord, epoch: u64) -> Result<Refusal, Refusal> {
        Ok(Refusal::WrongEpoch(conflict_for(room, self.ledger.conflict(room.id, epoch).await?)))
    }

    /// The view of the room's own epoch, which goes only when a commit has won meanwhile.
    pub(super) async fn current_view(&self, room: &RoomRecord, epoch: u64) -> Result<Arc<dyn PublicView>, Refusal> {
        match self.view(room.id, epoch).await? {
            Some(view) => Ok(view),
            None => Err(self.wrong_epoch(room, epoch).await?),
        }
    }

    /// Judges a commit on the public state of its epoch. That state never changes, so the verdict
    /// holds whenever the ledger takes the commit.
    async fn judge(
        &self,
        room: &RoomRecord,
        framed: &Framed,
        commit: Vec<u8>,
        group_info: Vec<u8>,
    ) -> Result<Next, Refusal> {
        let now = self.seconds();
        if framed.wrapping == Wrapping::Private {
            let (validator, epoch) = (self.validator.clone(), framed.epoch);
            let group_id = room.group_id.clone();
            return compute(move || judge_private(&validator, &group_id, epoch, group_info, now)).await;
        }
        let view = self.current_view(room, framed.epoch).await?;
        let proposals = self.ledger.proposals(room.id, framed.epoch).await?;
        compute(move || {
            let Judged { view, change, roster } = view.check_commit(&commit, &proposals, now)?;
            view.check_group_info(&group_info)?;
            let roster = match roster {
                Roster::Known(change) => change,
                Roster::Unknown => RosterChange::default(),
            };
            let tree_hash = view.tree_hash().to_vec();
            Ok((view, NewEpoch { group_info, tree_hash, change }, roster))
        })
        .await
    }

    /// Takes Welcomes apart for their addressees.
    pub(super) fn cut_all(&self, welcomes: Vec<WelcomeTo>) -> Result<Vec<NewWelcome>, Refusal> {
        let limit = self.limits.addressees;
        if welcomes.iter().map(|w| w.devices.len()).sum::<usize>() > limit || welcomes.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        welcomes.iter().flat_map(|w| &w.devices).try_for_each(|device| self.own_host(device.host()))?;
        let cut = |(index, sent): (usize, WelcomeTo)| {
            cut(sent, &self.limits.wire()).map_err(|reason| Refusal::InvalidElement { index, reason })
        };
        welcomes.into_iter().enumerate().map(cut).collect()
    }
}

/// All addressees of some Welcomes.
pub(super) fn addressees(welcomes: &[NewWelcome]) -> Vec<DeviceUri> {
    welcomes.iter().flat_map(|welcome| &welcome.to).map(|(device, _)| device.clone()).collect()
}

/// Of a private commit the GroupInfo of the next epoch is all there is to judge.
fn judge_private(
    validator: &Arc<dyn Validator>,
    group_id: &[u8],
    epoch: u64,
    group_info: Vec<u8>,
    now: u64,
) -> Result<Next, Refusal> {
    let Judged { view: next, change, .. } = validator.open(&group_info, None, now)?;
    if next.group_id() != group_id {
        return Err(Invalid::WrongGroup.into());
    }
    if next.epoch().checked_sub(1) != Some(epoch) {
        return Err(Invalid::WrongEpoch.into());
    }
    let tree_hash = next.tree_hash().to_vec();
    // Who comes and goes, it does not say.
    Ok((next, NewEpoch { group_info, tree_hash, change }, RosterChange::default()))
}

fn outcome(room: &RoomRecord, appended: Appended) -> Result<Sent, Refusal> {
    match appended {
        Appended::Accepted(receipt) => Ok(Done::Now(receipt)),
        Appended::Repeated(receipt) => Ok(Done::Before(receipt)),
        Appended::KeyReused => Err(Refusal::KeyReused),
        Appended::NotMember => Err(Refusal::NotMember),
        Appended::WrongEpoch(conflict) => Err(Refusal::WrongEpoch(conflict_for(room, conflict))),
        Appended::Closed(closure) => Err(Refusal::Closed(closure)),
        Appended::UnknownDevice(index) => Err(Refusal::UnknownDevice(index)),
        Appended::MailboxFull(index) => Err(Refusal::MailboxFull(index)),
    }
}
