use alloc::boxed::Box;
use core::fmt;

use ed448_goldilocks::signature::{Signer as _, Verifier as _};
use ed448_goldilocks::{SecretKey, SigningKey, VerifyingKey};
use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer, Zeroizing, ed448_filter};
use keyroom_wire::{Signature, SignaturePublicKey};

/// Ed448 (RFC 8032) with an empty context, and the rule of [`ed448_filter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ed448;

impl Ed448 {
    /// The library refuses what is not on the curve or not of the prime order.
    fn public(bytes: &[u8]) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()
    }
}

impl SignatureScheme for Ed448 {
    fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        Ok(Secret::random(57, rng))
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        let seed = Zeroizing::new(SecretKey::try_from(private).map_err(|_| CryptoError::InvalidPrivateKey)?);
        let key = SigningKey::from(&*seed);
        let public = key.verifying_key().as_bytes().as_slice().into();
        Ok(Box::new(Ed448Signer { key, public }))
    }

    fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        let is_point = || Self::public(public).is_some();
        if ed448_filter::accepts_key(public) && is_point() { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if !ed448_filter::accepts(public, signature) {
            return Err(CryptoError::InvalidSignature);
        }
        let key = Self::public(public).ok_or(CryptoError::InvalidSignature)?;
        let signature = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| CryptoError::InvalidSignature)
    }
}

struct Ed448Signer {
    key: SigningKey,
    public: SignaturePublicKey,
}

impl Signer for Ed448Signer {
    fn public_key(&self) -> &SignaturePublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
        let signature = self.key.try_sign(message).map_err(|_| CryptoError::SignerUnavailable)?;
        Ok(signature.to_bytes().as_slice().into())
    }
}

impl fmt::Debug for Ed448Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed448Signer").field("public", &self.public).finish_non_exhaustive()
    }
}
