//! End-to-end encrypted rooms: the client that an application embeds.
//!
//! Everything that is asked for is durable before it leaves: a client that is killed at any time is
//! opened again from its store, sends what it had not sent, and neither loses nor repeats anything.
//!
//! ```no_run
//! use keyroom::{Client, Event, Options, SqliteOptions, SqliteStore, StoreKey};
//!
//! # async fn example(provider: &'static dyn keyroom::Provider) -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open("alice.db", &StoreKey::new([7; 32]), SqliteOptions::default())?;
//! let client = Client::open(store, "http://127.0.0.1:8440", Options::new("alice", provider)).await?;
//!
//! let room = client.create_room("meeting").await?;
//! room.invite("bob").await?;
//! room.send("Hello, Bob.").await?;
//!
//! let mut events = room.events();
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}: {}", message.sender, message.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Identity.** By default members are who their names say ([`TrustNames`]): enough where everybody who can reach the
//! server is known, and nowhere else. With [`Options::certificates`] they are who a trusted authority says
//! ([`TrustAuthorities`]).

mod client;
mod context;
mod device;
mod driver;
mod error;
mod event;
mod identity;
mod judge;
mod live;
mod options;
mod payload;
mod room;
mod rows;
mod slot;
mod stock;
pub mod transport;
mod view;

pub use client::{Client, Events, Room};
pub use error::{Error, Usage};
pub use event::{Event, Message, MessageId, MessageState, Unreadable};
pub use identity::{Applicant, Enrolment, TrustAuthorities};
pub use judge::{Judge, TrustNames, Untrusted};
pub use keyroom_api::{ClientError, Code, DeviceUri, Host, NameError, RoomUri, UserUri};
pub use keyroom_authority::{Authorities, AuthorityError, CredentialError, Lapse};
pub use keyroom_crypto::Provider;
pub use keyroom_mls::config::{Config, HandshakePolicy};
pub use keyroom_mls::identity::{Judgement, Question};
pub use keyroom_store::{MemoryStore, Store, StoreError, StoreKey};
#[cfg(feature = "sqlite")]
pub use keyroom_store::{SqliteOptions, SqliteStore};
pub use options::{Options, PathUpdates};
pub use view::{Agreement, Member, View};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
