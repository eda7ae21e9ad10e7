use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

/// The output of a hash or a MAC: up to 64 bytes, kept inline.
#[derive(Clone, Copy)]
pub struct Hash {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Hash {
    /// Longest output of any suite, in bytes.
    pub const MAX: usize = 64;

    /// Copies a hash of at most [`Hash::MAX`] bytes; `None` if it is longer.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut hash = Self { bytes: [0; Self::MAX], length: u8::try_from(bytes.len()).ok()? };
        hash.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(hash)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The bytes, owned.
    pub fn to_vec(self) -> Vec<u8> {
        self.as_slice().to_vec()
    }
}

impl<const N: usize> From<[u8; N]> for Hash {
    /// Takes the first [`Hash::MAX`] bytes; no hash function gives more.
    fn from(array: [u8; N]) -> Self {
        let kept = array.get(..Self::MAX).unwrap_or(&array);
        Self::from_slice(kept).unwrap_or(Self { bytes: [0; Self::MAX], length: 0 })
    }
}

impl Deref for Hash {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Hash {
    /// Constant time, so that tags may be compared with it.
    fn eq(&self, other: &Self) -> bool {
        crate::constant_time_eq(self, other)
    }
}

impl Eq for Hash {}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
