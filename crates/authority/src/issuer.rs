//! Issuing certificates.

use std::fmt;

use keyroom_api::DeviceUri;
use keyroom_wire::{Credential, Opaque};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints as ReadConstraints;
use zeroize::Zeroizing;

use crate::Validity;
use crate::key::KeyAlgorithm;

/// `id-kp-imUri` (RFC 9734 §3).
const FOR_MESSAGES: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 40];

/// How an authority is kept in files. Whoever has the key can be any device.
pub struct Files {
    /// Its certificate and, if it is not a root, those above it, in PEM: public.
    pub certificates: String,
    /// Its private key in PEM (PKCS #8). It must be readable by the authority only.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

/// Why an authority could not be made or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no certificate in the file, or one that does not parse.
    #[error("the authority's certificate does not parse")]
    Certificate,
    /// The private key does not parse, or is of an algorithm that devices do not verify.
    #[error("the authority's key does not parse, or is neither Ed25519 nor ECDSA on P-256, P-384 or P-521")]
    Key,
    /// The key is not that of the certificate.
    #[error("the authority's key is not that of its certificate")]
    OtherKey,
    /// The certificate is not that of an authority.
    #[error("the certificate is not that of an authority: its basic constraints say so")]
    NoAuthority,
    /// A time outside of the years that certificates can name.
    #[error("the time is out of range")]
    Time,
}

/// Why a certificate or list was not issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// There are no certificates for keys of this algorithm: those of suites 4 and 6 (Ed448).
    #[error("there are no certificates for keys of this algorithm")]
    UnsupportedKey,
    /// A time outside of the years that certificates can name, or a validity that ends before it begins.
    #[error("the time is out of range")]
    Time,
    /// The library refused.
    #[error("the certificate could not be made")]
    Unmade,
}

/// The number of a certificate, by which it is revoked. Draw it at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// From 16 random bytes. It is a positive number of full length (RFC 5280 §4.1.2.2).
    pub fn new(mut random: [u8; 16]) -> Self {
        random[0] = random[0] & 0x3f | 0x40;
        Self(random)
    }

    /// The number, big-endian.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A certificate that is not to be believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its number.
    pub serial: Serial,
    /// Since when, in seconds since 1970-01-01T00:00Z.
    pub at: u64,
}

/// An authority that issues certificates. Its `Debug` does not show the key.
pub struct Issuer {
    issuer: rcgen::Issuer<'static, KeyPair>,
    /// Its own certificate first.
    above: Vec<Vec<u8>>,
}

impl Issuer {
    /// Makes a new authority with a key of its own (Ed25519): a root that may issue for devices only.
    ///
    /// # Errors
    /// [`OpenError::Time`].
    pub fn create(name: &str, validity: Validity) -> Result<Files, OpenError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(|_| OpenError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = time(validity.not_before).ok_or(OpenError::Time)?;
        params.not_after = time(validity.not_after).ok_or(OpenError::Time)?;
        let certificate = params.self_signed(&key).map_err(|_| OpenError::Certificate)?;
        Ok(Files { certificates: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }

    /// Opens an authority that was created here or elsewhere.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(files: &Files) -> Result<Self, OpenError> {
        let certificates = CertificateDer::pem_slice_iter(files.certificates.as_bytes());
        let above: Vec<Vec<u8>> = certificates
            .map(|der| der.map(|der| der.to_vec()).map_err(|_| OpenError::Certificate))
            .collect::<Result<_, _>>()?;
        let own = above.first().ok_or(OpenError::Certificate)?;
        let key = KeyPair::from_pem(&files.key).map_err(|_| OpenError::Key)?;
        let parsed = Certificate::from_der(own).map_err(|_| OpenError::Certificate)?;
        let tbs = parsed.tbs_certificate();
        if tbs.subject_public_key_info().subject_public_key.as_bytes() != Some(key.public_key_raw()) {
            return Err(OpenError::OtherKey);
        }
        let constraints = tbs.get_extension::<ReadConstraints>().map_err(|_| OpenError::Certificate)?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(OpenError::NoAuthority);
        }
        if !SIGNATURES.contains(&key.algorithm()) {
            return Err(OpenError::Key);
        }
        let certificate = CertificateDer::from(own.as_slice());
        let issuer = rcgen::Issuer::from_ca_cert_der(&certificate, key).map_err(|_| OpenError::Certificate)?;
        Ok(Self { issuer, above })
    }

    /// The certificate of this authority in DER: what clients trust.
    pub fn certificate(&self) -> &[u8] {
        self.above.first().map_or(&[], Vec::as_slice)
    }

    /// Certifies that this public key is the device's: the leaf certificate, then those of the authorities
    /// between it and a root.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(
        &self,
        device: &DeviceUri,
        signature_key: &[u8],
        serial: Serial,
        validity: Validity,
    ) -> Result<Credential, IssueError> {
        let algorithm = KeyAlgorithm::of(signature_key).ok_or(IssueError::UnsupportedKey)?;
        let key = DeviceKey { public: signature_key, algorithm: algorithm.for_subject() };
        let mut params = CertificateParams::default();
        // Everything that is to be known of a device is its URI.
        params.distinguished_name = DistinguishedName::new();
        let name = device.to_string().try_into().map_err(|_| IssueError::Unmade)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(FOR_MESSAGES.to_vec())];
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.use_authority_key_identifier_extension = true;
        params.not_before = time(validity.not_before).ok_or(IssueError::Time)?;
        params.not_after =
            time(validity.not_after).filter(|_| validity.not_before <= validity.not_after).ok_or(IssueError::Time)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(|_| IssueError::Unmade)?;
        let mut certificates = vec![Opaque::from(leaf.der().to_vec())];
        certificates.extend(self.above.iter().filter(|der| !is_root(der)).map(|der| Opaque::from(der.clone())));
        Ok(Credential::X509 { certificates })
    }

    /// The list of the certificates that this authority has taken back, in DER. Each list has a higher number than
    /// the one before; clients look for the next one at the end of `validity`.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn revocations(
        &self,
        number: u64,
        revoked: impl IntoIterator<Item = Revoked>,
        validity: Validity,
    ) -> Result<Vec<u8>, IssueError> {
        let entry = |revoked: Revoked| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
                revocation_time: time(revoked.at).ok_or(IssueError::Time)?,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: time(validity.not_before).ok_or(IssueError::Time)?,
            next_update: time(validity.not_after).ok_or(IssueError::Time)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().map(entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(|_| IssueError::Unmade)?;
        Ok(list.der().to_vec())
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("certificates", &self.above.len()).finish_non_exhaustive()
    }
}

/// The signatures of authorities that devices verify.
static SIGNATURES: [&SignatureAlgorithm; 4] = [
    &rcgen::PKCS_ED25519,
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA512,
];

/// The public key of a device. Its private half is nobody's business here.
struct DeviceKey<'a> {
    public: &'a [u8],
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for DeviceKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl KeyAlgorithm {
    fn for_subject(self) -> &'static SignatureAlgorithm {
        match self {
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            Self::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
            Self::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
            Self::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
        }
    }
}

fn time(seconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok().filter(|time| time.year() < 10_000)
}

/// A root is known to whoever trusts it, and is left out of chains (RFC 9420 §5.3).
fn is_root(der: &[u8]) -> bool {
    Certificate::from_der(der)
        .is_ok_and(|certificate| certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject())
}
