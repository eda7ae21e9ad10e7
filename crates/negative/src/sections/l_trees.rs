//! Section L: the ratchet tree that a joiner gets.

use keyroom_crypto::CryptoRng;
use keyroom_insider::Alter;
use keyroom_mls::tree::{Leaf, Tree};
use keyroom_wire::{
    Credential, CredentialType, ExtensionType, HpkePublicKey, LeafIndex, LeafNode, Node, ParentNode, RatchetTree,
};

use super::flip;
use super::m_welcomes::Invitation;
use crate::book::{Book, Trial};
use crate::stage::{DANA, Stage};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    shapes(book, stage);
    parents(book, stage);
    leaves(book, stage);
    shared_keys(book, stage);
}

fn edited(book: &mut Book, stage: &Stage, row: u16, what: &str, change: impl Fn(&mut RatchetTree)) {
    book.add(row, what, stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        Trial::welcome(invitation.with_tree(stage, change, rng), invitation.honest(rng))
    });
}

fn shapes(book: &mut Book, stage: &Stage) {
    edited(book, stage, 188, "a tree without nodes", |tree| tree.nodes.clear());
    edited(book, stage, 189, "a tree that ends with blank nodes", |tree| tree.nodes.extend([None, None]));
}

fn parent(tree: &mut RatchetTree, at: usize) -> &mut ParentNode {
    match tree.nodes[at].as_mut() {
        Some(Node::Parent(parent)) => parent,
        _ => panic!("no parent at {at}"),
    }
}

/// Above Bob's leaf, from below: nodes 1, 3 and 7.
fn parents(book: &mut Book, stage: &Stage) {
    edited(book, stage, 191, "another parent hash in a parent node", |tree| {
        let hash = flip(parent(tree, 1).parent_hash.as_slice(), 0);
        parent(tree, 1).parent_hash = hash.into();
    });
    let suite = stage.suite;
    edited(book, stage, 191, "another key in a parent node", move |tree| {
        let spare = keyroom_mls::leaf_node::generate_key_pair(suite, &mut keyroom_vectors::rng(50)).unwrap();
        parent(tree, 3).encryption_key = spare.public;
    });
    edited(book, stage, 192, "a parent node that nobody's chain covers", move |tree| {
        let spare = keyroom_mls::leaf_node::generate_key_pair(suite, &mut keyroom_vectors::rng(51)).unwrap();
        assert_eq!(tree.nodes[5], None, "above the reader's leaf and a blank one");
        let encryption_key: HpkePublicKey = spare.public;
        let alone = ParentNode { encryption_key, parent_hash: Vec::new().into(), unmerged_leaves: Vec::new() };
        tree.nodes[5] = Some(Node::Parent(Box::new(alone)));
    });
    edited(book, stage, 193, "a parent node both of whose leaves are said to be unmerged", |tree| {
        for node in [9, 7] {
            parent(tree, node).unmerged_leaves = vec![DANA, LeafIndex(5)];
        }
    });
    edited(book, stage, 193, "a leaf that is said to be unmerged where it has been merged", |tree| {
        for node in [9, 7] {
            parent(tree, node).unmerged_leaves = vec![DANA];
        }
    });
    edited(book, stage, 194, "a parent hash of no bytes below the root", |tree| {
        parent(tree, 3).parent_hash = Vec::new().into();
    });
    edited(book, stage, 196, "an unmerged leaf that is blank", |tree| {
        parent(tree, 7).unmerged_leaves = vec![LeafIndex(3)];
    });
    edited(book, stage, 196, "an unmerged leaf that is not below its node", |tree| {
        parent(tree, 1).unmerged_leaves = vec![DANA];
    });
    edited(book, stage, 196, "an unmerged leaf outside the tree", |tree| {
        parent(tree, 7).unmerged_leaves = vec![LeafIndex(1 << 20)];
    });
    edited(book, stage, 197, "an unmerged leaf that a node between does not list", |tree| {
        parent(tree, 7).unmerged_leaves = vec![LeafIndex(0)];
    });
}

