//! Whom a credential names, and for how long.

use keyroom_api::DeviceUri;
use keyroom_wire::{Credential, Opaque};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// The device that a credential names: the identity of a basic one, the one URI of a device in the subject
/// alternative name of a leaf certificate. **Nothing is verified**: it says who somebody wants to be.
pub fn device_of(credential: &Credential) -> Option<DeviceUri> {
    match credential {
        Credential::Basic { identity } => std::str::from_utf8(identity.as_slice()).ok()?.parse().ok(),
        Credential::X509 { certificates } => device_in(&Certificate::from_der(first(certificates)?).ok()?),
        Credential::Other { .. } => None,
    }
}

/// When a certificate is valid, in seconds since 1970-01-01T00:00Z; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: u64,
    /// Last second.
    pub not_after: u64,
}

/// When the leaf certificate of a credential is valid; `None` if it has none. **Nothing is verified.**
pub fn validity_of(credential: &Credential) -> Option<Validity> {
    let Credential::X509 { certificates } = credential else { return None };
    Some(validity_in(&Certificate::from_der(first(certificates)?).ok()?))
}

pub(crate) fn validity_in(certificate: &Certificate) -> Validity {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: Time| time.to_unix_duration().as_secs();
    Validity { not_before: seconds(validity.not_before), not_after: seconds(validity.not_after) }
}

fn first(certificates: &[Opaque]) -> Option<&[u8]> {
    certificates.first().map(Opaque::as_slice)
}

/// The one device that a certificate names.
pub(crate) fn device_in(certificate: &Certificate) -> Option<DeviceUri> {
    let (_, names) = certificate.tbs_certificate().get_extension::<SubjectAltName>().ok()??;
    let [GeneralName::UniformResourceIdentifier(name)] = names.0.as_slice() else { return None };
    name.as_str().parse().ok()
}
