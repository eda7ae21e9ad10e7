//! Keys in certificates, and signatures under them.

use keyroom_crypto::{Provider, Suite};
use keyroom_wire::CipherSuite;
use rustls_pki_types::{AlgorithmIdentifier as Identifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use x509_cert::crl::CertificateList;
use x509_cert::der::Encode;
use x509_cert::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The algorithms of keys that certificates are issued for. MLS writes their public keys as X.509 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Ed25519,
    P256,
    P384,
    P521,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl KeyAlgorithm {
    /// That of a public key, which its length tells.
    pub(crate) fn of(public: &[u8]) -> Option<Self> {
        Some(match public.len() {
            32 => Self::Ed25519,
            65 => Self::P256,
            97 => Self::P384,
            133 => Self::P521,
            1312 => Self::MlDsa44,
            1952 => Self::MlDsa65,
            2592 => Self::MlDsa87,
            _ => return None,
        })
    }

    /// The content of the `AlgorithmIdentifier` of such keys.
    fn identifier(self) -> Identifier {
        match self {
            Self::Ed25519 => alg_id::ED25519,
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::P521 => alg_id::ECDSA_P521,
            Self::MlDsa44 => alg_id::ML_DSA_44,
            Self::MlDsa65 => alg_id::ML_DSA_65,
            Self::MlDsa87 => alg_id::ML_DSA_87,
        }
    }

    /// Whether a certificate says that its key is of this algorithm.
    pub(crate) fn is_named_by(self, key: &SubjectPublicKeyInfo) -> bool {
        is_identifier(&key.algorithm, self.identifier())
    }
}

/// Whether both are the same, parameters included.
fn is_identifier(named: &AlgorithmIdentifier, expected: Identifier) -> bool {
    let (oid, parameters) = (named.oid.to_der(), named.parameters.as_ref().map(Encode::to_der).transpose());
    let (Ok(mut content), Ok(parameters)) = (oid, parameters) else { return false };
    content.extend(parameters.unwrap_or_default());
    content == expected.as_ref()
}

/// What verifies a signature of an authority.
#[derive(Debug)]
pub(crate) struct Verifier {
    suite: &'static dyn Suite,
    key: Identifier,
    signature: Identifier,
}

/// The algorithms of authorities that a provider can verify. Suites of RFC 9420 stand for their signatures.
pub(crate) fn verifiers(provider: &dyn Provider) -> Vec<Verifier> {
    let all = [
        (1, KeyAlgorithm::Ed25519, alg_id::ED25519),
        (2, KeyAlgorithm::P256, alg_id::ECDSA_SHA256),
        (7, KeyAlgorithm::P384, alg_id::ECDSA_SHA384),
        (5, KeyAlgorithm::P521, alg_id::ECDSA_SHA512),
    ];
    let verifier = |(number, key, signature): (u16, KeyAlgorithm, Identifier)| {
        let suite = provider.suite(CipherSuite(number)).ok()?;
        Some(Verifier { suite, key: key.identifier(), signature })
    };
    all.into_iter().filter_map(verifier).collect()
}

impl Verifier {
    /// Whether an authority with this key has signed the content so.
    pub(crate) fn verifies(&self, key: &SubjectPublicKeyInfo, list: &CertificateList, content: &[u8]) -> bool {
        let signature = list.signature.as_bytes();
        let (Some(public), Some(signature)) = (key.subject_public_key.as_bytes(), signature) else { return false };
        is_identifier(&key.algorithm, self.key)
            && is_identifier(&list.signature_algorithm, self.signature)
            && self.suite.verify(public, content, signature).is_ok()
    }
}

impl SignatureVerificationAlgorithm for Verifier {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.suite.verify(public_key, message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> Identifier {
        self.key
    }

    fn signature_alg_id(&self) -> Identifier {
        self.signature
    }
}
