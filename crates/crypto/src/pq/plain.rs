use alloc::vec::Vec;

use keyroom_wire::HpkePublicKey;

use super::{Keccak, MESSAGE_LEN, MlKem, SECRET_LEN, SEED_LEN, derive_private};
use crate::{CryptoError, Kem, KeyPair, Secret};

/// ML-KEM alone as a KEM of HPKE.
#[derive(Clone, Copy, Debug)]
pub struct PlainKem<M, X> {
    id: u16,
    ml_kem: M,
    keccak: X,
}

/// Code points of the HPKE registry.
impl PlainKem<(), ()> {
    /// ML-KEM-768.
    pub const ML_KEM_768: u16 = 0x0041;
    /// ML-KEM-1024.
    pub const ML_KEM_1024: u16 = 0x0042;
}

impl<M: MlKem, X: Keccak> PlainKem<M, X> {
    /// The KEM with this code point of the HPKE registry.
    pub const fn new(id: u16, ml_kem: M, keccak: X) -> Self {
        Self { id, ml_kem, keccak }
    }
}

impl<M: MlKem, X: Keccak> Kem for PlainKem<M, X> {
    fn id(&self) -> u16 {
        self.id
    }

    fn secret_len(&self) -> usize {
        SECRET_LEN
    }

    fn encapsulation_len(&self) -> usize {
        self.ml_kem.ciphertext_len()
    }

    fn public_key_len(&self) -> usize {
        self.ml_kem.public_key_len()
    }

    fn private_key_len(&self) -> usize {
        SEED_LEN
    }

    fn randomness_len(&self) -> usize {
        MESSAGE_LEN
    }

    fn derive_key_pair(&self, ikm: &[u8]) -> Result<KeyPair, CryptoError> {
        let private = derive_private(&self.keccak, self.id, ikm, 64);
        let public = self.public_key(private.expose())?;
        Ok(KeyPair { private, public })
    }

    fn public_key(&self, private: &[u8]) -> Result<HpkePublicKey, CryptoError> {
        self.ml_kem.public_key(private).map(HpkePublicKey::from)
    }

    fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.ml_kem.validate(public)
    }

    fn encap(&self, public: &[u8], randomness: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
        self.ml_kem.encapsulate(public, randomness)
    }

    fn decap(&self, encapsulated: &[u8], private: &[u8]) -> Result<Secret, CryptoError> {
        self.ml_kem.decapsulate(encapsulated, private)
    }
}
