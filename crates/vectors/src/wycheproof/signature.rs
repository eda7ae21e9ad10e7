use keyroom_crypto::{CryptoError, Provider, VerifyJob};
use keyroom_wire::CipherSuite;
use serde::Deserialize;

use super::{File, Verdict};
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

/// The signature scheme of every suite, one by one and as a batch of one.
///
/// # Panics
/// On a wrong verdict.
pub fn signature(provider: &dyn Provider) {
    for suite in provider.suites() {
        let name = match suite.cipher_suite() {
            CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256 => "ecdsa_secp256r1_sha256",
            CipherSuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384 => "ecdsa_secp384r1_sha384",
            CipherSuite::MLS_256_DHKEMP521_AES256GCM_SHA512_P521 => "ecdsa_secp521r1_sha512",
            CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519
            | CipherSuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519 => "ed25519",
            _ => continue,
        };
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
        assert!(file.groups.len() > 50);
    }
}
