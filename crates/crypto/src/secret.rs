use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Secret bytes. They live in one heap allocation, so that moving the value leaves nothing behind,
/// and are overwritten when it is dropped. Not `Clone`, not printable, not comparable with `==`.
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes over bytes without copying if the vector has no spare capacity; otherwise the vector's
    /// own allocation is overwritten after the copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice());
        }
        let bytes = Zeroizing::new(bytes);
        Self(bytes.as_slice().into())
    }

    /// A copy of bytes that stay with the caller.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// `length` zero bytes.
    pub fn zeros(length: usize) -> Self {
        Self(vec![0; length].into_boxed_slice())
    }

    /// `length` random bytes.
    pub fn random(length: usize, rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self::zeros(length);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The bytes. Every use of a secret goes through here, so that it can be searched for.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be filled in.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// A second copy, where two owners are meant.
    pub fn duplicate(&self) -> Self {
        Self::copy_of(&self.0)
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

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_and_nothing_else() {
        assert_eq!(alloc::format!("{:?}", Secret::copy_of(b"abc")), "Secret(3 bytes)");
    }
}
