use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer, VerifyJob, ed25519_filter};
use keyroom_wire::{Signature, SignaturePublicKey};

use crate::threads;

/// Ed25519 (RFC 8032), with the rule of [`ed25519_filter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ed25519;

impl SignatureScheme for Ed25519 {
    fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        Ok(Secret::random(32, rng))
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        let key = Ed25519KeyPair::from_seed_unchecked(private).map_err(|_| CryptoError::InvalidPrivateKey)?;
        let public = key.public_key().as_ref().into();
        Ok(Box::new(Ed25519Signer { key, public }))
    }

    fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        // aws-lc looks whether a key is on the curve only when it verifies something.
        let on_curve = || CompressedEdwardsY::from_slice(public).is_ok_and(|y| y.decompress().is_some());
        if ed25519_filter::accepts_key(public) && on_curve() { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if !ed25519_filter::accepts(public, signature) {
            return Err(CryptoError::InvalidSignature);
        }
        let key = UnparsedPublicKey::new(&signature::ED25519, public);
        key.verify(message, signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn verify_many(&self, jobs: &[VerifyJob<'_>]) -> Option<Result<(), usize>> {
        threads::add_up(jobs, |job| self.verify(job.public_key, job.message, job.signature).is_ok())
    }
}

/// The library's `Debug` of the key pair shows the public half only.
#[derive(Debug)]
struct Ed25519Signer {
    key: Ed25519KeyPair,
    public: SignaturePublicKey,
}

impl Signer for Ed25519Signer {
    fn public_key(&self) -> &SignaturePublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
        let signature = self.key.try_sign(message).map_err(|_| CryptoError::SignerUnavailable)?;
        Ok(signature.as_ref().into())
    }
}
