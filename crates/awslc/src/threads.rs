//! Batches over several threads, those of rayon's pool.

use keyroom_crypto::parts::{Batch, Sequential, SuiteParts};
use keyroom_crypto::{CryptoError, SealJob, VerifyJob, hpke};
use keyroom_wire::HpkeCiphertext;
use rayon::prelude::*;

/// Below this number of jobs (some 40 µs each) waking another thread costs more than it saves.
const WORTH_IT: usize = 6;
/// Jobs that one thread takes at least.
const AT_ONCE: usize = 2;
/// From this number on Ed25519 signatures are added up: below, the tests of torsion at the end outweigh what
/// adding saves.
const BATCH: usize = 512;

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

/// Verifies Ed25519 signatures by adding them up, if there are enough; `single` is the check of one.
pub(crate) fn add_up(jobs: &[VerifyJob<'_>], single: impl Fn(&VerifyJob<'_>) -> bool) -> Option<Result<(), usize>> {
    if jobs.len() < BATCH {
        return None;
    }
    // An eighth each: small enough to keep all cores busy to the end.
    let size = (jobs.len() / 8).clamp(128, keyroom_ed25519_batch::CHUNK);
    let chunks: Vec<_> = jobs.par_chunks(size).map(keyroom_ed25519_batch::check).collect();
    Some(keyroom_ed25519_batch::conclude(jobs, size, &chunks, single))
}
