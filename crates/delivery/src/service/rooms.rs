//! Rooms: created, found, described to joiners.

use std::sync::Arc;

use keyroom_api::{DeviceUri, EpochInfo, LogEntry, RoomBundle, RoomStatus, RoomUri};

use super::access::access;
use super::send::addressees;
use super::{Delivery, Done, Handshakes, Opened, compute};
use crate::framed::{checked_epoch, self_removes};
use crate::{
    Created, Invalid, Judged, LedgerError, LogRead, NewAccess, NewEpoch, NewRoom, NewWelcome, Page, Place, PublicView,
    Refusal, RoomId, Roster, RosterChange, Standing, Topic,
};

impl Delivery {
    /// Creates a room from the GroupInfo and the ratchet tree of its first epoch. The same room with
    /// the same group again is a repetition. One that continues a closed room becomes its successor,
    /// if that has none.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::GroupTaken`], [`Refusal::NotClosed`],
    /// [`Refusal::Closed`] with the successor that was first, [`Refusal::UnknownDevice`],
    /// [`Refusal::MailboxFull`]; [`Refusal::NotMember`] if the caller is not in the group, or not in the room that
    /// it continues, or made the commit at which that was closed.
    pub async fn create_room(&self, caller: &DeviceUri, room: &RoomUri, bundle: RoomBundle) -> Result<Opened, Refusal> {
        self.own_host(caller.host())?;
        self.own_host(room.host())?;
        let RoomBundle { group_info, ratchet_tree, welcomes, predecessor, reports_needed, access_key } = bundle;
        let welcomes = self.cut_all(welcomes)?;
        let access = self.first_access(caller, access_key, &welcomes)?;
        let addressees: Vec<DeviceUri> = addressees(&welcomes);
        let (view, first, roster) = self.judge_first(group_info, ratchet_tree).await?;
        // Of a room with private handshakes the server cannot follow who comes and goes.
        let roster = self.first_roster(caller, roster)?.filter(|_| access.is_none());
        if let Some(before) = &predecessor {
            self.check_successor(caller, before).await?;
        }
        let new = NewRoom {
            room: room.clone(),
            group_id: view.group_id().to_vec(),
            epoch: view.epoch(),
            first,
            roster,
            access,
            welcomes,
            mailbox: self.limits.mailbox,
            predecessor: predecessor.clone(),
            reports_needed,
        };
        match self.ledger.create(new).await? {
            Created::New(status) => {
                predecessor.into_iter().for_each(|before| self.bus.publish(&Topic::Room(before)));
                addressees.into_iter().for_each(|device| self.bus.publish(&Topic::Mailbox(device)));
                Ok(Done::Now(status))
            }
            // As it was then: who has been removed since, or knows the group's name only, learns nothing of now.
            Created::Repeated(_) => Ok(Done::Before(RoomStatus { epoch: view.epoch(), head: 0, closed: None })),
            Created::NameTaken => Err(Refusal::NameTaken),
            Created::GroupTaken => Err(Refusal::GroupTaken),
            Created::NotClosed => Err(Refusal::NotClosed),
            Created::Succeeded(closure) => Err(Refusal::Closed(closure)),
            Created::UnknownDevice(index) => Err(Refusal::UnknownDevice(index)),
            Created::MailboxFull(index) => Err(Refusal::MailboxFull(index)),
        }
    }

    /// A group is registered in its first epoch: 0, or 1 when it continues another.
    async fn judge_first(
        &self,
        group_info: Vec<u8>,
        ratchet_tree: Option<Vec<u8>>,
    ) -> Result<(Arc<dyn PublicView>, NewEpoch, Roster), Refusal> {
        let (validator, now) = (self.validator.clone(), self.seconds());
        compute(move || {
            let Judged { view, change, roster } = validator.open(&group_info, ratchet_tree.as_deref(), now)?;
            if view.epoch() > 1 {
                return Err(Invalid::NotFirstEpoch.into());
            }
            let tree_hash = view.tree_hash().to_vec();
            Ok((view, NewEpoch { group_info, tree_hash, change }, roster))
        })
        .await
    }

    /// How the members of a new room prove that they are, if it shall have private handshakes.
    fn first_access(
        &self,
        caller: &DeviceUri,
        key: Option<Vec<u8>>,
        welcomes: &[NewWelcome],
    ) -> Result<Option<NewAccess>, Refusal> {
        if key.is_some() && self.handshakes == Handshakes::Public {
            return Err(Invalid::PrivateHandshake.into());
        }
        access(caller, key, welcomes)
    }

