//! Who may do what in a room.
//!
//! A room whose handshakes the server can read has a roster, which follows from the commits that it has
//! judged and from nothing that a request says. Members send, and read from the commit that brought them in
//! on; who was removed reads up to the commit that did it. Everybody else may do what the group lets
//! newcomers do: if the GroupInfo of the present epoch has `external_pub`, they may have it and send an external
//! commit, or propose themselves; an external sender of the group may propose. All of it under their own name
//! and key. To a stranger, a room that admits nobody does not exist, except that its name is taken.
//!
//! A room with private handshakes has a roster too, of those who have proved to know the secrets of an epoch.
//! Each commit registers the public half of a key that only members of the new epoch derive, and ends
//! everybody's place but its sender's. A device that follows the commit signs with that key for itself and
//! goes on where it was; one that was removed cannot, and has read the commit that removed it. Whom a commit
//! welcomes is in on its sender's word.

use keyroom_api::{ACCESS_KEY_LENGTH, AccessContent, AccessProof, Bundle as _, Conflict, DeviceUri, RoomUri};
use keyroom_wire::{Decode, ExtensionType, GroupInfo, MlsMessage};

use super::key_packages::check_owner;
use super::send::addressees;
use super::{Delivery, compute};
use crate::framed::{Author, Framed, Wrapping, checked_epoch};
use crate::{Invalid, LedgerError, LogRead, NewAccess, NewWelcome, Page, Refusal, RoomRecord, Standing};

impl Delivery {
    /// A room, whoever asks.
    pub(super) async fn find(&self, caller: &DeviceUri, room: &RoomUri) -> Result<RoomRecord, Refusal> {
        self.own_host(room.host())?;
        let found = self.ledger.room(room, caller).await?.ok_or(Refusal::UnknownRoom)?;
        self.known.put(room, &found);
        Ok(found)
    }

    /// A room that the caller has been in.
    pub(super) async fn find_as_reader(&self, caller: &DeviceUri, room: &RoomUri) -> Result<RoomRecord, Refusal> {
        let found = self.find(caller, room).await?;
        match found.standing {
            Standing::Unlisted | Standing::Member | Standing::Removed => Ok(found),
            Standing::Stranger => Err(self.stranger(&found).await?),
        }
    }

    /// Whether somebody who is not in the room may see its present epoch and come in.
    pub(super) async fn check_open(&self, room: &RoomRecord) -> Result<(), Refusal> {
        match room.standing {
            Standing::Unlisted | Standing::Member => Ok(()),
            Standing::Removed | Standing::Stranger if self.is_open(room).await? => Ok(()),
            Standing::Removed => Err(Refusal::NotMember),
            Standing::Stranger => Err(Refusal::UnknownRoom),
        }
    }

    /// Whether a device that is out of a keyed room was in an epoch: whom a commit has welcomed comes in by the
    /// tree of that epoch, and the next commit may have ended its place before it could.
    pub(super) async fn was_in(
        &self,
        caller: &DeviceUri,
        room: &RoomRecord,
        epoch: Option<u64>,
    ) -> Result<bool, Refusal> {
        let Some(epoch) = epoch.filter(|_| room.keyed && room.standing == Standing::Removed) else { return Ok(false) };
        let began = match epoch.checked_sub(1) {
            Some(before) => self.ledger.conflict(room.id, before).await?.commit_sequence.unwrap_or(0),
            None => 0,
        };
        let next = Page { after: began, entries: 1, bytes: 0 };
        match self.ledger.log(room.id, Some(caller), next).await? {
            // Who was removed by the commit that began it reads up to there.
            LogRead::Page { until, .. } => Ok(until.is_none_or(|until| began < until)),
            LogRead::Outside => Ok(false),
        }
    }

    /// What somebody is told who is not in the room and wants what members may.
    async fn stranger(&self, room: &RoomRecord) -> Result<Refusal, Refusal> {
        Ok(if self.is_open(room).await? { Refusal::NotMember } else { Refusal::UnknownRoom })
    }

    /// Whether the group lets newcomers in: the GroupInfo of its epoch says how.
    async fn is_open(&self, room: &RoomRecord) -> Result<bool, Refusal> {
        match self.ledger.group_info(room.id, room.status.epoch).await? {
            Some(kept) => Ok(self.read_group_info(&kept.group_info)?.extensions.contains(ExtensionType::EXTERNAL_PUB)),
            // Another epoch has begun: as long as nothing says otherwise, nobody comes in.
            None => Ok(false),
        }
    }

    /// A GroupInfo that was judged when it came.
    pub(super) fn read_group_info(&self, message: &[u8]) -> Result<GroupInfo, Refusal> {
        match MlsMessage::from_bytes(message, &self.limits.wire()) {
            Ok(MlsMessage::GroupInfo(info)) => Ok(info),
            Ok(_) | Err(_) => Err(LedgerError::Corrupt.into()),
        }
    }

