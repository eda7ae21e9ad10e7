//! Batches over several threads. They live as long as the call and work on chunks that they claim
//! one after the other, so that a busy core only delays its own chunk.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use keyroom_crypto::parts::{Batch, Sequential, SuiteParts};
use keyroom_crypto::{CryptoError, SealJob, VerifyJob, hpke};
use keyroom_wire::HpkeCiphertext;

/// Below this number of seals (some 40 µs each) threads cost more than they save.
const SEALS: usize = 16;
/// The same for signature checks, which are as long but end at the first failure.
const CHECKS: usize = 64;
/// From this number on Ed25519 signatures are added up. An estimate: the tests of torsion at the end run on
/// one thread, so that more are needed than for a batch on one.
const BATCH: usize = 512;

/// One thread per available core, the calling one included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads;

impl Batch for Threads {
    fn verify(&self, suite: &SuiteParts, jobs: &[VerifyJob<'_>]) -> Result<(), usize> {
        if jobs.len() < CHECKS {
            return Sequential.verify(suite, jobs);
        }
        in_chunks(jobs, chunk_of(jobs, 1, 32), |jobs, start| {
            Sequential.verify(suite, jobs).map_err(|failed| start + failed)
        })
        .map(drop)
    }

    fn seal(
        &self,
        suite: &SuiteParts,
        info: &hpke::Info,
        jobs: &[SealJob<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        if jobs.len() < SEALS {
            return Sequential.seal(suite, info, jobs);
        }
        in_chunks(jobs, chunk_of(jobs, 1, 32), |jobs, _| Sequential.seal(suite, info, jobs))
            .map(|sealed| sealed.into_iter().flatten().collect())
    }
}

/// Verifies Ed25519 signatures by adding them up, if there are enough; `single` is the check of one.
pub(crate) fn add_up(jobs: &[VerifyJob<'_>], single: impl Fn(&VerifyJob<'_>) -> bool) -> Option<Result<(), usize>> {
    if jobs.len() < BATCH {
        return None;
    }
    let size = chunk_of(jobs, 128, keyroom_ed25519_batch::CHUNK);
    let Ok(chunks) = in_chunks(jobs, size, |jobs, _| Ok::<_, Infallible>(keyroom_ed25519_batch::check(jobs)));
    Some(keyroom_ed25519_batch::conclude(jobs, size, &chunks, single))
}

/// An eighth of the jobs, within these bounds: small enough to keep all cores busy to the end.
fn chunk_of<J>(jobs: &[J], least: usize, most: usize) -> usize {
    (jobs.len() / 8).clamp(least, most)
}

/// Cuts the jobs into chunks of this size and gives each with its position to `work`, on several threads. The
/// results are in the order of the chunks, and so is the error: chunks are claimed in order and a
/// claimed chunk is always finished, so nothing before the first failure is left out.
fn in_chunks<J, R, E>(jobs: &[J], size: usize, work: impl Fn(&[J], usize) -> Result<R, E> + Sync) -> Result<Vec<R>, E>
where
    J: Sync,
    R: Send,
    E: Send,
{
    let chunks: Vec<&[J]> = jobs.chunks(size).collect();
    let next = AtomicUsize::new(0);
    let finished = Mutex::new(Vec::with_capacity(chunks.len()));
    let worker = || {
        while let Some((number, chunk)) = claim(&next, &chunks) {
            let result = work(chunk, number * size);
            if result.is_err() {
                next.store(chunks.len(), Ordering::Relaxed);
            }
            finished.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers().min(chunks.len()) {
            // Without another thread the work is done by those that there are.
            drop(thread::Builder::new().spawn_scoped(scope, worker));
        }
        worker();
    });
    let mut finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    finished.sort_unstable_by_key(|(number, _)| *number);
    finished.into_iter().map(|(_, result)| result).collect()
}

fn claim<'a, J>(next: &AtomicUsize, chunks: &[&'a [J]]) -> Option<(usize, &'a [J])> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    chunks.get(number).map(|chunk| (number, *chunk))
}

/// Asked once: the answer comes from the file system on some platforms.
fn workers() -> usize {
    static WORKERS: OnceLock<usize> = OnceLock::new();
    *WORKERS.get_or_init(|| thread::available_parallelism().map_or(2, NonZeroUsize::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_positions_are_right() {
        for total in [1, 7, 8, 9, 64, 300, 1000] {
            let jobs: Vec<usize> = (0..total).collect();
            let chunks = in_chunks(&jobs, chunk_of(&jobs, 1, 32), |jobs, start| {
                assert_eq!(jobs.first(), Some(&start));
                Ok::<_, ()>(jobs.to_vec())
            });
            assert_eq!(chunks.unwrap().concat(), jobs);
        }
    }

    #[test]
    fn the_first_of_several_errors_is_reported() {
        let jobs: Vec<usize> = (0..1000).collect();
        for first in [0, 1, 500, 999] {
            let failed =
                in_chunks(&jobs, chunk_of(&jobs, 1, 32), |jobs, _| match jobs.iter().find(|job| **job >= first) {
                    Some(job) => Err(*job),
                    None => Ok(()),
                });
            assert_eq!(failed, Err(first));
        }
    }
}
