use keyroom_crypto::{CryptoError, Kem, Provider};
use serde::Deserialize;

use super::{File, Verdict};
use crate::one_of_each::one_of_each;
use crate::{Hex, load};

#[derive(Deserialize)]
struct Group {
    tests: Vec<Test>,
}

/// A test of any of the three kinds of file; what a kind does not have is empty.
#[derive(Deserialize)]
struct Test {
    #[serde(rename = "tcId")]
    tc_id: u32,
    #[serde(default)]
    seed: Hex,
    #[serde(default)]
    ek: Hex,
    #[serde(default)]
    m: Hex,
    #[serde(default)]
    c: Hex,
    #[serde(rename = "K", default)]
    shared: Hex,
    result: Verdict,
}

/// ML-KEM of every suite that uses it alone: from seeds to keys, encapsulation with given
/// randomness, decapsulation. The files with expanded private keys are not for us.
///
/// # Panics
/// On a wrong verdict or output.
pub fn ml_kem(provider: &dyn Provider) {
    for suite in one_of_each(provider, |suite| suite.kem().id()) {
        let size = match suite.kem().id() {
            0x0041 => "768",
            0x0042 => "1024",
            _ => continue,
        };
        let kem = suite.kem();
        each(&format!("mlkem_{size}_keygen_seed"), |test| {
            assert_eq!(kem.public_key(&test.seed).unwrap().as_slice(), &*test.ek, "tc{}", test.tc_id);
        });
        each(&format!("mlkem_{size}_encaps"), |test| encapsulation(kem, test));
        each(&format!("mlkem_{size}"), |test| decapsulation(kem, test));
    }
}

fn encapsulation(kem: &dyn Kem, test: &Test) {
    let encapsulated = kem.encap(&test.ek, &test.m);
    assert_eq!(kem.validate_public_key(&test.ek).is_ok(), encapsulated.is_ok(), "tc{}", test.tc_id);
    if test.result == Verdict::Invalid {
        assert_eq!(encapsulated.err(), Some(CryptoError::InvalidPublicKey), "tc{}", test.tc_id);
    } else {
        let (secret, ciphertext) = encapsulated.unwrap();
        assert_eq!((secret.expose(), ciphertext.as_slice()), (&*test.shared, &*test.c), "tc{}", test.tc_id);
    }
}

fn decapsulation(kem: &dyn Kem, test: &Test) {
    let secret = kem.decap(&test.c, &test.seed);
    if test.result == Verdict::Invalid {
        assert!(secret.is_err(), "tc{}", test.tc_id);
    } else {
        assert_eq!(secret.unwrap().expose(), &*test.shared, "tc{}", test.tc_id);
        assert_eq!(kem.public_key(&test.seed).unwrap().as_slice(), &*test.ek, "tc{}", test.tc_id);
    }
}

fn each(name: &str, check: impl Fn(&Test)) {
    let Some(file) = load::<File<Group>>(&format!("wycheproof/{name}.json")) else { return };
    let tests = || file.groups.iter().flat_map(|group| &group.tests);
    tests().for_each(check);
    assert!(tests().any(|test| test.result == Verdict::Valid), "{name}");
}
