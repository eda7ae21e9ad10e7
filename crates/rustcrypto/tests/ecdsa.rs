//! What this provider promises for ECDSA beyond the interface: deterministic nonces and a low `S`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test")]

use keyroom_crypto::{Provider, Suite};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_vectors::{Hex, rng};
use keyroom_wire::CipherSuite;

fn suites() -> [&'static dyn Suite; 2] {
    [CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256, CipherSuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384]
        .map(|suite| RUSTCRYPTO.suite(suite).unwrap())
}

/// The content of the second integer of a DER signature.
fn s_of(signature: &[u8]) -> &[u8] {
    let r_length = usize::from(signature[3]);
    &signature[4 + r_length + 2..]
}

#[test]
fn signatures_do_not_depend_on_the_rng() {
    for suite in suites() {
        let signer = suite.signer(suite.generate_signature_key(&mut rng(1)).unwrap().expose()).unwrap();
        assert_eq!(signer.sign(b"message", &mut rng(2)).unwrap(), signer.sign(b"message", &mut rng(3)).unwrap());
    }
}

#[test]
fn the_nonce_is_that_of_rfc_6979() {
    let private: Hex = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721".parse().unwrap();
    let signature = suites()[0].signer(&private).unwrap().sign(b"sample", &mut rng(1)).unwrap();
    // RFC 6979 A.2.5, SHA-256; S is the order less the S printed there, which is the high one.
    let r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    let s = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
    let expected: Hex = format!("3045022100{r}0220{s}").parse().unwrap();
    assert_eq!(signature.as_slice(), &*expected);
}

#[test]
fn s_is_in_the_lower_half() {
    for suite in suites() {
        let signer = suite.signer(suite.generate_signature_key(&mut rng(1)).unwrap().expose()).unwrap();
        for number in 0..32u8 {
            let signature = signer.sign(&[number], &mut rng(2)).unwrap();
            // Both orders begin with 32 one-bits: what is in the upper half needs a further zero byte.
            assert!(s_of(signature.as_slice()).len() <= suite.kem().private_key_len());
        }
    }
}
