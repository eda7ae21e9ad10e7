//! A suite with a fast hash that is not cryptographic, and a count of its calls.

use super::std::hash::DefaultHasher;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::sync::atomic::{AtomicUsize, Ordering};

use keyroom_crypto::{CryptoError, CryptoRng, Hash, Kdf, Kem, KeyPair, Secret, Signer, Suite};
use keyroom_wire::{CipherSuite, HpkePublicKey};

/// Counts its hashes: first those of trees (their input starts with a node type), then the others.
#[derive(Debug)]
pub(super) struct TestSuite {
    key_len: usize,
    pub(super) tree_hashes: AtomicUsize,
    pub(super) parent_hashes: AtomicUsize,
}

impl TestSuite {
    /// A suite of its own for one test, so that counts are not disturbed. Pages have three levels
    /// with keys of 32 bytes, two with 65.
    pub(super) fn leaked(key_len: usize) -> &'static Self {
        Box::leak(Box::new(Self { key_len, tree_hashes: AtomicUsize::new(0), parent_hashes: AtomicUsize::new(0) }))
    }

    /// Tree and parent hashes since the last call.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.tree_hashes.swap(0, Ordering::Relaxed), self.parent_hashes.swap(0, Ordering::Relaxed))
    }
}

impl Suite for TestSuite {
    fn cipher_suite(&self) -> CipherSuite {
        CipherSuite(0xf000)
    }
    fn kdf(&self) -> &dyn Kdf {
        self
    }
    fn kem(&self) -> &dyn Kem {
        self
    }
    fn hpke_kdf_id(&self) -> u16 {
        0
    }
    fn hpke_aead_id(&self) -> u16 {
        0
    }
    fn hash(&self, parts: &[&[u8]]) -> Hash {
        // A parent hash starts with the length header of a key.
        let first = parts.iter().find_map(|part| part.first()).copied().unwrap_or_default();
        let counter = if first == 1 || first == 2 { &self.tree_hashes } else { &self.parent_hashes };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 32];
        for (word, seed) in bytes.chunks_exact_mut(8).zip(0u8..) {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(seed);
            parts.iter().for_each(|part| hasher.write(part));
            word.copy_from_slice(&hasher.finish().to_be_bytes());
        }
        Hash::from(bytes)
    }
    fn mac(&self, _: &[u8], _: &[&[u8]]) -> Hash {
        Hash::from([0; 32])
    }
    fn aead_key_len(&self) -> usize {
        16
    }
    fn aead_nonce_len(&self) -> usize {
        12
    }
    fn aead_tag_len(&self) -> usize {
        16
    }
    fn aead_seal(&self, _: &[u8], _: &[u8], _: &[u8], _: &mut Vec<u8>) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn aead_open(&self, _: &[u8], _: &[u8], _: &[u8], _: &mut Vec<u8>) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn generate_signature_key(&self, _: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn signer(&self, _: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn validate_signature_key(&self, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
    fn verify(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

impl Kdf for TestSuite {
    fn output_len(&self) -> usize {
        32
    }
    fn extract(&self, _: &[u8], _: &[&[u8]]) -> Secret {
        Secret::zeros(32)
    }
    fn expand(&self, _: &[u8], _: &[&[u8]], _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

impl Kem for TestSuite {
    fn id(&self) -> u16 {
        0
    }
    fn secret_len(&self) -> usize {
        32
    }
    fn encapsulation_len(&self) -> usize {
        self.key_len
    }
    fn public_key_len(&self) -> usize {
        self.key_len
    }
    fn private_key_len(&self) -> usize {
        32
    }
    fn randomness_len(&self) -> usize {
        32
    }
    fn derive_key_pair(&self, _: &[u8]) -> Result<KeyPair, CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn public_key(&self, _: &[u8]) -> Result<HpkePublicKey, CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn validate_public_key(&self, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
    fn encap(&self, _: &[u8], _: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn decap(&self, _: &[u8], _: &[u8]) -> Result<Secret, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}
