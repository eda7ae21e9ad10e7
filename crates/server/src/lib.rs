//! A Keyroom server: the Delivery Service over HTTP and WebSocket, in one process with an embedded
//! database, or in several on one PostgreSQL.
//!
//! [`Server::start`] runs it inside another program (tests, a demonstration); the binary `keyroomd` is
//! a thin shell around it. The paths and bodies are described on the first page of `keyroom-api`; the
//! rules are those of `keyroom-delivery`. A malformed request is answered with a problem of RFC 9457
//! and changes nothing.
//!
//! # Who sends a request
//! A device opens a session: it signs a challenge of the server with its credential keys and gets a token
//! that is good for [`Limits::session`](keyroom_delivery::Limits::session). The first keys that a device
//! uses are its keys from then on ([`FirstUse`]; another [`Registrar`] decides otherwise), key packages must
//! be signed with them, and they are never replaced. Challenges and tokens are recognised by a tag under a
//! secret that lies in the database, so that all nodes on it share it: whoever reads the database can make
//! tokens. A challenge brings one session, and a token is not taken back before its time.
//!
//! # Who may do what
//! A room with public handshakes has a roster, which follows from its commits. Members send, and read from the
//! commit that brought them in to the one that removes them; then their live delivery of the room ends. Others get
//! the GroupInfo, and may come in from outside, while it has `external_pub`; otherwise the room does not exist for
//! strangers (404), and is closed to those who were in it (403). Only a device itself reads its mailbox. In a
//! room with private handshakes a member is who has proved that it knows the secrets of the epoch
//! ([`AccessProof`](keyroom_api::AccessProof)).
//!
//! Tokens travel with every request and protect nothing by themselves: give the server a certificate
//! ([`Config::tls`]) or put a proxy that speaks TLS in front. A server behind something that authenticates can be told to believe what that says
//! ([`Authentication::TrustedHeader`]).
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
mod files;
mod live;
mod metrics;
mod parts;
mod rates;
mod refused;
mod routes;
mod secret_file;
mod server;
mod tls;

pub use authenticate::{Admission, Authentication, Candidate, FirstUse, Registrar};
pub use config::{Config, Database};
pub use files::raise_file_limit;
pub use rates::{Rate, Rates};
pub use secret_file::{SecretFileError, check_database_files, check_secret_file};
pub use server::{Handle, Server, StartError};
pub use tls::{TlsError, TlsFiles};
