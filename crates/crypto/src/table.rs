//! From primitives to suites: what each suite is made of is written once, for all providers.

use alloc::vec::Vec;

use keyroom_wire::CipherSuite;

use crate::parts::{Aead, Batch, HashFunction, SignatureScheme, SuiteParts, hpke_ids};
use crate::{CodePoints, Kdf, Kem, NoSuite, Provider, Suite, SuiteName};

/// A hash function with the KDF made of it.
#[derive(Clone, Copy, Debug)]
pub struct Hkdf {
    hash: &'static dyn HashFunction,
    kdf: &'static dyn Kdf,
}

impl Hkdf {
    /// One value that is both.
    pub const fn of<T: HashFunction + Kdf>(both: &'static T) -> Self {
        Self { hash: both, kdf: both }
    }
}

/// The primitives of a provider; `None` for what its library lacks.
#[derive(Clone, Copy, Debug)]
pub struct Primitives {
    /// SHA-256, its HMAC and HKDF.
    pub sha256: Hkdf,
    /// SHA-384, its HMAC and HKDF.
    pub sha384: Hkdf,
    /// SHA-512, its HMAC and HKDF.
    pub sha512: Hkdf,
    /// AES-128-GCM.
    pub aes_128_gcm: &'static dyn Aead,
    /// AES-256-GCM.
    pub aes_256_gcm: &'static dyn Aead,
    /// ChaCha20-Poly1305.
    pub chacha20_poly1305: &'static dyn Aead,
    /// The KEMs.
    pub kems: Kems,
    /// The signature schemes.
    pub signatures: Signatures,
    /// How batches are worked off.
    pub batch: &'static dyn Batch,
}

/// The KEMs of a provider; `None` for what its library lacks.
#[derive(Clone, Copy, Debug)]
pub struct Kems {
    /// DHKEM(X25519, HKDF-SHA256).
    pub x25519: Option<&'static dyn Kem>,
    /// DHKEM(X448, HKDF-SHA512).
    pub x448: Option<&'static dyn Kem>,
    /// DHKEM(P-256, HKDF-SHA256).
    pub p256: Option<&'static dyn Kem>,
    /// DHKEM(P-384, HKDF-SHA384).
    pub p384: Option<&'static dyn Kem>,
    /// DHKEM(P-521, HKDF-SHA512).
    pub p521: Option<&'static dyn Kem>,
    /// ML-KEM-768.
    pub ml_kem_768: Option<&'static dyn Kem>,
    /// ML-KEM-1024.
    pub ml_kem_1024: Option<&'static dyn Kem>,
    /// MLKEM768-X25519, also known as X-Wing.
    pub ml_kem_768_x25519: Option<&'static dyn Kem>,
    /// MLKEM768-P256.
    pub ml_kem_768_p256: Option<&'static dyn Kem>,
    /// MLKEM1024-P384.
    pub ml_kem_1024_p384: Option<&'static dyn Kem>,
}

/// The signature schemes of a provider; `None` for what its library lacks.
#[derive(Clone, Copy, Debug)]
pub struct Signatures {
    /// Ed25519.
    pub ed25519: Option<&'static dyn SignatureScheme>,
    /// Ed448.
    pub ed448: Option<&'static dyn SignatureScheme>,
    /// ECDSA with P-256 and SHA-256.
    pub p256: Option<&'static dyn SignatureScheme>,
    /// ECDSA with P-384 and SHA-384.
    pub p384: Option<&'static dyn SignatureScheme>,
    /// ECDSA with P-521 and SHA-512.
    pub p521: Option<&'static dyn SignatureScheme>,
    /// ML-DSA-44.
    pub ml_dsa_44: Option<&'static dyn SignatureScheme>,
    /// ML-DSA-65.
    pub ml_dsa_65: Option<&'static dyn SignatureScheme>,
    /// ML-DSA-87.
    pub ml_dsa_87: Option<&'static dyn SignatureScheme>,
}

impl Primitives {
    /// Every suite that has a number in the map and can be made of these primitives.
    #[expect(clippy::indexing_slicing, reason = "below the length, and iterators are not const")]
    pub const fn suites(&self, code_points: &CodePoints) -> SuiteTable {
        let mut suites = [None; SuiteName::COUNT];
        let mut next = 0;
        while next < SuiteName::COUNT {
            let name = SuiteName::ALL[next];
            if let Some(cipher_suite) = code_points.number(name) {
                suites[next] = self.suite(name, cipher_suite);
            }
            next += 1;
        }
        SuiteTable { code_points: *code_points, suites }
    }

    const fn suite(&self, name: SuiteName, cipher_suite: CipherSuite) -> Option<SuiteParts> {
        let recipe = self.recipe(name);
        let (Some(kem), Some(signature)) = (recipe.kem, recipe.signature) else { return None };
        Some(SuiteParts {
            cipher_suite,
            hash: recipe.hkdf.hash,
            kdf: recipe.hkdf.kdf,
            hpke_kdf_id: recipe.hpke_kdf_id,
            aead: recipe.aead,
            kem,
            signature,
            batch: self.batch,
        })
    }

