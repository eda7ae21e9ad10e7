//! The parts that suites are made of: hash, KDF, AEAD, KEM, signature scheme and the way batches are
//! worked off. A suite is a table of references to them ([`SuiteParts`]), which
//! [`Primitives`](crate::Primitives) fills in from what a provider has.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Debug;

use keyroom_wire::{CipherSuite, HpkeCiphertext};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{CryptoError, Hash, Kdf, Kem, SealJob, Secret, Signer, Suite, VerifyJob, hpke};

/// Code points of the HPKE registry (RFC 9180 §7.2, §7.3).
pub mod hpke_ids {
    /// HKDF-SHA256.
    pub const HKDF_SHA256: u16 = 0x0001;
    /// HKDF-SHA384.
    pub const HKDF_SHA384: u16 = 0x0002;
    /// HKDF-SHA512.
    pub const HKDF_SHA512: u16 = 0x0003;
    /// AES-128-GCM.
    pub const AES_128_GCM: u16 = 0x0001;
    /// AES-256-GCM.
    pub const AES_256_GCM: u16 = 0x0002;
    /// ChaCha20-Poly1305.
    pub const CHACHA20_POLY1305: u16 = 0x0003;
}

/// A hash function and the HMAC made of it.
pub trait HashFunction: Send + Sync + Debug {
    /// The hash of the concatenation of the parts.
    fn hash(&self, parts: &[&[u8]]) -> Hash;

    /// HMAC (RFC 2104) of the concatenation of the parts, under a key of any length.
    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash;
}

/// An AEAD (RFC 5116) with a tag after the ciphertext.
pub trait Aead: Send + Sync + Debug {
    /// Code point of the HPKE registry.
    fn hpke_id(&self) -> u16;

    /// `Nk`: key in bytes.
    fn key_len(&self) -> usize;

    /// `Nn`: nonce in bytes.
    fn nonce_len(&self) -> usize;

    /// `Nt`: tag in bytes.
    fn tag_len(&self) -> usize;

    /// Encrypts `buffer` in place and appends the tag.
    ///
    /// # Errors
    /// [`CryptoError::WrongLength`] for key or nonce, [`CryptoError::InputTooLong`].
    fn seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError>;

    /// Decrypts `buffer` in place and cuts off the tag. What is left in `buffer` on error is
    /// overwritten by the caller.
    ///
    /// # Errors
    /// [`CryptoError::Open`], whatever the cause.
    fn open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError>;
}

/// A signature scheme with keys of one form.
pub trait SignatureScheme: Send + Sync + Debug {
    /// A fresh private key: the seed for EdDSA and ML-DSA, the scalar for ECDSA.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError>;

    /// A signer for a private key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`].
    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError>;

    /// Checks length, form and membership of a public key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError>;

    /// Verifies one signature.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSignature`], also for a key or signature of the wrong form.
    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;

    /// Verifies many signatures in a way of the scheme's own, which accepts exactly what
    /// [`verify`](Self::verify) accepts; the error is the position of the first that fails. `None` if
    /// there is no such way, or none that helps with so few: then [`Batch`] does it.
    fn verify_many(&self, _jobs: &[VerifyJob<'_>]) -> Option<Result<(), usize>> {
        None
    }
}

/// How a suite works off batches. Results never depend on it.
pub trait Batch: Send + Sync + Debug {
    /// As [`Suite::verify_many`].
    ///
    /// # Errors
    /// The position of the first job that fails.
    fn verify(&self, suite: &SuiteParts, jobs: &[VerifyJob<'_>]) -> Result<(), usize>;

    /// As [`Suite::seal_many`].
    ///
    /// # Errors
    /// The first error in the order of the jobs.
    fn seal(
        &self,
        suite: &SuiteParts,
        info: &hpke::Info,
        jobs: &[SealJob<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError>;
}

/// One job after the other.
#[derive(Clone, Copy, Debug)]
pub struct Sequential;

impl Batch for Sequential {
    fn verify(&self, suite: &SuiteParts, jobs: &[VerifyJob<'_>]) -> Result<(), usize> {
        let failed = jobs.iter().position(|job| suite.verify(job.public_key, job.message, job.signature).is_err());
        failed.map_or(Ok(()), Err)
    }

    fn seal(
        &self,
        suite: &SuiteParts,
        info: &hpke::Info,
        jobs: &[SealJob<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        jobs.iter().map(|job| hpke::seal(suite, info, job.public_key, &job.randomness, b"", job.plaintext)).collect()
    }
}

/// A suite as a table of its parts.
#[derive(Clone, Copy, Debug)]
pub struct SuiteParts {
    /// Code point.
    pub cipher_suite: CipherSuite,
    /// Hash and MAC.
    pub hash: &'static dyn HashFunction,
    /// KDF; its `Nh` is the length of the hash.
    pub kdf: &'static dyn Kdf,
    /// Code point of the KDF in the HPKE registry.
    pub hpke_kdf_id: u16,
    /// AEAD.
    pub aead: &'static dyn Aead,
    /// KEM.
    pub kem: &'static dyn Kem,
    /// Signature scheme.
    pub signature: &'static dyn SignatureScheme,
    /// How batches are worked off.
    pub batch: &'static dyn Batch,
}

impl Suite for SuiteParts {
    fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    fn kdf(&self) -> &dyn Kdf {
        self.kdf
    }

    fn kem(&self) -> &dyn Kem {
        self.kem
    }

    fn hpke_kdf_id(&self) -> u16 {
        self.hpke_kdf_id
    }

    fn hpke_aead_id(&self) -> u16 {
        self.aead.hpke_id()
    }

    fn hash(&self, parts: &[&[u8]]) -> Hash {
        self.hash.hash(parts)
    }

    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
        self.hash.mac(key, parts)
    }

    fn aead_key_len(&self) -> usize {
        self.aead.key_len()
    }

    fn aead_nonce_len(&self) -> usize {
        self.aead.nonce_len()
    }

    fn aead_tag_len(&self) -> usize {
        self.aead.tag_len()
    }

    fn aead_seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.aead.seal(key, nonce, aad, buffer)
    }

    fn aead_open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        let opened = self.aead.open(key, nonce, aad, buffer);
        if opened.is_err() {
            // Whether a library wipes what it decrypted before it saw the tag is its own affair.
            buffer.zeroize();
        }
        opened
    }

    fn generate_signature_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        self.signature.generate_key(rng)
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        self.signature.signer(private)
    }

    fn validate_signature_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.signature.validate_key(public)
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.signature.verify(public, message, signature)
    }

    fn verify_many(&self, jobs: &[VerifyJob<'_>]) -> Result<(), usize> {
        self.signature.verify_many(jobs).unwrap_or_else(|| self.batch.verify(self, jobs))
    }

    fn seal_many(&self, info: &hpke::Info, jobs: &[SealJob<'_>]) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        self.batch.seal(self, info, jobs)
    }
}
