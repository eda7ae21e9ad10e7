//! How a client is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyroom_crypto::Provider;
use keyroom_mls::config::Config;

use crate::transport::Transport;
use crate::{Enrolment, Judge, TrustAuthorities, TrustNames};

/// Stands between the client and its transport.
type Wrap = Box<dyn FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport> + Send>;

/// Whether a client commits when that makes the commits of all others cheaper: in a large room that was
/// just made, each of them costs as much as there are members. It also commits then what others have
/// proposed, to leave say, soon after they have, and founds the successor of a room that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathUpdates {
    /// It does if it is advised to and the room is quiet, after this time; later, if others are to go
    /// first.
    After(Duration),
    /// It commits only when it is told to.
    Never,
}

/// How a client is opened.
pub struct Options {
    pub(crate) user: String,
    pub(crate) device: String,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) cipher_suite: u16,
    pub(crate) config: Config,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) enrolment: Option<Arc<dyn Enrolment>>,
    pub(crate) key_packages: u64,
    pub(crate) path_updates: PathUpdates,
    pub(crate) silence: Duration,
    pub(crate) wrap: Option<Wrap>,
}

impl Options {
    /// A user (`alice`, or with its host `mimi://example.org/u/alice`) and what computes for it.
    pub fn new(user: impl Into<String>, provider: &'static dyn Provider) -> Self {
        Self {
            user: user.into(),
            device: "main".into(),
            provider,
            cipher_suite: 1,
            config: Config::default(),
            judge: Arc::new(TrustNames),
            enrolment: None,
            key_packages: 10,
            path_updates: PathUpdates::After(Duration::from_secs(10)),
            silence: Duration::from_secs(75),
            wrap: None,
        }
    }

    /// The short name of this device among those of the user. Default `main`.
    #[must_use]
    pub fn device(self, device: impl Into<String>) -> Self {
        Self { device: device.into(), ..self }
    }

    /// Code point of the cipher suite (RFC 9420 §17.1). Default 1. It is settled when a store is new.
    #[must_use]
    pub fn cipher_suite(self, cipher_suite: u16) -> Self {
        Self { cipher_suite, ..self }
    }

    /// Limits, windows and policies of the protocol.
    ///
    /// With [`HandshakePolicy::Private`](crate::HandshakePolicy::Private) the server cannot read
    /// who comes and goes: rooms are made so that members prove it instead. All members of a room use the same,
    /// and the server must take such rooms.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Who is trusted. Default [`TrustNames`].
    #[must_use]
    pub fn judge(self, judge: Arc<dyn Judge>) -> Self {
        Self { judge, ..self }
    }

    /// Is known by certificates, and knows others by theirs: its own come from `enrolment`, and `judge` trusts those
    /// of its authorities. All members of a room do so, or none.
    #[must_use]
    pub fn certificates(self, enrolment: Arc<dyn Enrolment>, judge: Arc<TrustAuthorities>) -> Self {
        Self { enrolment: Some(enrolment), judge, ..self }
    }

    /// How many key packages for one use the server shall have in stock. Default 10. One more, for
    /// when they run out, is always there.
    #[must_use]
    pub fn key_packages(self, key_packages: u64) -> Self {
        Self { key_packages, ..self }
    }

    /// Whether it commits for the sake of others. Default: ten seconds after it is advised to.
    #[must_use]
    pub fn path_updates(self, path_updates: PathUpdates) -> Self {
        Self { path_updates, ..self }
    }

    /// How long live delivery may be silent before the connection counts as broken and another one is opened.
    /// Default 75 seconds; the server says something every 30, so that less than that makes no sense with it.
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Puts something between the client and the server: for tests, and to watch.
    #[must_use]
    pub fn transport(self, wrap: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + 'static) -> Self {
        Self { wrap: Some(Box::new(wrap)), ..self }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("user", &self.user).field("device", &self.device).finish_non_exhaustive()
    }
}
