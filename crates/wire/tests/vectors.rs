#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

//! The official vectors, and what must hold of the two forms of every leaf and tree in them.

mod support;

use std::collections::BTreeMap;

use keyroom_vectors::{Hex, load};
use keyroom_wire::{
    Commit, Content, Credential, Decode, DecodeErrorKind as Kind, Encode, Extensions, LeafIndex, LeafNode, LeafNodeRef,
    LeafNodeSource, Limits, MlsMessage, Node, NodeRef, RatchetTree, RatchetTreeNodes, Reader,
};
use support::{leaf_nodes, round_trip, samples};

type Messages = Vec<BTreeMap<String, Hex>>;

fn messages() -> Option<Messages> {
    let cases = load::<Messages>("mls/messages.json")?;
    assert!(cases.len() >= 300 && cases.iter().all(|case| case.len() == 17), "the file has changed its form");
    Some(cases)
}

#[test]
fn every_struct_of_the_official_messages_decodes_and_encodes_to_the_same_bytes() {
    for (index, case) in messages().iter().flatten().enumerate() {
        for (name, bytes) in case {
            let again = round_trip(name)(&bytes[..], &Limits::default());
            assert_eq!(again.as_deref(), Ok(&bytes[..]), "case {index}: {name}");
        }
    }
}

#[test]
fn every_prefix_of_the_official_messages_is_an_error() {
    for (index, case) in messages().iter().flatten().enumerate() {
        for (name, bytes) in case {
            let decode = round_trip(name);
            for end in 0..bytes.len() {
                let error = decode(&bytes[..end], &Limits::default()).expect_err("a prefix is not a message");
                assert!(error.offset <= end, "case {index}: {name} cut at {end}: {error}");
                assert!(matches!(error.kind, Kind::EndOfInput { .. }), "case {index}: {name} cut at {end}: {error}");
            }
        }
    }
}

#[test]
fn row_007_bytes_after_an_official_message_are_an_error() {
    for case in messages().iter().flatten() {
        for (name, bytes) in case {
            let mut longer = bytes.to_vec();
            longer.push(0);
            let error = round_trip(name)(&longer, &Limits::default()).expect_err(name);
            assert_eq!((error.offset, error.kind), (longer.len() - 1, Kind::TrailingBytes { count: 1 }), "{name}");
        }
    }
}

#[derive(serde::Deserialize)]
struct Header {
    vlbytes_header: Hex,
    length: usize,
}

#[test]
fn the_official_length_headers_announce_their_lengths() {
    let limits = Limits { message: usize::MAX, vector: usize::MAX, field: usize::MAX };
    for case in load::<Vec<Header>>("mls/deserialization.json").iter().flatten() {
        // The content is left out: the error tells the length that the header announced.
        let announced = match Reader::new(&case.vlbytes_header, limits).opaque() {
            Ok(content) => content.len(),
            Err(error) => match error.kind {
                Kind::EndOfInput { needed, left: 0 } => needed,
                other => panic!("{other}"),
            },
        };
        assert_eq!(announced, case.length);
    }
}

#[test]
fn a_leaf_read_in_place_equals_the_owned_leaf() {
    let mut leaves: Vec<Vec<u8>> = leaf_nodes().iter().map(Encode::to_bytes).collect();
    for case in messages().iter().flatten() {
        leaves.push(case["update_proposal"].to_vec());
        leaves.extend(leaves_of(case).iter().map(Encode::to_bytes));
    }
    for bytes in &leaves {
        let limits = Limits::default();
        let (leaf, owned) =
            (LeafNodeRef::from_bytes(bytes, &limits).unwrap(), LeafNode::from_bytes(bytes, &limits).unwrap());
        assert_eq!(leaf.bytes, bytes);
        assert_eq!(leaf.to_owned().as_ref(), Ok(&owned));
        assert_eq!(leaf.encryption_key, owned.encryption_key.as_slice());
        assert_eq!(leaf.signature_key, owned.signature_key.as_slice());
        assert_eq!(leaf.credential_type, owned.credential.credential_type());
        assert_eq!(leaf.decode_credential().as_ref(), Ok(&owned.credential));
        assert_eq!(leaf.decode_capabilities().as_ref(), Ok(&owned.capabilities));
        assert_eq!(Extensions::from_bytes(leaf.extensions, &limits).as_ref(), Ok(&owned.extensions));
        assert_eq!(leaf.signature, owned.signature.as_slice());
        let place = (&b"group"[..].into(), LeafIndex(6));
        assert_eq!(leaf.tbs(None), owned.tbs(None));
        assert_eq!(leaf.tbs(Some(place)), owned.tbs(Some(place)));
        assert_same_source(&leaf, &owned);
    }
}

fn leaves_of(case: &BTreeMap<String, Hex>) -> Vec<LeafNode> {
    let limits = Limits::default();
    let tree = RatchetTree::from_bytes(&case["ratchet_tree"], &limits).unwrap();
    let mut leaves: Vec<_> = tree
        .nodes
        .into_iter()
        .filter_map(|node| match node {
            Some(Node::Leaf(leaf)) => Some(*leaf),
            _ => None,
        })
        .collect();
    let commit = Commit::from_bytes(&case["commit"], &limits).unwrap();
    leaves.extend(commit.path.map(|path| path.leaf_node));
    leaves
}

fn assert_same_source(leaf: &LeafNodeRef<'_>, owned: &LeafNode) {
    match (&leaf.leaf_node_source, &owned.leaf_node_source) {
        (LeafNodeSource::KeyPackage(a), LeafNodeSource::KeyPackage(b)) => assert_eq!(a, b),
        (LeafNodeSource::Update, LeafNodeSource::Update) => {}
        (LeafNodeSource::Commit { parent_hash: a }, LeafNodeSource::Commit { parent_hash: b }) => {
            assert_eq!(*a, b.as_slice());
        }
        (a, b) => panic!("{a:?} is not {b:?}"),
    }
}

#[test]
fn a_tree_read_in_place_equals_the_owned_tree() {
    let mut trees: Vec<Vec<u8>> =
        samples().into_iter().filter(|(name, _)| *name == "RatchetTree").map(|(_, bytes)| bytes).collect();
    assert!(!trees.is_empty());
    trees.extend(messages().iter().flatten().map(|case| case["ratchet_tree"].to_vec()));
    for bytes in &trees {
        let owned = RatchetTree::from_bytes(bytes, &Limits::default()).unwrap();
        let nodes: Result<Vec<Option<NodeRef<'_>>>, _> =
            RatchetTreeNodes::new(bytes, &Limits::default()).unwrap().collect();
        let nodes: Vec<_> = nodes.unwrap().iter().map(|n| n.as_ref().map(|n| n.to_owned().unwrap())).collect();
        assert_eq!(nodes, owned.nodes);
    }
}

#[test]
fn group_and_epoch_are_read_from_framed_messages() {
    for case in messages().iter().flatten() {
        let message = MlsMessage::from_bytes(&case["public_message_commit"], &Limits::default()).unwrap();
        let MlsMessage::PublicMessage(public) = &message else { panic!("not a PublicMessage") };
        assert!(matches!(public.content.content, Content::Commit(_)));
        assert_eq!(message.group_and_epoch(), Some((&public.content.group_id, public.content.epoch)));
        let package = MlsMessage::from_bytes(&case["mls_key_package"], &Limits::default()).unwrap();
        let MlsMessage::KeyPackage(key_package) = &package else { panic!("not a KeyPackage") };
        assert!(matches!(key_package.leaf_node.credential, Credential::Basic { .. }));
        assert_eq!(package.group_and_epoch(), None);
    }
}
