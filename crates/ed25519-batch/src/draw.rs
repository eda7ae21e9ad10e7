//! Factors and subsets that follow from what is verified.

use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

use crate::TESTS;

/// What everything is drawn from: the hash over all that is verified.
pub(crate) struct Seed([u8; 64]);

impl Seed {
    /// From the hashes over the chunks.
    pub(crate) fn over<'a>(transcripts: impl Iterator<Item = &'a [u8; 64]>) -> Self {
        let mut hash = Sha512::new();
        transcripts.for_each(|transcript| hash.update(transcript));
        Self(hash.finalize().into())
    }
}

/// Draws 64 bytes at a time: the hash over the seed, the number of the chunk and a counter.
pub(crate) struct Draw<'a> {
    seed: &'a Seed,
    chunk: u64,
    counter: u64,
    block: [u8; 64],
    used: usize,
}

impl<'a> Draw<'a> {
    /// What is drawn for a chunk.
    pub(crate) fn new(seed: &'a Seed, chunk: usize) -> Self {
        let chunk = u64::try_from(chunk).unwrap_or(u64::MAX);
        Self { seed, chunk, counter: 0, block: [0; 64], used: 64 }
    }

    /// A random factor of 128 bits.
    pub(crate) fn factor(&mut self) -> Scalar {
        let mut bytes = [0; 32];
        let (low, _) = bytes.split_at_mut(16);
        low.copy_from_slice(&self.bytes::<16>());
        Scalar::from_bytes_mod_order(bytes)
    }

    /// One bit for each test: whether the signature is in its subset.
    pub(crate) fn subsets(&mut self) -> [u8; TESTS / 8] {
        self.bytes()
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.block.len() - self.used < N {
            let place = [self.chunk.to_le_bytes(), self.counter.to_le_bytes()].concat();
            let hash = Sha512::new().chain_update(self.seed.0).chain_update(place);
            (self.block, self.used) = (hash.finalize().into(), 0);
            self.counter += 1;
        }
        let taken = self.block.get(self.used..).and_then(|rest| rest.first_chunk::<N>().copied());
        self.used += N;
        // A block holds every size that is asked for.
        taken.unwrap_or([0; N])
    }
}
