//! Section K: commits and their paths.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Alter, Insider};
use keyroom_mls::leaf_node::{LeafNodeParts, generate_key_pair};
use keyroom_wire::{ExtensionType, Extensions, HpkePublicKey, LeafNodeSource, Opaque, Sender, UpdatePath};

use super::d_leaf_nodes::parent_aside;
use super::flip;
use super::h_proposals::{group_context, reinit};
use crate::book::{Book, Trial};
use crate::case::Kind;
use crate::forged::Forged;
use crate::stage::{BOB, DANA, READER, Stage, remove};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    missing_paths(book, stage);
    keys(book, stage);
    shapes(book, stage);
    secrets(book, stage);
    parent_hashes(book, stage);
    schedules(book, stage);
    leaves(book, stage);
    after_the_end(book, stage);
    book.add(169, "a commit by a client that proposes its own addition", stage, |stage, rng| {
        let change =
            Alter { content: Some(Box::new(|content| content.sender = Sender::NewMemberProposal)), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
}

fn altered(book: &mut Book, stage: &Stage, row: u16, what: &str, change: &Alter<'_>) {
    book.add(row, what, stage, |stage, rng| Trial::commit(stage.altered(change, rng), stage.honest(rng)));
}

fn missing_paths(book: &mut Book, stage: &Stage) {
    for (what, proposals) in [
        ("without proposals", vec![]),
        ("with a Remove", vec![remove(DANA)]),
        ("with new group extensions", vec![group_context(Extensions::new())]),
    ] {
        book.add(170, &format!("a commit {what} and without a path"), stage, |stage, rng| {
            let change = Alter { without_path: true, ..Alter::default() };
            let bad = stage.made(proposals.clone(), &change, rng).bytes();
            Trial::commit(bad, stage.commit(proposals, rng))
        });
    }
    book.add(185, "a second commit for an epoch", stage, |stage, rng| {
        let first = stage.honest(rng);
        let second = stage.honest(rng);
        // The twin is what a member sends in the epoch that the first commit began.
        let dana = &mut stage.dana_after(&first);
        let signer = dana.client.signer.as_ref();
        let (pending, _) = dana.group.commit().build(signer, &keyroom_insider::now(), rng).unwrap();
        let verdict = pending.questions().accept_unseen();
        let third = pending.message(&verdict).unwrap().to_vec();
        Trial::commit(second, third).after(first)
    });
}

fn keys(book: &mut Book, stage: &Stage) {
    let with = |change: Box<dyn Fn(&mut Vec<HpkePublicKey>)>| Alter { keys: Some(change), ..Alter::default() };
    let own = stage.leaf(BOB).encryption_key;
    let parts = Alter { parts: Some(Box::new(move |parts| parts.encryption_key = own.clone())), ..Alter::default() };
    altered(book, stage, 172, "a path whose leaf keeps its encryption key", &parts);
    let dana = stage.leaf(DANA).encryption_key;
    let change = with(Box::new(move |keys| *keys.last_mut().unwrap() = dana.clone()));
    altered(book, stage, 173, "a path with the key of another leaf", &change);
    let parent = parent_aside(stage);
    let change = with(Box::new(move |keys| *keys.last_mut().unwrap() = parent.clone().into()));
    altered(book, stage, 173, "a path with the key of another parent", &change);
    altered(book, stage, 174, "a path with one key twice", &with(Box::new(|keys| keys[1] = keys[0].clone())));
    let change = with(Box::new(|keys| {
        let key = keys[0].as_slice();
        keys[0] = key[..key.len() - 1].to_vec().into();
    }));
    altered(book, stage, 24, "a path with a key without its last byte", &change);
}

fn path(change: impl Fn(&mut UpdatePath) + 'static) -> Alter<'static> {
    Alter { path: Some(Box::new(change)), ..Alter::default() }
}

fn shapes(book: &mut Book, stage: &Stage) {
    let shorter = path(|path| drop(path.nodes.pop()));
    altered(book, stage, 175, "a path with a node less", &shorter);
    let longer = path(|path| path.nodes.push(path.nodes[0].clone()));
    altered(book, stage, 175, "a path with a node more", &longer);
    altered(book, stage, 175, "a path without nodes", &path(|path| path.nodes.clear()));
    let fewer = path(|path| drop(path.nodes[0].encrypted_path_secret.pop()));
    altered(book, stage, 176, "a path node with a ciphertext less", &fewer);
    let more = path(|path| {
        let one = path.nodes[0].encrypted_path_secret[0].clone();
        path.nodes.last_mut().unwrap().encrypted_path_secret.push(one);
    });
    altered(book, stage, 176, "a path node with a ciphertext more", &more);
}

fn secrets(book: &mut Book, stage: &Stage) {
    let broken = path(|path| {
        for sealed in path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret) {
            sealed.ciphertext = flip(sealed.ciphertext.as_slice(), 3).into();
        }
    });
    altered(book, stage, 177, "path secrets with one bit changed", &broken);
    let none = path(|path| {
        for sealed in path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret) {
            sealed.kem_output = Opaque::default();
        }
    });
    altered(book, stage, 177, "path secrets without encapsulations", &none);
    let secret = |change: fn(&mut Vec<u8>)| Alter {
        secret: Some(Box::new(move |_, secret: &mut Vec<u8>| change(secret))),
        ..Alter::default()
    };
    altered(book, stage, 177, "path secrets with a byte more", &secret(|secret| secret.push(0)));
    altered(book, stage, 177, "path secrets of no bytes", &secret(Vec::clear));
    altered(book, stage, 178, "path secrets that lead to other keys", &secret(|secret| secret.fill(3)));
    let only_reader = Alter {
        secret: Some(Box::new(|recipient, secret: &mut Vec<u8>| {
            if recipient.node.covers(READER) {
                secret.fill(9);
            }
        })),
        ..Alter::default()
    };
    altered(book, stage, 178, "a path secret that leads only the reader to other keys", &only_reader);
    let suite = stage.suite;
    let other = Alter {
        keys: Some(Box::new(move |keys| {
            let spare = generate_key_pair(suite, &mut keyroom_vectors::rng(99)).unwrap();
            *keys.last_mut().unwrap() = spare.public;
        })),
        ..Alter::default()
    };
    altered(book, stage, 178, "a key at the root that does not follow from the path secrets", &other);
}

fn parent_hashes(book: &mut Book, stage: &Stage) {
    for (what, hash) in [("another", vec![0; stage.nh()]), ("no", vec![])] {
        let change = Alter {
            parts: Some(Box::new(move |parts| {
                parts.leaf_node_source = LeafNodeSource::Commit { parent_hash: hash.clone().into() };
            })),
            ..Alter::default()
        };
        altered(book, stage, 179, &format!("a path with {what} parent hash"), &change);
    }
}

fn leaves(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut LeafNodeParts);
    let changes: [(&str, Change); 5] = [
        ("was made for an Update", |parts| parts.leaf_node_source = LeafNodeSource::Update),
        ("does not support the cipher suite", |parts| parts.capabilities.cipher_suites.clear()),
        ("supports no protocol version", |parts| parts.capabilities.versions.clear()),
        ("does not support its own credential", |parts| parts.capabilities.credentials.clear()),
        ("has an extension that it does not list", |parts| {
            parts.extensions = super::extensions(&[(ExtensionType(0xf109), b"x")]);
        }),
    ];
    for (what, change) in changes {
        let change = Alter { parts: Some(Box::new(change)), ..Alter::default() };
        altered(book, stage, 171, &format!("a path whose leaf {what}"), &change);
    }
}

