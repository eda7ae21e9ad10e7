//! One chunk: its equations in the group of prime order, and its sums for the tests of torsion.

use alloc::vec;
use alloc::vec::Vec;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use keyroom_crypto::VerifyJob;
use sha2::{Digest, Sha512};

use crate::draw::Draw;
use crate::{TESTS, passes_filter};

/// At least one signature of the chunk is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected;

/// The sums over [`TESTS`] random subsets of a chunk, whose torsion remains to be tested, and the hash
/// that the subsets were drawn from.
#[derive(Clone, Debug)]
pub struct SubsetSums {
    sums: Vec<EdwardsPoint>,
    seed: [u8; 64],
}

/// Checks the equations of a chunk up to torsion.
///
/// # Errors
/// [`Rejected`] if a signature is bad for another reason than torsion.
pub fn check(jobs: &[VerifyJob<'_>]) -> Result<SubsetSums, Rejected> {
    let terms = jobs.iter().map(Term::parse).collect::<Option<Vec<_>>>().ok_or(Rejected)?;
    let mut transcript = Sha512::new();
    for term in &terms {
        transcript.update(term.challenge.as_bytes());
        transcript.update(term.s.as_bytes());
    }
    let mut draw = Draw::new(transcript);
    if !equations_hold(&terms, &mut draw) {
        return Err(Rejected);
    }
    let residues: Vec<EdwardsPoint> = terms.iter().map(Term::residue).collect();
    Ok(SubsetSums { sums: sums_of_subsets(&residues, &mut draw), seed: draw.seed() })
}

/// A signature decoded: `[s]B = r + [challenge]key` is to be shown.
struct Term {
    key: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    challenge: Scalar,
}

impl Term {
    fn parse(job: &VerifyJob<'_>) -> Option<Self> {
        if !passes_filter(job) {
            return None;
        }
        let (r, s) = job.signature.split_first_chunk::<32>()?;
        let hash = Sha512::new().chain_update(r).chain_update(job.public_key).chain_update(job.message).finalize();
        Some(Self {
            key: CompressedEdwardsY::from_slice(job.public_key).ok()?.decompress()?,
            r: CompressedEdwardsY(*r).decompress()?,
            s: Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?,
            challenge: Scalar::from_bytes_mod_order_wide(&hash.into()),
        })
    }

    /// `r + [challenge mod 8]key`: its torsion is that by which the two sides of the equation differ.
    fn residue(&self) -> EdwardsPoint {
        let [low, ..] = self.challenge.as_bytes();
        let doubled = |point: EdwardsPoint| point + point;
        let mut product = EdwardsPoint::identity();
        for bit in [4, 2, 1] {
            product = doubled(product);
            if low & bit != 0 {
                product += self.key;
            }
        }
        self.r + product
    }
}

/// The sum of all equations, each times a random factor, is of small order.
fn equations_hold(terms: &[Term], draw: &mut Draw) -> bool {
    let mut base = Scalar::ZERO;
    let mut scalars = Vec::with_capacity(2 * terms.len() + 1);
    for term in terms {
        let factor = draw.factor();
        base -= factor * term.s;
        scalars.push(factor);
        scalars.push(factor * term.challenge);
    }
    scalars.push(base);
    let points = terms.iter().flat_map(|term| [term.r, term.key]).chain([ED25519_BASEPOINT_POINT]);
    EdwardsPoint::vartime_multiscalar_mul(scalars, points).is_small_order()
}

/// The sum over each of [`TESTS`] random subsets. Groups of five share a table of their 32 sums, so that
/// a test costs one addition a group.
fn sums_of_subsets(points: &[EdwardsPoint], draw: &mut Draw) -> Vec<EdwardsPoint> {
    const GROUP: usize = 5;
    let mut sums = vec![EdwardsPoint::identity(); TESTS];
    for group in points.chunks(GROUP) {
        let mut table = vec![EdwardsPoint::identity()];
        let mut subsets = Vec::with_capacity(GROUP);
        for point in group {
            let with: Vec<EdwardsPoint> = table.iter().map(|sum| sum + point).collect();
            table.extend(with);
            subsets.push(draw.subsets());
        }
        for (test, sum) in sums.iter_mut().enumerate() {
            let members = subsets.iter().enumerate();
            let index = members.fold(0, |index, (place, bits)| index | usize::from(bits >> test & 1 == 1) << place);
            if let Some(subset) = table.get(index) {
                *sum += subset;
            }
        }
    }
    sums
}

impl SubsetSums {
    #[cfg(test)]
    pub(crate) fn of_sums(sums: Vec<EdwardsPoint>, seed: [u8; 64]) -> Self {
        Self { sums, seed }
    }

    /// The same test over subsets of these sums, drawn from what all chunks hold.
    ///
    /// Without it each chunk's share in a test would depend on that chunk alone, and a signer with
    /// defects in several chunks could search for shares that cancel, chunk against chunk, in a
    /// small power of the time that the number of tests promises.
    pub(crate) fn mixed(chunks: &[&Self]) -> Vec<Self> {
        if let [only] = chunks {
            return vec![(*only).clone()];
        }
        let mut transcript = Sha512::new();
        for chunk in chunks {
            transcript.update(chunk.seed);
        }
        let mut draw = Draw::new(transcript);
        let mix = |chunk: &&Self| Self { sums: sums_of_subsets(&chunk.sums, &mut draw), seed: chunk.seed };
        chunks.iter().map(mix).collect()
    }

    /// Whether the sums, sum by sum over the chunks, are free of torsion.
    pub(crate) fn are_torsion_free(chunks: &[Self]) -> bool {
        let mut sums = vec![EdwardsPoint::identity(); TESTS];
        for chunk in chunks {
            for (sum, addend) in sums.iter_mut().zip(&chunk.sums) {
                *sum += addend;
            }
        }
        sums.iter().all(|sum| sum.is_identity() || sum.is_torsion_free())
    }
}
