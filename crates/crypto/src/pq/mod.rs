//! The post-quantum KEMs of draft-ietf-hpke-pq: ML-KEM alone ([`PlainKem`]) and together with a
//! Diffie-Hellman group ([`HybridKem`]), for providers to instantiate over their primitives.
//!
//! Private keys are seeds. There is no mode with a sender's key (RFC 9180 §5.1.3), which MLS does
//! not use either.

mod hybrid;
mod plain;

use alloc::vec::Vec;
use core::fmt::Debug;

pub use hybrid::{Combination, HybridKem};
pub use plain::PlainKem;

use crate::{CryptoError, Secret};

/// ML-KEM with one set of parameters (FIPS 203), its decapsulation keys as seeds.
pub trait MlKem: Send + Sync + Debug {
    /// Encapsulation key in bytes.
    fn public_key_len(&self) -> usize;

    /// Ciphertext in bytes.
    fn ciphertext_len(&self) -> usize;

    /// The encapsulation key of a seed `d || z` (`KeyGen_internal`).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] for another length than [`SEED_LEN`].
    fn public_key(&self, seed: &[u8]) -> Result<Vec<u8>, CryptoError>;

    /// Length and modulus check of an encapsulation key (FIPS 203 §7.2).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    fn validate(&self, public: &[u8]) -> Result<(), CryptoError>;

    /// `Encaps_internal(ek, m)`, which checks the key first: shared secret and ciphertext.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`], or [`CryptoError::WrongLength`] for another length of `m`
    /// than [`MESSAGE_LEN`].
    fn encapsulate(&self, public: &[u8], message: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError>;

    /// `Decaps_internal`. A ciphertext that nobody made gives a secret that nobody knows.
    ///
    /// # Errors
    /// [`CryptoError::InvalidEncapsulation`] or [`CryptoError::InvalidPrivateKey`], for the wrong
    /// length.
    fn decapsulate(&self, ciphertext: &[u8], seed: &[u8]) -> Result<Secret, CryptoError>;
}

/// The functions of FIPS 202 that the KEMs use, over the concatenation of the parts.
pub trait Keccak: Send + Sync + Debug {
    /// SHA3-256.
    fn sha3_256(&self, parts: &[&[u8]]) -> Secret;

    /// SHAKE256, as many bytes as `out` has.
    fn shake256(&self, parts: &[&[u8]], out: &mut [u8]);
}

/// Length of a decapsulation key `d || z` of ML-KEM, in bytes.
pub const SEED_LEN: usize = 64;
/// Length of the randomness `m` of an encapsulation of ML-KEM, in bytes.
pub const MESSAGE_LEN: usize = 32;
/// `Nsecret` of every KEM here, in bytes.
const SECRET_LEN: usize = 32;

/// `LabeledDerive(ikm, "DeriveKeyPair", "", length)` of draft-ietf-hpke-pq.
fn derive_private(keccak: &dyn Keccak, kem_id: u16, ikm: &[u8], length: u16) -> Secret {
    const LABEL: &[u8] = b"DeriveKeyPair";
    const LABEL_LEN: [u8; 2] = [0, 13];
    let mut private = Secret::zeros(usize::from(length));
    let parts: [&[u8]; 7] = [ikm, b"HPKE-v1", b"KEM", &kem_id.to_be_bytes(), &LABEL_LEN, LABEL, &length.to_be_bytes()];
    keccak.shake256(&parts, private.expose_mut());
    private
}
