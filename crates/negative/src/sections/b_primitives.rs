//! Section B: keys, signatures and ciphertexts that a suite must refuse.

use keyroom_crypto::labels;
use keyroom_insider::Alter;
use keyroom_wire::{
    CipherSuite, Content, Encode, HpkeCiphertext, HpkePublicKey, KeyPackage, MlsMessage, Opaque, PrivateMessage,
    Sender, UpdatePath, Welcome, WireFormat,
};

use super::flip;
use super::m_welcomes::Invitation;
use crate::book::{Book, Trial};
use crate::forged::Forged;
use crate::stage::{BOB, DANA, Stage, add, bytes, remove, resigned};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    signatures(book, stage);
    keys(book, stage);
    if stage.suite.kem().id() == 0x0020 {
        small_orders(book, stage);
    }
    unopened(book, stage);
    unknown_suites(book, stage);
}

/// Points of Curve25519 with which every shared secret is zero.
fn small_orders(book: &mut Book, stage: &Stage) {
    let mut eighth = [0; 32];
    eighth.copy_from_slice(&[
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0,
    ]);
    for (what, point) in [("zero", [0; 32]), ("a point of order eight", eighth)] {
        book.add(22, &format!("{what} as encryption key, in an Add"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let bad = resigned(&gina, |package| package.leaf_node.encryption_key = point.to_vec().into(), rng);
            let good = stage.commit(vec![add(&gina.bundle.key_package)], rng);
            Trial::commit(stage.commit(vec![add(&bad)], rng), good)
        });
        book.add(22, &format!("{what} as init key, in an Add"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let bad = resigned(&gina, |package| package.init_key = point.to_vec().into(), rng);
            let good = stage.commit(vec![add(&gina.bundle.key_package)], rng);
            Trial::commit(stage.commit(vec![add(&bad)], rng), good)
        });
        book.add(22, &format!("{what} as the key of a path's leaf"), stage, |stage, rng| {
            let parts = move |parts: &mut keyroom_mls::leaf_node::LeafNodeParts| {
                parts.encryption_key = point.to_vec().into();
            };
            let change = Alter { parts: Some(Box::new(parts)), ..Alter::default() };
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
        book.add(22, &format!("{what} as encapsulation of path secrets"), stage, |stage, rng| {
            let change = sealed(move |sealed| sealed.kem_output = point.to_vec().into());
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
}

/// A change of all path secrets on their way.
fn sealed(change: impl Fn(&mut HpkeCiphertext) + 'static) -> Alter<'static> {
    let path = move |path: &mut UpdatePath| {
        path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret).for_each(&change);
    };
    Alter { path: Some(Box::new(path)), ..Alter::default() }
}

/// What neither an AEAD nor HPKE opens.
fn unopened(book: &mut Book, stage: &Stage) {
    book.add(28, "a private message with a bit changed in the middle of its content", stage, |stage, rng| {
        let good = Forged::by(BOB, b"text").make(&stage.bob(), rng);
        // Beyond the sample to which the sender data are bound.
        let ciphertext = flip(good.ciphertext.as_slice(), good.ciphertext.len() / 2 + 20).into();
        let bad = PrivateMessage { ciphertext, ..good.clone() };
        let bytes = |message| MlsMessage::PrivateMessage(message).to_bytes();
        Trial::application(bytes(bad), bytes(good))
    });
    book.add(28, "a private message with the last bit of its sender data changed", stage, |stage, rng| {
        let good = Forged::by(BOB, b"text").make(&stage.bob(), rng);
        let sender = good.encrypted_sender_data.as_slice();
        let bad = PrivateMessage { encrypted_sender_data: flip(sender, sender.len() - 1).into(), ..good.clone() };
        let bytes = |message| MlsMessage::PrivateMessage(message).to_bytes();
        Trial::application(bytes(bad), bytes(good))
    });
    book.add(29, "path secrets whose tags have a bit changed", stage, |stage, rng| {
        let change = sealed(|sealed| {
            let ciphertext = sealed.ciphertext.as_slice();
            sealed.ciphertext = flip(ciphertext, ciphertext.len() - 1).into();
        });
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(29, "path secrets of no bytes, not even a tag", stage, |stage, rng| {
        let change = sealed(|sealed| sealed.ciphertext = Opaque::default());
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(29, "group secrets whose tag has a bit changed", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let change = |welcome: &mut Welcome| {
            let sealed = &mut welcome.secrets[0].encrypted_group_secrets;
            sealed.ciphertext = flip(sealed.ciphertext.as_slice(), sealed.ciphertext.len() - 1).into();
        };
        Trial::welcome(invitation.changed(change, rng), invitation.honest(rng))
    });
}

fn unknown_suites(book: &mut Book, stage: &Stage) {
    const UNKNOWN: CipherSuite = CipherSuite(0xf00f);
    book.add(32, "a Welcome of a cipher suite that nobody knows", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let bad = invitation.changed(|welcome| welcome.cipher_suite = UNKNOWN, rng);
        Trial::welcome(bad, invitation.honest(rng))
    });
    book.add(32, "an Add of a key package of a cipher suite that nobody knows", stage, |stage, rng| {
        key_package(stage, |package| package.cipher_suite = UNKNOWN, rng)
    });
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
