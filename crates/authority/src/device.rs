//! Whom a credential names.

use keyroom_api::DeviceUri;
use keyroom_wire::{Credential, Opaque};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The device that a credential names: the identity of a basic one, the one URI of a device in the subject
/// alternative name of a leaf certificate. **Nothing is verified**: it says who somebody wants to be.
pub fn device_of(credential: &Credential) -> Option<DeviceUri> {
    match credential {
        Credential::Basic { identity } => std::str::from_utf8(identity.as_slice()).ok()?.parse().ok(),
        Credential::X509 { certificates } => device_in(&Certificate::from_der(first(certificates)?).ok()?),
        Credential::Other { .. } => None,
    }
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
