//! What the client keeps in its store beside the groups.
//!
//! Rows are JSON with fields that may be added; the store encrypts them.

use keyroom_api::{DeviceUri, RoomUri, UserUri};
use keyroom_crypto::Zeroizing;
use keyroom_mls::record::RecordValue;
use keyroom_store::{Namespace, RowKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, MessageState};

/// The device: [`DeviceRow`] and the private signature key.
pub(crate) const DEVICE: Namespace = Namespace::new("keyroom/device");
/// Key packages with their private keys, by reference.
pub(crate) const KEY_PACKAGES: Namespace = Namespace::new("keyroom/key-packages");
/// One [`RoomRow`] per room.
pub(crate) const ROOMS: Namespace = Namespace::new("keyroom/rooms");
/// At most one [`Handshake`] per room.
pub(crate) const HANDSHAKES: Namespace = Namespace::new("keyroom/handshakes");
/// A series of [`Outgoing`] per room.
pub(crate) const OUTBOX: Namespace = Namespace::new("keyroom/outbox");
/// A series of [`HistoryRow`] per room.
pub(crate) const HISTORY: Namespace = Namespace::new("keyroom/history");

/// Who this store belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) device: DeviceUri,
    pub(crate) cipher_suite: u16,
}

/// Where a room is in its life on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// The group exists here, the server has not confirmed the room.
    Creating,
    /// An external join is wanted; nothing has been made for it.
    Wanted,
    /// An external commit has been made; the log has not confirmed it.
    Joining,
    /// This device is a member.
    Active,
    /// This device was removed; only the history is left.
    Removed,
    /// The log holds what this device cannot follow.
    Halted,
    /// It goes on in another room; only the history is left.
    Succeeded,
}

/// What is known of a room beside its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomRow {
    pub(crate) room: RoomUri,
    #[serde(with = "base64_bytes")]
    pub(crate) group_id: Vec<u8>,
    pub(crate) phase: Phase,
    /// The last entry of the log whose effects are stored.
    pub(crate) cursor: u64,
    /// The epoch in which this device came in.
    pub(crate) joined: u64,
    pub(crate) next_outgoing: u64,
    pub(crate) next_history: u64,
    /// The commit that this device could not follow.
    #[serde(default)]
    pub(crate) broken: Option<Broken>,
    /// The room that this one continues, if this device was in it.
    #[serde(default)]
    pub(crate) predecessor: Option<RoomUri>,
}

/// A commit that a device could not follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broken {
    /// Its place in the log.
    pub(crate) sequence: u64,
    /// The member who made it; nobody from outside, and nobody whose message does not show it.
    pub(crate) by: Option<DeviceUri>,
}

/// The one handshake of a room that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Handshake {
    /// The room is to be created, from a `RoomBundle`.
    Create {
        #[serde(with = "base64_bytes")]
        bundle: Vec<u8>,
    },
    /// An external commit, as a `CommitBundle`, made for `epoch`.
    Join {
        #[serde(with = "base64_bytes")]
        bundle: Vec<u8>,
        epoch: u64,
    },
    /// A `Report` of the commit at which the room has halted.
    Report {
        #[serde(with = "base64_bytes")]
        report: Vec<u8>,
    },
    /// A commit, as a `CommitBundle`, that does what these entries of the outbox ask for.
    Commit {
        #[serde(with = "base64_bytes")]
        bundle: Vec<u8>,
        entries: Vec<u64>,
    },
}

/// What is to happen in a room, in the order in which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outgoing {
    /// A text that has not been encrypted.
    Text { history: u64 },
    /// A text that has been encrypted, in `epoch`.
    Message {
        history: u64,
        epoch: u64,
        #[serde(with = "base64_bytes")]
        message: Vec<u8>,
    },
    /// All devices of a user are to be added; `claimed` once the server has given key packages.
    Invite { user: UserUri, claimed: Option<Vec<ClaimedPackage>> },
    /// All devices of a user are to be removed.
    Remove { user: UserUri },
    /// The own keys are to be replaced.
    Rotate,
    /// What others have proposed is to be committed, if nobody else has done it.
    Cover,
    /// This device is to leave; `proposed` once it has said so in the current epoch. Nothing comes after
    /// it.
    Leave { proposed: Option<Proposed> },
}

impl Outgoing {
    /// Whether it takes a commit.
    pub(crate) fn is_change(&self) -> bool {
        matches!(self, Self::Invite { .. } | Self::Remove { .. } | Self::Rotate | Self::Cover)
    }
}

/// An own proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposed {
    /// The epoch that it was made in, and is gone with.
    pub(crate) epoch: u64,
    #[serde(with = "base64_bytes")]
    pub(crate) reference: Vec<u8>,
    #[serde(with = "base64_bytes")]
    pub(crate) message: Vec<u8>,
}

/// A key package that the server has given out to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimedPackage {
    pub(crate) device: DeviceUri,
    #[serde(with = "base64_bytes")]
    pub(crate) message: Vec<u8>,
}

/// A text of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) sender: DeviceUri,
    pub(crate) epoch: Option<u64>,
    pub(crate) sequence: Option<u64>,
    pub(crate) state: MessageState,
    pub(crate) text: String,
}

pub(crate) fn device_key() -> RowKey {
    RowKey::new(DEVICE, b"device".as_slice())
}

pub(crate) fn signature_key() -> RowKey {
    RowKey::new(DEVICE, b"signature-key".as_slice())
}

pub(crate) fn credential_key() -> RowKey {
    RowKey::new(DEVICE, b"credential".as_slice())
}

/// There while the server has key packages with an older credential.
pub(crate) fn stale_stock_key() -> RowKey {
    RowKey::new(DEVICE, b"stale-stock".as_slice())
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<RecordValue, Error> {
    serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| Error::Corrupt)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::Corrupt)
}

/// Bytes in JSON.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        STANDARD.encode(bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
