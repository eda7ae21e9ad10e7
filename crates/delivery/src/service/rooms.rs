//! Rooms: created, found, described to joiners.

use std::sync::Arc;

use keyroom_api::{DeviceUri, EpochInfo, RoomStatus, RoomUri};

use keyroom_wire::{Decode, ExtensionType, MlsMessage};

use super::{Delivery, Done, Opened, compute};
use crate::framed::checked_epoch;
use crate::{Created, Judged, LedgerError, NewEpoch, NewRoom, PublicView, Refusal, RoomId, RoomRecord};

impl Delivery {
    /// Creates a room from the GroupInfo of its first epoch, which carries the ratchet tree. The same
    /// room with the same group again is a repetition.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::GroupTaken`].
    pub async fn create_room(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        group_info: Vec<u8>,
    ) -> Result<Opened, Refusal> {
        self.own_host(caller.host())?;
        self.own_host(room.host())?;
        let validator = self.validator.clone();
        let now = self.seconds();
        let (view, first) = compute(move || {
            let Judged { view, change } = validator.open(&group_info, now)?;
            checked_epoch(view.epoch())?;
            Ok((view, NewEpoch { group_info, change }))
        })
        .await?;
        let (group_id, epoch) = (view.group_id().to_vec(), view.epoch());
        match self.ledger.create(NewRoom { room: room.clone(), group_id, epoch, first }).await? {
            Created::New(status) => Ok(Done::Now(status)),
            Created::Repeated(status) => Ok(Done::Before(status)),
            Created::NameTaken => Err(Refusal::NameTaken),
            Created::GroupTaken => Err(Refusal::GroupTaken),
        }
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
    /// or for a joiner whose Welcome has no ratchet tree.
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
        let group_info = self.ledger.group_info(room.id, epoch).await?.ok_or(Refusal::UnknownEpoch)?;
        let ratchet_tree = if self.has_tree(&group_info)? {
            None
        } else {
            let view = self.view(room.id, epoch).await?.ok_or(Refusal::UnknownEpoch)?;
            compute(move || Ok(view.ratchet_tree())).await?
        };
        Ok(EpochInfo { group_info, ratchet_tree, head: room.status.head })
    }

    /// Whether a GroupInfo, judged when it came, carries its ratchet tree.
    fn has_tree(&self, group_info: &[u8]) -> Result<bool, Refusal> {
        match MlsMessage::from_bytes(group_info, &self.limits.wire()) {
            Ok(MlsMessage::GroupInfo(info)) => Ok(info.extensions.contains(ExtensionType::RATCHET_TREE)),
            Ok(_) | Err(_) => Err(LedgerError::Corrupt.into()),
        }
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
