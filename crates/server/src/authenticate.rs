//! Who sends a request.

use axum::http::request::Parts;
use keyroom_api::{DEVICE_HEADER, DeviceUri};

/// The request does not say, or does not prove, which device sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request does not say which device sends it")]
pub struct Unauthenticated;

/// Tells which device sends a request: the seam for a proof with the device's credential key.
pub trait Authenticate: Send + Sync {
    /// The device, from everything but the body.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    fn device(&self, request: &Parts) -> Result<DeviceUri, Unauthenticated>;
}

/// Believes the header `Keyroom-Device`, and where a browser cannot set one (WebSocket), the query
/// parameter `device`. **This is not an authentication**: whoever reaches the server can claim to
/// be any device.
#[derive(Clone, Copy, Debug, Default)]
pub struct BelievedHeader;

impl Authenticate for BelievedHeader {
    fn device(&self, request: &Parts) -> Result<DeviceUri, Unauthenticated> {
        let header = request.headers.get(DEVICE_HEADER).map(|value| value.to_str().unwrap_or_default());
        let claim = header.or_else(|| parameter(request.uri.query().unwrap_or_default()));
        claim.and_then(|text| text.parse().ok()).ok_or(Unauthenticated)
    }
}

/// Names have one spelling and no character that a query escapes, so there is nothing to decode.
fn parameter(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("device="))
}
