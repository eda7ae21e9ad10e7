//! Section E: key packages, in an Add and as a client reads them before it adds somebody.

use keyroom_crypto::CryptoRng;
use keyroom_wire::{CipherSuite, Encode, ExtensionType, KeyPackage, LeafNodeSource, MlsMessage, ProtocolVersion};

use super::{extensions, flip};
use crate::book::{Book, Trial};
use crate::stage::{Stage, add, resigned};

type Change = fn(&mut KeyPackage);

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    let changes: [(u16, &str, Change); 7] = [
        (72, "of another protocol version", |p| p.version = ProtocolVersion(2)),
        (72, "of another cipher suite", |p| p.cipher_suite = other_suite(p.cipher_suite)),
        (73, "with a leaf made for an Update", |p| p.leaf_node.leaf_node_source = LeafNodeSource::Update),
        (75, "with one key as init key and encryption key", |p| p.init_key = p.leaf_node.encryption_key.clone()),
        (78, "with an external_pub extension", |p| {
            p.extensions = extensions(&[(ExtensionType::EXTERNAL_PUB, b"\0")]);
        }),
        (78, "with a ratchet_tree extension", |p| {
            p.extensions = extensions(&[(ExtensionType::RATCHET_TREE, b"\0")]);
        }),
        (232, "with one extension twice", |p| {
            p.leaf_node.capabilities.extensions.push(ExtensionType(0xf104));
            let one = (ExtensionType(0xf104), &b"x"[..]);
            p.extensions = extensions(&[one, one]);
        }),
    ];
    for (row, what, change) in changes {
        book.add(row, &format!("an Add of a key package {what}"), stage, |stage, rng| in_commit(stage, change, rng));
        book.add(row, &format!("a key package {what}"), stage, |stage, rng| alone(stage, change, rng));
    }
    signature(book, stage);
    for (what, not_before, not_after) in
        [("whose lifetime is over", 0, 1), ("whose lifetime has not begun", 4_102_444_799, 4_102_444_800)]
    {
        book.add(62, &format!("a key package {what}"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let lifetime = keyroom_wire::Lifetime { not_before, not_after };
            let source = LeafNodeSource::KeyPackage(lifetime);
            let bad = resigned(&gina, |package| package.leaf_node.leaf_node_source = source, rng);
            let bytes = |package: KeyPackage| MlsMessage::KeyPackage(package).to_bytes();
            Trial::key_package(bytes(bad), bytes(gina.bundle.key_package))
        });
    }
    book.add(76, "a key package of another version than its message", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let good = MlsMessage::KeyPackage(gina.bundle.key_package.clone()).to_bytes();
        let other = resigned(&gina, |package| package.version = ProtocolVersion(0x0a0a), rng);
        Trial::key_package(MlsMessage::KeyPackage(other).to_bytes(), good)
    });
}

fn signature(book: &mut Book, stage: &Stage) {
    let broken = |package: &KeyPackage| KeyPackage {
        signature: flip(package.signature.as_slice(), 9).into(),
        ..package.clone()
    };
    book.add(74, "an Add of a key package with a wrong signature", stage, |stage, rng| {
        let package = stage.outsider("gina", rng).bundle.key_package;
        Trial::commit(stage.commit(vec![add(&broken(&package))], rng), stage.commit(vec![add(&package)], rng))
    });
    book.add(74, "a key package with a wrong signature", stage, |stage, rng| {
        let package = stage.outsider("gina", rng).bundle.key_package;
        let bytes = |package: KeyPackage| MlsMessage::KeyPackage(package).to_bytes();
        Trial::key_package(bytes(broken(&package)), bytes(package))
    });
}

fn in_commit(stage: &Stage, change: Change, rng: &mut dyn CryptoRng) -> Trial {
    let gina = stage.outsider("gina", rng);
    let bad = resigned(&gina, change, rng);
    Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(vec![add(&gina.bundle.key_package)], rng))
}

fn alone(stage: &Stage, change: Change, rng: &mut dyn CryptoRng) -> Trial {
    let gina = stage.outsider("gina", rng);
    let bad = resigned(&gina, change, rng);
    let bytes = |package: KeyPackage| MlsMessage::KeyPackage(package).to_bytes();
    Trial::key_package(bytes(bad), bytes(gina.bundle.key_package))
}

/// A suite with keys of the same form.
fn other_suite(suite: CipherSuite) -> CipherSuite {
    CipherSuite(if suite.0 == 1 { 3 } else { 1 })
}
