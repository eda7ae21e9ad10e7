//! What a room tells.

use keyroom_api::{DeviceUri, RoomUri};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Names a text within its room on this device; later texts have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub u64);

/// A text in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name on this device.
    pub id: MessageId,
    /// Who sent it.
    pub sender: DeviceUri,
    /// The epoch that it was encrypted in; `None` for an own one that has not been encrypted yet.
    pub epoch: Option<u64>,
    /// Its place in the room's log; `None` for an own one that the log has not confirmed.
    pub sequence: Option<u64>,
    /// How far it has come.
    pub state: MessageState,
    /// What it says.
    pub text: String,
}

/// How far a text has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Received from somebody.
    Received,
    /// An own one that is stored and on its way.
    Sending,
    /// An own one that the log has confirmed.
    Sent,
    /// An own one that will never be sent.
    Failed,
}

/// What happened in a room. Everything that an event tells is stored before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// This device is in the room from this epoch on.
    Joined {
        /// The epoch.
        epoch: u64,
    },
    /// Somebody said something.
    Message(Message),
    /// An own text is in the log.
    Sent(Message),
    /// An own text will not be sent.
    NotSent {
        /// The text.
        id: MessageId,
        /// Why.
        why: Error,
    },
    /// A commit began a new epoch.
    Epoch {
        /// Its number.
        epoch: u64,
        /// Who committed.
        by: Option<DeviceUri>,
        /// Who came in.
        added: Vec<DeviceUri>,
        /// Who is out.
        removed: Vec<DeviceUri>,
    },
    /// An own commit lost against another one; what it was to do is tried again.
    Rebased {
        /// The epoch that the other one began.
        epoch: u64,
    },
    /// The epoch of an own proposal has gone without it: it is proposed again.
    Reproposed {
        /// The epoch in which.
        epoch: u64,
    },
    /// An entry of the log could not be read. The room goes on.
    Unreadable {
        /// Its place in the log.
        sequence: u64,
        /// Why.
        why: Unreadable,
    },
    /// This device was removed from the room; its keys are gone.
    Removed {
        /// Who committed that.
        by: Option<DeviceUri>,
    },
    /// The log holds a commit that this device cannot follow. It has been reported to the server; the
    /// room stands still until it is joined again, or is [closed](Self::Closed) for all.
    Halted {
        /// Its place in the log.
        sequence: u64,
        /// Why.
        why: Error,
    },
    /// The room takes nothing more: a commit has ended its group, or enough members have reported that
    /// they cannot follow one. Told again when it gets a successor: in the latter case a member's client
    /// founds it, without the device that made the commit, and the others come in by a Welcome that only
    /// a member of the old group can have made.
    Closed {
        /// The place of that commit in the log.
        sequence: u64,
        /// The room in which it goes on, if there is one.
        successor: Option<RoomUri>,
    },
    /// Events came faster than they were taken; the history has all texts.
    Missed {
        /// How many events are lost.
        count: u64,
    },
}

/// Why an entry of the log cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It was sent before this device came in.
    #[error("sent before this device came in")]
    BeforeJoining,
    /// It was sent in an epoch whose keys are no longer kept.
    #[error("too old: the keys of its epoch are gone")]
    TooOld,
    /// It was sent in an epoch that this device has not reached: the log and this device disagree.
    #[error("sent in an epoch that this device has not reached")]
    Fork,
    /// Its key has been used before: it is a repetition.
    #[error("its key has been used before")]
    Repeated,
    /// Too many messages before it are missing.
    #[error("too many messages before it are missing")]
    Gap,
    /// It was changed, or made by somebody who is not in the room.
    #[error("changed on its way, or not made by a member")]
    Tampered,
    /// It is malformed.
    #[error("malformed")]
    Malformed,
    /// It opens and is not a text.
    #[error("not a text")]
    NotText,
}
