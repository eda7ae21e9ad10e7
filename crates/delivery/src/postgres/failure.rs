//! What goes wrong between this engine and its database.

use tokio_postgres::error::SqlState;

use crate::LedgerError;

/// What an operation on the database returns.
pub(super) type Outcome<T> = Result<T, Failure>;

/// Why an operation came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database, or the way to it.
    Database(tokio_postgres::Error),
    /// Another transaction has changed what this one began with.
    Overtaken,
    /// It holds something that this version did not write.
    Corrupt,
}

impl Failure {
    /// Whether the transaction met another one and may get through when it is repeated: a
    /// serialisation failure, a deadlock, an idempotency key that another request has just used, or a
    /// room that moved on while it waited.
    pub(super) fn is_collision(&self) -> bool {
        let collisions =
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNIQUE_VIOLATION];
        matches!(self, Self::Overtaken) || self.code().is_some_and(|code| collisions.contains(code))
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            Self::Overtaken | Self::Corrupt => None,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

/// What the callers of the ledger learn. The log gets the code of the error and nothing of its text,
/// which may quote what is stored.
impl From<Failure> for LedgerError {
    fn from(failure: Failure) -> Self {
        let code = failure.code().map(SqlState::code);
        match (&failure, code) {
            (Failure::Corrupt, _) => {
                tracing::error!("PostgreSQL holds something unexpected");
                Self::Corrupt
            }
            (Failure::Overtaken, _) => {
                tracing::warn!("a room changed faster than a request could follow");
                Self::Unavailable
            }
            (Failure::Database(_), Some(code)) => {
                tracing::error!(code, "PostgreSQL failed");
                if is_passing(code) { Self::Unavailable } else { Self::Corrupt }
            }
            // No code: the connection is gone.
            (Failure::Database(_), None) => {
                tracing::warn!("the connection to PostgreSQL is lost");
                Self::Unavailable
            }
        }
    }
}

/// Whether an error is of a class that says nothing about the data: connections, who may connect,
/// transactions, resources, limits that the operator sets, and a server that stops.
fn is_passing(code: &str) -> bool {
    ["08", "25", "28", "3D", "40", "53", "54", "55", "57", "58"].iter().any(|class| code.starts_with(class))
}
