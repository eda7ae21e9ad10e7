use alloc::vec::Vec;

use crate::{CredentialType, Decode, DecodeError, Encode, Opaque, Reader};

/// Binds an identity to a signature key (RFC 9420 §5.3).
///
/// The RFC gives an unknown credential no length; every credential that is defined or drafted is a
/// single vector, so an unknown type is read as one and kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bare identity whose meaning the application gives.
    Basic {
        /// The identity.
        identity: Opaque,
    },
    /// A certificate chain in DER, end entity first.
    X509 {
        /// The certificates.
        certificates: Vec<Opaque>,
    },
    /// A type that this crate does not know.
    Other {
        /// Its code point.
        credential_type: CredentialType,
        /// The content of its vector.
        body: Opaque,
    },
}

impl Credential {
    /// A basic credential.
    pub fn basic(identity: impl Into<Vec<u8>>) -> Self {
        Self::Basic { identity: Opaque::from(identity.into()) }
    }

    /// The code point.
    pub fn credential_type(&self) -> CredentialType {
        match self {
            Self::Basic { .. } => CredentialType::BASIC,
            Self::X509 { .. } => CredentialType::X509,
            Self::Other { credential_type, .. } => *credential_type,
        }
    }

    /// Reads past a credential with the same strictness as decoding it, without allocating.
    pub(crate) fn skip(reader: &mut Reader<'_>) -> Result<CredentialType, DecodeError> {
        let credential_type = reader.read("Credential.credential_type")?;
        let field = match credential_type {
            CredentialType::BASIC => "Credential.identity",
            CredentialType::X509 => "Credential.certificates",
            _ => "Credential.body",
        };
        let mut body = reader.vector().map_err(|e| e.inside(field))?;
        while credential_type == CredentialType::X509 && !body.is_empty() {
            body.opaque().map_err(|e| e.inside(field))?;
        }
        Ok(credential_type)
    }
}

impl Encode for Credential {
    fn encode(&self, out: &mut Vec<u8>) {
        self.credential_type().encode(out);
        match self {
            Self::Basic { identity } => identity.encode(out),
            Self::X509 { certificates } => certificates.encode(out),
            Self::Other { body, .. } => body.encode(out),
        }
    }
}

impl Decode<'_> for Credential {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.read("Credential.credential_type")? {
            CredentialType::BASIC => Self::Basic { identity: reader.read("Credential.identity")? },
            CredentialType::X509 => Self::X509 { certificates: reader.read("Credential.certificates")? },
            credential_type => Self::Other { credential_type, body: reader.read("Credential.body")? },
        })
    }
}
