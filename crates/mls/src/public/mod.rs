//! The public view of a group: all that needs no secret (RFC 9420 §7, §12). Members build on it,
//! and a Delivery Service or another observer uses it alone, as [`PublicGroup`].

mod observe;
mod stage;
mod state;
mod validate;

pub use self::observe::{Observed, Observing, PublicGroup, StagedPublicCommit};
pub(crate) use self::stage::{Added, Change, Committer, leaf_class};
pub(crate) use self::state::PublicState;
pub(crate) use self::validate::SignedInfo;
