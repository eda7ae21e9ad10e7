//! The official vectors for node arithmetic, trees and update paths.
use keyroom_crypto::Suite;
use keyroom_crypto::labels::{decrypt_with_label, derive_secret, verify_with_label};
use keyroom_mls::tree::{Leaf, NodeId, Tree, TreeError};
use keyroom_vectors::{Hex, load};
use keyroom_wire::{
    Decode, Encode, GroupContext, GroupId, HpkePublicKey, LeafIndex, LeafNodeSource, Limits, Proposal, UpdatePath,
};
use serde::Deserialize;

use crate::suite;

const MAX_LEAVES: u32 = 1 << 16;

fn import(suite: &'static dyn Suite, bytes: &[u8]) -> Tree {
    Tree::import(suite, bytes, &Limits::default(), MAX_LEAVES).unwrap()
}

#[derive(Deserialize)]
struct TreeMath {
    n_leaves: u32,
    n_nodes: u32,
    root: u32,
    left: Vec<Option<u32>>,
    right: Vec<Option<u32>>,
    parent: Vec<Option<u32>>,
    sibling: Vec<Option<u32>>,
}

#[test]
fn node_arithmetic_agrees_with_the_vectors() {
    let Some(cases) = load::<Vec<TreeMath>>("mls/tree-math.json") else { return };
    for case in cases {
        let root = NodeId::new(case.n_leaves.ilog2().try_into().unwrap(), 0);
        assert_eq!((root.to_array(), case.n_nodes), (case.root, 2 * case.n_leaves - 1));
        for index in 0..case.n_nodes {
            let (node, at) = (NodeId::from_array(index), index as usize);
            let below_root = |other: NodeId| (node != root).then(|| other.to_array());
            assert_eq!(node.left().map(NodeId::to_array), case.left[at]);
            assert_eq!(node.right().map(NodeId::to_array), case.right[at]);
            assert_eq!(below_root(node.parent()), case.parent[at]);
            assert_eq!(below_root(node.sibling()), case.sibling[at]);
        }
    }
}

#[derive(Deserialize)]
struct TreeValidation {
    cipher_suite: u16,
    tree: Hex,
    group_id: Hex,
    tree_hashes: Vec<Hex>,
    resolutions: Vec<Vec<u32>>,
}

#[test]
fn trees_of_the_vectors_are_valid_with_the_hashes_and_resolutions_that_they_name() {
    let Some(cases) = load::<Vec<TreeValidation>>("mls/tree-validation.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let mut tree = import(suite, &case.tree);
        let hash = tree.tree_hash().unwrap();
        assert_eq!(case.tree_hashes.len(), 2 * tree.slots() as usize - 1);
        assert_eq!(hash.as_slice(), &case.tree_hashes[tree.root_node().to_array() as usize][..]);
        for (index, (expected, resolution)) in (0..).zip(case.tree_hashes.iter().zip(&case.resolutions)) {
            let node = NodeId::from_array(index);
            if let Some(found) = tree.node_hash(node).unwrap() {
                assert_eq!(found.as_slice(), &expected[..]);
            }
            let found = tree.resolution(node).unwrap();
            assert_eq!(&found.iter().map(|recipient| recipient.node.to_array()).collect::<Vec<_>>(), resolution);
        }
        tree.verify_parent_hashes().unwrap();
        verify_signatures(suite, &tree, &case.group_id);
        assert_eq!(tree.export().unwrap(), *case.tree);
    }
}

fn verify_signatures(suite: &dyn Suite, tree: &Tree, group_id: &[u8]) {
    let group_id = GroupId::from(group_id);
    for leaf in tree.leaves() {
        let (index, leaf) = leaf.unwrap();
        let node = leaf.node();
        let place = match node.leaf_node_source {
            LeafNodeSource::KeyPackage(_) => None,
            LeafNodeSource::Update | LeafNodeSource::Commit { .. } => Some((&group_id, index)),
        };
        verify_with_label(suite, leaf.signature_key(), "LeafNodeTBS", &node.tbs(place), node.signature).unwrap();
        assert_eq!(leaf.encryption_key(), node.encryption_key);
        assert_eq!(leaf.signature_key(), node.signature_key);
    }
}

#[derive(Deserialize)]
struct TreeOperation {
    cipher_suite: u16,
    tree_before: Hex,
    proposal: Hex,
    proposal_sender: u32,
    tree_hash_before: Hex,
    tree_after: Hex,
    tree_hash_after: Hex,
}

#[test]
fn proposals_change_trees_as_the_vectors_say() {
    let Some(cases) = load::<Vec<TreeOperation>>("mls/tree-operations.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let mut tree = import(suite, &case.tree_before);
        assert_eq!(tree.tree_hash().unwrap().as_slice(), &case.tree_hash_before[..]);
        match Proposal::from_bytes(&case.proposal, &Limits::default()).unwrap() {
            Proposal::Add { key_package } => {
                tree.add(Leaf::from(&key_package.leaf_node), MAX_LEAVES).unwrap();
            }
            Proposal::Update { leaf_node } => {
                tree.update(LeafIndex(case.proposal_sender), Leaf::from(&*leaf_node)).unwrap();
            }
            Proposal::Remove { removed } => tree.remove(removed).unwrap(),
            other => panic!("{other:?}"),
        }
        assert_eq!(tree.tree_hash().unwrap().as_slice(), &case.tree_hash_after[..]);
        assert_eq!(tree.export().unwrap(), *case.tree_after);
    }
}

