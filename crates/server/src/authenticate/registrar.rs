//! Which keys may stand for a device.

use keyroom_api::DeviceUri;
use keyroom_delivery::{Answer, SignatureKey};

/// A device that has proved that it holds the private half of these keys.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The device that it says it is.
    pub device: &'a DeviceUri,
    /// The keys by which the device is known; empty if it is new.
    pub known: &'a [SignatureKey],
    /// All keys that were proved.
    pub proved: &'a [SignatureKey],
}

/// What a registrar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// All proved keys are the device's.
    Admitted,
    /// Not all of them are.
    Refused,
}

/// Decides whether keys belong to a device: the seam for an Authentication Service. It is asked when a
/// session is opened with a key that is not known yet; a key that is known is never replaced.
pub trait Registrar: Send + Sync {
    /// Decides.
    fn admit<'a>(&'a self, candidate: Candidate<'a>) -> Answer<'a, Admission>;
}

/// Believes whoever comes first: the first keys that a device uses are its keys. Further ones, for other
/// cipher suites, are admitted beside a key that is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstUse;

impl Registrar for FirstUse {
    fn admit<'a>(&'a self, candidate: Candidate<'a>) -> Answer<'a, Admission> {
        let vouched = candidate.proved.iter().any(|key| candidate.known.contains(key));
        let admission = if candidate.known.is_empty() || vouched { Admission::Admitted } else { Admission::Refused };
        Box::pin(std::future::ready(Ok(admission)))
    }
}
