//! The primitives, and what operations cost at least if they did nothing else.

use std::hint::black_box;
use std::time::Instant;

use keyroom_crypto::{Provider, Secret, Suite, hpke};
use keyroom_wire::CipherSuite;
use serde::Serialize;

use crate::operation::Operation;
use crate::samples::quantile;
use crate::subject::SUITE;
use crate::world::rng;

/// Seconds that each takes, by the faster library in this program.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Primitives {
    /// An X25519 public key from a private one.
    pub key_pair: f64,
    /// X25519 and the KDF around it, as DHKEM opens.
    pub decap: f64,
    /// HPKE seal of 32 bytes in mode base.
    pub seal: f64,
    /// HPKE open of them.
    pub open: f64,
    /// Ed25519 signature of 300 bytes.
    pub sign: f64,
    /// Its verification.
    pub verify: f64,
    /// SHA-256 of 200 bytes.
    pub hash: f64,
    /// HKDF-Expand to 32 bytes.
    pub expand: f64,
    /// AES-128-GCM of 100 bytes.
    pub aead: f64,
}

impl Primitives {
    /// Measures them, with both of our providers.
    pub fn measure() -> Self {
        let suites = [&keyroom_awslc::AWSLC as &dyn Provider, &keyroom_rustcrypto::RUSTCRYPTO]
            .map(|provider| provider.suite(CipherSuite(SUITE)).expect("a suite of the provider"));
        let [first, second] = suites.map(measure_suite);
        first.fastest(second)
    }

    /// The median of each over the rounds of a run: the machine was as quick or as slow for them as it was
    /// for what they are compared with.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| {
            let values: Vec<f64> = rounds.iter().map(value).collect();
            quantile(&values, 0.5).expect("a round")
        };
        Self {
            key_pair: of(|it| it.key_pair),
            decap: of(|it| it.decap),
            seal: of(|it| it.seal),
            open: of(|it| it.open),
            sign: of(|it| it.sign),
            verify: of(|it| it.verify),
            hash: of(|it| it.hash),
            expand: of(|it| it.expand),
            aead: of(|it| it.aead),
        }
    }

    /// The faster of both for each.
    fn fastest(self, other: Self) -> Self {
        Self {
            key_pair: self.key_pair.min(other.key_pair),
            decap: self.decap.min(other.decap),
            seal: self.seal.min(other.seal),
            open: self.open.min(other.open),
            sign: self.sign.min(other.sign),
            verify: self.verify.min(other.verify),
            hash: self.hash.min(other.hash),
            expand: self.expand.min(other.expand),
            aead: self.aead.min(other.aead),
        }
    }

    /// Names and values.
    pub fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("X25519 key pair", self.key_pair),
            ("X25519 decapsulation", self.decap),
            ("HPKE seal 32 B", self.seal),
            ("HPKE open 32 B", self.open),
            ("Ed25519 sign 300 B", self.sign),
            ("Ed25519 verify 300 B", self.verify),
            ("SHA-256 200 B", self.hash),
            ("HKDF-Expand 32 B", self.expand),
            ("AES-128-GCM 100 B", self.aead),
        ]
    }

    /// What an operation in a full tree takes at least, before storage, in seconds; `None` where no
    /// target names it.
    pub fn lower_bound(&self, operation: Operation, members: u32) -> Option<f64> {
        let levels = f64::from(members.max(2).next_power_of_two().trailing_zeros());
        let hashes = (2.0 * levels + 1.0) * self.hash;
        match operation {
            Operation::Commit => {
                let level = self.seal + self.key_pair + 4.0 * self.expand + 2.0 * self.hash;
                Some(levels * level + self.key_pair + 2.0 * self.sign + KEY_SCHEDULE * self.expand)
            }
            Operation::Receive => {
                // The committer is far away: two keys of the path are to be derived.
                let keys = 2.0 * (self.key_pair + 4.0 * self.expand);
                Some(2.0 * self.verify + self.open + keys + hashes + KEY_SCHEDULE * self.expand)
            }
            Operation::Encrypt32 => Some(self.sign + 4.0 * self.expand + 2.0 * self.aead),
            Operation::Decrypt32 => Some(self.verify + 4.0 * self.expand + 2.0 * self.aead),
            _ => None,
        }
    }
}

