//! The Diffie-Hellman groups under DHKEM.

use aws_lc_rs::agreement::{self, Algorithm, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use keyroom_crypto::dhkem::{Derivation, DiffieHellman, Exchange};
use keyroom_crypto::{CryptoError, Secret, x25519_filter};

/// A group of aws-lc.
#[derive(Debug)]
pub(crate) struct Group {
    algorithm: &'static Algorithm,
    private_key_len: usize,
    form: Form,
}

/// What a public key looks like, from which the rest follows.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A u-coordinate (RFC 7748).
    Montgomery,
    /// An uncompressed point (SEC 1 §2.3.3); the bits that a scalar has in its first byte.
    Uncompressed { bitmask: u8 },
}

impl Group {
    pub(crate) const X25519: Self = Self { algorithm: &agreement::X25519, private_key_len: 32, form: Form::Montgomery };
    pub(crate) const P256: Self = Self::nist(&agreement::ECDH_P256, 32, 0xff);
    pub(crate) const P384: Self = Self::nist(&agreement::ECDH_P384, 48, 0xff);
    pub(crate) const P521: Self = Self::nist(&agreement::ECDH_P521, 66, 0x01);

    const fn nist(algorithm: &'static Algorithm, private_key_len: usize, bitmask: u8) -> Self {
        Self { algorithm, private_key_len, form: Form::Uncompressed { bitmask } }
    }

    fn private(&self, bytes: &[u8]) -> Result<PrivateKey, CryptoError> {
        PrivateKey::from_private_key(self.algorithm, bytes).map_err(|_| CryptoError::InvalidPrivateKey)
    }

    fn public(&self, bytes: &[u8]) -> Result<ParsedPublicKey, CryptoError> {
        // The library also takes compressed and hybrid points and X.509 structures.
        let tag = matches!(self.form, Form::Uncompressed { .. }).then_some(&0x04);
        if bytes.len() != self.public_key_len() || tag.is_some_and(|tag| bytes.first() != Some(tag)) {
            return Err(CryptoError::InvalidPublicKey);
        }
        let unparsed = UnparsedPublicKey::new(self.algorithm, bytes);
        ParsedPublicKey::try_from(unparsed).map_err(|_| CryptoError::InvalidPublicKey)
    }
}

impl DiffieHellman for Group {
    fn public_key_len(&self) -> usize {
        match self.form {
            Form::Montgomery => self.private_key_len,
            Form::Uncompressed { .. } => 1 + 2 * self.private_key_len,
        }
    }

    fn private_key_len(&self) -> usize {
        self.private_key_len
    }

    fn derivation(&self) -> Derivation {
        match self.form {
            Form::Montgomery => Derivation::Direct,
            Form::Uncompressed { bitmask } => Derivation::Candidates { bitmask },
        }
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        public_bytes(&self.private(private)?)
    }

    fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
        match self.form {
            // Every string of the right length is a u-coordinate.
            Form::Montgomery => match <&[u8; 32]>::try_from(public) {
                Ok(public) if !x25519_filter::is_small_order(public) => Ok(()),
                _ => Err(CryptoError::InvalidPublicKey),
            },
            Form::Uncompressed { .. } => self.public(public).map(drop),
        }
    }

    fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError> {
        let public = self.public(public)?;
        let private = self.private(private)?;
        // An all-zero result of X25519 is an error of the library.
        let dh = agreement::agree(&private, public, CryptoError::InvalidPublicKey, |dh| Ok(Secret::copy_of(dh)))?;
        Ok(Exchange { dh, own_public: public_bytes(&private)? })
    }
}

fn public_bytes(private: &PrivateKey) -> Result<Vec<u8>, CryptoError> {
    let public = private.compute_public_key().map_err(|_| CryptoError::InvalidPrivateKey)?;
    Ok(public.as_ref().to_vec())
}
