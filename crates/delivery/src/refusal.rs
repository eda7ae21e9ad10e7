//! Why a request was refused.

use keyroom_api::{Closure, Code, Conflict, Problem};

use crate::{Invalid, LedgerError};

/// Why the Delivery Service did not do what it was asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A message is not valid; trying again cannot help.
    #[error("invalid: {0}")]
    Invalid(#[from] Invalid),
    /// An element of a list is not valid.
    #[error("element {index} is invalid: {reason}")]
    InvalidElement {
        /// Its place, from zero.
        index: usize,
        /// What is wrong.
        reason: Invalid,
    },
    /// A user, device or room of another host.
    #[error("the name belongs to another host")]
    ForeignHost,
    /// The mailbox or key packages of another device.
    #[error("the device is not the sender's own")]
    NotOwn,
    /// The device is not in the room, or not any more.
    #[error("the device is not in the room")]
    NotMember,
    /// The device was not in the room when that was sent.
    #[error("the device was not in the room then")]
    NotThen,
    /// No such room, or none that the device may know of.
    #[error("no such room")]
    UnknownRoom,
    /// No such user.
    #[error("no such user")]
    UnknownUser,
    /// An addressee that has never published a key package.
    #[error("addressee {0} is not known")]
    UnknownDevice(usize),
    /// An addressee whose mailbox is full. Later it may work.
    #[error("the mailbox of addressee {0} is full")]
    MailboxFull(usize),
    /// The epoch is not kept, or not there yet.
    #[error("the epoch is not kept")]
    UnknownEpoch,
    /// No epoch that is kept has this tree, or the server does not know the tree.
    #[error("the tree is not kept")]
    UnknownTree,
    /// The room takes nothing more.
    #[error("the room was closed by the commit at {}", .0.at)]
    Closed(Closure),
    /// A room is to continue one that is not there or not closed.
    #[error("the predecessor is not closed")]
    NotClosed,
    /// The room's name is taken.
    #[error("the name is taken")]
    NameTaken,
    /// The group has a room of another name.
    #[error("the group has another room")]
    GroupTaken,
    /// The room is in another epoch.
    #[error("the room is in epoch {}", .0.epoch)]
    WrongEpoch(Conflict),
    /// The idempotency key stands for another message.
    #[error("the idempotency key was used for another message")]
    KeyReused,
    /// Too long, or too many.
    #[error("more than the limit of {limit}")]
    TooLarge {
        /// The limit, in bytes or elements.
        limit: usize,
    },
    /// The device would have too many key packages.
    #[error("too many key packages")]
    TooManyKeyPackages,
    /// The device has claimed key packages of this user too often. Later it may work.
    #[error("too many claims for this user")]
    TooManyClaims {
        /// In how many seconds.
        retry_after: u64,
    },
    /// The ledger did not answer. Later it may work.
    #[error("{0}")]
    Unavailable(#[from] LedgerError),
    /// The check did not come to an end. Later it may work.
    #[error("the check was interrupted")]
    Interrupted,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = code(&refusal);
        let problem = Self::new(code).detail(&refusal);
        match refusal {
            Refusal::InvalidElement { index, .. } | Refusal::UnknownDevice(index) | Refusal::MailboxFull(index) => {
                problem.at(index)
            }
            Refusal::WrongEpoch(conflict) => Self { conflict: Some(conflict), ..problem },
            Refusal::TooManyClaims { retry_after } => Self { retry_after: Some(retry_after), ..problem },
            Refusal::Closed(closure) => Self { closed: Some(closure), ..problem },
            _ => problem,
        }
    }
}

fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Invalid(reason) | Refusal::InvalidElement { reason, .. } => match reason {
            Invalid::Malformed | Invalid::WrongKind => Code::Malformed,
            _ => Code::Invalid,
        },
        Refusal::ForeignHost => Code::WrongName,
        Refusal::NotOwn => Code::Forbidden,
        Refusal::NotMember => Code::NotMember,
        Refusal::NotThen => Code::NotThen,
        Refusal::UnknownRoom => Code::UnknownRoom,
        Refusal::UnknownUser => Code::UnknownUser,
        Refusal::UnknownDevice(_) => Code::UnknownDevice,
        Refusal::MailboxFull(_) => Code::MailboxFull,
        Refusal::UnknownEpoch => Code::UnknownEpoch,
        Refusal::UnknownTree => Code::UnknownTree,
        Refusal::Closed(_) => Code::Closed,
        Refusal::NotClosed => Code::Invalid,
        Refusal::NameTaken => Code::NameTaken,
        Refusal::GroupTaken => Code::GroupTaken,
        Refusal::WrongEpoch(_) => Code::WrongEpoch,
        Refusal::KeyReused => Code::KeyReused,
        Refusal::TooLarge { .. } => Code::TooLarge,
        Refusal::TooManyClaims { .. } => Code::TooManyClaims,
        Refusal::TooManyKeyPackages => Code::TooManyKeyPackages,
        Refusal::Unavailable(_) | Refusal::Interrupted => Code::Unavailable,
    }
}
