//! Signatures that only a malicious signer makes: both providers must give the same verdict, that of
//! the cofactorless equation behind the byte filter.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test")]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use keyroom_awslc::AWSLC;
use keyroom_crypto::Provider;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::CipherSuite;
use sha2::{Digest, Sha512};

fn secret() -> Scalar {
    Scalar::from_bytes_mod_order([0x37; 32])
}

fn nonce() -> Scalar {
    Scalar::from_bytes_mod_order([0x59; 32])
}

/// What both providers say; they must agree, also in a batch.
fn verdict(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let verdicts = [&AWSLC as &dyn Provider, &RUSTCRYPTO].map(|provider| {
        let suite = provider.suite(CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519).unwrap();
        let single = suite.verify(public, message, signature).is_ok();
        let job = keyroom_crypto::VerifyJob { public_key: public, message, signature };
        assert_eq!(suite.verify_many(&[job; 100]).is_ok(), single);
        single
    });
    assert_eq!(verdicts[0], verdicts[1]);
    verdicts[0]
}

fn challenge(r: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// A signature with this R and key as they are encoded, and S = nonce + challenge · secret.
fn sign(r: &[u8; 32], nonce: Scalar, public: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let s = nonce + challenge(r, public, message) * secret();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

fn bytes(point: EdwardsPoint) -> [u8; 32] {
    point.compress().0
}

/// Encodings of small order that are not canonical: y from p up, and x = 0 with a sign.
fn non_canonical() -> Vec<[u8; 32]> {
    let near_p = |first, last| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    vec![one, near_p(0xec, 0xff), near_p(0xed, 0x7f), near_p(0xed, 0xff), near_p(0xee, 0x7f), near_p(0xee, 0xff)]
}

#[test]
fn an_honest_signature_is_accepted() {
    let (r, public) = (bytes(nonce() * B), bytes(secret() * B));
    assert!(verdict(&public, b"message", &sign(&r, nonce(), &public, b"message")));
}

#[test]
fn an_r_with_a_low_order_part_is_refused() {
    let public = bytes(secret() * B);
    for torsion in &EIGHT_TORSION[1..] {
        let r = bytes(nonce() * B + torsion);
        assert!(!verdict(&public, b"message", &sign(&r, nonce(), &public, b"message")));
    }
}

#[test]
fn a_key_with_a_low_order_part_is_judged_by_the_equation_without_cofactor() {
    for torsion in &EIGHT_TORSION[1..] {
        let (r, public) = (bytes(nonce() * B), bytes(secret() * B + torsion));
        let mut accepted = 0;
        for message in 0..64u8 {
            let residue = challenge(&r, &public, &[message]) * torsion;
            let expected = residue == EdwardsPoint::identity();
            assert_eq!(verdict(&public, &[message], &sign(&r, nonce(), &public, &[message])), expected);
            accepted += usize::from(expected);
        }
        assert!(accepted > 0 && accepted < 64, "{accepted} of 64: both cases must occur");
    }
}

#[test]
fn the_identity_as_r_is_accepted_in_its_canonical_encoding_only() {
    let public = bytes(secret() * B);
    let canonical = bytes(EdwardsPoint::identity());
    assert!(verdict(&public, b"message", &sign(&canonical, Scalar::ZERO, &public, b"message")));
    for r in non_canonical() {
        assert!(!verdict(&public, b"message", &sign(&r, Scalar::ZERO, &public, b"message")));
    }
}

#[test]
fn a_key_of_small_order_is_refused_in_every_encoding() {
    let keys = EIGHT_TORSION.iter().copied().map(bytes).chain(non_canonical());
    for public in keys {
        for message in 0..16u8 {
            for torsion in EIGHT_TORSION {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&bytes(torsion));
                assert!(!verdict(&public, &[message], &signature));
            }
        }
    }
}

#[test]
fn the_filter_and_the_curve_agree_on_what_a_canonical_encoding_is() {
    let near_p = (0..=255u8).flat_map(|first| {
        [0x7f, 0xff].map(|last| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (first, last);
            bytes
        })
    });
    let small = (0..=255u8).flat_map(|first| {
        [0, 0x80].map(|last| {
            let mut bytes = [0; 32];
            (bytes[0], bytes[31]) = (first, last);
            bytes
        })
    });
    for encoding in near_p.chain(small).chain(EIGHT_TORSION.map(bytes)) {
        let point = CompressedEdwardsY(encoding).decompress();
        let expected = point.is_some_and(|point| bytes(point) == encoding && !point.is_small_order());
        for provider in [&AWSLC as &dyn Provider, &RUSTCRYPTO] {
            let suite = provider.suite(CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519).unwrap();
            assert_eq!(suite.validate_signature_key(&encoding).is_ok(), expected, "{encoding:02x?}");
        }
    }
}

#[test]
fn batches_of_every_size_name_the_first_bad_signature() {
    let public = bytes(secret() * B);
    let signed: Vec<_> = (0..1_300u16)
        .map(|number| {
            let (nonce, message) = (Scalar::from(number) + nonce(), number.to_be_bytes());
            (message, sign(&bytes(nonce * B), nonce, &public, &message))
        })
        .collect();
    for provider in [&AWSLC as &dyn Provider, &RUSTCRYPTO] {
        let suite = provider.suite(CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519).unwrap();
        let job = |(message, signature)| keyroom_crypto::VerifyJob { public_key: &public, message, signature };
        let mut jobs: Vec<_> = signed.iter().map(|(message, signature)| job((message.as_slice(), signature))).collect();
        for count in [255, 256, 511, 512, 1_025, 1_300] {
            assert_eq!(suite.verify_many(&jobs[..count]), Ok(()), "{count}");
        }
        for bad in [&[1_299][..], &[512, 1_299], &[160, 161, 900], &[0, 1_299]] {
            let good = jobs.clone();
            bad.iter().for_each(|place| jobs[*place].message = b"another");
            assert_eq!(suite.verify_many(&jobs), Err(bad[0]));
            jobs = good;
        }
    }
}
