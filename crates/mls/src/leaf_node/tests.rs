use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use keyroom_crypto::{Provider, Signer};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_vectors::{Hex, load, rng};
use keyroom_wire::{
    CipherSuite, Credential, Decode, Encode, ExtensionType, HpkePublicKey, Lifetime, Limits, NodeRef, ProposalType,
    RatchetTreeNodes, RequiredCapabilities, Signature, SignaturePublicKey,
};

use super::*;

pub(crate) const NOW: u64 = 1_700_000_000;

static TABLE: ExtensionTable = ExtensionTable::new();

pub(crate) fn suite() -> &'static dyn Suite {
    RUSTCRYPTO.suite(CipherSuite(1)).unwrap()
}

pub(crate) fn signer(seed: u64) -> Box<dyn Signer> {
    let key = suite().generate_signature_key(&mut rng(seed)).unwrap();
    suite().signer(key.expose()).unwrap()
}

pub(crate) fn public_key(seed: u64) -> HpkePublicKey {
    generate_key_pair(suite(), &mut rng(seed)).unwrap().public
}

pub(crate) fn expectation() -> LeafExpectation<'static> {
    LeafExpectation { now: Some(NOW), ..LeafExpectation::new(suite(), &TABLE) }
}

/// The parts of a leaf from a key package, valid as they are; extension 100 is supported.
pub(crate) fn parts(seed: u64) -> LeafNodeParts {
    let mut capabilities = capabilities_for([CipherSuite(1)], [CredentialType::BASIC]);
    capabilities.extensions.push(ExtensionType(100));
    capabilities.proposals.push(ProposalType(200));
    LeafNodeParts {
        encryption_key: public_key(seed),
        credential: Credential::basic(seed.to_be_bytes()),
        capabilities,
        leaf_node_source: LeafNodeSource::KeyPackage(lifetime_from(NOW, 1_000)),
        extensions: Extensions::new(),
    }
}

pub(crate) fn signed(parts: LeafNodeParts, place: LeafPlace<'_>, seed: u64) -> LeafNode {
    sign_leaf(parts, place, &*signer(seed), &mut rng(seed)).unwrap()
}

fn group(extensions: &[(ExtensionType, Vec<u8>)]) -> GroupExtensions {
    let mut list = Extensions::new();
    extensions.iter().for_each(|(t, data)| list.set(*t, data.clone()));
    GroupExtensions::validate(list, suite(), &TABLE).unwrap()
}

#[test]
fn a_leaf_read_in_place_is_held_against_its_place_too() {
    let expectation = LeafExpectation::new(suite(), &TABLE);
    let group_id = GroupId::from(&b"group"[..]);
    let bytes = signed(parts(1), LeafPlace::KeyPackage, 1).to_bytes();
    let leaf = LeafNodeRef::from_bytes(&bytes, &Limits::default()).unwrap();
    let update = LeafPlace::Update { group_id: &group_id, leaf_index: LeafIndex(1) };
    assert_eq!(expectation.check_ref(update, &leaf), Err(Rule::LeafSource));
}

/// What happens to a leaf that differs from a valid one in one thing, and is signed.
fn verdict(expectation: &LeafExpectation<'_>, edit: impl FnOnce(&mut LeafNodeParts)) -> Result<(), Rule> {
    let mut parts = parts(1);
    edit(&mut parts);
    let leaf = signed(parts, LeafPlace::KeyPackage, 1);
    let bytes = leaf.to_bytes();
    let in_place = LeafNodeRef::from_bytes(&bytes, &Limits::default()).unwrap();
    assert_eq!(
        expectation.check_ref(LeafPlace::KeyPackage, &in_place),
        expectation.check(LeafPlace::KeyPackage, &leaf),
        "owned and in place get the same verdict"
    );
    expectation.validate(LeafPlace::KeyPackage, leaf).map(drop)
}

#[test]
fn a_leaf_that_breaks_no_rule_is_valid() {
    assert_eq!(verdict(&expectation(), |_| {}), Ok(()));
}

