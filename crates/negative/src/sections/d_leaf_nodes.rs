//! Section D: leaf nodes, in an Add, an Update or a path.

use keyroom_crypto::{CryptoRng, labels};
use keyroom_insider::Alter;
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, Encode, ExtensionType, KeyPackage, LeafNode, LeafNodeSource, Lifetime,
    ProposalType, ProtocolVersion,
};

use super::{extensions, required};
use crate::book::{Book, Trial};
use crate::stage::{BOB, DANA, KNOWN_EXTENSION, KNOWN_PROPOSAL, Stage, add, lifetime, resigned};

type Change = fn(&mut LeafNode);

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    signatures(book, stage);
    sources(book, stage);
    if stage.suite.cipher_suite() == CipherSuite(1) {
        requirements(book);
    }
    own_capabilities(book, stage);
    credentials(book, stage);
    lifetimes(book, stage);
    unique_keys(book, stage);
    book.add(70, "an external_senders extension in a leaf", stage, |stage, rng| {
        added(stage, |leaf| leaf.extensions = extensions(&[(ExtensionType::EXTERNAL_SENDERS, b"\0")]), |_| {}, rng)
    });
}

/// Bob adds a client whose leaf has been altered and signed again.
fn added(stage: &Stage, change: Change, twin: Change, rng: &mut dyn CryptoRng) -> Trial {
    let gina = stage.outsider("gina", rng);
    let bad = resigned(&gina, |package| change(&mut package.leaf_node), rng);
    let good = resigned(&gina, |package| twin(&mut package.leaf_node), rng);
    Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(vec![add(&good)], rng))
}

fn path<'a>(parts: impl Fn(&mut keyroom_mls::leaf_node::LeafNodeParts) + 'a) -> Alter<'a> {
    Alter { parts: Some(Box::new(parts)), ..Alter::default() }
}