    /// Whether the caller may send this message at all; and who must still be a member when it is appended.
    pub(super) async fn check_author(
        &self,
        caller: &DeviceUri,
        room: &RoomRecord,
        framed: &Framed,
        message: &[u8],
    ) -> Result<Option<DeviceUri>, Refusal> {
        match (framed.author, room.standing) {
            (Author::Member, Standing::Unlisted) => Ok(None),
            // It may only have to follow the commit first.
            (Author::Member, Standing::Removed) if room.keyed && framed.epoch != room.status.epoch => {
                Err(self.wrong_epoch(room, framed.epoch).await?)
            }
            (Author::Member, Standing::Member) => Ok(Some(caller.clone())),
            (Author::Member, Standing::Removed) => Err(Refusal::NotMember),
            (Author::Member, Standing::Stranger) => Err(self.stranger(room).await?),
            (Author::External, Standing::Stranger) => self.check_external(caller, room, framed, message).await,
            (Author::NewMember, Standing::Unlisted) | (Author::External, _) => Ok(None),
            (Author::NewMember, _) => match self.is_open(room).await? {
                true => Ok(None),
                false if room.standing == Standing::Stranger => Err(Refusal::UnknownRoom),
                false => Err(Refusal::NotMember),
            },
        }
    }

    /// Whom the group lets propose may know of it, and no other stranger, whatever it says that it is.
    async fn check_external(
        &self,
        caller: &DeviceUri,
        room: &RoomRecord,
        framed: &Framed,
        message: &[u8],
    ) -> Result<Option<DeviceUri>, Refusal> {
        if framed.group_id == room.group_id && framed.epoch == room.status.epoch {
            match self.check_outsider(caller, room, framed, message).await {
                Ok(()) => return Ok(None),
                Err(Refusal::Unavailable(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        Err(self.stranger(room).await?)
    }

    /// Lets a device in that proves to know the secrets of an epoch. Repeating it is safe.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if the room has a roster; [`Refusal::NotMember`] for a proof that is none;
    /// [`Refusal::UnknownRoom`] if it comes from a device that has never given one.
    pub async fn prove(&self, caller: &DeviceUri, room: &RoomUri, proof: AccessProof) -> Result<(), Refusal> {
        self.own_host(caller.host())?;
        let found = self.find(caller, room).await?;
        let refusal = match found.standing {
            Standing::Stranger => Refusal::UnknownRoom,
            Standing::Unlisted | Standing::Member | Standing::Removed => Refusal::NotMember,
        };
        if !found.keyed {
            return Err(if found.standing == Standing::Stranger { refusal } else { Invalid::AccessKey.into() });
        }
        checked_epoch(proof.epoch).map_err(|_| refusal.clone())?;
        let Some(key) = self.ledger.access_key(found.id, proof.epoch).await? else { return Err(refusal) };
        let content = AccessContent { room: room.clone(), device: caller.clone(), epoch: proof.epoch }.to_bytes();
        let validator = self.validator.clone();
        let check = compute(move || Ok(validator.check_access(&key, &content, &proof.signature)?)).await;
        match check {
            Ok(()) => Ok(self.ledger.admit(found.id, caller, proof.epoch).await?),
            Err(Refusal::Invalid(_)) => Err(refusal),
            Err(error) => Err(error),
        }
    }

    /// How members prove in the epoch after a commit that they are.
    pub(super) fn next_access(
        &self,
        caller: &DeviceUri,
        room: &RoomRecord,
        key: Option<Vec<u8>>,
        welcomes: &[NewWelcome],
    ) -> Result<Option<NewAccess>, Refusal> {
        if room.keyed != key.is_some() {
            return Err(Invalid::AccessKey.into());
        }
        access(caller, key, welcomes)
    }

    /// A message from outside the group is taken only from the device whose name and key it bears.
    pub(super) async fn check_outsider(
        &self,
        caller: &DeviceUri,
        room: &RoomRecord,
        framed: &Framed,
        message: &[u8],
    ) -> Result<(), Refusal> {
        if framed.author == Author::Member || framed.wrapping == Wrapping::Private {
            return Ok(());
        }
        let owner = self.current_view(room, framed.epoch).await?.outsider(message)?;
        let keys = self.accounts.keys(caller).await?;
        Ok(check_owner(&owner, caller, &keys)?)
    }
}

/// An access key, with the device that registers it and those whom it welcomes.
pub(super) fn access(
    by: &DeviceUri,
    key: Option<Vec<u8>>,
    welcomes: &[NewWelcome],
) -> Result<Option<NewAccess>, Refusal> {
    match key {
        Some(key) if key.len() == ACCESS_KEY_LENGTH => {
            Ok(Some(NewAccess { key, by: by.clone(), welcomed: addressees(welcomes) }))
        }
        Some(_) => Err(Invalid::AccessKey.into()),
        None => Ok(None),
    }
}

/// A conflict as somebody may see it who is not in the room.
pub(super) fn conflict_for(room: &RoomRecord, conflict: Conflict) -> Conflict {
    match room.standing {
        Standing::Unlisted | Standing::Member => conflict,
        Standing::Removed | Standing::Stranger => Conflict { commit: None, commit_sequence: None, ..conflict },
    }
}