#[test]
fn row_047_a_signature_that_does_not_verify_is_refused() {
    let mut leaf = signed(parts(1), LeafPlace::KeyPackage, 1);
    leaf.credential = Credential::basic("someone else");
    assert_eq!(expectation().validate(LeafPlace::KeyPackage, leaf.clone()), Err(Rule::LeafSignature));
    leaf.signature = Signature::default();
    assert_eq!(expectation().validate(LeafPlace::KeyPackage, leaf), Err(Rule::LeafSignature));
}

#[test]
fn row_048_a_leaf_of_a_group_is_bound_to_its_place() {
    let (group_id, other) = (GroupId::from(&b"a"[..]), GroupId::from(&b"b"[..]));
    let update = |group_id, index| LeafPlace::Update { group_id, leaf_index: LeafIndex(index) };
    let tree = |group_id, index| LeafPlace::Tree { group_id, leaf_index: LeafIndex(index) };
    let parts = LeafNodeParts { leaf_node_source: LeafNodeSource::Update, ..parts(1) };
    let leaf = signed(parts, update(&group_id, 3), 1);
    let verdict = |place| expectation().validate(place, leaf.clone()).map(drop);
    assert_eq!(verdict(update(&group_id, 3)), Ok(()));
    assert_eq!(verdict(tree(&group_id, 3)), Ok(()));
    assert_eq!(verdict(update(&group_id, 4)), Err(Rule::LeafSignature));
    assert_eq!(verdict(update(&other, 3)), Err(Rule::LeafSignature));
    assert_eq!(verdict(tree(&other, 3)), Err(Rule::LeafSignature));
}

#[test]
fn row_048_a_leaf_of_a_key_package_is_valid_at_any_place_of_any_tree() {
    let leaf = signed(parts(1), LeafPlace::KeyPackage, 1);
    let group_id = GroupId::from(&b"a"[..]);
    let place = LeafPlace::Tree { group_id: &group_id, leaf_index: LeafIndex(7) };
    assert!(expectation().validate(place, leaf).is_ok());
}

fn sources() -> [LeafNodeSource; 3] {
    [
        LeafNodeSource::KeyPackage(lifetime_from(NOW, 1_000)),
        LeafNodeSource::Update,
        LeafNodeSource::Commit { parent_hash: vec![1].into() },
    ]
}

/// Which of the three sources is valid at this place; the others are refused for their source.
fn admitted(place: LeafPlace<'_>) -> Vec<LeafNodeSource> {
    let is_admitted = |source: &LeafNodeSource| {
        let leaf = signed(LeafNodeParts { leaf_node_source: source.clone(), ..parts(1) }, place, 1);
        match expectation().validate(place, leaf).map(drop) {
            Ok(()) => true,
            Err(rule) => {
                assert_eq!(rule, Rule::LeafSource);
                false
            }
        }
    };
    sources().into_iter().filter(is_admitted).collect()
}

#[test]
fn row_049_a_key_package_takes_a_leaf_made_for_one_only() {
    let [key_package, _, _] = sources();
    assert_eq!(admitted(LeafPlace::KeyPackage), [key_package]);
}

#[test]
fn row_050_an_update_takes_a_leaf_made_for_one_only() {
    let group_id = GroupId::from(&b"a"[..]);
    let [_, update, _] = sources();
    assert_eq!(admitted(LeafPlace::Update { group_id: &group_id, leaf_index: LeafIndex(0) }), [update]);
}

#[test]
fn row_051_a_path_takes_a_leaf_made_for_one_only() {
    let group_id = GroupId::from(&b"a"[..]);
    let [_, _, commit] = sources();
    assert_eq!(admitted(LeafPlace::Commit { group_id: &group_id, leaf_index: LeafIndex(0) }), [commit]);
}

/// What happens to a leaf that supports extension 100 and proposal 200 in a group that requires these.
fn required(extensions: &[u16], proposals: &[u16], credentials: &[u16]) -> Result<(), Rule> {
    let required = RequiredCapabilities {
        extension_types: extensions.iter().map(|v| ExtensionType(*v)).collect(),
        proposal_types: proposals.iter().map(|v| ProposalType(*v)).collect(),
        credential_types: credentials.iter().map(|v| CredentialType(*v)).collect(),
    };
    let group = group(&[(ExtensionType::REQUIRED_CAPABILITIES, required.to_bytes())]);
    verdict(&LeafExpectation { group: Some(&group), ..expectation() }, |_| {})
}

