//! Errors by who is at fault.

use keyroom_api::{Code, NameError};
use keyroom_store::StoreError;

use crate::Untrusted;

/// Why a call to the client did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller gave something that is not a name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The call makes no sense in the state that the client is in.
    #[error("{0}")]
    Usage(#[from] Usage),
    /// The server refused.
    #[error("the server refused: {}", .0.title())]
    Refused(Code),
    /// The server was not reached. What is durable goes out later by itself.
    #[error("the server was not reached")]
    Unreachable,
    /// The server, or something in between, answered what makes no sense.
    #[error("the server's answer cannot be understood")]
    Answer,
    /// The protocol refused: the error inside says who broke which rule.
    #[error("{0}")]
    Protocol(#[from] keyroom_mls::error::Error),
    /// The [`Judge`](crate::Judge) said no.
    #[error("somebody or something in the room was judged untrustworthy")]
    Rejected,
    /// Whoever is to be invited is not believed to be who the server says.
    #[error("they cannot be trusted: {0}")]
    Untrusted(#[from] Untrusted),
    /// The store failed, or somebody else changed it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A row of the store is not what this version wrote.
    #[error("the store holds something that this version did not write")]
    Corrupt,
    /// A failure of the store came in between: whether what was asked for is done, the room shows.
    #[error("interrupted by a failure of the store")]
    Interrupted,
    /// The client was closed, or could not go on.
    #[error("the client is closed")]
    Closed,
}

/// A call that makes no sense in the state that the client is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Usage {
    /// This client knows no such room.
    #[error("this client is not in that room")]
    UnknownRoom,
    /// This client has the room already.
    #[error("this client has that room already")]
    RoomExists,
    /// This client was removed from the room.
    #[error("this client was removed from the room")]
    Removed,
    /// This client is on its way into the room.
    #[error("this client is not in that room yet")]
    NotEntered,
    /// The user to be removed is not in the room.
    #[error("that user is not in the room")]
    NotMember,
    /// The own device cannot remove itself.
    #[error("a device cannot remove itself")]
    OwnDevice,
    /// This client is about to leave the room, and asks for nothing after that.
    #[error("this client is leaving the room")]
    Leaving,
    /// The user has no key package that fits the room.
    #[error("that user has no key package that fits")]
    NoKeyPackage,
    /// A user or room of another server.
    #[error("that name belongs to another server")]
    ForeignHost,
    /// The provider does not have the cipher suite.
    #[error("the cipher suite is not available")]
    CipherSuite,
    /// The store belongs to another device than the one asked for.
    #[error("the store belongs to another device")]
    OtherDevice,
}
