use chacha20::rand_core::{Infallible, TryCryptoRng, TryRng};
use keyroom_crypto::{CryptoError, Provider, Suite};
use serde::Deserialize;

use super::{File, Verdict};
use crate::one_of_each::{one_of_each, signature_scheme};
use crate::{Hex, load};

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "publicKey", default)]
    public_key: Option<Hex>,
    #[serde(rename = "privateSeed", default)]
    private_seed: Hex,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(rename = "tcId")]
    tc_id: u32,
    /// Absent where the test begins in the middle of the algorithm.
    msg: Option<Hex>,
    #[serde(default)]
    ctx: Hex,
    /// Randomness of the signer; zeros where absent.
    rnd: Option<Hex>,
    #[serde(default)]
    sig: Hex,
    result: Verdict,
}

impl Test {
    /// The message, if the test signs or verifies one under the empty context, as MLS does.
    fn message(&self) -> Option<&Hex> {
        self.msg.as_ref().filter(|_| self.ctx.is_empty())
    }
}

/// ML-DSA of every suite that has it: verification, and signatures from seeds.
///
/// # Panics
/// On a wrong verdict or output.
pub fn ml_dsa(provider: &dyn Provider) {
    for suite in one_of_each(provider, signature_scheme) {
        let Some(size) = signature_scheme(suite).strip_prefix("MLDSA") else { continue };
        each(&format!("mldsa_{size}_verify"), |group, test, message| {
            let public = group.public_key.clone().unwrap_or_default();
            let expected = if test.result == Verdict::Valid { Ok(()) } else { Err(CryptoError::InvalidSignature) };
            assert_eq!(suite.verify(&public, message, &test.sig), expected, "tc{}", test.tc_id);
        });
        each(&format!("mldsa_{size}_sign_seed"), |group, test, message| sign(suite, group, test, message));
    }
}

fn sign(suite: &dyn Suite, group: &Group, test: &Test, message: &Hex) {
    let signer = suite.signer(&group.private_seed);
    if test.result == Verdict::Invalid {
        assert_eq!(signer.err(), Some(CryptoError::InvalidPrivateKey), "tc{}", test.tc_id);
        return;
    }
    let signer = signer.unwrap();
    assert_eq!(Some(signer.public_key().as_slice()), group.public_key.as_deref(), "tc{}", test.tc_id);
    let sign = || {
        let mut rng = Given(test.rnd.clone().unwrap_or(Hex(vec![0; 32])).0);
        signer.sign(message, &mut rng).unwrap()
    };
    let signature = sign();
    suite.verify(signer.public_key().as_slice(), message, signature.as_slice()).unwrap();
    // A library that draws its own randomness cannot be compared byte for byte.
    if sign() == signature {
        assert_eq!(signature.as_slice(), &*test.sig, "tc{}", test.tc_id);
    }
}

fn each(name: &str, check: impl Fn(&Group, &Test, &Hex)) {
    let Some(file) = load::<File<Group>>(&format!("wycheproof/{name}.json")) else { return };
    let mut met = 0;
    for group in &file.groups {
        for test in &group.tests {
            if let Some(message) = test.message() {
                check(group, test, message);
                met += 1;
            }
        }
    }
    assert!(met > 20, "{name}: {met} tests");
}

/// Gives these bytes, once.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.drain(..bytes.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Given {}
