//! The Authentication Service of RFC 9750 §4: it says which keys belong to which device.
//!
//! Its three duties are calls of this crate:
//! * issue a credential for a key: `Issuer::issue`, with the feature `issuer`;
//! * verify that a credential names a client: [`Authorities::verify_device`];
//! * say whether two credentials are the same client: [`Identity::is_same_client`].
//!
//! A credential is an X.509 certificate chain (RFC 9420 §5.3). The leaf certificate names one device by its
//! URI in the subject alternative name, has the signature key of the device's leaves as its subject key, and is good
//! for messages only (RFC 9734). The private key stays on the device: the authority never sees it.
//!
//! # What depends on time
//! A chain that does not verify is refused by everybody alike, whenever they look. Whether a certificate is
//! [expired or revoked](Lapse) depends on when one looks, so [`Authorities::verify`] says it beside what the chain
//! says, and who asks decides: two members who looked at different times must not part ways over it.
//!
//! Chains are verified by `rustls-webpki`; signatures within them by the provider of the cipher suites, so
//! that this half works wherever that does.

mod device;
mod error;
#[cfg(feature = "issuer")]
mod issuer;
mod key;
mod trust;

pub use device::{Validity, device_of, validity_of};
pub use error::{AuthorityError, CredentialError, Lapse};
#[cfg(feature = "issuer")]
pub use issuer::{Files, IssueError, Issuer, OpenError, Revoked, Serial};
pub use trust::{Authorities, Identity, Verified};
