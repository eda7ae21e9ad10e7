//! A suite that counts what it does, so that costs are asserted and not only measured.

use std::sync::atomic::{AtomicUsize, Ordering};

use keyroom_crypto::{CryptoError, CryptoRng, Hash, Kdf, Kem, KeyPair, Secret, Signer, Suite};
use keyroom_wire::{CipherSuite, HpkePublicKey};

/// How often each operation was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Hashes and MACs, those inside the KDF apart.
    pub hashes: usize,
    /// Extractions and expansions.
    pub kdf: usize,
    /// Key pairs derived.
    pub key_pairs: usize,
    /// HPKE encapsulations.
    pub encaps: usize,
    /// HPKE decapsulations.
    pub decaps: usize,
    /// Signatures verified.
    pub verified: usize,
}

#[derive(Debug)]
pub struct Counting {
    inner: &'static dyn Suite,
    counters: [AtomicUsize; 6],
}

impl Counting {
    pub fn leaked(inner: &'static dyn Suite) -> &'static Self {
        Box::leak(Box::new(Self { inner, counters: Default::default() }))
    }

    /// What was done since the last call.
    pub fn take(&self) -> Tally {
        let [hashes, kdf, key_pairs, encaps, decaps, verified] =
            self.counters.each_ref().map(|counter| counter.swap(0, Ordering::Relaxed));
        Tally { hashes, kdf, key_pairs, encaps, decaps, verified }
    }

    fn count(&self, counter: usize) {
        if let Some(counter) = self.counters.get(counter) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Kdf for Counting {
    fn output_len(&self) -> usize {
        self.inner.kdf().output_len()
    }
    fn extract(&self, salt: &[u8], ikm: &[&[u8]]) -> Secret {
        self.count(1);
        self.inner.kdf().extract(salt, ikm)
    }
    fn expand(&self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        self.count(1);
        self.inner.kdf().expand(prk, info, out)
    }
}

impl Kem for Counting {
    fn id(&self) -> u16 {
        self.inner.kem().id()
    }
    fn secret_len(&self) -> usize {
        self.inner.kem().secret_len()
    }
    fn encapsulation_len(&self) -> usize {
        self.inner.kem().encapsulation_len()
    }
    fn public_key_len(&self) -> usize {
        self.inner.kem().public_key_len()
    }
    fn private_key_len(&self) -> usize {
        self.inner.kem().private_key_len()
    }
    fn randomness_len(&self) -> usize {
        self.inner.kem().randomness_len()
    }
    fn derive_key_pair(&self, ikm: &[u8]) -> Result<KeyPair, CryptoError> {
        self.count(2);
        self.inner.kem().derive_key_pair(ikm)
    }
    fn public_key(&self, private: &[u8]) -> Result<HpkePublicKey, CryptoError> {
        self.inner.kem().public_key(private)
    }
    fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.inner.kem().validate_public_key(public)
    }
    fn encap(&self, public: &[u8], randomness: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
        self.count(3);
        self.inner.kem().encap(public, randomness)
    }
    fn decap(&self, encapsulated: &[u8], private: &[u8]) -> Result<Secret, CryptoError> {
        self.count(4);
        self.inner.kem().decap(encapsulated, private)
    }
}

impl Suite for Counting {
    fn cipher_suite(&self) -> CipherSuite {
        self.inner.cipher_suite()
    }
    fn kdf(&self) -> &dyn Kdf {
        self
    }
    fn kem(&self) -> &dyn Kem {
        self
    }
    fn hpke_kdf_id(&self) -> u16 {
        self.inner.hpke_kdf_id()
    }
    fn hpke_aead_id(&self) -> u16 {
        self.inner.hpke_aead_id()
    }
    fn hash(&self, parts: &[&[u8]]) -> Hash {
        self.count(0);
        self.inner.hash(parts)
    }
    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
        self.count(0);
        self.inner.mac(key, parts)
    }
    fn aead_key_len(&self) -> usize {
        self.inner.aead_key_len()
    }
    fn aead_nonce_len(&self) -> usize {
        self.inner.aead_nonce_len()
    }
    fn aead_tag_len(&self) -> usize {
        self.inner.aead_tag_len()
    }
    fn aead_seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.inner.aead_seal(key, nonce, aad, buffer)
    }
    fn aead_open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.inner.aead_open(key, nonce, aad, buffer)
    }
    fn generate_signature_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        self.inner.generate_signature_key(rng)
    }
    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        self.inner.signer(private)
    }
    fn validate_signature_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.inner.validate_signature_key(public)
    }
    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.count(5);
        self.inner.verify(public, message, signature)
    }
}
