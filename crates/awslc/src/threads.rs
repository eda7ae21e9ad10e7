//! Batches over several threads, those of rayon's pool.

use keyroom_crypto::parts::{Batch, Sequential, SuiteParts};
use keyroom_crypto::{CryptoError, SealJob, VerifyJob, hpke};
use keyroom_ed25519_batch::Crew;
use keyroom_wire::HpkeCiphertext;
use rayon::prelude::*;

/// Below this number of jobs (some 40 µs each) waking another thread costs more than it saves.
const WORTH_IT: usize = 6;
/// Jobs that one thread takes at least.
const AT_ONCE: usize = 2;
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
        let fails = |job: &VerifyJob<'_>| Sequential.verify(suite, core::slice::from_ref(job)).is_err();
        jobs.par_iter().with_min_len(AT_ONCE).position_first(fails).map_or(Ok(()), Err)
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
        let seal = |jobs: &[SealJob<'_>]| Sequential.seal(suite, info, jobs);
        let sealed: Vec<_> = jobs.par_chunks(AT_ONCE).map(seal).collect();
        let mut all = Vec::with_capacity(jobs.len());
        sealed.into_iter().try_for_each(|chunk| chunk.map(|chunk| all.extend(chunk)))?;
        Ok(all)
    }
}

impl Crew for Threads {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
        items.par_iter().enumerate().map(|(position, item)| work(position, item)).collect()
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
