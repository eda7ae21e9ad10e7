//! ML-DSA (FIPS 204), pure and with an empty context. Private keys are seeds. Signing is hedged
//! (§3.4) with the random bytes that the caller gives. The library keeps keys on the heap and erases
//! them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer};
use keyroom_wire::{Signature, SignaturePublicKey};
use ml_dsa::{KeyInit as _, Keypair as _};
use zeroize::Zeroizing;

macro_rules! ml_dsa {
    ($(#[$meta:meta])* $name:ident, $signer:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl $name {
            fn public(bytes: &[u8]) -> Option<ml_dsa::VerifyingKey<ml_dsa::$name>> {
                ml_dsa::VerifyingKey::new_from_slice(bytes).ok()
            }
        }

        impl SignatureScheme for $name {
            fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
                Ok(Secret::random(32, rng))
            }

            fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
                let seed = ml_dsa::Seed::try_from(private).map_err(|_| CryptoError::InvalidPrivateKey)?;
                let key = ml_dsa::SigningKey::<ml_dsa::$name>::from_seed(&Zeroizing::new(seed));
                let public = key.verifying_key().encode().as_slice().into();
                Ok(Box::new($signer { key, public }))
            }

            fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
                // Every string of the right length is a key (FIPS 204, algorithm 23).
                let length = ml_dsa::EncodedVerifyingKey::<ml_dsa::$name>::default().len();
                if public.len() == length { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
            }

            fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
                let key = Self::public(public).ok_or(CryptoError::InvalidSignature)?;
                let signature = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
                let verified = key.verify_with_context(message, b"", &signature);
                if verified { Ok(()) } else { Err(CryptoError::InvalidSignature) }
            }
        }

        struct $signer {
            key: ml_dsa::SigningKey<ml_dsa::$name>,
            public: SignaturePublicKey,
        }

        impl Signer for $signer {
            fn public_key(&self) -> &SignaturePublicKey {
                &self.public
            }

            fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
                let signed = self.key.expanded_key().sign_randomized(message, b"", rng);
                let signature: Vec<u8> = signed.map_err(|_| CryptoError::SignerUnavailable)?.encode().to_vec();
                Ok(signature.into())
            }
        }

        impl fmt::Debug for $signer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($signer)).field("public", &self.public).finish_non_exhaustive()
            }
        }
    };
}

ml_dsa! {
    /// ML-DSA-44.
    MlDsa44, MlDsa44Signer
}
ml_dsa! {
    /// ML-DSA-65.
    MlDsa65, MlDsa65Signer
}
ml_dsa! {
    /// ML-DSA-87.
    MlDsa87, MlDsa87Signer
}