#[test]
fn row_052_required_extensions_must_be_listed_unless_the_rfc_defines_them() {
    assert_eq!(required(&[100, 1, 5], &[], &[]), Ok(()));
    assert_eq!(required(&[100, 101], &[], &[]), Err(Rule::LeafLacksRequiredExtension));
}

#[test]
fn row_053_required_proposals_must_be_listed_unless_the_rfc_defines_them() {
    assert_eq!(required(&[], &[200, 1, 7], &[]), Ok(()));
    assert_eq!(required(&[], &[200, 201], &[]), Err(Rule::LeafLacksRequiredProposal));
}

#[test]
fn row_054_required_credentials_must_be_listed() {
    assert_eq!(required(&[], &[], &[1]), Ok(()));
    assert_eq!(required(&[], &[], &[1, 2]), Err(Rule::LeafLacksRequiredCredential));
}

#[test]
fn row_055_every_group_extension_beyond_the_rfc_must_be_listed() {
    for (extension_type, expected) in [(100, Ok(())), (101, Err(Rule::LeafLacksGroupExtension))] {
        let group = group(&[(ExtensionType(extension_type), vec![])]);
        assert_eq!(verdict(&LeafExpectation { group: Some(&group), ..expectation() }, |_| {}), expected);
    }
}

#[test]
fn row_056_version_and_suite_must_be_listed() {
    assert_eq!(verdict(&expectation(), |p| p.capabilities.versions.clear()), Err(Rule::LeafLacksVersion));
    let other = |p: &mut LeafNodeParts| p.capabilities.cipher_suites = vec![CipherSuite(2)];
    assert_eq!(verdict(&expectation(), other), Err(Rule::LeafLacksCipherSuite));
}

#[test]
fn row_059_the_own_credential_type_must_be_listed() {
    let lacks = |p: &mut LeafNodeParts| p.capabilities.credentials = vec![CredentialType::X509];
    assert_eq!(verdict(&expectation(), lacks), Err(Rule::LeafLacksOwnCredential));
}

#[test]
fn row_060_a_leaf_extension_beyond_the_rfc_must_be_listed() {
    assert_eq!(verdict(&expectation(), |p| p.extensions.set(ExtensionType(100), [1])), Ok(()));
    let unlisted = |p: &mut LeafNodeParts| p.extensions.set(ExtensionType(0x1a1a), [1]);
    assert_eq!(verdict(&expectation(), unlisted), Err(Rule::LeafExtensionNotListed));
    let application_id = |p: &mut LeafNodeParts| p.extensions.set(ExtensionType::APPLICATION_ID, [1, 7]);
    assert_eq!(verdict(&expectation(), application_id), Ok(()));
}

#[test]
fn row_061_types_of_the_rfc_must_not_be_listed() {
    for value in 1..=5 {
        let lists = |p: &mut LeafNodeParts| p.capabilities.extensions.push(ExtensionType(value));
        assert_eq!(verdict(&expectation(), lists), Err(Rule::DefaultTypeListed));
    }
    for value in 1..=7 {
        let lists = |p: &mut LeafNodeParts| p.capabilities.proposals.push(ProposalType(value));
        assert_eq!(verdict(&expectation(), lists), Err(Rule::DefaultTypeListed));
    }
}

fn living(not_before: u64, not_after: u64) -> impl FnOnce(&mut LeafNodeParts) {
    move |parts| parts.leaf_node_source = LeafNodeSource::KeyPackage(Lifetime { not_before, not_after })
}

#[test]
fn row_062_now_must_lie_in_the_lifetime_of_a_key_package() {
    assert_eq!(verdict(&expectation(), living(NOW, NOW)), Ok(()));
    assert_eq!(verdict(&expectation(), living(0, 1)), Err(Rule::LifetimeOutside));
    assert_eq!(verdict(&expectation(), living(2 * NOW, 2 * NOW + 1)), Err(Rule::LifetimeOutside));
}

