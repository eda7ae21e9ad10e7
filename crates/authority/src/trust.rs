//! Verifying credentials.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use keyroom_api::DeviceUri;
use keyroom_crypto::Provider;
use keyroom_wire::{Credential, Opaque};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::oid::{AssociatedOid as _, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{CrlNumber, ExtendedKeyUsage};
use x509_cert::name::Name;

use crate::device::{device_in, validity_in};
use crate::key::{KeyAlgorithm, Verifier, verifiers};
use crate::{AuthorityError, CredentialError, Lapse, Validity};

/// Certificates of a chain at most.
const MOST: usize = 4;

/// `id-kp-imUri` (RFC 9734 §3).
const FOR_MESSAGES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.40");

/// Who is trusted to say which keys belong to which device, and what they have taken back.
pub struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    /// The same.
    certificates: Vec<Certificate>,
    lists: Vec<List>,
    verifiers: Vec<Verifier>,
}

/// A revocation list whose signature has been verified.
struct List {
    issuer: Name,
    number: Vec<u8>,
    serials: BTreeSet<Vec<u8>>,
}

impl List {
    /// Numbers are written without leading zeros.
    fn is_older_than(&self, other: &Self) -> bool {
        (self.number.len(), &self.number) < (other.number.len(), &other.number)
    }
}

/// Whom a credential names, for which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: DeviceUri,
    /// Its signature public key, as in the leaf node.
    pub signature_key: Vec<u8>,
    /// First second of the certificate's validity, since 1970-01-01T00:00Z.
    pub not_before: u64,
    /// Last second of the certificate's validity, since 1970-01-01T00:00Z.
    pub not_after: u64,
}

impl Identity {
    /// Whether two credentials are the same client's: a new one may then take the place of an old one, with
    /// whatever key (RFC 9420 §5.3.1).
    pub fn is_same_client(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

/// A credential that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    /// Whom it names.
    pub identity: Identity,
    /// What time has done to it.
    pub lapse: Option<Lapse>,
}

impl Authorities {
    /// Trusts these authorities: their certificates in DER. What they sign is verified with the suites of
    /// `provider`.
    ///
    /// # Errors
    /// [`AuthorityError::Malformed`].
    pub fn new<'a>(
        provider: &dyn Provider,
        certificates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, AuthorityError> {
        let (mut anchors, mut parsed) = (Vec::new(), Vec::new());
        for der in certificates {
            parsed.push(Certificate::from_der(der).map_err(|_| AuthorityError::Malformed)?);
            let certificate = CertificateDer::from(der);
            let anchor = anchor_from_trusted_cert(&certificate).map_err(|_| AuthorityError::Malformed)?;
            anchors.push(anchor.to_owned());
        }
        Ok(Self { anchors, certificates: parsed, lists: Vec::new(), verifiers: verifiers(provider) })
    }

    /// Takes over what an authority has taken back: a certificate revocation list in DER (RFC 5280 §5). `now` is in
    /// seconds since 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`AuthorityError`]: malformed, not of a trusted authority, past its time, or older than the list that is
    /// known. Then nothing changes.
    pub fn revoke(&mut self, list: &[u8], now: u64) -> Result<(), AuthorityError> {
        let parsed = CertificateList::from_der(list).map_err(|_| AuthorityError::Malformed)?;
        let list = self.checked(&parsed)?;
        if let Some(next_update) =
            parsed.tbs_cert_list.next_update.map(|time| time.to_unix_duration().as_secs()).filter(|next| *next < now)
        {
            return Err(AuthorityError::Expired { next_update });
        }
        if self.lists.iter().any(|known| known.issuer == list.issuer && list.is_older_than(known)) {
            return Err(AuthorityError::Older);
        }
        self.lists.retain(|known| known.issuer != list.issuer);
        self.lists.push(list);
        Ok(())
    }

    /// Verifies that a credential is a chain from a trusted authority to this signature key of a device. `now` is in
    /// seconds since 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn verify(&self, credential: &Credential, signature_key: &[u8], now: u64) -> Result<Verified, CredentialError> {
        let Credential::X509 { certificates } = credential else { return Err(CredentialError::NotX509) };
        let chain = parse(certificates)?;
        let leaf = chain.first().ok_or(CredentialError::Empty)?;
        let identity = identity(leaf, signature_key)?;
        // A chain holds or does not whenever one looks, so it is looked at when the leaf was valid.
        let when = now.clamp(identity.not_before, identity.not_after);
        self.check_chain(certificates, &chain, when)?;
        let lapse = if self.is_revoked(leaf) {
            Some(Lapse::Revoked)
        } else if now < identity.not_before {
            Some(Lapse::NotYetValid { not_before: identity.not_before })
        } else if now > identity.not_after {
            Some(Lapse::Expired { not_after: identity.not_after })
        } else {
            None
        };
        Ok(Verified { identity, lapse })
    }

