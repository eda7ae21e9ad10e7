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
//! Factors and subsets are drawn from a hash over the challenges and signatures of all chunks: same
//! input, same verdict. A wrong one has probability 2^-95 for each attempt of a signer who tries
//! signatures until the subsets suit it. What was drawn from one chunk alone would not be enough: the
//! defects of several chunks could then be tried independently of each other and matched, as birthdays
//! are, which takes 2^48 attempts with two chunks and far fewer with more.
#![no_std]

extern crate alloc;

mod chunk;
mod draw;

use alloc::vec::Vec;

use keyroom_crypto::{VerifyJob, ed25519_filter};

use chunk::{Chunk, Sums};
use draw::Seed;

/// How many random subsets are tested for torsion: together they miss a defect with probability 2^-96.
pub const TESTS: usize = 96;

/// The number of signatures from which a batch is faster than single checks on the same number of
/// threads. The tests of torsion come once, whatever the number of signatures.
pub const WORTH_IT: usize = 256;

/// Signatures that [`Alone`] adds up at a time: twice as many would gain little and take twice the memory.
pub const CHUNK: usize = 2_048;

/// Who does the work: one thread or several.
pub trait Crew {
    /// What `work` makes of each item and its position, in the order of the items.
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R>;
}

/// One thread.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Crew for Alone {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
        items.iter().enumerate().map(|(position, item)| work(position, item)).collect()
    }
}

/// Verifies the signatures, `chunk` of them at a time; `single` is the check of one, and decides which
/// one is reported.
///
/// # Errors
/// The position of the first signature that `single` refuses.
pub fn verify(
    crew: &impl Crew,
    chunk: usize,
    jobs: &[VerifyJob<'_>],
    single: impl Fn(&VerifyJob<'_>) -> bool + Sync,
) -> Result<(), usize> {
    let begin = if jobs.len() < WORTH_IT { Some(0) } else { suspect(crew, chunk, jobs) };
    let Some((begin, rest)) = begin.and_then(|begin| Some((begin, jobs.get(begin..)?))) else { return Ok(()) };
    // Everything before is good. The suspect holds a bad signature; should it not, the rest has not
    // been judged yet and is.
    let runs: Vec<&[VerifyJob<'_>]> = rest.chunks(RUN).collect();
    let failed = crew.map(&runs, |_, run| run.iter().position(|job| !single(job)));
    let first = failed.into_iter().enumerate().find_map(|(run, place)| Some(begin + run * RUN + place?));
    first.map_or(Ok(()), Err)
}

/// Single checks that a thread makes at a time.
const RUN: usize = 32;

/// Where the first chunk begins that holds a bad signature, as far as a batch can tell; `None` if all are
/// good.
pub fn suspect(crew: &impl Crew, chunk: usize, jobs: &[VerifyJob<'_>]) -> Option<usize> {
    let size = chunk.max(1);
    let parts: Vec<&[VerifyJob<'_>]> = jobs.chunks(size).collect();
    let read: Vec<Chunk> = crew.map(&parts, |_, jobs| Chunk::read(jobs)).into_iter().map_while(|chunk| chunk).collect();
    let seed = Seed::over(read.iter().map(Chunk::transcript));
    let sums = crew.map(&read, |number, chunk| chunk.check(&seed, number));
    let good: Vec<Sums> = sums.into_iter().map_while(|sums| sums).collect();
    let first = first_with_torsion(crew, &good).unwrap_or(good.len());
    (first < parts.len()).then(|| first.saturating_mul(size))
}

/// The first chunk up to which the sums have torsion, found by halving.
fn first_with_torsion(crew: &impl Crew, chunks: &[Sums]) -> Option<usize> {
    let is_free = |count: usize| chunks.get(..count).is_none_or(|chunks| Sums::are_torsion_free(crew, chunks));
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
