use keyroom_crypto::{CryptoError, Provider, Suite, VerifyJob};
use serde::Deserialize;

use super::{File, Verdict};
use crate::one_of_each::{one_of_each, signature_scheme};
use crate::{Hex, load};

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "publicKey")]
    public_key: PublicKey,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct PublicKey {
    #[serde(alias = "uncompressed", alias = "pk")]
    bytes: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: u32,
    msg: Hex,
    sig: Hex,
    result: Verdict,
}

/// EdDSA or ECDSA of every suite, one by one and as a batch of one.
///
/// # Panics
/// On a wrong verdict.
pub fn signature(provider: &dyn Provider) {
    for suite in one_of_each(provider, signature_scheme) {
        let file = match signature_scheme(suite) {
            "Ed25519" => "ed25519",
            "Ed448" => "ed448",
            "P256" => "ecdsa_secp256r1_sha256",
            "P384" => "ecdsa_secp384r1_sha384",
            "P521" => "ecdsa_secp521r1_sha512",
            _ => continue,
        };
        check(suite, file);
    }
}

fn check(suite: &dyn Suite, name: &str) {
    let Some(file) = load::<File<Group>>(&format!("wycheproof/{name}.json")) else { return };
    for group in &file.groups {
        let key = &group.public_key.bytes;
        for test in &group.tests {
            let verified = suite.verify(key, &test.msg, &test.sig);
            let expected = if test.result == Verdict::Valid { Ok(()) } else { Err(CryptoError::InvalidSignature) };
            assert_eq!(verified, expected, "{name} tc{}", test.tc_id);
            let job = VerifyJob { public_key: key, message: &test.msg, signature: &test.sig };
            assert_eq!(suite.verify_many(&[job]).is_ok(), verified.is_ok(), "{name} tc{}", test.tc_id);
        }
    }
    assert!(file.groups.len() > 10);
}