fn signatures(book: &mut Book, stage: &Stage) {
    book.add(47, "an Add with a leaf that is not signed as it stands", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let mut bad = gina.bundle.key_package.clone();
        bad.leaf_node.credential = Credential::basic(&b"alice"[..]);
        bad.signature = labels::sign_with_label(gina.client.signer.as_ref(), "KeyPackageTBS", &bad.tbs(), rng).unwrap();
        let good = vec![add(&gina.bundle.key_package)];
        Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(good, rng))
    });
    book.add(47, "a path with a leaf that is not signed as it stands", stage, |stage, rng| {
        let change = Alter {
            leaf: Some(Box::new(|leaf| leaf.credential = Credential::basic(&b"alice"[..]))),
            ..Alter::default()
        };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(48, "a path whose leaf is signed for another place", stage, |stage, rng| {
        let change = Alter { leaf_index: Some(DANA), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(48, "an Add whose leaf is signed for a place in a group", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let mut bad = gina.bundle.key_package.clone();
        let group_id = stage.members[0].group.group_id();
        let signer = gina.client.signer.as_ref();
        let mut tbs = bad.leaf_node.tbs(None);
        group_id.encode(&mut tbs);
        BOB.encode(&mut tbs);
        bad.leaf_node.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, rng).unwrap();
        bad.signature = labels::sign_with_label(signer, "KeyPackageTBS", &bad.tbs(), rng).unwrap();
        let good = vec![add(&gina.bundle.key_package)];
        Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(good, rng))
    });
}

fn sources(book: &mut Book, stage: &Stage) {
    book.add(49, "an Add with a leaf made for an Update", stage, |stage, rng| {
        added(stage, |leaf| leaf.leaf_node_source = LeafNodeSource::Update, |_| {}, rng)
    });
    book.add(49, "an Add with a leaf made for a commit", stage, |stage, rng| {
        let source = |leaf: &mut LeafNode| {
            leaf.leaf_node_source = LeafNodeSource::Commit { parent_hash: Vec::new().into() };
        };
        added(stage, source, |_| {}, rng)
    });
    for (what, source) in [
        ("made for a key package", LeafNodeSource::KeyPackage(lifetime())),
        ("made for a commit", LeafNodeSource::Commit { parent_hash: Vec::new().into() }),
    ] {
        book.add(50, &format!("an Update with a leaf {what}"), stage, |stage, rng| {
            update(stage, |leaf| leaf.leaf_node_source = source.clone(), rng)
        });
    }
    for (what, source) in
        [("an Update", LeafNodeSource::Update), ("a key package", LeafNodeSource::KeyPackage(lifetime()))]
    {
        book.add(51, &format!("a path with a leaf made for {what}"), stage, |stage, rng| {
            let change = path(|parts| parts.leaf_node_source = source.clone());
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
}

/// Dana proposes an Update and Bob commits it; her leaf is altered before she signs it.
pub(super) fn update(stage: &Stage, change: impl FnOnce(&mut LeafNode), rng: &mut dyn CryptoRng) -> Trial {
    let good = stage.update_of(DANA, rng);
    let mut bad = good.clone();
    change(&mut bad);
    let (bad, bad_commit) = proposed_update(stage, bad, rng);
    let (good, good_commit) = proposed_update(stage, good, rng);
    Trial::commit(bad_commit, good_commit).naming(vec![bad], vec![good])
}

fn proposed_update(stage: &Stage, leaf: LeafNode, rng: &mut dyn CryptoRng) -> (Vec<u8>, Vec<u8>) {
    let leaf = match leaf.leaf_node_source {
        LeafNodeSource::KeyPackage(_) => {
            let mut leaf = leaf;
            let tbs = leaf.tbs(None);
            let signer = stage.members[2].client.signer.as_ref();
            leaf.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, rng).unwrap();
            leaf
        }
        _ => stage.sign_leaf(leaf, DANA, rng),
    };
    super::h_proposals::proposed_and_committed(stage, keyroom_wire::Proposal::Update { leaf_node: Box::new(leaf) }, rng)
}

/// In groups that require something, or use an extension.
fn requirements(book: &mut Book) {
    let stages = [
        (52, "extension type", required(Some(KNOWN_EXTENSION.0), None, None)),
        (53, "proposal type", required(None, Some(KNOWN_PROPOSAL.0), None)),
        (54, "credential type", required(None, None, Some(CredentialType::X509.0))),
    ];
    for (row, what, required) in stages {
        let data = required.to_bytes();
        let stage = Stage::new(1, extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &data)]));
        let change: Change = match row {
            52 => |leaf| leaf.capabilities.extensions.clear(),
            53 => |leaf| leaf.capabilities.proposals.clear(),
            _ => |leaf| leaf.capabilities.credentials = vec![CredentialType::BASIC],
        };
        book.add(row, &format!("an Add without a required {what}"), &stage, |stage, rng| {
            added(stage, change, |_| {}, rng)
        });
        book.add(row, &format!("a path without a required {what}"), &stage, |stage, rng| {
            let change = path(|parts| {
                let mut leaf = stage.leaf(BOB);
                change(&mut leaf);
                parts.capabilities = leaf.capabilities;
            });
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
    let stage = Stage::new(1, extensions(&[(KNOWN_EXTENSION, b"data")]));
    book.add(55, "an Add without an extension that the group uses", &stage, |stage, rng| {
        added(stage, |leaf| leaf.capabilities.extensions.clear(), |_| {}, rng)
    });
    book.add(55, "a path without an extension that the group uses", &stage, |stage, rng| {
        let change = path(|parts| parts.capabilities.extensions.clear());
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
}

fn own_capabilities(book: &mut Book, stage: &Stage) {
    let changes: [(u16, &str, Change); 6] = [
        (56, "without the protocol version of the group", |l| l.capabilities.versions = vec![ProtocolVersion(7)]),
        (56, "without the cipher suite of the group", |l| l.capabilities.cipher_suites = vec![CipherSuite(7)]),
        (59, "without the type of its own credential", |l| {
            l.capabilities.credentials = vec![CredentialType::X509];
        }),
        (60, "with an extension that it does not list", |l| {
            l.extensions = extensions(&[(ExtensionType(0xf102), b"")]);
        }),
        (61, "that lists a default extension type", |l| {
            l.capabilities.extensions.push(ExtensionType::REQUIRED_CAPABILITIES);
        }),
        (61, "that lists a default proposal type", |l| l.capabilities.proposals.push(ProposalType::ADD)),
    ];
    for (row, what, change) in changes {
        book.add(row, &format!("an Add of a leaf {what}"), stage, |stage, rng| added(stage, change, |_| {}, rng));
        if row == 59 || row == 60 {
            book.add(row, &format!("a path with a leaf {what}"), stage, |stage, rng| {
                let change = path(|parts| {
                    let mut leaf = stage.leaf(BOB);
                    change(&mut leaf);
                    parts.capabilities = leaf.capabilities;
                    parts.extensions = leaf.extensions;
                });
                Trial::commit(stage.altered(&change, rng), stage.honest(rng))
            });
        }
    }
}

fn credentials(book: &mut Book, stage: &Stage) {
    book.add(57, "an Add with a credential type that only the newcomer supports", stage, |stage, rng| {
        let change = |leaf: &mut LeafNode| {
            let credential_type = CredentialType(0xf103);
            leaf.credential = Credential::Other { credential_type, body: b"x"[..].into() };
            leaf.capabilities.credentials.push(credential_type);
        };
        added(stage, change, |_| {}, rng)
    });
    book.add(58, "an Add of a client that does not support the credentials in use", stage, |stage, rng| {
        let x509 = |leaf: &mut LeafNode| leaf.credential = Credential::X509 { certificates: vec![b"x"[..].into()] };
        let change = |leaf: &mut LeafNode| {
            leaf.credential = Credential::X509 { certificates: vec![b"x"[..].into()] };
            leaf.capabilities.credentials = vec![CredentialType::X509];
        };
        added(stage, change, x509, rng)
    });
}

fn lifetimes(book: &mut Book, stage: &Stage) {
    let cases: [(u16, &str, u64, u64); 4] = [
        (63, "that ended in 2001", 0, 1_000_000_000),
        (63, "that begins in 2090", 3_786_912_000, 4_102_444_800),
        (64, "of half a thousand million years", 0, u64::MAX),
        (65, "that ends before it begins", 4_102_444_800, 0),
    ];
    for (row, what, not_before, not_after) in cases {
        book.add(row, &format!("an Add with a lifetime {what}"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let change = |package: &mut KeyPackage| {
                package.leaf_node.leaf_node_source = LeafNodeSource::KeyPackage(Lifetime { not_before, not_after });
            };
            let bad = resigned(&gina, change, rng);
            let good = vec![add(&gina.bundle.key_package)];
            Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(good, rng))
        });
    }
}

fn unique_keys(book: &mut Book, stage: &Stage) {
    book.add(66, "an Add with the signature key of another member", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let dana = &stage.members[2].client;
        let mut bad = gina.bundle.key_package.clone();
        bad.leaf_node.signature_key = dana.signer.public_key().clone();
        let bad = keyroom_insider::resigned(bad, dana, rng);
        let good = vec![add(&gina.bundle.key_package)];
        Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(good, rng))
    });
    let dana = stage.leaf(DANA).encryption_key;
    let mut same_key = |row, what: &str, key: Vec<u8>| {
        book.add(row, what, stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let bad = resigned(&gina, |package| package.leaf_node.encryption_key = key.clone().into(), rng);
            let good = vec![add(&gina.bundle.key_package)];
            Trial::commit(stage.commit(vec![add(&bad)], rng), stage.commit(good, rng))
        });
    };
    same_key(67, "an Add with the encryption key of another member", dana.as_slice().to_vec());
    same_key(68, "an Add with the key of a parent node as encryption key", parent_aside(stage));
    book.add(67, "a path whose leaf has the encryption key of another member", stage, |stage, rng| {
        let key = stage.leaf(DANA).encryption_key;
        let change = path(|parts| parts.encryption_key = key.clone());
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(69, "an Update with the old encryption key", stage, |stage, rng| {
        let old = stage.leaf(DANA).encryption_key;
        update(stage, |leaf| leaf.encryption_key = old, rng)
    });
    book.add(67, "an Update with the encryption key of another member", stage, |stage, rng| {
        let other = stage.leaf(crate::stage::ALICE).encryption_key;
        update(stage, |leaf| leaf.encryption_key = other, rng)
    });
}

/// The key of a parent that Bob's path does not replace.
pub(super) fn parent_aside(stage: &Stage) -> Vec<u8> {
    let tree = stage.members[0].group.tree();
    let found = tree.parents().map(Result::unwrap).find(|(node, _)| !node.covers(BOB));
    found.expect("a parent off Bob's path").1.encryption_key.to_vec()
}