#[test]
fn row_063_how_much_of_a_lifetime_is_judged_can_be_chosen() {
    let checking = |check| LeafExpectation { lifetimes: expectation().lifetimes.checking(check), ..expectation() };
    assert_eq!(verdict(&checking(LifetimeCheck::LengthAndRange), living(0, 1)), Err(Rule::LifetimeOutside));
    assert_eq!(verdict(&checking(LifetimeCheck::Length), living(0, 1)), Ok(()));
    assert_eq!(verdict(&checking(LifetimeCheck::Order), living(0, u64::MAX)), Ok(()));
}

#[test]
fn row_064_a_lifetime_may_not_be_longer_than_the_maximum() {
    assert_eq!(verdict(&expectation(), living(0, u64::MAX)), Err(Rule::LifetimeTooLong));
}

#[test]
fn row_065_a_lifetime_may_not_end_before_it_begins() {
    assert_eq!(verdict(&expectation(), living(NOW, NOW - 1)), Err(Rule::LifetimeReversed));
}

#[test]
fn row_068_one_key_may_not_have_two_roles() {
    let key = signer(1).public_key().as_slice().to_vec();
    let same = |p: &mut LeafNodeParts| p.encryption_key = key.into();
    // An Ed25519 key is a plausible X25519 key too.
    assert_eq!(verdict(&expectation(), same), Err(Rule::KeyInTwoRoles));
}

#[test]
fn row_070_extensions_that_belong_elsewhere_are_refused() {
    for value in [2, 3, 4, 5, 10] {
        let misplaced = |p: &mut LeafNodeParts| p.extensions.set(ExtensionType(value), []);
        assert_eq!(verdict(&expectation(), misplaced), Err(Rule::ExtensionNotAllowedHere));
    }
}

#[test]
fn row_071_unknown_values_in_capabilities_are_ignored() {
    let unknown = |p: &mut LeafNodeParts| {
        p.capabilities.versions.push(ProtocolVersion(0x4a4a));
        p.capabilities.cipher_suites.insert(0, CipherSuite(0x0a0a));
        p.capabilities.extensions.push(ExtensionType(0xf123));
        p.capabilities.proposals.push(ProposalType(0xeaea));
        p.capabilities.credentials.push(CredentialType(0xbeef));
    };
    assert_eq!(verdict(&expectation(), unknown), Ok(()));
}

#[test]
fn row_024_an_encryption_key_that_the_suite_refuses_is_refused() {
    for bad in [vec![], vec![0; 32], vec![1; 31], vec![9; 33]] {
        assert_eq!(verdict(&expectation(), |p| p.encryption_key = bad.into()), Err(Rule::InvalidPublicKey));
    }
}

#[test]
fn row_025_a_signature_key_that_the_suite_refuses_is_refused() {
    let mut leaf = signed(parts(1), LeafPlace::KeyPackage, 1);
    leaf.signature_key = SignaturePublicKey::from(vec![3; 31]);
    assert_eq!(expectation().validate(LeafPlace::KeyPackage, leaf), Err(Rule::InvalidPublicKey));
}

#[test]
fn row_232_an_extension_twice_in_a_leaf_is_refused() {
    let twice = |p: &mut LeafNodeParts| {
        p.extensions.set(ExtensionType(100), []);
        let again = p.extensions.list.clone();
        p.extensions.list.extend(again);
    };
    assert_eq!(verdict(&expectation(), twice), Err(Rule::DuplicateExtension));
}

#[test]
fn row_233_an_extension_of_a_leaf_that_does_not_parse_is_refused() {
    let malformed = |p: &mut LeafNodeParts| p.extensions.set(ExtensionType::APPLICATION_ID, [1, 7, 0]);
    assert_eq!(verdict(&expectation(), malformed), Err(Rule::MalformedExtension));
}

#[test]
fn lists_of_capabilities_are_bounded() {
    let long =
        |length: usize| move |p: &mut LeafNodeParts| p.capabilities.credentials.resize(length, CredentialType(9));
    assert_eq!(verdict(&expectation(), long(MOST_LISTED)), Ok(()));
    assert_eq!(verdict(&expectation(), long(MOST_LISTED + 1)), Err(Rule::TooManyCapabilities));
}