#[derive(Deserialize)]
struct TreeKem {
    cipher_suite: u16,
    group_id: Hex,
    epoch: u64,
    confirmed_transcript_hash: Hex,
    ratchet_tree: Hex,
    leaves_private: Vec<LeafPrivate>,
    update_paths: Vec<PathCase>,
}

#[derive(Deserialize)]
struct LeafPrivate {
    index: u32,
    encryption_priv: Hex,
    path_secrets: Vec<PathSecret>,
}

#[derive(Deserialize)]
struct PathSecret {
    node: u32,
    path_secret: Hex,
}

#[derive(Deserialize)]
struct PathCase {
    sender: u32,
    update_path: Hex,
    path_secrets: Vec<Option<Hex>>,
    tree_hash_after: Hex,
}

#[test]
fn update_paths_lead_to_the_hashes_of_the_vectors_and_each_member_finds_its_ciphertext() {
    let Some(cases) = load::<Vec<TreeKem>>("mls/treekem.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let mut before = import(suite, &case.ratchet_tree);
        before.tree_hash().unwrap();
        for path_case in &case.update_paths {
            let path = UpdatePath::from_bytes(&path_case.update_path, &Limits::default()).unwrap();
            let sender = LeafIndex(path_case.sender);
            let mut tree = before.clone();
            let keys: Vec<HpkePublicKey> = path.nodes.iter().map(|node| node.encryption_key.clone()).collect();
            let parent_hash = tree.apply_path(sender, &keys).unwrap();
            let leaf = Leaf::from(&path.leaf_node);
            assert_eq!(leaf.parent_hash(), Some(parent_hash.as_slice()));
            tree.set_committed_leaf(sender, leaf).unwrap();
            assert_eq!(tree.tree_hash().unwrap().as_slice(), &path_case.tree_hash_after[..]);
            tree.verify_parent_hashes().unwrap();
            decrypt_path(suite, &case, &before, &path, path_case);
        }
    }
}

/// Each member opens the ciphertext at its place with the key of the node that the place names.
fn decrypt_path(suite: &dyn Suite, case: &TreeKem, before: &Tree, path: &UpdatePath, path_case: &PathCase) {
    let mut context = GroupContext::new(suite.cipher_suite(), GroupId::from(&case.group_id[..]));
    context.epoch = case.epoch;
    context.tree_hash = path_case.tree_hash_after[..].into();
    context.confirmed_transcript_hash = case.confirmed_transcript_hash[..].into();
    let steps = before.filtered_direct_path(LeafIndex(path_case.sender)).unwrap();
    assert_eq!(steps.len(), path.nodes.len());
    for (step, node) in steps.iter().zip(&path.nodes) {
        assert_eq!(before.resolution_len(step.copath).unwrap() as usize, node.encrypted_path_secret.len());
    }
    for member in case.leaves_private.iter().filter(|member| member.index != path_case.sender) {
        let (places, nodes): (Vec<_>, Vec<_>) = steps
            .iter()
            .zip(&path.nodes)
            .filter_map(|(step, node)| {
                Some((before.place_in_resolution(step.copath, LeafIndex(member.index)).unwrap()?, node))
            })
            .unzip();
        assert_eq!(places.len(), 1);
        let private = private_key(suite, member, places[0].key_holder);
        let ciphertext = &nodes[0].encrypted_path_secret[places[0].position];
        let found = decrypt_with_label(suite, &private, "UpdatePathNode", &context.to_bytes(), ciphertext).unwrap();
        let expected = path_case.path_secrets[member.index as usize].as_ref().unwrap();
        assert_eq!(found.as_slice(), &expected[..]);
    }
}

fn private_key(suite: &dyn Suite, member: &LeafPrivate, holder: NodeId) -> Vec<u8> {
    if holder.height == 0 {
        assert_eq!(holder.index, member.index);
        return member.encryption_priv.to_vec();
    }
    let secret = member.path_secrets.iter().find(|secret| secret.node == holder.to_array()).unwrap();
    let node_secret = derive_secret(suite, &secret.path_secret, "node").unwrap();
    suite.kem().derive_key_pair(node_secret.expose()).unwrap().private.expose().to_vec()
}

#[test]
fn row_189_a_ratchet_tree_of_the_wrong_shape_is_refused() {
    let Some(cases) = load::<Vec<TreeOperation>>("mls/tree-operations.json") else { return };
    let suite = suite(1).unwrap();
    let shape = |bytes: &[u8]| Tree::import(suite, bytes, &Limits::default(), MAX_LEAVES).unwrap_err();
    let rule = TreeError::Rule(keyroom_mls::error::Rule::TreeEndsBlank);
    assert_eq!(shape(&[0]), TreeError::Rule(keyroom_mls::error::Rule::TreeEmpty));
    assert_eq!(shape(&[1, 0]), rule);
    assert!(matches!(shape(&[]), TreeError::Malformed(_)));
    for case in cases {
        let tree = import(suite, &case.tree_after);
        let mut nodes = keyroom_wire::RatchetTree::from_bytes(&case.tree_after, &Limits::default()).unwrap().nodes;
        nodes.push(None);
        assert_eq!(shape(&keyroom_wire::RatchetTree { nodes }.to_bytes()), rule);
        let limit = tree.leaves().map(|leaf| leaf.unwrap().0.0).max().unwrap();
        let error = Tree::import(suite, &case.tree_after, &Limits::default(), limit).unwrap_err();
        assert_eq!(error, TreeError::TooManyLeaves { limit });
        for cut in 0..case.tree_after.len() {
            assert!(matches!(shape(&case.tree_after[..cut]), TreeError::Malformed(_)));
        }
    }
}
