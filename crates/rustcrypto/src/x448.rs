use alloc::vec::Vec;

use keyroom_crypto::dhkem::{Derivation, DiffieHellman, Exchange};
use keyroom_crypto::{CryptoError, Secret, constant_time_eq, x448_filter};
use x448::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// Length of a key of either kind, in bytes.
const LENGTH: usize = 56;

/// X448 (RFC 7748).
#[derive(Clone, Copy, Debug)]
pub(crate) struct X448;

impl X448 {
    fn private(bytes: &[u8]) -> Result<StaticSecret, CryptoError> {
        let bytes = Zeroizing::new(<[u8; LENGTH]>::try_from(bytes).map_err(|_| CryptoError::InvalidPrivateKey)?);
        Ok(StaticSecret::from(*bytes))
    }
}

impl DiffieHellman for X448 {
    fn public_key_len(&self) -> usize {
        LENGTH
    }

    fn private_key_len(&self) -> usize {
        LENGTH
    }

    fn derivation(&self) -> Derivation {
        Derivation::Direct
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(PublicKey::from(&Self::private(private)?).as_bytes().to_vec())
    }

    fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
        let public = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
        if x448_filter::is_small_order(public) { Err(CryptoError::InvalidPublicKey) } else { Ok(()) }
    }

    fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError> {
        let public = PublicKey::from_bytes_unchecked(public).ok_or(CryptoError::InvalidPublicKey)?;
        let private = Self::private(private)?;
        let shared = private.diffie_hellman(&public);
        // The library's own check of the point misses encodings that are not canonical.
        if constant_time_eq(shared.as_bytes(), &[0; LENGTH]) {
            return Err(CryptoError::InvalidPublicKey);
        }
        let own_public = PublicKey::from(&private).as_bytes().to_vec();
        Ok(Exchange { dh: Secret::copy_of(shared.as_bytes()), own_public })
    }
}
