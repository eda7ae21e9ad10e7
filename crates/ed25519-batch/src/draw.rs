//! Factors and subsets that follow from what is verified.

use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

use crate::TESTS;

/// Draws 64 bytes at a time: the hash over the seed and a counter.
pub(crate) struct Draw {
    seed: [u8; 64],
    counter: u64,
    block: [u8; 64],
    used: usize,
}

impl Draw {
    /// From the hash over everything that is verified.
    pub(crate) fn new(transcript: Sha512) -> Self {
        Self { seed: transcript.finalize().into(), counter: 0, block: [0; 64], used: 64 }
    }

    /// What everything is drawn from.
    pub(crate) const fn seed(&self) -> [u8; 64] {
        self.seed
    }

    /// A random factor of 128 bits.
    pub(crate) fn factor(&mut self) -> Scalar {
        let mut bytes = [0; 32];
        let (low, _) = bytes.split_at_mut(16);
        low.copy_from_slice(&self.bytes::<16>());
        Scalar::from_bytes_mod_order(bytes)
    }

    /// One bit for each test: whether the signature is in its subset.
    pub(crate) fn subsets(&mut self) -> u128 {
        const BYTES: usize = TESTS / 8;
        let mut bytes = [0; 16];
        let (low, _) = bytes.split_at_mut(BYTES);
        low.copy_from_slice(&self.bytes::<BYTES>());
        u128::from_le_bytes(bytes)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.block.len() - self.used < N {
            let hash = Sha512::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes());
            (self.block, self.used) = (hash.finalize().into(), 0);
            self.counter += 1;
        }
        let taken = self.block.get(self.used..).and_then(|rest| rest.first_chunk::<N>().copied());
        self.used += N;
        // A block holds every size that is asked for.
        taken.unwrap_or([0; N])
    }
}