    /// RFC 9420 §17.1 and draft-ietf-mls-pq-ciphersuites-06.
    const fn recipe(&self, name: SuiteName) -> Recipe {
        let (kems, signatures) = (&self.kems, &self.signatures);
        match name {
            SuiteName::X25519Aes128Ed25519 => self.sha256(self.aes_128_gcm, kems.x25519, signatures.ed25519),
            SuiteName::X25519ChaChaEd25519 => self.sha256(self.chacha20_poly1305, kems.x25519, signatures.ed25519),
            SuiteName::P256Aes128P256 => self.sha256(self.aes_128_gcm, kems.p256, signatures.p256),
            SuiteName::P384Aes256P384 => self.sha384(self.aes_256_gcm, kems.p384, signatures.p384),
            SuiteName::P521Aes256P521 => self.sha512(self.aes_256_gcm, kems.p521, signatures.p521),
            SuiteName::X448Aes256Ed448 => self.sha512(self.aes_256_gcm, kems.x448, signatures.ed448),
            SuiteName::X448ChaChaEd448 => self.sha512(self.chacha20_poly1305, kems.x448, signatures.ed448),
            SuiteName::MlKem768X25519Aes128Ed25519 => {
                self.sha256(self.aes_128_gcm, kems.ml_kem_768_x25519, signatures.ed25519)
            }
            SuiteName::MlKem768X25519Aes256Ed25519 => {
                self.sha384(self.aes_256_gcm, kems.ml_kem_768_x25519, signatures.ed25519)
            }
            SuiteName::MlKem768P256Aes128P256 => self.sha256(self.aes_128_gcm, kems.ml_kem_768_p256, signatures.p256),
            SuiteName::MlKem768P256Aes256P256 => self.sha384(self.aes_256_gcm, kems.ml_kem_768_p256, signatures.p256),
            SuiteName::MlKem1024P384Aes256P384 => self.sha384(self.aes_256_gcm, kems.ml_kem_1024_p384, signatures.p384),
            SuiteName::MlKem768Aes256Ed25519 => self.sha384(self.aes_256_gcm, kems.ml_kem_768, signatures.ed25519),
            SuiteName::MlKem768Aes256P256 => self.sha384(self.aes_256_gcm, kems.ml_kem_768, signatures.p256),
            SuiteName::MlKem1024Aes256P384 => self.sha384(self.aes_256_gcm, kems.ml_kem_1024, signatures.p384),
            SuiteName::MlKem768X25519ChaChaMlDsa44 => {
                self.sha384(self.chacha20_poly1305, kems.ml_kem_768_x25519, signatures.ml_dsa_44)
            }
            SuiteName::MlKem768Aes256MlDsa65 => self.sha384(self.aes_256_gcm, kems.ml_kem_768, signatures.ml_dsa_65),
            SuiteName::MlKem1024Aes256MlDsa87 => self.sha384(self.aes_256_gcm, kems.ml_kem_1024, signatures.ml_dsa_87),
        }
    }

    const fn sha256(&self, aead: &'static dyn Aead, kem: OptionalKem, signature: OptionalSignature) -> Recipe {
        Recipe { hkdf: self.sha256, hpke_kdf_id: hpke_ids::HKDF_SHA256, aead, kem, signature }
    }

    const fn sha384(&self, aead: &'static dyn Aead, kem: OptionalKem, signature: OptionalSignature) -> Recipe {
        Recipe { hkdf: self.sha384, hpke_kdf_id: hpke_ids::HKDF_SHA384, aead, kem, signature }
    }

    const fn sha512(&self, aead: &'static dyn Aead, kem: OptionalKem, signature: OptionalSignature) -> Recipe {
        Recipe { hkdf: self.sha512, hpke_kdf_id: hpke_ids::HKDF_SHA512, aead, kem, signature }
    }
}

type OptionalKem = Option<&'static dyn Kem>;
type OptionalSignature = Option<&'static dyn SignatureScheme>;

/// What a suite is made of.
#[derive(Clone, Copy)]
struct Recipe {
    hkdf: Hkdf,
    hpke_kdf_id: u16,
    aead: &'static dyn Aead,
    kem: OptionalKem,
    signature: OptionalSignature,
}

/// The suites that were made of one provider's primitives, under the numbers of one map.
#[derive(Clone, Debug)]
pub struct SuiteTable {
    code_points: CodePoints,
    suites: [Option<SuiteParts>; SuiteName::COUNT],
}

/// The provider that a [`SuiteTable`] is.
#[derive(Clone, Copy, Debug)]
pub struct Suites(&'static SuiteTable);

impl Suites {
    /// Over a table, which is a static.
    pub const fn new(table: &'static SuiteTable) -> Self {
        Self(table)
    }

    /// The numbers that it goes by.
    pub const fn code_points(&self) -> &'static CodePoints {
        &self.0.code_points
    }
}

impl Provider for Suites {
    fn suites(&self) -> Vec<&'static dyn Suite> {
        self.0.suites.iter().flatten().map(|parts| parts as &dyn Suite).collect()
    }

    fn suite(&self, cipher_suite: CipherSuite) -> Result<&'static dyn Suite, NoSuite> {
        let found = self.0.suites.iter().flatten().find(|parts| parts.cipher_suite == cipher_suite);
        let name = || self.0.code_points.name(cipher_suite);
        match found {
            Some(parts) => Ok(parts),
            None => Err(name().map_or(NoSuite::Unknown(cipher_suite), NoSuite::Lacking)),
        }
    }
}
