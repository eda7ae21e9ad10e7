use alloc::vec::Vec;

use keyroom_crypto::dhkem::{Derivation, DiffieHellman, Exchange};
use keyroom_crypto::{CryptoError, Secret, x25519_filter};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// X25519 (RFC 7748).
#[derive(Clone, Copy, Debug)]
pub(crate) struct X25519;

impl X25519 {
    fn private(bytes: &[u8]) -> Result<StaticSecret, CryptoError> {
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(bytes).map_err(|_| CryptoError::InvalidPrivateKey)?);
        Ok(StaticSecret::from(*bytes))
    }
}

impl DiffieHellman for X25519 {
    fn public_key_len(&self) -> usize {
        32
    }

    fn private_key_len(&self) -> usize {
        32
    }

    fn derivation(&self) -> Derivation {
        Derivation::Direct
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(x25519_dalek::PublicKey::from(&Self::private(private)?).to_bytes().to_vec())
    }

    fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
        let public = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
        if x25519_filter::is_small_order(public) { Err(CryptoError::InvalidPublicKey) } else { Ok(()) }
    }

    fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError> {
        let public = <[u8; 32]>::try_from(public).map_err(|_| CryptoError::InvalidPublicKey)?;
        let private = Self::private(private)?;
        let shared = private.diffie_hellman(&public.into());
        if !shared.was_contributory() {
            return Err(CryptoError::InvalidPublicKey);
        }
        let own_public = x25519_dalek::PublicKey::from(&private).to_bytes().to_vec();
        Ok(Exchange { dh: Secret::copy_of(shared.as_bytes()), own_public })
    }
}
