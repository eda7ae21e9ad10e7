//! ECDSA on the NIST curves: uncompressed keys, signatures in strict DER, deterministic nonces
//! (RFC 6979). Signatures come out with a low `S`; both halves are accepted, as by every peer.

use alloc::boxed::Box;
use core::fmt;

use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer};
use keyroom_wire::{Signature, SignaturePublicKey};

/// A private scalar by rejection, with the bits that the order has in its first byte. One draw fails with a probability below 2^-32, and the bound is
/// there for a random number generator that is stuck.
fn random_scalar(
    length: usize,
    bitmask: u8,
    rng: &mut dyn CryptoRng,
    is_valid: impl Fn(&[u8]) -> bool,
) -> Result<Secret, CryptoError> {
    let mut draws = (0..128).map(|_| {
        let mut scalar = Secret::random(length, rng);
        scalar.expose_mut().iter_mut().take(1).for_each(|first| *first &= bitmask);
        scalar
    });
    draws.find(|scalar| is_valid(scalar.expose())).ok_or(CryptoError::InvalidPrivateKey)
}

macro_rules! ecdsa {
    ($(#[$meta:meta])* $scheme:ident, $signer:ident, $curve:ident, $scalar_len:literal, $bitmask:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $scheme;

        impl $scheme {
            fn private(bytes: &[u8]) -> Result<$curve::ecdsa::SigningKey, CryptoError> {
                // The library takes shorter keys and pads them.
                if bytes.len() != $scalar_len {
                    return Err(CryptoError::InvalidPrivateKey);
                }
                $curve::ecdsa::SigningKey::from_slice(bytes).map_err(|_| CryptoError::InvalidPrivateKey)
            }

            fn public(bytes: &[u8]) -> Option<$curve::ecdsa::VerifyingKey> {
                // The library takes compressed points too; this length leaves the uncompressed form alone.
                let uncompressed = bytes.len() == 1 + 2 * $scalar_len;
                uncompressed.then(|| $curve::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok()).flatten()
            }
        }

        impl SignatureScheme for $scheme {
            fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
                random_scalar($scalar_len, $bitmask, rng, |scalar| Self::private(scalar).is_ok())
            }

            fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
                let key = Self::private(private)?;
                let public = key.verifying_key().to_sec1_point(false).as_bytes().into();
                Ok(Box::new($signer { key, public }))
            }

            fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
                Self::public(public).map(drop).ok_or(CryptoError::InvalidPublicKey)
            }

            fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
                use $curve::ecdsa::signature::Verifier;
                let key = Self::public(public).ok_or(CryptoError::InvalidSignature)?;
                let signature =
                    $curve::ecdsa::Signature::from_der(signature).map_err(|_| CryptoError::InvalidSignature)?;
                key.verify(message, &signature).map_err(|_| CryptoError::InvalidSignature)
            }
        }

        struct $signer {
            key: $curve::ecdsa::SigningKey,
            public: SignaturePublicKey,
        }

        impl Signer for $signer {
            fn public_key(&self) -> &SignaturePublicKey {
                &self.public
            }

            fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
                use $curve::ecdsa::signature::Signer;
                let signed: Result<$curve::ecdsa::Signature, _> = self.key.try_sign(message);
                let signature = signed.map_err(|_| CryptoError::SignerUnavailable)?.normalize_s();
                Ok(signature.to_der().as_bytes().into())
            }
        }

        impl fmt::Debug for $signer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($signer)).field("public", &self.public).finish_non_exhaustive()
            }
        }
    };
}

ecdsa! {
    /// ECDSA with P-256 and SHA-256.
    EcdsaP256, P256Signer, p256, 32, 0xff
}
ecdsa! {
    /// ECDSA with P-384 and SHA-384.
    EcdsaP384, P384Signer, p384, 48, 0xff
}
ecdsa! {
    /// ECDSA with P-521 and SHA-512.
    EcdsaP521, P521Signer, p521, 66, 0x01
}
