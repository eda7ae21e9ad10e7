//! `mls/crypto-basics.json` of the MLS working group: the labelled operations.

use keyroom_crypto::{Provider, Suite, labels};
use keyroom_wire::{CipherSuite, HpkeCiphertext};
use serde::Deserialize;

use crate::{Hex, load};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    ref_hash: RefHash,
    expand_with_label: Expand,
    derive_secret: DeriveSecret,
    derive_tree_secret: DeriveTreeSecret,
    sign_with_label: Sign,
    encrypt_with_label: Encrypt,
}

#[derive(Deserialize)]
struct RefHash {
    label: String,
    value: Hex,
    out: Hex,
}

#[derive(Deserialize)]
struct Expand {
    secret: Hex,
    label: String,
    context: Hex,
    length: usize,
    out: Hex,
}

#[derive(Deserialize)]
struct DeriveSecret {
    secret: Hex,
    label: String,
    out: Hex,
}

#[derive(Deserialize)]
struct DeriveTreeSecret {
    secret: Hex,
    label: String,
    generation: u32,
    length: usize,
    out: Hex,
}

#[derive(Deserialize)]
struct Sign {
    #[serde(rename = "priv")]
    private: Hex,
    #[serde(rename = "pub")]
    public: Hex,
    label: String,
    content: Hex,
    signature: Hex,
}

#[derive(Deserialize)]
struct Encrypt {
    #[serde(rename = "priv")]
    private: Hex,
    #[serde(rename = "pub")]
    public: Hex,
    label: String,
    context: Hex,
    plaintext: Hex,
    kem_output: Hex,
    ciphertext: Hex,
}

/// Every suite of the provider agrees with the working group's file.
///
/// # Panics
/// If it does not.
pub fn crypto_basics(provider: &dyn Provider) {
    let Some(cases) = load::<Vec<Case>>("mls/crypto-basics.json") else { return };
    let mut met = 0;
    for case in &cases {
        let Ok(suite) = provider.suite(CipherSuite(case.cipher_suite)) else { continue };
        derivations(suite, case);
        signature(suite, &case.sign_with_label);
        encryption(suite, &case.encrypt_with_label);
        met += 1;
    }
    let covered = provider.suites().iter().filter(|suite| suite.cipher_suite().0 <= 7).count();
    assert_eq!(met, covered, "suites that the file covers");
}

fn derivations(suite: &dyn Suite, case: &Case) {
    let (hash, expand) = (&case.ref_hash, &case.expand_with_label);
    let (derive, tree) = (&case.derive_secret, &case.derive_tree_secret);
    assert_eq!(*labels::ref_hash(suite, &hash.label, &hash.value), *hash.out);
    let out = labels::expand_with_label(suite, &expand.secret, &expand.label, &expand.context, expand.length);
    assert_eq!(out.unwrap().expose(), &*expand.out);
    assert_eq!(labels::derive_secret(suite, &derive.secret, &derive.label).unwrap().expose(), &*derive.out);
    let out = labels::derive_tree_secret(suite, &tree.secret, &tree.label, tree.generation, tree.length);
    assert_eq!(out.unwrap().expose(), &*tree.out);
}

fn signature(suite: &dyn Suite, case: &Sign) {
    let verify = |signature: &[u8]| {
        labels::verify_with_label(suite, &case.public, &case.label, &case.content, signature).unwrap();
    };
    verify(&case.signature);
    let signer = suite.signer(&case.private).unwrap();
    assert_eq!(signer.public_key().as_slice(), &*case.public);
    let own = labels::sign_with_label(&*signer, &case.label, &case.content, &mut crate::rng(1)).unwrap();
    verify(own.as_slice());
}

fn encryption(suite: &dyn Suite, case: &Encrypt) {
    let decrypt = |ciphertext: &HpkeCiphertext| {
        let opened = labels::decrypt_with_label(suite, &case.private, &case.label, &case.context, ciphertext);
        assert_eq!(**opened.unwrap(), *case.plaintext);
    };
    decrypt(&HpkeCiphertext {
        kem_output: case.kem_output.0.clone().into(),
        ciphertext: case.ciphertext.0.clone().into(),
    });
    assert_eq!(suite.kem().public_key(&case.private).unwrap().as_slice(), &*case.public);
    let mut rng = crate::rng(2);
    let own = labels::encrypt_with_label(suite, &case.public, &case.label, &case.context, &case.plaintext, &mut rng);
    decrypt(&own.unwrap());
}
