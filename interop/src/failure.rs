//! Why a call failed, and the gRPC status that says so.

use keyroom_crypto::CryptoError;
use keyroom_mls::error::Error;
use keyroom_mls::identity::Rejected;
use keyroom_mls::key_package::BuildError;
use keyroom_wire::DecodeError;
use thiserror::Error as ThisError;
use tonic::{Code, Status};

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// A member of a group.
    State,
    /// A pending join.
    Transaction,
    /// A member of a group that has ended.
    Reinit,
    /// An external signer.
    Signer,
    /// Anything.
    Any,
}

/// Why a call failed. No script goes on after one; the others do.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Failure {
    /// An id that was never given out, or has been used up or given back.
    #[error("there is no {kind:?} with id {id}")]
    UnknownId {
        /// What it should name.
        kind: IdKind,
        /// The id.
        id: u32,
    },
    /// A cipher suite that the provider lacks.
    #[error("cipher suite {0} is not supported")]
    UnsupportedSuite(u32),
    /// A code point beyond sixteen bits.
    #[error("{0} is no code point: those have sixteen bits")]
    NoCodePoint(u32),
    /// Bytes that do not decode.
    #[error("{field} is malformed: {error}")]
    Malformed {
        /// The field of the request.
        field: &'static str,
        /// Why.
        error: DecodeError,
    },
    /// Another message of the protocol than the one that belongs there.
    #[error("{field} is another message than a {expected}")]
    WrongMessage {
        /// The field of the request.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A description with a type that the interface does not have.
    #[error("there is no proposal type {0:?}")]
    UnknownProposalType(String),
    /// A request without a description.
    #[error("the description of the proposal is missing")]
    NoDescription,
    /// No member has this identity.
    #[error("no member is called {0:?}")]
    NoSuchMember(String),
    /// Neither the GroupInfo nor the request holds a tree.
    #[error("the ratchet tree is missing")]
    NoTree,
    /// There is no own commit to apply.
    #[error("no own commit is pending")]
    NothingPending,
    /// A commit that ends the group came as an ordinary one, or the other way round.
    #[error("the commit does not end the group")]
    NotReInit,
    /// The credential of a member was refused.
    #[error("a credential was refused: {0}")]
    Rejected(Rejected),
    /// The protocol refused.
    #[error("{0} ({0:?})")]
    Protocol(Error),
    /// A key package could not be made.
    #[error("{0}")]
    KeyPackage(BuildError),
    /// Cryptography failed.
    #[error("cryptography failed: {0}")]
    Crypto(CryptoError),
    /// Every id has been given out.
    #[error("there are no ids left")]
    OutOfIds,
}

impl Failure {
    fn code(&self) -> Code {
        match self {
            Self::UnknownId { .. } => Code::NotFound,
            Self::UnsupportedSuite(_) => Code::Unimplemented,
            Self::NoCodePoint(_)
            | Self::Malformed { .. }
            | Self::WrongMessage { .. }
            | Self::UnknownProposalType(_)
            | Self::NoDescription
            | Self::NoSuchMember(_)
            | Self::NoTree => Code::InvalidArgument,
            Self::NothingPending | Self::NotReInit => Code::FailedPrecondition,
            Self::Rejected(_) | Self::Protocol(_) => Code::Aborted,
            Self::KeyPackage(_) | Self::Crypto(_) => Code::Internal,
            Self::OutOfIds => Code::ResourceExhausted,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code(), failure.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::KeyPackage(error)
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}
