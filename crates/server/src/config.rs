//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use keyroom_api::Host;
use keyroom_delivery::{Bus, Clock, Handshakes, Limits, LocalBus, Protocol, SystemClock, Validator};
use keyroom_mls::config::Config as ProtocolConfig;
use keyroom_rustcrypto::RUSTCRYPTO;

use crate::{Authenticate, BelievedHeader};

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
    /// What tells who sends a request. Default: [`BelievedHeader`].
    pub authenticate: Arc<dyn Authenticate>,
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
            authenticate: Arc::new(BelievedHeader),
            bus: Arc::new(LocalBus::new()),
            clock: Arc::new(SystemClock),
        }
    }
}
