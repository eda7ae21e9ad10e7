//! A Keyroom server: the Delivery Service over HTTP and WebSocket, in one process with an embedded
//! database.
//!
//! [`Server::start`] runs it inside another program (tests, a demonstration); the binary `keyroomd` is
//! a thin shell around it. The paths and bodies are described on the first page of `keyroom-api`; the
//! rules are those of `keyroom-delivery`. A malformed request is answered with a problem of RFC 9457
//! and changes nothing.
//!
//! **Devices are not authenticated yet.** The server believes the header `Keyroom-Device` (see
//! [`Authenticate`], the seam for a real proof). Run it on a loopback interface, or behind something
//! that authenticates and sets the header.
//!
//! ```
//! use keyroom_server::{Config, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("keyroom.db");
//! let server = Server::start(Config::new("localhost".parse()?, path)).await?;
//! println!("listening on {}", server.address());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod app;
mod authenticate;
mod body;
mod config;
mod live;
mod parts;
mod refused;
mod routes;
mod server;

pub use authenticate::{Authenticate, BelievedHeader, Unauthenticated};
pub use config::Config;
pub use server::{Handle, Server, StartError};
