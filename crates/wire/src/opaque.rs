use alloc::vec::Vec;
use core::fmt;

use crate::codec::write_opaque;
use crate::{Decode, DecodeError, Encode, Reader};

macro_rules! opaque {
    ($($(#[$meta:meta])* $name:ident, $read:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// The bytes.
            pub fn as_slice(&self) -> &[u8] {
                &self.0
            }

            /// The bytes, owned.
            pub fn into_vec(self) -> Vec<u8> {
                self.0
            }

            /// Number of bytes.
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are no bytes.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes)
            }
        }

        impl From<&[u8]> for $name {
            fn from(bytes: &[u8]) -> Self {
                Self(bytes.to_vec())
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, stringify!($name), &self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                write_opaque(out, &self.0);
            }
        }

        impl Decode<'_> for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(reader.$read()?.to_vec()))
            }
        }
    )*};
}

opaque! {
    /// Bytes without structure of their own, as long as [`Limits::vector`](crate::Limits::vector) allows.
    Opaque, opaque;
    /// Identifies a group (RFC 9420 §8.1).
    GroupId, field;
    /// An HPKE public key in the form that its KEM gives it (§5.1.1).
    HpkePublicKey, field;
    /// A signature public key in the form that its scheme gives it (§5.1.2).
    SignaturePublicKey, field;
    /// A signature (§5.1.2).
    Signature, field;
    /// A membership or confirmation tag (§6.2, §8.1). Compare it in constant time.
    Mac, field;
    /// The hash that names a proposal within an epoch (§5.2).
    ProposalRef, field;
    /// The hash that names a key package (§5.2).
    KeyPackageRef, field;
}

fn write_hex(f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]) -> fmt::Result {
    const SHOWN: usize = 32;
    write!(f, "{name}(")?;
    for byte in bytes.iter().take(SHOWN) {
        write!(f, "{byte:02x}")?;
    }
    if bytes.len() > SHOWN {
        write!(f, "… {} bytes", bytes.len())?;
    }
    f.write_str(")")
}

/// The place of a leaf in the ratchet tree, counted from the left, from zero (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(pub u32);

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for LeafIndex {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode<'_> for LeafIndex {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u32::decode(reader).map(Self)
    }
}