#[test]
fn a_successor_keeps_everything_but_key_and_source() {
    let group_id = GroupId::from(&b"a"[..]);
    let place = LeafPlace::Update { group_id: &group_id, leaf_index: LeafIndex(2) };
    let old = signed(parts(1), LeafPlace::KeyPackage, 1);
    let new = signed(LeafNodeParts::successor(&old, public_key(9), LeafNodeSource::Update), place, 1);
    assert_eq!((&new.credential, &new.capabilities), (&old.credential, &old.capabilities));
    assert_ne!(new.encryption_key, old.encryption_key);
    assert!(expectation().validate(place, new).is_ok());
}

#[test]
fn row_195_the_first_bad_signature_of_many_leaves_is_named() {
    let group_id = GroupId::from(&b"a"[..]);
    let encode = |bad: &[u32]| -> Vec<Vec<u8>> {
        let sign = |index: u32| {
            let place = LeafPlace::Update { group_id: &group_id, leaf_index: LeafIndex(index) };
            let leaf_node_source = LeafNodeSource::Update;
            let mut leaf = signed(LeafNodeParts { leaf_node_source, ..parts(1) }, place, index.into());
            if bad.contains(&index) {
                leaf.capabilities.versions.clear();
            }
            leaf.to_bytes()
        };
        (0..40).map(sign).collect()
    };
    let verify = |leaves: &[Vec<u8>]| {
        let leaves = leaves
            .iter()
            .zip(0..)
            .map(|(bytes, index)| (LeafIndex(index), LeafNodeRef::from_bytes(bytes, &Limits::default()).unwrap()));
        verify_leaf_signatures(suite(), &group_id, leaves)
    };
    assert_eq!(verify(&encode(&[])), Ok(()));
    let named = InvalidLeaf { leaf_index: LeafIndex(23), rule: Rule::LeafSignature };
    assert_eq!(verify(&encode(&[23, 31])), Err(named));
}

#[derive(serde::Deserialize)]
struct TreeCase {
    cipher_suite: u16,
    tree: Hex,
    group_id: Hex,
}

#[test]
fn leaves_of_the_official_trees_are_valid() {
    let Some(cases) = load::<Vec<TreeCase>>("mls/tree-validation.json") else { return };
    for case in cases {
        let Ok(suite) = RUSTCRYPTO.suite(CipherSuite(case.cipher_suite)) else { continue };
        let group_id = GroupId::from(case.group_id.0);
        let mut expectation = LeafExpectation::new(suite, &TABLE);
        expectation.lifetimes.check = LifetimeCheck::Order;
        let mut leaves = Vec::new();
        for (index, node) in RatchetTreeNodes::new(&case.tree.0, &Limits::default()).unwrap().enumerate() {
            let Some(NodeRef::Leaf(leaf)) = node.unwrap() else { continue };
            let leaf_index = LeafIndex(u32::try_from(index / 2).unwrap());
            let place = LeafPlace::Tree { group_id: &group_id, leaf_index };
            assert_eq!(expectation.check_ref(place, &leaf), Ok(()));
            leaves.push((leaf_index, leaf));
        }
        assert_eq!(verify_leaf_signatures(suite, &group_id, leaves), Ok(()));
    }
}

#[test]
fn row_195_a_bad_signature_is_found_among_more_leaves_than_are_gathered() {
    let good = signed(parts(1), LeafPlace::KeyPackage, 1);
    let bad = LeafNode { signature: vec![0; 64].into(), ..good.clone() }.to_bytes();
    let good = good.to_bytes();
    let [good, bad] = [&good, &bad].map(|bytes| LeafNodeRef::from_bytes(bytes, &Limits::default()).unwrap());
    let more = 5_000;
    for place in [0, more - 1] {
        let leaf = |index| if index == place { bad.clone() } else { good.clone() };
        let leaves = (0..more).map(|index| (LeafIndex(index), leaf(index)));
        let refused = verify_leaf_signatures(suite(), &GroupId::from(&b"group"[..]), leaves);
        assert_eq!(refused, Err(InvalidLeaf { leaf_index: LeafIndex(place), rule: Rule::LeafSignature }));
    }
}
