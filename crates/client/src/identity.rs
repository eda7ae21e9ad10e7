//! Members known by certificates.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use keyroom_api::DeviceUri;
use keyroom_authority::{Authorities, AuthorityError, Identity, Verified, validity_of};
use keyroom_mls::identity::{Judgement, Member, Question};
use keyroom_wire::{Credential, LeafNode};

use crate::context::seconds;
use crate::judge::{is_of_members, judgement};
use crate::transport::Later;
use crate::{Error, Judge, Untrusted};

/// Whose key an Authentication Service is to certify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// The device.
    pub device: DeviceUri,
    /// Code point of the cipher suite that the key is for.
    pub cipher_suite: u16,
    /// Its signature public key. The private half is in the client's store and stays there.
    pub signature_key: Vec<u8>,
}

/// The way to an Authentication Service: where the credential of a device comes from.
///
/// The client asks once for a new store, and again when two thirds of a certificate's time are over: then it takes the
/// new one into its rooms, one commit each, and publishes new key packages.
pub trait Enrolment: Send + Sync {
    /// Gets a credential for the applicant's key.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it is to be asked again later, anything else if it refuses.
    fn credential<'a>(&'a self, applicant: &'a Applicant) -> Later<'a, Result<Credential, Error>>;
}

/// When a new credential is to be asked for, in seconds since 1970; `None` for one without end.
pub(crate) fn renewal(credential: &Credential) -> Option<u64> {
    let validity = validity_of(credential)?;
    let third = validity.not_after.saturating_sub(validity.not_before) / 3;
    Some(validity.not_after.saturating_sub(third))
}

/// Trusts certificates: a member is the device that its certificate names, if that comes from a trusted authority.
///
/// * A device stays itself under a new key if the authority certifies it: that is also how a lost one comes back.
/// * What others have committed is judged by the chain alone. That a certificate has expired, or was revoked, decides
///   nothing there, because members look at different times and must not part ways over it; the server, which takes
///   each commit once, may refuse it.
/// * This device itself adds nobody whose certificate has lapsed.
pub struct TrustAuthorities {
    authorities: RwLock<Authorities>,
    clock: fn() -> u64,
}

impl TrustAuthorities {
    /// Trusts these.
    pub fn new(authorities: Authorities) -> Self {
        Self { authorities: RwLock::new(authorities), clock: seconds }
    }

    /// Takes over a revocation list: see [`Authorities::revoke`].
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn revoke(&self, list: &[u8]) -> Result<(), AuthorityError> {
        self.authorities.write().unwrap_or_else(PoisonError::into_inner).revoke(list, (self.clock)())
    }

    /// Who a member is, and whether that is good now.
    ///
    /// # Errors
    /// [`Untrusted::Credential`].
    pub fn verify(&self, credential: &Credential, signature_key: &[u8]) -> Result<Verified, Untrusted> {
        let authorities = self.authorities.read().unwrap_or_else(PoisonError::into_inner);
        Ok(authorities.verify(credential, signature_key, (self.clock)())?)
    }

    fn identity(&self, member: &Member) -> Option<Identity> {
        let credential = member.credential().ok()?;
        Some(self.verify(&credential, member.signature_key().as_slice()).ok()?.identity)
    }
}

impl Judge for TrustAuthorities {
    fn judge(&self, question: &Question) -> Judgement {
        judgement(match question {
            Question::Present(member) | Question::Joins(member) => self.identity(member).is_some(),
            Question::Changes { old, new } | Question::Rejoins { old, new } => {
                match (self.identity(old), self.identity(new)) {
                    (Some(old), Some(new)) => old.is_same_client(&new),
                    _ => false,
                }
            }
            other => is_of_members(other),
        })
    }

    fn invite(&self, leaf: &LeafNode) -> Result<(), Untrusted> {
        match self.verify(&leaf.credential, leaf.signature_key.as_slice())?.lapse {
            Some(lapse) => Err(lapse.into()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TrustAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustAuthorities")
    }
}
