//! Everywhere that a leaf or a key package can come in: what each of these doors says to a fault.

pub(super) use keyroom_insider::proposals::{add, extensions, remove};
use keyroom_insider::{Alter, Bench, Client, EXTENSION, Insider, Made, PROPOSAL, SecretParts, now, resigned, suite};
use keyroom_mls::error::Error;
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::leaf_node::{LeafNodeParts, LeafPlace, sign_leaf};
use keyroom_wire::{
    Content, CredentialType, Encode, ExtensionType, ExternalPub, GroupInfo, KeyPackage, LeafIndex, LeafNodeSource,
    MlsMessage, Proposal, ProposalOrRef, RequiredCapabilities, Sender, Signature,
};

use super::readers::{Outcomes, told};

/// Bob's leaf.
pub(super) const BOB: LeafIndex = LeafIndex(1);

/// A change to a leaf before it is signed.
pub(super) type LeafFault<'a> = &'a dyn Fn(&mut LeafNodeParts);

/// A bench whose group requires of its members what all of them have, and uses an extension.
pub(super) fn demanding() -> Bench {
    let mut bench = Bench::open();
    let required = RequiredCapabilities {
        extension_types: vec![EXTENSION],
        proposal_types: vec![PROPOSAL],
        credential_types: vec![CredentialType::X509],
    };
    let required = extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())]);
    bench.commit(0, |builder| builder.extensions(required));
    bench
}

/// The key of a parent off Bob's path: what he replaces himself may be used again.
pub(super) fn parent_key(bench: &Bench) -> Vec<u8> {
    let tree = bench.members[0].group.tree();
    let mut parents = tree.parents().map(Result::unwrap);
    parents.find(|(node, _)| !node.covers(BOB)).unwrap().1.encryption_key.to_vec()
}

/// The client's key package with a fault in the leaf, signed with it.
pub(super) fn faulty_package(client: &Client, bundle: &KeyPackageBundle, fault: LeafFault<'_>) -> KeyPackage {
    let mut package = bundle.key_package.clone();
    let leaf = &package.leaf_node;
    let mut parts = LeafNodeParts::successor(leaf, leaf.encryption_key.clone(), leaf.leaf_node_source.clone());
    fault(&mut parts);
    let rng = &mut keyroom_vectors::rng(70);
    package.leaf_node = sign_leaf(parts, LeafPlace::KeyPackage, client.signer.as_ref(), rng).unwrap();
    resigned(package, client, rng)
}

/// A proposal of Bob, signed and tagged.
pub(super) fn proposed(bob: &Insider<'_>, proposal: Proposal) -> Vec<u8> {
    let rng = &mut keyroom_vectors::rng(71);
    MlsMessage::PublicMessage(bob.public(bob.sender(), Content::Proposal(proposal), rng)).to_bytes()
}

/// A commit of Bob with these proposals by value.
pub(super) fn committed(bench: &Bench, proposals: Vec<Proposal>, change: &Alter<'_>) -> Made {
    bench.bob().commit(proposals, change, &mut keyroom_vectors::rng(72))
}

/// Bob proposes an Add: Alice does not keep it.
#[track_caller]
pub(super) fn proposal_is_refused(bench: &mut Bench, package: &KeyPackage, expected: impl Into<Error>) {
    let message = proposed(&bench.bob(), add(package));
    bench.refuses("a proposed Add", &message, expected);
}

/// Bob commits an Add.
#[track_caller]
pub(super) fn commit_is_refused(bench: &mut Bench, package: &KeyPackage, expected: impl Into<Error>) {
    let message = committed(bench, vec![add(package)], &Alter::default()).bytes();
    bench.refuses("a committed Add", &message, expected);
}

/// Alice wants to add the client herself.
#[track_caller]
pub(super) fn own_commit_is_refused(bench: &mut Bench, package: &KeyPackage, expected: impl Into<Error>) {
    let alice = &mut bench.members[0];
    let before = alice.group.snapshot().unwrap();
    let rng = &mut keyroom_vectors::rng(73);
    let outcome = alice.group.commit().add(package.clone()).build(alice.client.signer.as_ref(), &now(), rng);
    assert_eq!(outcome.map(drop).unwrap_err(), expected.into(), "an own commit");
    assert!(alice.group.snapshot().unwrap() == before, "the group has changed");
}

/// A key package with the fault is neither proposed, committed nor sent.
#[track_caller]
pub(super) fn package_is_refused(bench: &mut Bench, package: &KeyPackage, expected: impl Into<Error>) {
    let expected = expected.into();
    proposal_is_refused(bench, package, expected.clone());
    commit_is_refused(bench, package, expected.clone());
    own_commit_is_refused(bench, package, expected);
}

/// Bob's Update with the fault, as a message.
pub(super) fn update(bench: &Bench, fault: LeafFault<'_>) -> Vec<u8> {
    let bob = bench.bob();
    let rng = &mut keyroom_vectors::rng(74);
    let key = keyroom_mls::leaf_node::generate_key_pair(suite(1), rng).unwrap().public;
    let mut parts = LeafNodeParts::successor(&bench.leaf(BOB.0), key, LeafNodeSource::Update);
    fault(&mut parts);
    let place = LeafPlace::Update { group_id: bob.group.group_id(), leaf_index: BOB };
    let leaf = sign_leaf(parts, place, bob.signer, rng).unwrap();
    proposed(&bob, Proposal::Update { leaf_node: Box::new(leaf) })
}

