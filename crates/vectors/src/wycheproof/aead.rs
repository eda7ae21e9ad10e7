use keyroom_crypto::{CryptoError, Provider, Suite};
use serde::Deserialize;

use super::{File, Verdict};
use crate::one_of_each::one_of_each;
use crate::{Hex, load};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    iv_size: usize,
    key_size: usize,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: u32,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    result: Verdict,
}

/// AES-GCM of every suite that has it.
///
/// # Panics
/// On a wrong verdict or output.
pub fn aes_gcm(provider: &dyn Provider) {
    check(provider, "aes_gcm", &[1, 2]);
}

/// ChaCha20-Poly1305 of every suite that has it.
///
/// # Panics
/// On a wrong verdict or output.
pub fn chacha20_poly1305(provider: &dyn Provider) {
    check(provider, "chacha20_poly1305", &[3]);
}

fn check(provider: &dyn Provider, name: &str, hpke_ids: &[u16]) {
    let Some(file) = load::<File<Group>>(&format!("wycheproof/{name}.json")) else { return };
    let mut suites = one_of_each(provider, |suite| suite.hpke_aead_id());
    suites.retain(|suite| hpke_ids.contains(&suite.hpke_aead_id()));
    assert!(!suites.is_empty());
    for suite in suites {
        let groups = file.groups.iter().filter(|group| group.key_size == 8 * suite.aead_key_len());
        let met: usize = groups.map(|group| check_group(suite, group)).sum();
        assert!(met > 100, "{met} tests");
    }
}

fn check_group(suite: &dyn Suite, group: &Group) -> usize {
    for test in &group.tests {
        if group.iv_size == 8 * suite.aead_nonce_len() {
            check_test(suite, test);
        } else {
            check_nonce_is_refused(suite, test);
        }
    }
    group.tests.len()
}

fn check_test(suite: &dyn Suite, test: &Test) {
    let sealed = [&*test.ct, &*test.tag].concat();
    let mut buffer = sealed.clone();
    let opened = suite.aead_open(&test.key, &test.iv, &test.aad, &mut buffer);
    if test.result == Verdict::Invalid {
        assert_eq!(opened, Err(CryptoError::Open), "tc{}", test.tc_id);
        return;
    }
    assert_eq!((opened, buffer.as_slice()), (Ok(()), &*test.msg), "tc{}", test.tc_id);
    suite.aead_seal(&test.key, &test.iv, &test.aad, &mut buffer).unwrap();
    assert_eq!(buffer, sealed, "tc{}", test.tc_id);
}

fn check_nonce_is_refused(suite: &dyn Suite, test: &Test) {
    let mut buffer = [&*test.ct, &*test.tag].concat();
    let opened = suite.aead_open(&test.key, &test.iv, &test.aad, &mut buffer);
    assert_eq!(opened, Err(CryptoError::Open), "tc{}", test.tc_id);
    let sealed = suite.aead_seal(&test.key, &test.iv, &test.aad, &mut buffer);
    assert_eq!(sealed, Err(CryptoError::WrongLength), "tc{}", test.tc_id);
}
