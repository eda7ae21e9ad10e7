use core::fmt;

/// Why a cryptographic operation failed. Which part of an opaque check failed is never said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoError {
    /// A public key of the wrong length or form, not on its curve, or of small order (RFC 9180 §7.1.4).
    InvalidPublicKey,
    /// A private key of the wrong length or out of range.
    InvalidPrivateKey,
    /// An encapsulated key that the KEM refuses.
    InvalidEncapsulation,
    /// A ciphertext that does not open (RFC 9420 §5.1): wrong key, nonce, associated data or bytes.
    Open,
    /// A signature that does not verify (§5.1.2): wrong key, content, form or bytes.
    InvalidSignature,
    /// A key, nonce or PSK whose length the suite does not allow.
    WrongLength,
    /// More output than the KDF can give: over 65,535 bytes or 255 · Nh.
    OutputTooLong,
    /// A plaintext or associated data beyond what the AEAD allows.
    InputTooLong,
    /// The HPKE context has used its last nonce.
    MessageLimit,
    /// The signer could not sign: hardware gone, access refused.
    SignerUnavailable,
    /// The provider lacks the primitive.
    Unsupported,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidPublicKey => "public key is invalid",
            Self::InvalidPrivateKey => "private key is invalid",
            Self::InvalidEncapsulation => "encapsulated key is invalid",
            Self::Open => "ciphertext does not open",
            Self::InvalidSignature => "signature does not verify",
            Self::WrongLength => "key, nonce or PSK has a length that the suite does not allow",
            Self::OutputTooLong => "more output requested than the KDF can give",
            Self::InputTooLong => "input is longer than the AEAD allows",
            Self::MessageLimit => "HPKE context has used its last nonce",
            Self::SignerUnavailable => "signer could not sign",
            Self::Unsupported => "provider lacks the primitive",
        })
    }
}

impl core::error::Error for CryptoError {}
