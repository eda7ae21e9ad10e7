//! Who sends a request.

mod registrar;
mod seal;
mod sessions;

use std::time::Duration;

use axum::http::request::Parts;
use keyroom_api::{DEVICE_HEADER, DeviceUri};

pub use registrar::{Admission, Candidate, FirstUse, Registrar};
pub(crate) use sessions::{Parties, Sessions};

/// How a server knows which device sends a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// By the token of a session, which a device opens with its credential keys.
    #[default]
    Sessions,
    /// By the header `Keyroom-Device`, which is believed. **Whoever reaches such a server can be any
    /// device**: it belongs behind something that authenticates and sets the header itself.
    TrustedHeader,
}

/// Who sends a request, and for how long it may say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) device: DeviceUri,
    /// Time since 1970-01-01T00:00Z; `None` for no end.
    pub(crate) until: Option<Duration>,
}

/// Why it is not known who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthenticated {
    /// Nothing says it.
    #[error("the request has no token")]
    Missing,
    /// What says it proves nothing.
    #[error("the token is not one of this server")]
    Invalid,
    /// The session is over.
    #[error("the token has expired")]
    Expired,
}

/// Tells which device sends a request, from everything but the body.
pub(crate) trait Authenticate: Send + Sync {
    fn device(&self, request: &Parts) -> Result<Authenticated, Unauthenticated>;
}

/// [`Authentication::TrustedHeader`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrustedHeader;

impl Authenticate for TrustedHeader {
    fn device(&self, request: &Parts) -> Result<Authenticated, Unauthenticated> {
        let claim = request.headers.get(DEVICE_HEADER).ok_or(Unauthenticated::Missing)?;
        let device = claim.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Unauthenticated::Invalid)?;
        Ok(Authenticated { device, until: None })
    }
}