#[track_caller]
pub(super) fn update_is_refused(bench: &mut Bench, fault: LeafFault<'_>, expected: impl Into<Error>) {
    let message = update(bench, fault);
    bench.refuses("an Update", &message, expected);
}

/// The path of a commit of Bob, and that of a joiner from outside.
#[track_caller]
pub(super) fn path_is_refused(bench: &mut Bench, fault: LeafFault<'_>, expected: impl Into<Error>) {
    let expected = expected.into();
    let alter = || Alter { parts: Some(Box::new(fault)), ..Alter::default() };
    let message = committed(bench, Vec::new(), &alter()).bytes();
    bench.refuses("the leaf of a path", &message, expected.clone());
    let (eve, bundle) = bench.newcomer("eve");
    let leaf = bundle.key_package.leaf_node;
    let init = ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() });
    let rng = &mut keyroom_vectors::rng(75);
    let made = bench.bob().commit_of(Sender::NewMemberCommit, &leaf, eve.signer.as_ref(), [init], &alter(), rng);
    bench.refuses("the leaf of an external commit", &made.bytes(), expected);
}

/// Trees with the faulty leaf in them, one from a key package and one from a commit, with hashes,
/// signatures and tags that are as they must be: nobody joins or observes that group.
#[track_caller]
pub(super) fn tree_is_refused(bench: &mut Bench, fault: LeafFault<'_>, expected: impl Into<Error>) {
    let expected = expected.into();
    tree_with_package_is_refused(bench, fault, expected.clone());
    let (_, gina) = bench.newcomer("gina");
    let alter = Alter { parts: Some(Box::new(fault)), ..Alter::default() };
    let made = committed(bench, vec![add(&gina.key_package)], &alter);
    nobody_joins(bench, &made, &gina, |_| {}, expected);
}

#[track_caller]
pub(super) fn tree_with_package_is_refused(bench: &mut Bench, fault: LeafFault<'_>, expected: impl Into<Error>) {
    let (_, gina) = bench.newcomer("gina");
    let (hank, bundle) = bench.newcomer("hank");
    let package = faulty_package(&hank, &bundle, fault);
    let made = committed(bench, vec![add(&gina.key_package), add(&package)], &Alter::default());
    nobody_joins(bench, &made, &gina, |_| {}, expected);
}

/// A fault that a leaf shows on its own, wherever it stands.
#[track_caller]
pub(super) fn leaf_is_refused_everywhere(bench: &mut Bench, fault: LeafFault<'_>, expected: impl Into<Error>) {
    let expected = expected.into();
    let (client, bundle) = bench.newcomer("faye");
    package_is_refused(bench, &faulty_package(&client, &bundle, fault), expected.clone());
    update_is_refused(bench, fault, expected.clone());
    path_is_refused(bench, fault, expected.clone());
    tree_is_refused(bench, fault, expected);
}

/// A GroupInfo of the epoch that Bob's commit begins, for everybody: tree and `external_pub` inside.
pub(super) fn group_info(bench: &Bench, made: &Made, change: impl FnOnce(&mut GroupInfo)) -> GroupInfo {
    let external_pub = made.secrets.external_key_pair(suite(1)).unwrap().public;
    let whole = |info: &mut GroupInfo| {
        info.extensions.set(ExtensionType::EXTERNAL_PUB, ExternalPub { external_pub }.to_bytes());
        change(info);
    };
    made.group_info(BOB, bench.bob().signer, whole, &mut keyroom_vectors::rng(76))
}

/// Neither the client that is welcomed, nor one that joins from outside, nor an observer takes this
/// GroupInfo.
#[track_caller]
pub(super) fn nobody_joins(
    bench: &mut Bench,
    made: &Made,
    welcomed: &KeyPackageBundle,
    change: impl FnOnce(&mut GroupInfo),
    expected: impl Into<Error>,
) {
    let expected = expected.into();
    let info = group_info(bench, made, change);
    let [by_welcome, from_outside, observer] = verdicts(bench, made, welcomed, info);
    assert_eq!(by_welcome, Err(expected.clone()), "by Welcome");
    assert_eq!(from_outside, Err(expected.clone()), "from outside");
    assert_eq!(observer, Err(expected), "observer");
}

/// What a guest, a stranger and an observer say to a GroupInfo.
pub(super) fn verdicts(bench: &Bench, made: &Made, welcomed: &KeyPackageBundle, info: GroupInfo) -> Outcomes {
    let welcome = made.welcome(suite(1), &info, &SecretParts::default(), &mut keyroom_vectors::rng(77));
    let config = std::sync::Arc::new(bench.members[0].group.config().clone());
    told(&MlsMessage::Welcome(welcome).to_bytes(), &MlsMessage::GroupInfo(info).to_bytes(), welcomed, &config)
}

/// Cuts off a signature that is good and puts none in its place.
pub(super) fn unsigned() -> Signature {
    Signature::from(vec![0; 64])
}
