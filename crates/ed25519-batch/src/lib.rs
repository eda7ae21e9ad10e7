//! Ed25519 (RFC 8032) signatures verified in batches, which takes less time than checking each,
//! and accepts exactly what a single check accepts: the byte filter of
//! [`ed25519_filter`] and the cofactorless equation `[S]B = R + [k]A`.
//!
//! # Why an ordinary batch is not enough
//! A batch adds up the equations, each times a random factor, and looks at the sum. A signature
//! whose equation fails by a point of small order (which only a malicious signer can make) then
//! slips through about every second time, so that two members who verify the same tree in different
//! batches would disagree about it, and the group would split.
//!
//! # What is checked instead
//! Every point is the sum of one of prime order and one of small order, its torsion.
//! 1. The sum of a chunk, times the cofactor, shows with 128-bit factors that all equations hold in
//!    the group of prime order.
//! 2. The torsion of an equation's two sides differs by the torsion of `R + [k mod 8]A`. That all of
//!    these points are free of torsion is shown by [`TESTS`] random subsets: the sum over a subset
//!    misses a defect with probability of at most one half. [`TESTS`] random sums of these sums, over
//!    all chunks, are then tested.
//!
//! The factors and subsets of a chunk are drawn from a hash over its challenges and signatures, and the
//! subsets of the sums from the hashes of all chunks: same input, same verdict. A wrong one has
//! probability 2^-95 for each attempt of a signer who tries signatures until the subsets suit it. What
//! is drawn from one chunk alone is not enough: the defects of several chunks could then be tried
//! independently of each other and matched, as birthdays are, which takes 2^48 attempts with two
//! chunks and far fewer with more.
#![no_std]

extern crate alloc;

mod chunk;
mod draw;

use alloc::vec::Vec;

use keyroom_crypto::{VerifyJob, ed25519_filter};

pub use chunk::{Rejected, SubsetSums, check};

/// How many random subsets are tested for torsion: each stage misses a defect with probability 2^-96.
pub const TESTS: usize = 96;

/// The number of signatures from which a batch is meant to be faster than single checks on one thread:
/// the tests of torsion come once for all chunks, whatever their number. An estimate, to be measured.
pub const WORTH_IT: usize = 256;

/// Signatures that are added up at a time. Twice as many would gain little and cost more when one of
/// them is bad.
pub const CHUNK: usize = 256;

/// Verifies the signatures; `single` is the check of one, and decides which one is reported.
///
/// # Errors
/// The position of the first signature that `single` refuses.
pub fn verify(jobs: &[VerifyJob<'_>], single: impl Fn(&VerifyJob<'_>) -> bool) -> Result<(), usize> {
    if jobs.len() < WORTH_IT {
        return verify_singly(jobs, 0, single);
    }
    let chunks: Vec<_> = jobs.chunks(CHUNK).map(check).collect();
    conclude(jobs, CHUNK, &chunks, single)
}

/// The verdict over chunks of `size` signatures each, the last one excepted, that [`check`] has seen.
/// Chunks after the first rejected one may be left out.
///
/// # Errors
/// The position of the first signature that `single` refuses.
pub fn conclude(
    jobs: &[VerifyJob<'_>],
    size: usize,
    chunks: &[Result<SubsetSums, Rejected>],
    single: impl Fn(&VerifyJob<'_>) -> bool,
) -> Result<(), usize> {
    let good: Vec<&SubsetSums> = chunks.iter().map_while(|chunk| chunk.as_ref().ok()).collect();
    let suspect = first_with_torsion(&good).unwrap_or(good.len());
    let begin = suspect.saturating_mul(size);
    match jobs.get(begin..) {
        Some(rest) if !rest.is_empty() => {
            // Everything before is good. The suspect holds a bad signature; should it not, the rest
            // has not been judged yet and is.
            verify_singly(rest, begin, single)
        }
        _ => Ok(()),
    }
}

fn verify_singly(jobs: &[VerifyJob<'_>], begin: usize, single: impl Fn(&VerifyJob<'_>) -> bool) -> Result<(), usize> {
    let failed = jobs.iter().position(|job| !single(job));
    failed.map_or(Ok(()), |position| Err(begin.saturating_add(position)))
}

/// The first chunk up to which the sums have torsion, found by halving.
fn first_with_torsion(chunks: &[&SubsetSums]) -> Option<usize> {
    let mixed = SubsetSums::mixed(chunks);
    let is_free = |count: usize| mixed.get(..count).is_none_or(SubsetSums::are_torsion_free);
    if is_free(chunks.len()) {
        return None;
    }
    let (mut free, mut torsion) = (0, chunks.len());
    while torsion - free > 1 {
        let middle = free.midpoint(torsion);
        if is_free(middle) { free = middle } else { torsion = middle }
    }
    Some(free)
}

/// Whether the bytes of key and signature pass the filter that both single and batch checks apply.
fn passes_filter(job: &VerifyJob<'_>) -> bool {
    ed25519_filter::accepts(job.public_key, job.signature)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;

    use super::*;

    fn chunk(number: u8, torsion: usize) -> SubsetSums {
        let sum = EIGHT_TORSION.get(torsion).copied().unwrap_or_default();
        SubsetSums::of_sums([sum; TESTS].to_vec(), [number; 64])
    }

    /// What a signer looks for who tries signatures in two chunks until the shares cancel in every test.
    #[test]
    fn defects_that_cancel_from_chunk_to_chunk_in_every_test_are_found() {
        for (one, other) in [(4, 4), (1, 7), (2, 6)] {
            let chunks = [chunk(0, 0), chunk(1, one), chunk(2, 0), chunk(3, other)];
            let chunks: Vec<&SubsetSums> = chunks.iter().collect();
            assert_eq!(first_with_torsion(&chunks), Some(1));
        }
        let honest = [chunk(0, 0), chunk(1, 0)];
        assert_eq!(first_with_torsion(&honest.iter().collect::<Vec<_>>()), None);
    }
}
