use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::{Secret, Suite, Zeroizing, labels};
use keyroom_wire::{Decode, DecodeError, Encode, KeyPackage, KeyPackageRef, Limits, Reader, write_vector};

use super::is_last_resort;

const VERSION: u8 = 1;

/// An own key package with its private keys, from the time it is made until it is used.
///
/// Private keys of a package for one use are deleted with the first join (RFC 9420 §16.8).
#[derive(Debug)]
pub struct KeyPackageBundle {
    /// What is published.
    pub key_package: KeyPackage,
    /// Opens the Welcome.
    pub init_private: Secret,
    /// The private key of the leaf.
    pub leaf_private: Secret,
}

/// Why a stored bundle could not be read. The store is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// Written by a version of this crate that came later.
    UnknownVersion(u8),
    /// The bytes are damaged.
    Malformed(DecodeError),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => write!(f, "stored key package has unknown version {version}"),
            Self::Malformed(error) => write!(f, "stored key package is damaged: {error}"),
        }
    }
}

impl core::error::Error for BundleError {}

impl KeyPackageBundle {
    /// `KeyPackageRef` (§5.2), under which a Welcome names it.
    pub fn reference(&self, suite: &dyn Suite) -> KeyPackageRef {
        labels::key_package_ref(suite, &self.key_package.to_bytes())
    }

    /// Whether its keys stay after a join.
    pub fn is_last_resort(&self) -> bool {
        is_last_resort(&self.key_package.extensions)
    }

    /// The bundle as bytes for storage, private keys included.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let public = self.key_package.to_bytes();
        // Sized beforehand: growing would leave copies of the keys behind.
        let room = public.len() + self.init_private.len() + self.leaf_private.len() + 16;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.push(VERSION);
        for part in [&public, self.init_private.expose(), self.leaf_private.expose()] {
            write_vector(&mut out, |out| out.extend_from_slice(part));
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let limits = Limits::default();
        let mut reader = Reader::new(bytes, limits);
        match u8::decode(&mut reader).map_err(BundleError::Malformed)? {
            VERSION => Self::decode_parts(&mut reader, &limits).map_err(BundleError::Malformed),
            version => Err(BundleError::UnknownVersion(version)),
        }
    }

    fn decode_parts(reader: &mut Reader<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let bundle = Self {
            key_package: KeyPackage::from_bytes(reader.opaque()?, limits)?,
            init_private: Secret::copy_of(reader.field()?),
            leaf_private: Secret::copy_of(reader.field()?),
        };
        reader.finish()?;
        Ok(bundle)
    }
}