    /// The same, for a device that one expects.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn verify_device(
        &self,
        credential: &Credential,
        signature_key: &[u8],
        device: &DeviceUri,
        now: u64,
    ) -> Result<Verified, CredentialError> {
        let verified = self.verify(credential, signature_key, now)?;
        if verified.identity.device == *device { Ok(verified) } else { Err(CredentialError::OtherDevice) }
    }

    /// Each certificate certifies the one before it, and an authority the last one.
    fn check_chain(&self, bytes: &[Opaque], chain: &[Certificate], when: u64) -> Result<(), CredentialError> {
        let in_order = chain.windows(2).all(|pair| match pair {
            [below, above] => below.tbs_certificate().issuer() == above.tbs_certificate().subject(),
            _ => true,
        });
        if !in_order {
            return Err(CredentialError::OutOfOrder);
        }
        let certificates: Vec<CertificateDer<'_>> =
            bytes.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (leaf, rest) = certificates.split_first().ok_or(CredentialError::Empty)?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| CredentialError::Invalid)?;
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            self.verifiers.iter().map(|verifier| verifier as &dyn SignatureVerificationAlgorithm).collect();
        let when = UnixTime::since_unix_epoch(Duration::from_secs(when));
        let usage = KeyUsage::required_if_present(FOR_MESSAGES.as_bytes());
        leaf.verify_for_usage(&algorithms, &self.anchors, rest, when, usage, None, None).map(drop).map_err(fault)
    }

    fn is_revoked(&self, leaf: &Certificate) -> bool {
        let leaf = leaf.tbs_certificate();
        let list = self.lists.iter().find(|list| list.issuer == *leaf.issuer());
        list.is_some_and(|list| list.serials.contains(leaf.serial_number().as_bytes()))
    }

    /// The content of a list that one of the authorities has signed.
    fn checked(&self, list: &CertificateList) -> Result<List, AuthorityError> {
        let tbs = &list.tbs_cert_list;
        let content = tbs.to_der().map_err(|_| AuthorityError::Malformed)?;
        let signed = self.certificates.iter().map(Certificate::tbs_certificate).any(|authority| {
            let key = authority.subject_public_key_info();
            *authority.subject() == tbs.issuer && self.verifiers.iter().any(|it| it.verifies(key, list, &content))
        });
        if !signed {
            return Err(AuthorityError::UnknownAuthority);
        }
        let number = tbs.crl_extensions.iter().flatten().find(|extension| extension.extn_id == CrlNumber::OID);
        let number = number.and_then(|number| CrlNumber::from_der(number.extn_value.as_bytes()).ok());
        let number = number.ok_or(AuthorityError::Malformed)?.0.as_bytes().to_vec();
        let serials = tbs.revoked_certificates.iter().flatten().map(|entry| entry.serial_number.as_bytes().to_vec());
        Ok(List { issuer: tbs.issuer.clone(), number, serials: serials.collect() })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("anchors", &self.anchors.len()).field("lists", &self.lists.len()).finish()
    }
}

fn parse(certificates: &[Opaque]) -> Result<Vec<Certificate>, CredentialError> {
    if certificates.len() > MOST {
        return Err(CredentialError::TooLong { count: certificates.len(), most: MOST });
    }
    let parse = |(index, der): (usize, &Opaque)| {
        Certificate::from_der(der.as_slice()).map_err(|_| CredentialError::Malformed { index })
    };
    certificates.iter().enumerate().map(parse).collect()
}

/// What a leaf certificate says, if it says it of this key.
fn identity(leaf: &Certificate, signature_key: &[u8]) -> Result<Identity, CredentialError> {
    let tbs = leaf.tbs_certificate();
    let device = device_in(leaf).ok_or(CredentialError::NoDevice)?;
    let key = tbs.subject_public_key_info();
    if key.subject_public_key.as_bytes() != Some(signature_key) {
        return Err(CredentialError::OtherKey);
    }
    let algorithm = KeyAlgorithm::of(signature_key).ok_or(CredentialError::UnsupportedKey)?;
    if !algorithm.is_named_by(key) {
        return Err(CredentialError::OtherKey);
    }
    // An authority may be good for anything, its devices are for messages.
    let usage = tbs.get_extension::<ExtendedKeyUsage>().map_err(|_| CredentialError::Invalid)?;
    if !usage.is_some_and(|(_, usage)| usage.0.contains(&FOR_MESSAGES)) {
        return Err(CredentialError::OtherUsage);
    }
    let Validity { not_before, not_after } = validity_in(leaf);
    if not_before > not_after {
        return Err(CredentialError::Invalid);
    }
    Ok(Identity { device, signature_key: signature_key.to_vec(), not_before, not_after })
}

fn fault(error: webpki::Error) -> CredentialError {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => CredentialError::UnknownAuthority,
        E::InvalidSignatureForPublicKey => CredentialError::Signature,
        E::UnsupportedSignatureAlgorithmContext(_) | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            CredentialError::UnsupportedSignature
        }
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => CredentialError::OtherUsage,
        E::CertExpired { .. } | E::CertNotValidYet { .. } => CredentialError::OutlivesAuthority,
        _ => CredentialError::Invalid,
    }
}
