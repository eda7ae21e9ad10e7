//! Section B: keys, signatures and ciphertexts that a suite must refuse.

use keyroom_crypto::labels;
use keyroom_insider::Alter;
use keyroom_wire::{CipherSuite, Content, Encode, HpkePublicKey, KeyPackage, Sender, WireFormat};

use crate::book::{Book, Trial};
use crate::stage::{BOB, DANA, Stage, add, bytes, remove, resigned};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    signatures(book, stage);
    keys(book, stage);
}

fn signatures(book: &mut Book, stage: &Stage) {
    book.add(21, "a message signed under another label", stage, |stage, rng| {
        let honest = stage.public(Sender::Member(BOB), Content::Proposal(remove(DANA)), rng);
        let tbs = honest.content.tbs(WireFormat::PUBLIC_MESSAGE, &stage.bob().group.context().to_bytes());
        let mut auth = honest.auth.clone();
        auth.signature = labels::sign_with_label(stage.bob_signer(), "LeafNodeTBS", &tbs, rng).unwrap();
        let bad = stage.bob().tagged(honest.content.clone(), auth);
        Trial::proposal(bytes(bad), bytes(honest))
    });
    book.add(21, "a message signed without the prefix of the protocol", stage, |stage, rng| {
        let honest = stage.public(Sender::Member(BOB), Content::Proposal(remove(DANA)), rng);
        let tbs = honest.content.tbs(WireFormat::PUBLIC_MESSAGE, &stage.bob().group.context().to_bytes());
        let mut auth = honest.auth.clone();
        auth.signature = stage.bob_signer().sign(&tbs, rng).unwrap();
        let bad = stage.bob().tagged(honest.content.clone(), auth);
        Trial::proposal(bytes(bad), bytes(honest))
    });
    if stage.suite.cipher_suite() == CipherSuite(1) {
        book.add(26, "an Ed25519 signature whose S is not reduced", stage, |stage, rng| {
            let change = Alter {
                signature: Some(Box::new(|signature| *signature = unreduced(signature.as_slice()).into())),
                ..Alter::default()
            };
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
    if stage.suite.cipher_suite() == CipherSuite(2) {
        book.always(27, "an ECDSA signature that is not strict DER", stage, |stage, rng| {
            let change = Alter {
                signature: Some(Box::new(|signature| *signature = long_form(signature.as_slice()).into())),
                ..Alter::default()
            };
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
        curve_points(book, stage);
    }
}

/// Adds the order of the group to S.
fn unreduced(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut out = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in out[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    out
}

/// The length of the sequence in two bytes where one does.
fn long_form(signature: &[u8]) -> Vec<u8> {
    assert_eq!(signature[0], 0x30);
    [&[0x30, 0x81, signature[1]], &signature[2..]].concat()
}

fn keys(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut KeyPackage);
    let changes: [(&str, Change); 4] = [
        ("an init key without its last byte", |p| p.init_key = cut(&p.init_key)),
        ("an init key of no bytes", |p| p.init_key = Vec::new().into()),
        ("an encryption key without its last byte", |p| {
            p.leaf_node.encryption_key = cut(&p.leaf_node.encryption_key);
        }),
        ("an encryption key with a byte more", |p| {
            p.leaf_node.encryption_key = [p.leaf_node.encryption_key.as_slice(), &[0]].concat().into();
        }),
    ];
    for (what, change) in changes {
        book.add(24, &format!("{what}, in an Add"), stage, |stage, rng| key_package(stage, change, rng));
    }
    book.add(25, "a signature key without its last byte, in an Add", stage, |stage, rng| {
        key_package(
            stage,
            |p| {
                let key = p.leaf_node.signature_key.as_slice();
                p.leaf_node.signature_key = key[..key.len() - 1].into();
            },
            rng,
        )
    });
}

fn curve_points(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut KeyPackage);
    let changes: [(&str, Change); 3] = [
        ("an init key off the curve", |p| {
            let mut key = p.init_key.as_slice().to_vec();
            *key.last_mut().unwrap() ^= 1;
            p.init_key = key.into();
        }),
        ("a compressed init key", |p| {
            let key = p.init_key.as_slice();
            p.init_key = [&[2 + (key[64] & 1)], &key[1..33]].concat().into();
        }),
        ("the point at infinity as init key", |p| p.init_key = vec![0].into()),
    ];
    for (what, change) in changes {
        book.always(23, &format!("{what}, in an Add"), stage, |stage, rng| key_package(stage, change, rng));
    }
}

fn key_package(stage: &Stage, change: fn(&mut KeyPackage), rng: &mut dyn keyroom_crypto::CryptoRng) -> Trial {
    let gina = stage.outsider("gina", rng);
    let bad = vec![add(&resigned(&gina, change, rng))];
    Trial::commit(stage.commit(bad, rng), stage.commit(vec![add(&gina.bundle.key_package)], rng))
}

fn cut(key: &HpkePublicKey) -> HpkePublicKey {
    let key = key.as_slice();
    key[..key.len() - 1].to_vec().into()
}
