use keyroom_crypto::{CryptoError, Provider, Suite};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{File, Verdict};
use crate::one_of_each::one_of_each;
use crate::{Hex, load};

#[derive(Deserialize)]
struct Group<T> {
    tests: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HkdfTest {
    tc_id: u32,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
    result: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HmacTest {
    tc_id: u32,
    key: Hex,
    msg: Hex,
    tag: Hex,
    result: Verdict,
}

/// HKDF of every suite.
///
/// # Panics
/// On a wrong verdict or output.
pub fn hkdf(provider: &dyn Provider) {
    each(provider, "hkdf", |suite, test: &HkdfTest| {
        let prk = suite.kdf().extract(&test.salt, &[&test.ikm]);
        let mut out = vec![0; test.size];
        let expanded = suite.kdf().expand(prk.expose(), &[&test.info], &mut out);
        if test.result == Verdict::Invalid {
            assert_eq!(expanded, Err(CryptoError::OutputTooLong), "tc{}", test.tc_id);
        } else {
            assert_eq!((expanded, out.as_slice()), (Ok(()), &*test.okm), "tc{}", test.tc_id);
        }
    });
}

/// HMAC of every suite. The file has shortened tags too, which are compared as far as they go.
///
/// # Panics
/// On a wrong verdict or output.
pub fn hmac(provider: &dyn Provider) {
    each(provider, "hmac", |suite, test: &HmacTest| {
        let matches = suite.mac(&test.key, &[&test.msg]).starts_with(&test.tag);
        assert_eq!(matches, test.result == Verdict::Valid, "tc{}", test.tc_id);
    });
}

fn each<T: DeserializeOwned>(provider: &dyn Provider, primitive: &str, check: impl Fn(&dyn Suite, &T)) {
    for suite in one_of_each(provider, |suite| suite.kdf().output_len()) {
        let path = format!("wycheproof/{primitive}_sha{}.json", 8 * suite.kdf().output_len());
        let Some(file) = load::<File<Group<T>>>(&path) else { return };
        let tests = || file.groups.iter().flat_map(|group| &group.tests);
        tests().for_each(|test| check(suite, test));
        assert!(tests().count() > 50);
    }
}