    /// Who is in a new room: the caller, and perhaps others.
    fn first_roster(&self, caller: &DeviceUri, roster: Roster) -> Result<Option<Vec<Place>>, Refusal> {
        let Roster::Known(RosterChange { added, .. }) = roster else { return Ok(None) };
        if !added.iter().any(|place| place.device == *caller) {
            return Err(Refusal::NotMember);
        }
        Ok(Some(self.own_places(added)))
    }

    /// Only who was in a room to its end says where it goes on; who was removed by the very commit that closed
    /// it, was.
    async fn check_successor(&self, caller: &DeviceUri, before: &RoomUri) -> Result<(), Refusal> {
        let found = self.ledger.room(before, caller).await?.ok_or(Refusal::NotClosed)?;
        let Some(closure) = found.status.closed else { return Err(Refusal::NotClosed) };
        let last = Page { after: closure.at.saturating_sub(1), entries: 1, bytes: 0 };
        match self.ledger.log(found.id, Some(caller), last).await? {
            LogRead::Page { page, until } if until.is_none_or(|until| until >= closure.at) => {
                match page.entries.first() {
                    Some(commit) => self.check_founder(caller, found.id, commit).await,
                    None => Err(LedgerError::Corrupt.into()),
                }
            }
            LogRead::Page { .. } => Err(Refusal::NotMember),
            LogRead::Outside => Err(Refusal::NotClosed),
        }
    }

    /// Only a member of the epoch that the last commit ended can branch from there. It must not be the one that
    /// made the others stop: it would lead them nowhere.
    async fn check_founder(&self, caller: &DeviceUri, room: RoomId, last: &LogEntry) -> Result<(), Refusal> {
        let Some(view) = self.view(room, last.epoch).await? else { return Ok(()) };
        let Some(leaves) = view.leaves(caller) else { return Ok(()) };
        let next = self.view(room, last.epoch.saturating_add(1)).await?;
        let announced = next.is_some_and(|view| view.is_ended());
        let broke = !announced && self.committer(&last.message).is_some_and(|leaf| leaves.contains(&leaf));
        if leaves.is_empty() || broke { Err(Refusal::NotMember) } else { Ok(()) }
    }

    /// Members from other hosts have no access here.
    pub(super) fn own_places(&self, mut places: Vec<Place>) -> Vec<Place> {
        places.retain(|place| *place.device.host() == self.host);
        places
    }

    /// Where a room is: for members, and for those whom it lets come in.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::NotMember`].
    pub async fn room(&self, caller: &DeviceUri, room: &RoomUri) -> Result<RoomStatus, Refusal> {
        self.own_host(caller.host())?;
        let found = self.find(caller, room).await?;
        self.check_open(&found).await?;
        Ok(found.status)
    }

    /// The public state of the current epoch, or of another that is still kept: for an external join,
    /// together with the tree that it names. Who is not in the room gets the current one only, and that only if
    /// newcomers are let in.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::UnknownEpoch`], [`Refusal::NotMember`].
    pub async fn epoch_info(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        epoch: Option<u64>,
    ) -> Result<EpochInfo, Refusal> {
        self.own_host(caller.host())?;
        let room = self.find(caller, room).await?;
        self.check_open(&room).await?;
        let epoch = epoch.unwrap_or(room.status.epoch);
        let outside = matches!(room.standing, Standing::Removed | Standing::Stranger);
        if outside && epoch != room.status.epoch {
            return Err(Refusal::NotMember);
        }
        checked_epoch(epoch).map_err(|_| Refusal::UnknownEpoch)?;
        let info = self.ledger.group_info(room.id, epoch).await?.ok_or(Refusal::UnknownEpoch)?;
        let current = epoch == room.status.epoch;
        let waiting = if current { self.ledger.proposals(room.id, epoch).await? } else { Vec::new() };
        let self_removes = self_removes(waiting, &self.limits.wire());
        Ok(EpochInfo { group_info: info.group_info, tree_hash: info.tree_hash, self_removes, head: room.status.head })
    }

    /// The view of an epoch, unless it is no longer kept.
    pub(super) async fn view(&self, room: RoomId, epoch: u64) -> Result<Option<Arc<dyn PublicView>>, Refusal> {
        if let Some(view) = self.views.find(room, epoch) {
            return Ok(Some(view));
        }
        let Some(records) = self.ledger.state(room, epoch).await? else { return Ok(None) };
        let validator = self.validator.clone();
        let view = compute(move || validator.restore(records).map_err(|_| LedgerError::Corrupt.into())).await?;
        self.views.put(room, view.clone());
        Ok(Some(view))
    }
}
