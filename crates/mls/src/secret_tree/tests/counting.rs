//! A suite that counts expansions, so that the cost of a message is asserted and not only measured.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

use keyroom_crypto::{CryptoError, Hash, Kdf, Kem, Signer};

use super::*;

#[derive(Debug)]
struct Counting {
    inner: &'static dyn Suite,
    expansions: AtomicUsize,
}

impl Kdf for Counting {
    fn output_len(&self) -> usize {
        self.inner.kdf().output_len()
    }

    fn extract(&self, salt: &[u8], ikm: &[&[u8]]) -> Secret {
        self.inner.kdf().extract(salt, ikm)
    }

    fn expand(&self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        self.expansions.fetch_add(1, Ordering::Relaxed);
        self.inner.kdf().expand(prk, info, out)
    }
}

/// Everything that the secret tree does not use is handed through.
impl Suite for Counting {
    fn cipher_suite(&self) -> CipherSuite {
        self.inner.cipher_suite()
    }
    fn kdf(&self) -> &dyn Kdf {
        self
    }
    fn kem(&self) -> &dyn Kem {
        self.inner.kem()
    }
    fn hpke_kdf_id(&self) -> u16 {
        self.inner.hpke_kdf_id()
    }
    fn hpke_aead_id(&self) -> u16 {
        self.inner.hpke_aead_id()
    }
    fn hash(&self, parts: &[&[u8]]) -> Hash {
        self.inner.hash(parts)
    }
    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
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
        self.inner.verify(public, message, signature)
    }
}

#[test]
fn a_first_message_costs_two_expansions_a_level_and_a_later_one_three_in_all() {
    for depth in [1_u8, 10, 20] {
        let suite: &'static Counting = Box::leak(Box::new(Counting { inner: suite(), expansions: 0.into() }));
        let mut tree = SecretTree::new(suite, Secret::copy_of(&ROOT).into(), depth, EPOCH);
        let mut cost = |take: Take| {
            let before = suite.expansions.load(Ordering::Relaxed);
            let limits = RatchetLimits { max_forward: 100, max_skipped_per_sender: 10, max_skipped_total: 50 };
            drop(take.open(&mut tree, &limits));
            suite.expansions.load(Ordering::Relaxed) - before
        };
        let levels = usize::from(depth);
        // Two children a level, two ratchets; then key, nonce and next secret.
        assert_eq!(cost(Take::application(0, 0)), 2 * levels + 2 + 3);
        assert_eq!(cost(Take::application(1, 0)), 2 + 3);
        assert_eq!(cost(Take::application(0, 1)), 3);
        // Out of reach: nothing is derived.
        assert_eq!(cost(Take::application(0, 103)), 0);
        // Thirty generations further: a step for each, keys only for the ten that are kept.
        assert_eq!(cost(Take::application(0, 32)), 30 + 10 * 2 + 3);
        assert_eq!(cost(Take::application(0, 31)), 0);
    }
}