/// After a ReInit only what was said before may still be read.
fn after_the_end(book: &mut Book, stage: &Stage) {
    type Make = fn(&Insider<'_>, &mut dyn CryptoRng) -> Vec<u8>;
    let cases: [(&str, Kind, Make); 2] = [
        ("a commit", Kind::Commit, |dana, rng| dana.commit(Vec::new(), &Alter::default(), rng).bytes()),
        ("a proposal", Kind::Proposal, |dana, rng| dana.proposal(remove(BOB), rng)),
    ];
    for (what, kind, make) in cases {
        book.add(182, &format!("{what} after the commit that reinitialises the group"), stage, |stage, rng| {
            let end = stage.commit(vec![reinit(1)], rng);
            let dana = stage.dana_after(&end);
            let bad = make(&Insider::new(&dana.group, dana.client.signer.as_ref()), rng);
            let late = Forged::by(BOB, b"text").bytes(&stage.bob(), rng);
            Trial::of(kind, bad, late).with_twin_of(Kind::Application).after(end)
        });
    }
}

fn schedules(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut keyroom_wire::GroupContext);
    let changes: [(u16, &str, Change); 4] = [
        (180, "another transcript", |context| {
            context.confirmed_transcript_hash = flip(context.confirmed_transcript_hash.as_slice(), 0).into();
        }),
        (190, "another tree hash", |context| context.tree_hash = flip(context.tree_hash.as_slice(), 0).into()),
        (102, "another epoch number", |context| context.epoch += 1),
        (102, "other group extensions", |context| {
            context.extensions.set(crate::stage::KNOWN_EXTENSION, *b"x");
        }),
    ];
    for (row, what, change) in changes {
        let change = Alter { context: Some(Box::new(change)), ..Alter::default() };
        altered(book, stage, row, &format!("a commit into an epoch with {what}"), &change);
    }
}
