//! ML-KEM (FIPS 203). The library keeps its keys on the heap and erases them.

use alloc::vec::Vec;

use keyroom_crypto::pq::MlKem;
use keyroom_crypto::{CryptoError, Secret};
use ml_kem::{Decapsulate as _, KeyExport as _};
use zeroize::{Zeroize as _, Zeroizing};

macro_rules! ml_kem {
    ($(#[$meta:meta])* $name:ident, $module:ident, $public_key_len:literal, $ciphertext_len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl $name {
            fn private(seed: &[u8]) -> Result<ml_kem::$module::DecapsulationKey, CryptoError> {
                let seed = ml_kem::Seed::try_from(seed).map_err(|_| CryptoError::InvalidPrivateKey)?;
                let seed = Zeroizing::new(seed);
                Ok(ml_kem::$module::DecapsulationKey::from_seed(*seed))
            }

            fn public(bytes: &[u8]) -> Result<ml_kem::$module::EncapsulationKey, CryptoError> {
                let bytes = bytes.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
                ml_kem::$module::EncapsulationKey::new(bytes).map_err(|_| CryptoError::InvalidPublicKey)
            }
        }

        impl MlKem for $name {
            fn public_key_len(&self) -> usize {
                $public_key_len
            }

            fn ciphertext_len(&self) -> usize {
                $ciphertext_len
            }

            fn public_key(&self, seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
                Ok(Self::private(seed)?.encapsulation_key().to_bytes().to_vec())
            }

            fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
                Self::public(public).map(drop)
            }

            fn encapsulate(&self, public: &[u8], message: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
                let public = Self::public(public)?;
                let message = ml_kem::B32::try_from(message).map_err(|_| CryptoError::WrongLength)?;
                let message = Zeroizing::new(message);
                let (ciphertext, mut shared) = public.encapsulate_deterministic(&message);
                let secret = Secret::copy_of(&shared);
                shared.as_mut_slice().zeroize();
                Ok((secret, ciphertext.to_vec()))
            }

            fn decapsulate(&self, ciphertext: &[u8], seed: &[u8]) -> Result<Secret, CryptoError> {
                let ciphertext = ciphertext.try_into().map_err(|_| CryptoError::InvalidEncapsulation)?;
                let mut shared = Self::private(seed)?.decapsulate(ciphertext);
                let secret = Secret::copy_of(&shared);
                shared.as_mut_slice().zeroize();
                Ok(secret)
            }
        }
    };
}

ml_kem! {
    /// ML-KEM-768.
    MlKem768, ml_kem_768, 1184, 1088
}
ml_kem! {
    /// ML-KEM-1024.
    MlKem1024, ml_kem_1024, 1568, 1568
}
