//! Rooms: created, found, described to joiners.

use std::sync::Arc;

use keyroom_api::{DeviceUri, EpochInfo, RoomBundle, RoomStatus, RoomUri};

use super::send::addressees;
use super::{Delivery, Done, Opened, compute};
use crate::framed::{checked_epoch, self_removes};
use crate::{Created, Invalid, Judged, LedgerError, NewEpoch, NewRoom, PublicView, Refusal, RoomId, RoomRecord, Topic};

impl Delivery {
    /// Creates a room from the GroupInfo and the ratchet tree of its first epoch. The same room with
    /// the same group again is a repetition. One that continues a closed room becomes its successor,
    /// if that has none.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::GroupTaken`], [`Refusal::NotClosed`],
    /// [`Refusal::Closed`] with the successor that was first, [`Refusal::UnknownDevice`],
    /// [`Refusal::MailboxFull`].
    pub async fn create_room(&self, caller: &DeviceUri, room: &RoomUri, bundle: RoomBundle) -> Result<Opened, Refusal> {
        self.own_host(caller.host())?;
        self.own_host(room.host())?;
        let RoomBundle { group_info, ratchet_tree, welcomes, predecessor, reports_needed } = bundle;
        let welcomes = self.cut_all(welcomes)?;
        let addressees: Vec<DeviceUri> = addressees(&welcomes);
        let (view, first) = self.judge_first(group_info, ratchet_tree).await?;
        let new = NewRoom {
            room: room.clone(),
            group_id: view.group_id().to_vec(),
            epoch: view.epoch(),
            first,
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
            Created::Repeated(status) => Ok(Done::Before(status)),
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
    ) -> Result<(Arc<dyn PublicView>, NewEpoch), Refusal> {
        let (validator, now) = (self.validator.clone(), self.seconds());
        compute(move || {
            let Judged { view, change } = validator.open(&group_info, ratchet_tree.as_deref(), now)?;
            if view.epoch() > 1 {
                return Err(Invalid::NotFirstEpoch.into());
            }
            let tree_hash = view.tree_hash().to_vec();
            Ok((view, NewEpoch { group_info, tree_hash, change }))
        })
        .await
    }

    /// Where a room is.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`].
    pub async fn room(&self, caller: &DeviceUri, room: &RoomUri) -> Result<RoomStatus, Refusal> {
        self.own_host(caller.host())?;
        Ok(self.find(room).await?.status)
    }

    /// The public state of the current epoch, or of another that is still kept: for an external join,
    /// together with the tree that it names.
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::UnknownEpoch`].
    pub async fn epoch_info(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        epoch: Option<u64>,
    ) -> Result<EpochInfo, Refusal> {
        self.own_host(caller.host())?;
        let room = self.find(room).await?;
        let epoch = epoch.unwrap_or(room.status.epoch);
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

    pub(super) async fn find(&self, room: &RoomUri) -> Result<RoomRecord, Refusal> {
        self.own_host(room.host())?;
        self.ledger.room(room).await?.ok_or(Refusal::UnknownRoom)
    }
}
