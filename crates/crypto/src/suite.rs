use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::{self, Debug};

use keyroom_wire::{CipherSuite, HpkeCiphertext, HpkePublicKey, Signature, SignaturePublicKey};
use rand_core::CryptoRng;

use crate::{CryptoError, Hash, Secret, hpke};

/// Extract and Expand (RFC 5869), which RFC 9420 §5.1 and RFC 9180 build on.
pub trait Kdf: Send + Sync + Debug {
    /// `Nh`: output of Extract in bytes.
    fn output_len(&self) -> usize;

    /// `Extract(salt, ikm)`; the ikm is the concatenation of the parts.
    fn extract(&self, salt: &[u8], ikm: &[&[u8]]) -> Secret;

    /// `Expand(prk, info, out.len())`; the info is the concatenation of the parts.
    ///
    /// # Errors
    /// [`CryptoError::OutputTooLong`] beyond 255 · Nh bytes; [`CryptoError::WrongLength`] for a prk
    /// below Nh bytes (RFC 5869 §2.3).
    fn expand(&self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError>;
}

/// A KEM key pair.
#[derive(Debug)]
pub struct KeyPair {
    /// The private key in the KEM's serialisation (RFC 9180 §7.1.2; a seed for post-quantum KEMs).
    pub private: Secret,
    /// The public key.
    pub public: HpkePublicKey,
}

/// A key encapsulation mechanism (RFC 9180 §4). Keys have whatever length the KEM gives them.
pub trait Kem: Send + Sync + Debug {
    /// Code point of the HPKE registry.
    fn id(&self) -> u16;

    /// `Nsecret`: shared secret in bytes.
    fn secret_len(&self) -> usize;

    /// `Nenc`: encapsulated key in bytes.
    fn encapsulation_len(&self) -> usize;

    /// `Npk`: public key in bytes.
    fn public_key_len(&self) -> usize;

    /// `Nsk`: private key in bytes.
    fn private_key_len(&self) -> usize;

    /// How many random bytes [`Kem::encap`] takes.
    fn randomness_len(&self) -> usize;

    /// `DeriveKeyPair(ikm)` (RFC 9180 §4): deterministic.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] for an ikm from which no key follows; for the registered
    /// KEMs the probability is negligible.
    fn derive_key_pair(&self, ikm: &[u8]) -> Result<KeyPair, CryptoError>;

    /// The public key of a private one.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`].
    fn public_key(&self, private: &[u8]) -> Result<HpkePublicKey, CryptoError>;

    /// Checks length, form and membership of a public key (RFC 9180 §7.1.4).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError>;

    /// `Encap(pkR)`, with its randomness given: for a DHKEM the ikm of the ephemeral key pair, of any
    /// length, for post-quantum KEMs exactly [`Kem::randomness_len`] bytes. A
    /// provider that cannot take it draws its own. Returns shared secret and encapsulated key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`], also for an all-zero Diffie-Hellman result;
    /// [`CryptoError::WrongLength`] for the randomness.
    fn encap(&self, public: &[u8], randomness: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError>;

    /// `Decap(enc, skR)`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidEncapsulation`] or [`CryptoError::InvalidPrivateKey`].
    fn decap(&self, encapsulated: &[u8], private: &[u8]) -> Result<Secret, CryptoError>;
}

/// One HPKE encryption of a batch. Its `Debug` does not show the plaintext.
pub struct SealJob<'a> {
    /// The recipient.
    pub public_key: &'a [u8],
    /// What to encrypt.
    pub plaintext: &'a [u8],
    /// [`Kem::randomness_len`] bytes drawn beforehand, so that the order of the work does not matter.
    pub randomness: Secret,
}

impl Debug for SealJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealJob").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// One signature check of a batch.
#[derive(Clone, Copy, Debug)]
pub struct VerifyJob<'a> {
    /// The signer's public key.
    pub public_key: &'a [u8],
    /// The whole signed message, its label included.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Everything that a cipher suite is made of (RFC 9420 §5.1). One static value per suite.
pub trait Suite: Send + Sync + Debug {
    /// Code point.
    fn cipher_suite(&self) -> CipherSuite;

    /// The suite's KDF.
    fn kdf(&self) -> &dyn Kdf;

    /// The suite's KEM.
    fn kem(&self) -> &dyn Kem;

    /// Code point of the KDF in the HPKE registry.
    fn hpke_kdf_id(&self) -> u16;

    /// Code point of the AEAD in the HPKE registry.
    fn hpke_aead_id(&self) -> u16;

    /// The suite's hash over the concatenation of the parts. Its length equals the KDF's `Nh`.
    fn hash(&self, parts: &[&[u8]]) -> Hash;

    /// HMAC with the suite's hash over the concatenation of the parts (§5.1).
    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash;

    /// `Nk`: AEAD key in bytes.
    fn aead_key_len(&self) -> usize;

    /// `Nn`: AEAD nonce in bytes.
    fn aead_nonce_len(&self) -> usize;

    /// AEAD tag in bytes.
    fn aead_tag_len(&self) -> usize;

    /// Encrypts `buffer` in place and appends the tag.
    ///
    /// # Errors
    /// [`CryptoError::WrongLength`] for key or nonce, [`CryptoError::InputTooLong`].
    fn aead_seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError>;

    /// Decrypts `buffer` in place and cuts off the tag. On error the content of `buffer` is
    /// unspecified and holds no plaintext.
    ///
    /// # Errors
    /// [`CryptoError::Open`], whatever the cause.
    fn aead_open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError>;

    /// A fresh signature private key, in the form that [`Suite::signer`] reads.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn generate_signature_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError>;

    /// A signer for a private key in memory: the seed for EdDSA and ML-DSA, the scalar for
    /// ECDSA.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`].
    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError>;

    /// Checks length, form and membership of a signature public key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    fn validate_signature_key(&self, public: &[u8]) -> Result<(), CryptoError>;

    /// Verifies a signature (§5.1.2).
    ///
    /// # Errors
    /// [`CryptoError::InvalidSignature`], also for a key or signature of the wrong form.
    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;

    /// Verifies many signatures and accepts exactly what [`Suite::verify`] accepts.
    ///
    /// # Errors
    /// The position of the first job that fails.
    fn verify_many(&self, jobs: &[VerifyJob<'_>]) -> Result<(), usize> {
        let failed = jobs.iter().position(|job| self.verify(job.public_key, job.message, job.signature).is_err());
        failed.map_or(Ok(()), Err)
    }

    /// Encrypts many plaintexts under one HPKE `info`. The results stand in the order of the jobs.
    ///
    /// # Errors
    /// The first error in that order.
    fn seal_many(&self, info: &hpke::Info, jobs: &[SealJob<'_>]) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        jobs.iter().map(|job| hpke::seal(self, info, job.public_key, &job.randomness, b"", job.plaintext)).collect()
    }
}

/// Signs: with a key in memory, in the operating system or in hardware.
pub trait Signer: Send + Sync + Debug {
    /// The public key that verifies what this signer signs.
    fn public_key(&self) -> &SignaturePublicKey;

    /// Signs a whole message, its label included. A deterministic scheme ignores `rng`.
    ///
    /// # Errors
    /// [`CryptoError::SignerUnavailable`].
    fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError>;
}