/// A Welcome into a group where Dana's leaf is not what it should be, and parent hashes are right:
/// Bob has committed upon it.
fn with_dana(
    book: &mut Book,
    stage: &Stage,
    row: u16,
    what: &str,
    change: impl Fn(&Stage, &mut LeafNode, &mut dyn CryptoRng),
) {
    book.add(row, what, stage, |stage, rng| {
        let mut leaf = stage.update_of(DANA, rng);
        change(stage, &mut leaf, rng);
        let place = |tree: &mut Tree| tree.update(DANA, Leaf::from(&leaf)).unwrap();
        let forged = Alter { tree: Some(Box::new(place)), ..Alter::default() };
        let bad = Invitation::altered(stage, &forged, rng).honest(rng);
        Trial::welcome(bad, Invitation::new(stage, rng).honest(rng))
    });
}

fn leaves(book: &mut Book, stage: &Stage) {
    let signed = |stage: &Stage, leaf: &mut LeafNode, rng: &mut dyn CryptoRng| {
        *leaf = stage.sign_leaf(leaf.clone(), DANA, rng);
    };
    with_dana(book, stage, 195, "a leaf with a wrong signature", |stage, leaf, rng| {
        signed(stage, leaf, rng);
        leaf.signature = flip(leaf.signature.as_slice(), 5).into();
    });
    with_dana(book, stage, 195, "a leaf signed for another place", |stage, leaf, rng| {
        let tbs = leaf.tbs(Some((stage.before.group_id(), LeafIndex(5))));
        let signer = stage.members[2].client.signer.as_ref();
        leaf.signature = keyroom_crypto::labels::sign_with_label(signer, "LeafNodeTBS", &tbs, rng).unwrap();
    });
    with_dana(book, stage, 195, "a leaf that does not support the cipher suite", |stage, leaf, rng| {
        leaf.capabilities.cipher_suites.clear();
        signed(stage, leaf, rng);
    });
    with_dana(book, stage, 195, "a leaf with an extension that it does not list", |stage, leaf, rng| {
        leaf.extensions.set(ExtensionType(0xf109), *b"x");
        signed(stage, leaf, rng);
    });
    with_dana(book, stage, 201, "a leaf that does not support the credentials in use", |stage, leaf, rng| {
        leaf.credential = Credential::X509 { certificates: vec![b"x"[..].into()] };
        leaf.capabilities.credentials = vec![CredentialType::X509];
        signed(stage, leaf, rng);
    });
}

fn shared_keys(book: &mut Book, stage: &Stage) {
    with_dana(book, stage, 199, "two leaves with one signature key", |stage, leaf, rng| {
        let alice = stage.members[0].client.signer.as_ref();
        leaf.signature_key = alice.public_key().clone();
        let tbs = leaf.tbs(Some((stage.before.group_id(), DANA)));
        leaf.signature = keyroom_crypto::labels::sign_with_label(alice, "LeafNodeTBS", &tbs, rng).unwrap();
    });
    with_dana(book, stage, 200, "two leaves with one encryption key", |stage, leaf, rng| {
        leaf.encryption_key = HpkePublicKey::from(erin(stage));
        *leaf = stage.sign_leaf(leaf.clone(), DANA, rng);
    });
    book.add(198, "a parent node with the encryption key of a leaf", stage, |stage, rng| {
        let key = HpkePublicKey::from(erin(stage));
        let change =
            Alter { keys: Some(Box::new(move |keys| *keys.last_mut().unwrap() = key.clone())), ..Alter::default() };
        let invitation = Invitation::altered(stage, &change, rng);
        // The reader is told no path secret, so that nothing else is wrong.
        let parts = keyroom_insider::SecretParts::default();
        let bad = invitation.welcome(&parts, |_| {}, rng);
        Trial::welcome(bad, Invitation::new(stage, rng).honest(rng))
    });
}

/// The encryption key of Erin's leaf, as it stands before the reader is added.
fn erin(stage: &Stage) -> Vec<u8> {
    stage.before.member(LeafIndex(5)).unwrap().unwrap().leaf().encryption_key().to_vec()
}
