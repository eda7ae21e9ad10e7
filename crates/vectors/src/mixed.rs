use keyroom_crypto::{CryptoError, CryptoRng, Hash, Kdf, Kem, Secret, Signer, Suite};
use keyroom_wire::CipherSuite;

/// The KEM of one suite under everything else of another: a combination that vectors have and MLS
/// has not.
#[derive(Debug)]
pub(crate) struct Mixed<'a> {
    pub(crate) kem: &'a dyn Kem,
    pub(crate) rest: &'a dyn Suite,
}

impl Suite for Mixed<'_> {
    fn cipher_suite(&self) -> CipherSuite {
        self.rest.cipher_suite()
    }

    fn kdf(&self) -> &dyn Kdf {
        self.rest.kdf()
    }

    fn kem(&self) -> &dyn Kem {
        self.kem
    }

    fn hpke_kdf_id(&self) -> u16 {
        self.rest.hpke_kdf_id()
    }

    fn hpke_aead_id(&self) -> u16 {
        self.rest.hpke_aead_id()
    }

    fn hash(&self, parts: &[&[u8]]) -> Hash {
        self.rest.hash(parts)
    }

    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
        self.rest.mac(key, parts)
    }

    fn aead_key_len(&self) -> usize {
        self.rest.aead_key_len()
    }

    fn aead_nonce_len(&self) -> usize {
        self.rest.aead_nonce_len()
    }

    fn aead_tag_len(&self) -> usize {
        self.rest.aead_tag_len()
    }

    fn aead_seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.rest.aead_seal(key, nonce, aad, buffer)
    }

    fn aead_open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.rest.aead_open(key, nonce, aad, buffer)
    }

    fn generate_signature_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        self.rest.generate_signature_key(rng)
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        self.rest.signer(private)
    }

    fn validate_signature_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.rest.validate_signature_key(public)
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.rest.verify(public, message, signature)
    }
}
