//! The batch says what single checks say, for honest signatures and for those that only a malicious
//! signer makes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test")]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Verifier, VerifyingKey};
use keyroom_crypto::{VerifyJob, ed25519_filter};
use keyroom_ed25519_batch::{Alone, WORTH_IT, suspect};
use sha2::{Digest, Sha512};

struct Signed {
    public: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Signed {
    /// A signer who adds a point of small order to his key and one to R.
    fn new(number: u64, in_key: EdwardsPoint, in_r: EdwardsPoint) -> Self {
        let scalar = |what: &str| {
            let hash = Sha512::new().chain_update(what).chain_update(number.to_le_bytes()).finalize();
            Scalar::from_bytes_mod_order_wide(&hash.into())
        };
        let (secret, nonce) = (scalar("secret"), scalar("nonce"));
        let public = (secret * B + in_key).compress().0;
        let r = (nonce * B + in_r).compress().0;
        let message = number.to_le_bytes().to_vec();
        let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(&message).finalize();
        let s = nonce + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        Self { public, message, signature }
    }

    fn honest(number: u64) -> Self {
        Self::new(number, EIGHT_TORSION[0], EIGHT_TORSION[0])
    }

    fn job(&self) -> VerifyJob<'_> {
        VerifyJob { public_key: &self.public, message: &self.message, signature: &self.signature }
    }
}

/// The library's check of one signature, behind the filter.
fn single(job: &VerifyJob<'_>) -> bool {
    ed25519_filter::accepts(job.public_key, job.signature)
        && VerifyingKey::try_from(job.public_key)
            .is_ok_and(|key| key.verify(job.message, &job.signature.try_into().unwrap()).is_ok())
}

/// Small chunks, so that there are several.
const CHUNK: usize = 256;

fn verify(jobs: &[VerifyJob<'_>], single: impl Fn(&VerifyJob<'_>) -> bool + Sync) -> Result<(), usize> {
    keyroom_ed25519_batch::verify(&Alone, CHUNK, jobs, single)
}

fn verdict(signed: &[Signed]) -> Result<(), usize> {
    let jobs: Vec<_> = signed.iter().map(Signed::job).collect();
    verify(&jobs, single)
}

/// The batch is asked without its last resort: were the verdict left to single checks, the test would
/// show nothing.
fn batch_alone(signed: &[Signed]) -> bool {
    let jobs: Vec<_> = signed.iter().map(Signed::job).collect();
    verify(&jobs, |_| false).is_ok()
}

#[test]
fn honest_signatures_pass_in_any_number_without_a_single_check() {
    let signed: Vec<Signed> = (0..600).map(Signed::honest).collect();
    for count in [WORTH_IT, WORTH_IT + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1] {
        assert!(batch_alone(&signed[..count]), "{count}");
    }
    for count in [0, 1, 5, WORTH_IT - 1] {
        assert_eq!(verdict(&signed[..count]), Ok(()));
    }
}

#[test]
fn the_first_bad_signature_is_named_wherever_it_stands() {
    let mut signed: Vec<Signed> = (0..600).map(Signed::honest).collect();
    for (bad, also) in [(599, 599), (300, 599), (256, 300), (255, 256), (0, 255)] {
        for (place, byte) in [(bad, 40), (also, 3)] {
            signed[place].signature[byte] ^= 1;
        }
        assert_eq!(verdict(&signed), Err(bad));
        for place in [bad, also] {
            signed[place] = Signed::honest(place as u64);
        }
    }
}

#[test]
fn torsion_in_a_later_chunk_does_not_hide_and_does_not_go_before_an_earlier_fault() {
    let torsion = |number| Signed::new(number, EIGHT_TORSION[0], EIGHT_TORSION[4]);
    let mut signed: Vec<Signed> = (0..600).map(Signed::honest).collect();
    signed[550] = torsion(550);
    assert_eq!(verdict(&signed), Err(550));
    signed[300].message.push(0);
    assert_eq!(verdict(&signed), Err(300));
    signed[20] = torsion(20);
    assert_eq!(verdict(&signed), Err(20));
}

/// Ten thousand cases: every combination of torsion in key and R, often enough that the challenge
/// takes every value modulo 8.
#[test]
fn ten_thousand_torsioned_signatures_get_the_verdict_of_the_single_check() {
    let pick = |index: u64| EIGHT_TORSION[usize::try_from(index % 8).unwrap()];
    let cases: Vec<Signed> = (0..10_000).map(|case| Signed::new(case, pick(case), pick(case / 8))).collect();
    let (good, bad): (Vec<Signed>, Vec<Signed>) = cases.into_iter().partition(|case| single(&case.job()));
    assert!(good.len() > 1_000 && bad.len() > 5_000, "{} good, {} bad", good.len(), bad.len());
    assert!(batch_alone(&good), "what single checks accept passes");
    for case in &bad {
        let job = [case.job()];
        // A chunk of its own, without the last resort.
        assert_eq!(suspect(&Alone, 1, &job), Some(0), "what single checks refuse fails");
    }
    let mut among_good: Vec<VerifyJob<'_>> = good.iter().map(Signed::job).collect();
    for (case, place) in bad.iter().zip([0, 255, 256, 700, 1_000]) {
        let honest = std::mem::replace(&mut among_good[place], case.job());
        assert_eq!(verify(&among_good, single), Err(place));
        among_good[place] = honest;
    }
}

/// Two defects whose torsion cancels in the plain sum are found all the same.
#[test]
fn defects_that_cancel_each_other_are_found() {
    for (one, other) in [(1, 7), (2, 6), (4, 4), (3, 5)] {
        let mut signed: Vec<Signed> = (0..300).map(Signed::honest).collect();
        signed[10] = Signed::new(10, EIGHT_TORSION[0], EIGHT_TORSION[one]);
        signed[280] = Signed::new(280, EIGHT_TORSION[0], EIGHT_TORSION[other]);
        assert_eq!(verdict(&signed), Err(10));
    }
}

#[test]
fn encodings_that_are_not_canonical_or_of_small_order_are_refused_in_a_batch() {
    let mut odd: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    for first in 0xec..=0xff {
        for last in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (first, last);
            odd.push(bytes);
        }
    }
    let mut signed: Vec<Signed> = (0..300).map(Signed::honest).collect();
    for encoding in odd {
        for in_key in [true, false] {
            let mut case = Signed::honest(150);
            if in_key {
                case.public = encoding;
            } else {
                case.signature[..32].copy_from_slice(&encoding);
            }
            let expected = single(&case.job());
            assert!(!expected || CompressedEdwardsY(encoding).decompress().is_some());
            signed[150] = case;
            assert_eq!(verdict(&signed), if expected { Ok(()) } else { Err(150) });
        }
    }
}

/// In many chunks, one signature each: the subsets are drawn over all of them.
#[test]
fn defects_that_cancel_from_chunk_to_chunk_are_found() {
    for (one, other) in [(1, 7), (2, 6), (4, 4), (3, 5)] {
        let mut signed: Vec<Signed> = (0..20).map(Signed::honest).collect();
        signed[3] = Signed::new(3, EIGHT_TORSION[0], EIGHT_TORSION[one]);
        signed[17] = Signed::new(17, EIGHT_TORSION[0], EIGHT_TORSION[other]);
        let jobs: Vec<_> = signed.iter().map(Signed::job).collect();
        assert_eq!(suspect(&Alone, 1, &jobs), Some(3));
        assert_eq!(suspect(&Alone, 20, &jobs), Some(0));
    }
}
