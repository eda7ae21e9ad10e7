//! Ed25519 (RFC 8032) signatures verified in batches, which takes about half the time of checking
//! each, and accepts exactly what a single check accepts: the byte filter of
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
//!    misses a defect with probability of at most one half. These tests are done once, over the sums
//!    of all chunks.
//!
//! So a wrong verdict has probability 2^-[`TESTS`]. The factors and subsets are drawn from a hash
//! over the challenges and signatures of a chunk: same input, same verdict, and nobody can choose a
//! signature after he knows them.
#![no_std]

extern crate alloc;

mod chunk;
mod draw;

use alloc::vec::Vec;

use keyroom_crypto::{VerifyJob, ed25519_filter};

pub use chunk::{Rejected, SubsetSums, check};

/// How many random subsets are tested for torsion: a wrong verdict has probability 2^-96.
pub const TESTS: usize = 96;

/// The number of signatures from which a batch is faster than single checks on one thread: the tests of
/// torsion, once for all chunks, take as long as eighty of these.
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
    let is_free = |count: usize| SubsetSums::total(chunks.iter().copied().take(count)).are_torsion_free();
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
