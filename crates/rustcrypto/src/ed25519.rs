use alloc::boxed::Box;
use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey};
use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer, VerifyJob, Zeroizing, ed25519_filter};
use keyroom_ed25519_batch::Alone;
use keyroom_wire::{Signature, SignaturePublicKey};

/// Ed25519 (RFC 8032), with the rule of [`ed25519_filter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ed25519;

impl SignatureScheme for Ed25519 {
    fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        Ok(Secret::random(32, rng))
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        let seed = Zeroizing::new(<[u8; 32]>::try_from(private).map_err(|_| CryptoError::InvalidPrivateKey)?);
        let key = SigningKey::from_bytes(&seed);
        let public = key.verifying_key().as_bytes().as_slice().into();
        Ok(Box::new(Ed25519Signer { key, public }))
    }

    fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        let on_curve = || VerifyingKey::try_from(public).is_ok();
        if ed25519_filter::accepts_key(public) && on_curve() { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if !ed25519_filter::accepts(public, signature) {
            return Err(CryptoError::InvalidSignature);
        }
        let key = VerifyingKey::try_from(public).map_err(|_| CryptoError::InvalidSignature)?;
        let signature = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn verify_many(&self, jobs: &[VerifyJob<'_>]) -> Option<Result<(), usize>> {
        let single = |job: &VerifyJob<'_>| self.verify(job.public_key, job.message, job.signature).is_ok();
        let worth_it = jobs.len() >= keyroom_ed25519_batch::WORTH_IT;
        worth_it.then(|| keyroom_ed25519_batch::verify(&Alone, keyroom_ed25519_batch::CHUNK, jobs, single))
    }
}

struct Ed25519Signer {
    key: SigningKey,
    public: SignaturePublicKey,
}

impl Signer for Ed25519Signer {
    fn public_key(&self) -> &SignaturePublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
        let signature = self.key.try_sign(message).map_err(|_| CryptoError::SignerUnavailable)?;
        Ok(signature.to_bytes().as_slice().into())
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").field("public", &self.public).finish_non_exhaustive()
    }
}
