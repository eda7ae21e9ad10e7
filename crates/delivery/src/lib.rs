//! The Delivery Service: it orders and stores, and is trusted with neither content nor identity.
//!
//! [`Delivery`] holds the rules: what is checked before something becomes true, and who is woken after.
//! What is true stands in a [`Ledger`], and by which keys devices are known in its [`Accounts`];
//! [`Sqlite`] is the embedded engine, [`Postgres`] that of several nodes. A [`Bus`] carries wake-ups,
//! which are hints and nothing more: [`LocalBus`] within a process, [`NatsBus`] between nodes. A
//! [`Validator`] judges messages with the half of MLS that has no
//! secrets. Time, limits and the host's name are passed in. How devices reach it over a network, and
//! how they prove who they are, is the business of `keyroom-server`.
//!
//! What it promises: of all commits for one epoch of a room exactly one is accepted, together with its
//! Welcomes and its GroupInfo or not at all; the log of a room has no gaps; a one-time key package
//! is given out once; what was answered survives.
//!
//! ```
//! use std::sync::Arc;
//! use keyroom_delivery::{Delivery, LocalBus, Setup, Sqlite, Structural, SystemClock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let engine = Arc::new(Sqlite::open(folder.path().join("keyroom.db"))?);
//! let delivery = Delivery::new(Setup {
//!     ledger: engine.clone(),
//!     accounts: engine,
//!     bus: Arc::new(LocalBus::new()),
//!     validator: Arc::new(Structural::default()),
//!     clock: Arc::new(SystemClock),
//!     host: "example.org".parse()?,
//!     limits: Default::default(),
//!     handshakes: Default::default(),
//! });
//! let phone = "mimi://example.org/d/alice/phone".parse()?;
//! let nowhere = "mimi://example.org/r/nowhere".parse()?;
//! assert!(delivery.room(&phone, &nowhere).await.is_err());
//! # Ok(())
//! # }
//! ```

mod accounts;
mod bus;
mod framed;
mod identities;
mod inspection;
mod ledger;
mod limits;
mod postgres;
mod protocol;
mod refusal;
mod roster;
mod service;
mod sqlite;
mod structural;
mod validator;
mod welcome;

pub use accounts::{Accounts, Entered, Entrance, SignatureKey};
pub use bus::{Bus, LocalBus, Moment, NatsBus, NatsError, Subscription, Topic};
pub use inspection::Inspection;
pub use keyroom_api as api;
pub use ledger::{
    Answer, Appended, Claim, Claims, Created, Durability, KeptInfo, Ledger, LedgerError, LogRead, NewAccess, NewCommit,
    NewEntry, NewEpoch, NewReport, NewRoom, NewWelcome, Once, Page, Publication, Published, Remembered, Reported,
    RoomId, RoomRecord,
};
pub use limits::{Clock, Limits, SystemClock};
pub use postgres::{Durable, Postgres, PostgresOptions};
pub use protocol::Protocol;
pub use refusal::Refusal;
pub use roster::{Place, Reach, RosterChange, Span, Standing};
pub use service::{Delivery, Done, Feed, Handshakes, Opened, Sent, Setup, TreeFile};
pub use sqlite::{BackupError, Sqlite};
pub use structural::Structural;
pub use validator::{
    CheckedKeyPackage, Invalid, Judged, JudgedKeyPackage, Owner, PublicView, Roster, StateChange, StateRecord,
    Validator,
};
