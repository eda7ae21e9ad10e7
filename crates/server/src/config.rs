//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use keyroom_api::Host;
use keyroom_crypto::Provider;
use keyroom_delivery::{Bus, Clock, Handshakes, Limits, LocalBus, Protocol, SystemClock, Validator};
use keyroom_mls::config::Config as ProtocolConfig;
use keyroom_rustcrypto::RUSTCRYPTO;

use crate::{Authentication, FirstUse, Registrar};

/// What a server is started with.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 for a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// The database file; it is created if it is not there.
    pub database: PathBuf,
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
    /// A server for the names of a host, with its data in this file and defaults for the rest.
    pub fn new(host: Host, database: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
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
