use aws_lc_rs::aead::{self, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use keyroom_crypto::CryptoError;
use keyroom_crypto::parts::{Aead, hpke_ids};

/// An AEAD of aws-lc.
#[derive(Debug)]
pub(crate) struct AeadOf {
    hpke_id: u16,
    algorithm: &'static Algorithm,
}

impl AeadOf {
    pub(crate) const AES_128_GCM: Self = Self { hpke_id: hpke_ids::AES_128_GCM, algorithm: &aead::AES_128_GCM };
    pub(crate) const AES_256_GCM: Self = Self { hpke_id: hpke_ids::AES_256_GCM, algorithm: &aead::AES_256_GCM };
    pub(crate) const CHACHA20_POLY1305: Self =
        Self { hpke_id: hpke_ids::CHACHA20_POLY1305, algorithm: &aead::CHACHA20_POLY1305 };

    fn prepare(&self, key: &[u8], nonce: &[u8]) -> Result<(LessSafeKey, Nonce), CryptoError> {
        let key = UnboundKey::new(self.algorithm, key).map_err(|_| CryptoError::WrongLength)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::WrongLength)?;
        Ok((LessSafeKey::new(key), nonce))
    }
}

impl Aead for AeadOf {
    fn hpke_id(&self) -> u16 {
        self.hpke_id
    }

    fn key_len(&self) -> usize {
        self.algorithm.key_len()
    }

    fn nonce_len(&self) -> usize {
        self.algorithm.nonce_len()
    }

    fn tag_len(&self) -> usize {
        self.algorithm.tag_len()
    }

    fn seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        let (key, nonce) = self.prepare(key, nonce)?;
        key.seal_in_place_append_tag(nonce, Aad::from(aad), buffer).map_err(|_| CryptoError::InputTooLong)
    }

    fn open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        let (key, nonce) = self.prepare(key, nonce).map_err(|_| CryptoError::Open)?;
        let opened = key.open_in_place(nonce, Aad::from(aad), buffer).map_err(|_| CryptoError::Open)?;
        let length = opened.len();
        buffer.truncate(length);
        Ok(())
    }
}
