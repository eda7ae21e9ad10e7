//! ECDSA on the NIST curves: uncompressed keys, signatures in strict DER. The library draws the
//! nonces itself and has no switch for a low `S`: both halves come out, and both are accepted.

use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, ParsedPublicKey, UnparsedPublicKey,
};
use keyroom_crypto::parts::SignatureScheme;
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Signer};
use keyroom_wire::{Signature, SignaturePublicKey};

/// ECDSA with one curve and hash.
#[derive(Debug)]
pub(crate) struct Ecdsa {
    agreement: &'static agreement::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static EcdsaVerificationAlgorithm,
    scalar_len: usize,
    /// The bits that a scalar has in its first byte.
    bitmask: u8,
}

impl Ecdsa {
    pub(crate) const P256: Self = Self {
        agreement: &agreement::ECDH_P256,
        signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        verification: &signature::ECDSA_P256_SHA256_ASN1,
        scalar_len: 32,
        bitmask: 0xff,
    };
    pub(crate) const P384: Self = Self {
        agreement: &agreement::ECDH_P384,
        signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        verification: &signature::ECDSA_P384_SHA384_ASN1,
        scalar_len: 48,
        bitmask: 0xff,
    };
    pub(crate) const P521: Self = Self {
        agreement: &agreement::ECDH_P521,
        signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        verification: &signature::ECDSA_P521_SHA512_ASN1,
        scalar_len: 66,
        bitmask: 0x01,
    };

    /// The library wants the public key beside the scalar, and only its ECDH half computes it.
    fn public(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = PrivateKey::from_private_key(self.agreement, private).map_err(|_| CryptoError::InvalidPrivateKey)?;
        let public = key.compute_public_key().map_err(|_| CryptoError::InvalidPrivateKey)?;
        Ok(public.as_ref().to_vec())
    }

    /// The library also takes compressed and hybrid points and X.509 structures.
    fn is_uncompressed(&self, public: &[u8]) -> bool {
        public.len() == 1 + 2 * self.scalar_len && public.first() == Some(&0x04)
    }
}

impl SignatureScheme for Ecdsa {
    fn generate_key(&self, rng: &mut dyn CryptoRng) -> Result<Secret, CryptoError> {
        let draw = |_| {
            let mut scalar = Secret::random(self.scalar_len, rng);
            scalar.expose_mut().iter_mut().take(1).for_each(|first| *first &= self.bitmask);
            scalar
        };
        // One draw fails with a probability below 2^-32; the bound is there for a random number
        // generator that is stuck.
        let found = (0..128).map(draw).find(|scalar| self.public(scalar.expose()).is_ok());
        found.ok_or(CryptoError::InvalidPrivateKey)
    }

    fn signer(&self, private: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
        let public = self.public(private)?;
        let key = EcdsaKeyPair::from_private_key_and_public_key(self.signing, private, &public)
            .map_err(|_| CryptoError::InvalidPrivateKey)?;
        Ok(Box::new(EcdsaSigner { key, public: public.into() }))
    }

    fn validate_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        let on_curve = || ParsedPublicKey::new(self.verification, public).is_ok();
        if self.is_uncompressed(public) && on_curve() { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if !self.is_uncompressed(public) {
            return Err(CryptoError::InvalidSignature);
        }
        let key = UnparsedPublicKey::new(self.verification, public);
        key.verify(message, signature).map_err(|_| CryptoError::InvalidSignature)
    }
}

/// The library's `Debug` of the key pair shows the public half only.
#[derive(Debug)]
struct EcdsaSigner {
    key: EcdsaKeyPair,
    public: SignaturePublicKey,
}

impl Signer for EcdsaSigner {
    fn public_key(&self) -> &SignaturePublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Signature, CryptoError> {
        // The argument that the library asks for is ignored by it.
        let signature = self.key.sign(&SystemRandom::new(), message).map_err(|_| CryptoError::SignerUnavailable)?;
        Ok(signature.as_ref().into())
    }
}
