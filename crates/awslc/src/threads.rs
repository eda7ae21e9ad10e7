//! Batches over several threads: the calling one, which begins at once, and those of rayon's pool, which
//! join in when they have woken up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use keyroom_crypto::parts::{Batch, Sequential, SuiteParts};
use keyroom_crypto::{CryptoError, SealJob, VerifyJob, hpke};
use keyroom_ed25519_batch::Crew;
use keyroom_wire::HpkeCiphertext;

/// Below this number of jobs (some 40 µs each) waking another thread costs more than it saves.
const WORTH_IT: usize = 6;
/// Jobs that a thread claims at a time at most.
const AT_ONCE: usize = 16;
/// From this number on Ed25519 signatures are added up: below, the tests of torsion at the end outweigh what
/// adding saves.
const BATCH: usize = 512;
/// Signatures that one thread adds up at a time at most: decoded they take some two megabytes.
const MOST: usize = 4_096;

/// One thread per available core, the calling one included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads;

impl Batch for Threads {
    fn verify(&self, suite: &SuiteParts, jobs: &[VerifyJob<'_>]) -> Result<(), usize> {
        if jobs.len() < WORTH_IT {
            return Sequential.verify(suite, jobs);
        }
        let size = claim_size(jobs.len());
        in_chunks(jobs, size, |jobs| Sequential.verify(suite, jobs)).map(drop).map_err(|(chunk, failed)| {
            // Chunks are claimed in order, so nothing before the first failure is left out.
            chunk * size + failed
        })
    }

    fn seal(
        &self,
        suite: &SuiteParts,
        info: &hpke::Info,
        jobs: &[SealJob<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        if jobs.len() < WORTH_IT {
            return Sequential.seal(suite, info, jobs);
        }
        let sealed = in_chunks(jobs, claim_size(jobs.len()), |jobs| Sequential.seal(suite, info, jobs));
        Ok(sealed.map_err(|(_, error)| error)?.into_iter().flatten().collect())
    }
}

impl Crew for Threads {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
        share(items.len(), |position| items.get(position).map(|item| work(position, item)))
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Verifies Ed25519 signatures by adding them up, if there are enough; `single` is the check of one.
pub(crate) fn add_up(
    jobs: &[VerifyJob<'_>],
    single: impl Fn(&VerifyJob<'_>) -> bool + Sync,
) -> Option<Result<(), usize>> {
    if jobs.len() < BATCH {
        return None;
    }
    // One chunk for each thread, unless that would be too much memory: the larger it is, the less an
    // addition costs.
    let size = jobs.len().div_ceil(rayon::current_num_threads()).min(MOST);
    Some(keyroom_ed25519_batch::verify(&Threads, size, jobs, single))
}

/// Few enough at a time that all threads are busy to the end.
fn claim_size(jobs: usize) -> usize {
    (jobs / 16).clamp(1, AT_ONCE)
}

/// The results of `work` on the chunks, in their order, or the first error and the number of its chunk.
fn in_chunks<J: Sync, R: Send, E: Send>(
    jobs: &[J],
    size: usize,
    work: impl Fn(&[J]) -> Result<R, E> + Sync,
) -> Result<Vec<R>, (usize, E)> {
    let chunks: Vec<&[J]> = jobs.chunks(size).collect();
    let failed = AtomicUsize::new(usize::MAX);
    let results = share(chunks.len(), |number| {
        if failed.load(Ordering::Relaxed) < number {
            return None;
        }
        let result = work(chunks.get(number)?);
        if result.is_err() {
            failed.fetch_min(number, Ordering::Relaxed);
        }
        Some(result)
    });
    // What comes after a failure may have been left out.
    let done = results.into_iter().map_while(|result| result);
    done.enumerate().map(|(number, result)| result.map_err(|error| (number, error))).collect()
}

/// What `work` makes of each number below `count`, in order.
fn share<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let finished = Mutex::new(Vec::with_capacity(count));
    let worker = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            break;
        }
        let result = work(number);
        finished.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(count) {
            scope.spawn(|_| worker());
        }
        worker();
    });
    let mut finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    finished.sort_unstable_by_key(|(number, _)| *number);
    finished.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        for total in [1, 7, 8, 9, 64, 300, 1000] {
            let jobs: Vec<usize> = (0..total).collect();
            let chunks = in_chunks(&jobs, claim_size(total), |jobs| Ok::<_, ()>(jobs.to_vec()));
            assert_eq!(chunks.unwrap().concat(), jobs);
        }
    }

    #[test]
    fn the_first_of_several_errors_is_reported() {
        let jobs: Vec<usize> = (0..1000).collect();
        for first in [0, 1, 500, 999] {
            let bad = |jobs: &[usize]| match jobs.iter().find(|job| **job >= first) {
                Some(job) => Err(*job),
                None => Ok(()),
            };
            assert_eq!(in_chunks(&jobs, 7, bad), Err((first / 7, first)));
        }
    }
}
