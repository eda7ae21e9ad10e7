//! Keyroom as the MLS working group's test runner sees it: a gRPC server, package `mls_client`,
//! service `MLSClient`, over plaintext HTTP/2 on a loopback address.
//!
//! One process plays several actors of one group at once, so nothing here belongs to an identity:
//! everything hangs on ids, which one counter gives out. [`Actors`] has one method for each call,
//! values in and values out; [`Service`] puts it behind the network, one call after the other.
//! Secrets live in memory and nowhere else: this is for tests, not for keeping messages.
//!
//! ```no_run
//! use keyroom_interop::{Actors, Service, Setup};
//! use keyroom_rustcrypto::RUSTCRYPTO;
//!
//! # async fn serve() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
//! Service::new(Actors::new(Setup::new(&RUSTCRYPTO))).serve(listener).await
//! # }
//! ```

mod actors;
mod failure;
pub mod messages;
mod rpc;
mod service;

pub use self::actors::{Actors, Setup};
pub use self::failure::{Failure, IdKind};
pub use self::rpc::{Client, METHODS};
pub use self::service::Service;