/// HMACs from the commit secret to all secrets of an epoch.
const KEY_SCHEDULE: f64 = 20.0;

fn measure_suite(suite: &'static dyn Suite) -> Primitives {
    let mut rng = rng(1);
    let (kem, kdf) = (suite.kem(), suite.kdf());
    let pair = kem.derive_key_pair(&[7; 32]).unwrap();
    let (private, public) = (pair.private.expose(), pair.public.as_slice());
    let randomness = Secret::random(kem.randomness_len(), &mut rng);
    let info = hpke::Info::base(suite, b"information");
    let sealed = hpke::seal(suite, &info, public, &randomness, b"", &[7; 32]).unwrap();
    let (_, encapsulated) = kem.encap(public, randomness.expose()).unwrap();
    let signer = suite.signer(suite.generate_signature_key(&mut rng).unwrap().expose()).unwrap();
    let signature = signer.sign(&[7; 300], &mut rng).unwrap();
    let (key, nonce) = (vec![7; suite.aead_key_len()], vec![7; suite.aead_nonce_len()]);
    Primitives {
        key_pair: seconds(|| kem.public_key(private).unwrap()),
        decap: seconds(|| kem.decap(&encapsulated, private).unwrap()),
        seal: seconds(|| {
            let randomness = Secret::random(kem.randomness_len(), &mut rng);
            hpke::seal(suite, &info, public, &randomness, b"", &[7; 32]).unwrap()
        }),
        open: seconds(|| hpke::open(suite, &info, private, b"", &sealed).unwrap()),
        sign: seconds(|| signer.sign(&[7; 300], &mut crate::world::rng(2)).unwrap()),
        verify: seconds(|| {
            suite.verify(signer.public_key().as_slice(), &[7; 300], signature.as_slice()).unwrap();
        }),
        hash: seconds(|| suite.hash(&[&[7; 200]])),
        expand: seconds(|| {
            let mut out = [0; 32];
            kdf.expand(&[7; 32], &[b"label"], &mut out).unwrap();
            out
        }),
        aead: seconds(|| {
            let mut buffer = vec![7; 100];
            suite.aead_seal(&key, &nonce, b"", &mut buffer).unwrap();
            buffer
        }),
    }
}

/// The median of several short runs, each of about a millisecond.
fn seconds<T>(mut run: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    (0..10).for_each(|_| drop(black_box(run())));
    let once = start.elapsed().as_secs_f64() / 10.0;
    let calls = ((1e-3 / once) as u32).max(1);
    let values: Vec<f64> = (0..8)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| drop(black_box(run())));
            start.elapsed().as_secs_f64() / f64::from(calls)
        })
        .collect();
    quantile(&values, 0.5).expect("eight values")
}

#[cfg(test)]
impl Primitives {
    pub(crate) const ONES: Self = Self {
        key_pair: 1.0,
        decap: 1.0,
        seal: 1.0,
        open: 1.0,
        sign: 1.0,
        verify: 1.0,
        hash: 1.0,
        expand: 1.0,
        aead: 1.0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_follow_the_depth_of_the_tree_for_commits_only() {
        let bound = |operation, members| Primitives::ONES.lower_bound(operation, members).unwrap();
        // Eight for each of 14 levels, a leaf key, two signatures, the key schedule.
        assert_eq!(bound(Operation::Commit, 10_000), 14.0 * 8.0 + 1.0 + 2.0 + 20.0);
        assert_eq!(bound(Operation::Receive, 2), 2.0 + 1.0 + 10.0 + 3.0 + 20.0);
        assert_eq!(bound(Operation::Encrypt32, 10), bound(Operation::Encrypt32, 10_000));
        assert_eq!(Primitives::ONES.lower_bound(Operation::Create, 10), None);
    }
}
