//! What is wrong with a credential.

/// Why a credential does not say who somebody is. Everybody who trusts the same authorities finds the same,
/// whenever they look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It is of another type than X.509.
    #[error("the credential is not a certificate chain")]
    NotX509,
    /// There is no certificate.
    #[error("the chain has no certificate")]
    Empty,
    /// More certificates than a chain may have.
    #[error("the chain has {count} certificates, and may have {most}")]
    TooLong {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A certificate does not parse.
    #[error("certificate {index} of the chain does not parse")]
    Malformed {
        /// Its place in the chain, from 0.
        index: usize,
    },
    /// The leaf certificate does not name exactly one device by its URI.
    #[error("the certificate does not name one device")]
    NoDevice,
    /// It names another device than the one expected.
    #[error("the certificate is another device's")]
    OtherDevice,
    /// The subject key is not the signature key of the leaf node (RFC 9420 §5.3).
    #[error("the certificate is for another key")]
    OtherKey,
    /// The key is of an algorithm that certificates are not issued for here.
    #[error("there are no certificates for keys of this algorithm")]
    UnsupportedKey,
    /// No trusted authority stands at the end of the chain: it is signed by itself, say, or by an authority of the
    /// same name with another key.
    #[error("the certificate was not issued by a trusted authority")]
    UnknownAuthority,
    /// A signature in the chain is not that of the certificate after it.
    #[error("a signature in the chain is wrong")]
    Signature,
    /// A certificate in the chain is signed with an algorithm that the provider lacks.
    #[error("the chain has a signature of an unknown algorithm")]
    UnsupportedSignature,
    /// The certificate is not for messages (RFC 9734 §3).
    #[error("the certificate is not for messages")]
    OtherUsage,
    /// The certificate of an authority was not valid in the time for which the leaf's is.
    #[error("the certificate outlives its authority's")]
    OutlivesAuthority,
    /// A certificate does not certify the one before it (RFC 9420 §5.3).
    #[error("the chain is not in order")]
    OutOfOrder,
    /// Any other rule of RFC 5280: a leaf that is an authority, one that is none, name constraints.
    #[error("the chain breaks a rule for certificates")]
    Invalid,
}

/// What time has done to a certificate that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lapse {
    /// It is not valid yet: either clock is wrong, or it was made for later.
    #[error("the certificate is valid from second {not_before} on: is the clock right?")]
    NotYetValid {
        /// First second of its validity, since 1970-01-01T00:00Z.
        not_before: u64,
    },
    /// It has not been renewed.
    #[error("the certificate was valid until second {not_after}")]
    Expired {
        /// Last second of its validity, since 1970-01-01T00:00Z.
        not_after: u64,
    },
    /// The authority has taken it back.
    #[error("the certificate was revoked")]
    Revoked,
}

/// Why something is not taken as an authority, or as its revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The bytes do not parse.
    #[error("it does not parse")]
    Malformed,
    /// The list was not signed by a trusted authority, or with another key.
    #[error("the revocation list is not of a trusted authority")]
    UnknownAuthority,
    /// The list is older than the one that is known.
    #[error("the revocation list is older than the one that is known")]
    Older,
    /// The list is past its time.
    #[error("the revocation list was good until second {next_update}")]
    Expired {
        /// When the next one should have come, since 1970-01-01T00:00Z.
        next_update: u64,
    },
}
