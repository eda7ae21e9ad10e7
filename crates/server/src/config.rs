//! What a server is started with.

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use keyroom_api::Host;
use keyroom_crypto::Provider;
use keyroom_delivery::{Bus, Clock, Handshakes, Limits, LocalBus, PostgresOptions, Protocol, SystemClock, Validator};
use keyroom_mls::config::Config as ProtocolConfig;
use keyroom_rustcrypto::RUSTCRYPTO;

use crate::{Authentication, FirstUse, Rates, Registrar, TlsFiles};

/// What a server is started with.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 for a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// What it proves itself with to those who connect; `None` for connections in the clear. Default `None`.
    pub tls: Option<TlsFiles>,
    /// How many requests callers may send. Default: as many as they like.
    pub rates: Rates,
    /// Where it tells its numbers to whoever collects them, at `/metrics` and in the clear; `None` for nowhere.
    /// They name nobody, but say how busy a server is: never an address that clients reach. Default `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// Where it keeps what it serves.
    pub database: Database,
    /// The host of all names that it serves, which need not be where it listens.
    pub host: Host,
    /// Upper bounds.
    pub limits: Limits,
    /// Which handshakes it takes. Default: public ones.
    pub handshakes: Handshakes,
    /// What judges messages. Default: the protocol, with the suites of the pure-Rust provider.
    pub validator: Arc<dyn Validator>,
    /// How it knows who sends a request. Default: by sessions.
    pub authentication: Authentication,
    /// Which keys may stand for a device. Default: the first that it uses.
    pub registrar: Arc<dyn Registrar>,
    /// What verifies the signatures of sessions. Default: the pure-Rust provider.
    pub provider: &'static dyn Provider,
    /// What carries wake-ups. Default: within the process.
    pub bus: Arc<dyn Bus>,
    /// What tells the time. Default: the machine's clock.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// A server for the names of a host, with its data in this file or database and defaults for the
    /// rest.
    pub fn new(host: Host, database: impl Into<Database>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            rates: Rates::default(),
            metrics_listen: None,
            database: database.into(),
            host,
            limits: Limits::default(),
            handshakes: Handshakes::default(),
            validator: Arc::new(Protocol::new(&RUSTCRYPTO, ProtocolConfig::default())),
            authentication: Authentication::default(),
            registrar: Arc::new(FirstUse),
            provider: &RUSTCRYPTO,
            bus: Arc::new(LocalBus::new()),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Where a server keeps what it serves. Its `Debug` and `Display` show no password.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file; it is created if it is not there.
    File(PathBuf),
    /// A PostgreSQL database, which several servers may share.
    Postgres {
        /// Its address: see [`Postgres::open`](keyroom_delivery::Postgres::open).
        url: String,
        /// How it is used.
        options: PostgresOptions,
    },
}

/// `postgres://…` and `postgresql://…` are addresses of a database, everything else is the path of a
/// file.
impl FromStr for Database {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_address = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        Ok(if is_address {
            Self::Postgres { url: text.to_owned(), options: PostgresOptions::default() }
        } else {
            Self::File(text.into())
        })
    }
}

impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres { .. } => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Postgres { options, .. } => {
                f.debug_struct("Postgres").field("options", options).finish_non_exhaustive()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_file_or_an_address_and_shows_no_password() {
        let Ok(file) = "some/keyroom.db".parse::<Database>();
        assert_eq!(file, Database::File("some/keyroom.db".into()));
        for address in ["postgres://user:secret@host/name", "postgresql://user:secret@host/name"] {
            let Ok(database) = address.parse::<Database>();
            assert!(matches!(&database, Database::Postgres { url, .. } if url == address));
            assert!(!format!("{database} {database:?}").contains("secret"));
        }
    }
}
