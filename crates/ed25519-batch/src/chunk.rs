//! One chunk: its equations in the group of prime order, and its sums for the tests of torsion.

use alloc::vec;
use alloc::vec::Vec;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use keyroom_crypto::VerifyJob;
use sha2::{Digest, Sha512};

use crate::draw::{Draw, Seed};
use crate::{Crew, TESTS, passes_filter};

/// The signatures of a chunk, decoded.
pub(crate) struct Chunk {
    terms: Vec<Term>,
    transcript: [u8; 64],
}

impl Chunk {
    /// `None` if a key or signature is not even well-formed.
    pub(crate) fn read(jobs: &[VerifyJob<'_>]) -> Option<Self> {
        let terms = jobs.iter().map(Term::parse).collect::<Option<Vec<_>>>()?;
        let mut transcript = Sha512::new();
        for term in &terms {
            transcript.update(term.challenge.as_bytes());
            transcript.update(term.s.as_bytes());
        }
        Some(Self { terms, transcript: transcript.finalize().into() })
    }

    /// The hash over everything that decides whether the signatures are good.
    pub(crate) const fn transcript(&self) -> &[u8; 64] {
        &self.transcript
    }

    /// Checks the equations up to torsion; `None` if one of them does not hold.
    pub(crate) fn check(&self, seed: &Seed, number: usize) -> Option<Sums> {
        let mut draw = Draw::new(seed, number);
        equations_hold(&self.terms, &mut draw).then(|| Sums::over(self.terms.iter().map(Term::residue), &mut draw))
    }
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
        let mut product = if low & 4 == 0 { EdwardsPoint::identity() } else { self.key };
        for bit in [2, 1] {
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

/// The sums over [`TESTS`] random subsets of a chunk, whose torsion remains to be tested.
pub(crate) struct Sums(Vec<EdwardsPoint>);

/// Tests whose sums are made together: each point is added once, into the bucket for those of the tests
/// that it takes part in.
const TOGETHER: usize = 8;

impl Sums {
    fn over(points: impl Iterator<Item = EdwardsPoint>, draw: &mut Draw<'_>) -> Self {
        let mut buckets = vec![[EdwardsPoint::identity(); 1 << TOGETHER]; TESTS / TOGETHER];
        for point in points {
            let subsets = draw.subsets();
            for (buckets, tests) in buckets.iter_mut().zip(subsets) {
                if let Some(bucket) = buckets.get_mut(usize::from(tests)) {
                    *bucket += point;
                }
            }
        }
        Self(buckets.into_iter().flat_map(sums_of_buckets).collect())
    }

    /// Whether the sums, sum by sum over the chunks, are free of torsion.
    pub(crate) fn are_torsion_free(crew: &impl Crew, chunks: &[Self]) -> bool {
        let mut sums = vec![EdwardsPoint::identity(); TESTS];
        for chunk in chunks {
            for (sum, addend) in sums.iter_mut().zip(&chunk.0) {
                *sum += addend;
            }
        }
        crew.map(&sums, |_, sum| sum.is_identity() || sum.is_torsion_free()).into_iter().all(|free| free)
    }
}

/// For each bit the sum of all buckets in whose number it is set.
fn sums_of_buckets(mut buckets: [EdwardsPoint; 1 << TOGETHER]) -> [EdwardsPoint; TOGETHER] {
    let mut sums = [EdwardsPoint::identity(); TOGETHER];
    for (bit, total) in sums.iter_mut().enumerate().rev() {
        // What is left are the numbers below 2^(bit + 1). The upper half has the bit; it is folded into
        // the lower one for the bits below.
        let (low, high) = buckets.split_at_mut(1 << bit);
        for (low, high) in low.iter_mut().zip(&*high) {
            *total += high;
            *low += high;
        }
    }
    sums
}
