use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use aes_gcm::aead::{AeadInOut, KeyInit, KeySizeUser, Nonce, array::typenum::Unsigned};
use keyroom_crypto::CryptoError;
use keyroom_crypto::parts::Aead;

/// An AEAD of the `aead` family of crates.
pub(crate) struct AeadOf<A> {
    hpke_id: u16,
    cipher: PhantomData<fn() -> A>,
}

impl<A> AeadOf<A> {
    pub(crate) const fn new(hpke_id: u16) -> Self {
        Self { hpke_id, cipher: PhantomData }
    }
}

impl<A: AeadInOut + KeyInit> AeadOf<A> {
    fn cipher(key: &[u8]) -> Result<A, CryptoError> {
        A::new_from_slice(key).map_err(|_| CryptoError::WrongLength)
    }

    fn nonce(nonce: &[u8]) -> Result<&Nonce<A>, CryptoError> {
        nonce.try_into().map_err(|_| CryptoError::WrongLength)
    }
}

impl<A: AeadInOut + KeyInit> Aead for AeadOf<A> {
    fn hpke_id(&self) -> u16 {
        self.hpke_id
    }

    fn key_len(&self) -> usize {
        <A as KeySizeUser>::KeySize::USIZE
    }

    fn nonce_len(&self) -> usize {
        A::NonceSize::USIZE
    }

    fn tag_len(&self) -> usize {
        A::TagSize::USIZE
    }

    fn seal(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        let cipher = Self::cipher(key)?;
        cipher.encrypt_in_place(Self::nonce(nonce)?, aad, buffer).map_err(|_| CryptoError::InputTooLong)
    }

    fn open(&self, key: &[u8], nonce: &[u8], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), CryptoError> {
        let cipher = Self::cipher(key).map_err(|_| CryptoError::Open)?;
        let nonce = Self::nonce(nonce).map_err(|_| CryptoError::Open)?;
        cipher.decrypt_in_place(nonce, aad, buffer).map_err(|_| CryptoError::Open)
    }
}

impl<A> fmt::Debug for AeadOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aead(0x{:04x})", self.hpke_id)
    }
}
