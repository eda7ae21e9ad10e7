//! Section D: leaf nodes, at every door through which one can come in.

use std::sync::Arc;

use keyroom_crypto::{Signer, labels};
use keyroom_insider::{Alter, Bench, EXTENSION, Insider, NOW, PROPOSAL, config, now, room};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, Rule};
use keyroom_mls::group::{Received, Waiting};
use keyroom_mls::leaf_node::{LeafNodeParts, LifetimeCheck, lifetime_from};
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, ExtensionType, GroupId, KeyPackage, LeafIndex, LeafNode, LeafNodeSource,
    Lifetime, Proposal, ProposalOrRef, ProposalRef, ProposalType, ProtocolVersion,
};

use super::leaves::{
    BOB, add, commit_is_refused, committed, demanding, extensions, faulty_package, group_info,
    leaf_is_refused_everywhere, nobody_joins, own_commit_is_refused, package_is_refused, parent_key, path_is_refused,
    proposal_is_refused, proposed, remove, tree_is_refused, tree_with_package_is_refused, unsigned, update,
    update_is_refused, verdicts,
};

const DAY: u64 = 24 * 3600;

#[test]
fn row_047_a_leaf_whose_signature_is_not_by_its_own_key_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::LeafSignature;
    let (client, bundle) = bench.newcomer("faye");
    let mut package = bundle.key_package;
    package.leaf_node.credential = Credential::basic("alice");
    let sign = |package: &mut KeyPackage| {
        let rng = &mut keyroom_vectors::rng(1);
        package.signature =
            labels::sign_with_label(client.signer.as_ref(), "KeyPackageTBS", &package.tbs(), rng).unwrap();
    };
    sign(&mut package);
    package_is_refused(&mut bench, &package, expected);
    package.leaf_node.signature = unsigned();
    sign(&mut package);
    package_is_refused(&mut bench, &package, expected);

    let mut leaf = bench.leaf(BOB.0);
    leaf.leaf_node_source = LeafNodeSource::Update;
    let message = proposed(&bench.bob(), Proposal::Update { leaf_node: Box::new(leaf) });
    bench.refuses("an Update under an old signature", &message, expected);

    let altered =
        || Alter { leaf: Some(Box::new(|leaf| leaf.credential = Credential::basic("alice"))), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &altered()).bytes();
    bench.refuses("a path", &message, expected);
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &altered());
    nobody_joins(&mut bench, &made, &gina, |_| {}, expected);
    let made = committed(&bench, vec![add(&gina.key_package), add(&package)], &Alter::default());
    nobody_joins(&mut bench, &made, &gina, |_| {}, expected);
    bench.goes_on();
}

/// Bob's leaf, made for another group or another place, but otherwise as it must be.
fn signed_elsewhere(bench: &Bench, leaf: &mut LeafNode, group_id: &GroupId, leaf_index: LeafIndex) {
    let tbs = leaf.tbs(Some((group_id, leaf_index)));
    let signer = bench.members[1].client.signer.as_ref();
    leaf.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, &mut keyroom_vectors::rng(2)).unwrap();
}

#[test]
fn row_048_a_leaf_made_for_another_group_or_place_is_refused() {
    let mut bench = Bench::open();
    let here = bench.members[0].group.group_id().clone();
    let there = GroupId::from(&b"another room"[..]);
    for (group_id, leaf_index) in [(&there, BOB), (&here, LeafIndex(3))] {
        let mut leaf = bench.leaf(BOB.0);
        leaf.encryption_key = vec![7; 32].into();
        leaf.leaf_node_source = LeafNodeSource::Update;
        signed_elsewhere(&bench, &mut leaf, group_id, leaf_index);
        let message = proposed(&bench.bob(), Proposal::Update { leaf_node: Box::new(leaf) });
        bench.refuses("an Update", &message, Rule::LeafSignature);

        let (_, gina) = bench.newcomer("gina");
        let elsewhere = |leaf: &mut LeafNode| signed_elsewhere(&bench, leaf, group_id, leaf_index);
        let alter = Alter { leaf: Some(Box::new(elsewhere)), ..Alter::default() };
        let path = committed(&bench, Vec::new(), &alter).bytes();
        let tree = committed(&bench, vec![add(&gina.key_package)], &alter);
        drop(alter);
        bench.refuses("a path", &path, Rule::LeafSignature);
        nobody_joins(&mut bench, &tree, &gina, |_| {}, Rule::LeafSignature);
    }
    bench.goes_on();
}

#[test]
fn row_048_the_leaf_of_a_key_package_is_valid_in_any_group_at_any_place() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    let package = bundle.key_package.clone();
    let rng = &mut keyroom_vectors::rng(3);
    let (founder, _) = bench.newcomer("mallory");
    let mut other = founder.found(b"another room", config(), rng);
    let (pending, _) = other.commit().add(package.clone()).build(founder.signer.as_ref(), &now(), rng).unwrap();
    assert_eq!(pending.staged().added(), [LeafIndex(1)]);
    let welcome = bench.commit(0, |builder| builder.remove(LeafIndex(4)).add(package)).unwrap();
    let joined = client.join(&welcome, bundle, config(), &mut keyroom_vectors::rng(5));
    assert_eq!(joined.context(), bench.members[0].group.context());
    assert_ne!(joined.group_id(), other.group_id());
    assert_eq!(joined.own_leaf(), LeafIndex(2));
}

#[test]
fn row_049_a_key_package_whose_leaf_comes_from_elsewhere_is_refused() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    for source in [LeafNodeSource::Update, LeafNodeSource::Commit { parent_hash: Vec::new().into() }] {
        let fault = |parts: &mut LeafNodeParts| parts.leaf_node_source = source.clone();
        package_is_refused(&mut bench, &faulty_package(&client, &bundle, &fault), Rule::LeafSource);
    }
    bench.goes_on();
}

#[test]
fn row_050_an_update_whose_leaf_comes_from_elsewhere_is_refused() {
    let mut bench = Bench::open();
    let sources = [
        LeafNodeSource::KeyPackage(lifetime_from(NOW, 100)),
        LeafNodeSource::Commit { parent_hash: vec![1; 32].into() },
    ];
    for source in sources {
        let fault = |parts: &mut LeafNodeParts| parts.leaf_node_source = source.clone();
        update_is_refused(&mut bench, &fault, Rule::LeafSource);
    }
    bench.goes_on();
}

#[test]
fn row_051_a_path_whose_leaf_comes_from_elsewhere_is_refused() {
    let mut bench = Bench::open();
    for source in [LeafNodeSource::KeyPackage(lifetime_from(NOW, 100)), LeafNodeSource::Update] {
        let fault = |parts: &mut LeafNodeParts| parts.leaf_node_source = source.clone();
        path_is_refused(&mut bench, &fault, Rule::LeafSource);
    }
    bench.goes_on();
}

#[test]
fn row_052_a_leaf_that_lacks_a_required_extension_is_refused() {
    let mut bench = demanding();
    let fault = |parts: &mut LeafNodeParts| parts.capabilities.extensions.retain(|t| *t != EXTENSION);
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafLacksRequiredExtension);
    bench.goes_on();
}

#[test]
fn row_053_a_leaf_that_lacks_a_required_proposal_is_refused() {
    let mut bench = demanding();
    let fault = |parts: &mut LeafNodeParts| parts.capabilities.proposals.retain(|t| *t != PROPOSAL);
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafLacksRequiredProposal);
    bench.goes_on();
}

#[test]
fn row_054_a_leaf_that_lacks_a_required_credential_is_refused() {
    let mut bench = demanding();
    let fault = |parts: &mut LeafNodeParts| parts.capabilities.credentials.retain(|t| *t != CredentialType::X509);
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafLacksRequiredCredential);
    bench.goes_on();
}

#[test]
fn row_055_a_leaf_that_lacks_an_extension_of_the_group_is_refused() {
    let mut bench = Bench::open();
    bench.commit(0, |builder| builder.extensions(extensions(&[(EXTENSION, b"in use")])));
    let fault = |parts: &mut LeafNodeParts| parts.capabilities.extensions.retain(|t| *t != EXTENSION);
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafLacksGroupExtension);
    bench.goes_on();
}

#[test]
fn row_056_a_leaf_that_lacks_version_or_suite_of_the_group_is_refused() {
    let mut bench = Bench::open();
    let version = |parts: &mut LeafNodeParts| parts.capabilities.versions = vec![ProtocolVersion(0x1a1a)];
    leaf_is_refused_everywhere(&mut bench, &version, Rule::LeafLacksVersion);
    let suite = |parts: &mut LeafNodeParts| parts.capabilities.cipher_suites = vec![CipherSuite(2), CipherSuite(3)];
    leaf_is_refused_everywhere(&mut bench, &suite, Rule::LeafLacksCipherSuite);
    bench.goes_on();
}

/// Alice keeps Bob's Update, since other proposals may make room for it; what breaks the rule is a
/// commit of it. Left alone, it keeps nobody from committing.
#[track_caller]
fn update_is_not_committed(bench: &mut Bench, message: &[u8], expected: Rule) {
    let alice = &mut bench.members[0];
    alice.group.process(message, &now()).unwrap();
    let reference: ProposalRef = alice.group.pending_proposals()[0].reference.clone();
    let before = alice.group.snapshot().unwrap();
    let rng = &mut keyroom_vectors::rng(6);
    let commit = alice.group.commit().waiting(Waiting::Only(vec![reference.clone()]));
    let refused = commit.build(alice.client.signer.as_ref(), &now(), rng).map(drop).unwrap_err();
    assert_eq!(refused, Error::Rule(expected), "a commit of the Update");
    assert!(alice.group.snapshot().unwrap() == before);
    let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    alice.group.discard(pending.id).unwrap();
    alice.group.drop_proposal(&reference).unwrap();
}

const STRANGE: CredentialType = CredentialType(0x0bad);

fn strange_credential(parts: &mut LeafNodeParts) {
    parts.credential = Credential::Other { credential_type: STRANGE, body: b"who"[..].into() };
    parts.capabilities.credentials.push(STRANGE);
}

#[test]
fn row_057_a_leaf_whose_credential_type_some_member_does_not_support_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::CredentialNotSupportedByMembers;
    let (client, bundle) = bench.newcomer("faye");
    let package = faulty_package(&client, &bundle, &strange_credential);
    commit_is_refused(&mut bench, &package, expected);
    own_commit_is_refused(&mut bench, &package, expected);
    let message = update(&bench, &strange_credential);
    update_is_not_committed(&mut bench, &message, expected);
    path_is_refused(&mut bench, &strange_credential, expected);
    tree_is_refused(&mut bench, &strange_credential, expected);
    bench.goes_on();
}

/// Its own type is supported by all; those of the others it does not support.
fn x509_only(parts: &mut LeafNodeParts) {
    parts.credential = Credential::X509 { certificates: vec![b"certificate"[..].into()] };
    parts.capabilities.credentials = vec![CredentialType::X509];
}

#[test]
fn row_058_a_leaf_that_does_not_support_a_credential_type_in_use_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::LeafLacksCredentialInUse;
    let (client, bundle) = bench.newcomer("faye");
    let package = faulty_package(&client, &bundle, &x509_only);
    commit_is_refused(&mut bench, &package, expected);
    own_commit_is_refused(&mut bench, &package, expected);
    let message = update(&bench, &x509_only);
    update_is_not_committed(&mut bench, &message, expected);
    path_is_refused(&mut bench, &x509_only, expected);
    // In a whole tree nobody is the new one: some type in use is not supported by every member.
    tree_is_refused(&mut bench, &x509_only, Rule::CredentialNotSupportedByMembers);
    bench.goes_on();
}

#[test]
fn row_059_a_leaf_that_does_not_list_the_type_of_its_own_credential_is_refused() {
    let mut bench = Bench::open();
    let fault = |parts: &mut LeafNodeParts| parts.capabilities.credentials = vec![CredentialType::X509];
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafLacksOwnCredential);
    let alice = &mut bench.members[0];
    let before = alice.group.snapshot().unwrap();
    let signer = alice.client.signer.as_ref();
    let credential = Credential::Other { credential_type: STRANGE, body: b"who"[..].into() };
    let commit = alice.group.commit().new_identity(signer, credential);
    let refused = commit.build(signer, &now(), &mut keyroom_vectors::rng(8)).map(drop).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::LeafLacksOwnCredential), "an own new identity");
    assert!(alice.group.snapshot().unwrap() == before);
    bench.goes_on();
}

#[test]
fn row_060_a_leaf_with_an_extension_that_it_does_not_list_is_refused() {
    let mut bench = Bench::open();
    let fault = |parts: &mut LeafNodeParts| parts.extensions.set(ExtensionType(0xff03), b"content");
    leaf_is_refused_everywhere(&mut bench, &fault, Rule::LeafExtensionNotListed);
    bench.goes_on();
}

#[test]
fn row_061_a_leaf_that_lists_a_type_of_the_rfc_is_refused() {
    let mut bench = Bench::open();
    let extension = |parts: &mut LeafNodeParts| parts.capabilities.extensions.push(ExtensionType::APPLICATION_ID);
    leaf_is_refused_everywhere(&mut bench, &extension, Rule::DefaultTypeListed);
    let proposal = |parts: &mut LeafNodeParts| parts.capabilities.proposals.push(ProposalType::ADD);
    leaf_is_refused_everywhere(&mut bench, &proposal, Rule::DefaultTypeListed);
    bench.goes_on();
}

fn living(not_before: u64, not_after: u64) -> impl Fn(&mut LeafNodeParts) {
    move |parts| parts.leaf_node_source = LeafNodeSource::KeyPackage(Lifetime { not_before, not_after })
}

#[test]
fn row_062_we_add_nobody_outside_the_lifetime_of_the_key_package() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    for (not_before, not_after) in [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)] {
        let package = faulty_package(&client, &bundle, &living(not_before, not_after));
        own_commit_is_refused(&mut bench, &package, Rule::LifetimeOutside);
        let alice = &mut bench.members[0];
        let signer = alice.client.signer.as_ref();
        let before = alice.group.snapshot().unwrap();
        let refused = alice.group.propose(add(&package), b"", signer, &now(), &mut keyroom_vectors::rng(9));
        assert_eq!(refused.map(drop).unwrap_err(), Error::Rule(Rule::LifetimeOutside), "an own proposal");
        assert!(alice.group.snapshot().unwrap() == before);
    }
    let barely = faulty_package(&client, &bundle, &living(NOW - DAY, NOW));
    bench.commit(0, |builder| builder.add(barely));
}

#[test]
fn row_063_lifetimes_are_judged_on_receipt_as_the_configuration_says() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    let expired = faulty_package(&client, &bundle, &living(NOW - 9 * DAY, NOW - DAY));
    proposal_is_refused(&mut bench, &expired, Rule::LifetimeOutside);
    commit_is_refused(&mut bench, &expired, Rule::LifetimeOutside);

    // As clients are configured by default: a proposal is not kept, but a commit that the others
    // have accepted is followed.
    let mut members = room(&["alice", "bob"], 1, config(), &mut keyroom_vectors::rng(10));
    assert_eq!(members[0].group.config().received_lifetimes, LifetimeCheck::Length);
    let (proposal, commit) = {
        let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
        let commit = bob.commit(vec![add(&expired)], &Alter::default(), &mut keyroom_vectors::rng(11));
        (proposed(&bob, add(&expired)), commit.bytes())
    };
    let refused = members[0].group.process(&proposal, &now()).map(drop).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::LifetimeOutside));
    members[0].follow(&commit);
    assert_eq!(members[0].group.members_count(), 3);
    // Nor is anybody kept out by a member whose key package has run out, unless that is wanted.
    let living = living(NOW - 9 * DAY, NOW - DAY);
    let (_, gina) = bench.newcomer("gina");
    let expired = faulty_package(&client, &bundle, &living);
    let made = committed(&bench, vec![add(&gina.key_package), add(&expired)], &Alter::default());
    let info = group_info(&bench, &made, |_| {});
    assert_eq!(verdicts(&bench, &made, &gina, info), [Ok(()), Ok(()), Ok(())]);
    let joined_lifetimes = LifetimeCheck::LengthAndRange;
    let mut strict = Bench::new(1, Arc::new(Config { joined_lifetimes, ..Config::default() }));
    tree_with_package_is_refused(&mut strict, &living, Rule::LifetimeOutside);
}

#[test]
fn row_064_a_lifetime_longer_than_the_maximum_is_refused() {
    let mut bench = Bench::open();
    let longest = bench.members[0].group.config().lifetime.max_seconds;
    let (client, bundle) = bench.newcomer("faye");
    for (not_before, not_after) in [(NOW - 10, NOW - 10 + longest + 1), (0, u64::MAX)] {
        let package = faulty_package(&client, &bundle, &living(not_before, not_after));
        package_is_refused(&mut bench, &package, Rule::LifetimeTooLong);
        tree_with_package_is_refused(&mut bench, &living(not_before, not_after), Rule::LifetimeTooLong);
    }
    // The length is judged even where the range is not.
    let mut members = room(&["alice", "bob"], 1, config(), &mut keyroom_vectors::rng(12));
    let endless = faulty_package(&client, &bundle, &living(0, u64::MAX));
    let commit = {
        let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
        bob.commit(vec![add(&endless)], &Alter::default(), &mut keyroom_vectors::rng(13)).bytes()
    };
    let refused = members[0].group.process(&commit, &now()).map(drop).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::LifetimeTooLong));
    let just = faulty_package(&client, &bundle, &living(NOW - 10, NOW - 10 + longest));
    bench.commit(0, |builder| builder.add(just));
}

#[test]
fn row_065_a_lifetime_that_ends_before_it_begins_is_refused_and_none_overflows() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    for (not_before, not_after) in [(NOW + 1, NOW), (u64::MAX, 0), (u64::MAX, NOW)] {
        let package = faulty_package(&client, &bundle, &living(not_before, not_after));
        package_is_refused(&mut bench, &package, Rule::LifetimeReversed);
        tree_with_package_is_refused(&mut bench, &living(not_before, not_after), Rule::LifetimeReversed);
    }
    let far_away = faulty_package(&client, &bundle, &living(u64::MAX - 1, u64::MAX));
    package_is_refused(&mut bench, &far_away, Rule::LifetimeOutside);
    let long_ago = faulty_package(&client, &bundle, &living(0, 1));
    package_is_refused(&mut bench, &long_ago, Rule::LifetimeOutside);
    bench.goes_on();
}

/// Puts another signer's key into a leaf and signs with it.
fn with_key_of(leaf: &mut LeafNode, signer: &dyn Signer, group_id: &GroupId) {
    leaf.signature_key = signer.public_key().clone();
    let tbs = leaf.tbs(Some((group_id, BOB)));
    leaf.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, &mut keyroom_vectors::rng(14)).unwrap();
}

#[test]
fn row_066_a_signature_key_that_another_member_has_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::SignatureKeyNotUnique;
    // Dana is to be added once more, with other keys but the one that signs: to a group she is a
    // member already (row 144), to who joins it is a key in two leaves.
    let again = bench.members[2].client.bundle(&mut keyroom_vectors::rng(15)).key_package;
    commit_is_refused(&mut bench, &again, Rule::ClientAlreadyMember);
    own_commit_is_refused(&mut bench, &again, Rule::ClientAlreadyMember);
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package), add(&again)], &Alter::default());
    nobody_joins(&mut bench, &made, &gina, |_| {}, expected);

    let group_id = bench.members[0].group.group_id().clone();
    let mut leaf = bench.leaf(BOB.0);
    leaf.encryption_key = vec![7; 32].into();
    leaf.leaf_node_source = LeafNodeSource::Update;
    with_key_of(&mut leaf, bench.members[2].client.signer.as_ref(), &group_id);
    let message = proposed(&bench.bob(), Proposal::Update { leaf_node: Box::new(leaf) });
    update_is_not_committed(&mut bench, &message, expected);
    let stolen = |leaf: &mut LeafNode| with_key_of(leaf, bench.members[2].client.signer.as_ref(), &group_id);
    let alter = Alter { leaf: Some(Box::new(stolen)), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &alter).bytes();
    drop(alter);
    bench.refuses("a path", &message, expected);

    // Removed at once, she may come back: what counts is the resulting tree.
    let message = committed(&bench, vec![remove(3), add(&again)], &Alter::default()).bytes();
    bench.members[0].group.process(&message, &now()).unwrap();
    bench.goes_on();
}

#[test]
fn row_067_an_encryption_key_that_another_member_has_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::EncryptionKeyNotUnique;
    let dana = bench.leaf(3).encryption_key;
    let fault = move |parts: &mut LeafNodeParts| parts.encryption_key = dana.clone();
    let (client, bundle) = bench.newcomer("faye");
    let package = faulty_package(&client, &bundle, &fault);
    commit_is_refused(&mut bench, &package, expected);
    own_commit_is_refused(&mut bench, &package, expected);
    let message = update(&bench, &fault);
    update_is_not_committed(&mut bench, &message, expected);
    path_is_refused(&mut bench, &fault, expected);
    tree_is_refused(&mut bench, &fault, expected);
    bench.goes_on();
}

#[test]
fn row_068_a_key_that_signs_in_one_place_and_decrypts_in_another_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::KeyInTwoRoles;
    let (client, bundle) = bench.newcomer("faye");
    // An Ed25519 key is a plausible X25519 key too. First a leaf's own, then another member's.
    let own = client.signer.public_key().as_slice().to_vec();
    let fault = move |parts: &mut LeafNodeParts| parts.encryption_key = own.clone().into();
    package_is_refused(&mut bench, &faulty_package(&client, &bundle, &fault), expected);
    let bobs = bench.members[1].client.signer.public_key().as_slice().to_vec();
    let fault = move |parts: &mut LeafNodeParts| parts.encryption_key = bobs.clone().into();
    update_is_refused(&mut bench, &fault, expected);
    path_is_refused(&mut bench, &fault, expected);
    tree_is_refused(&mut bench, &fault, expected);
    let danas = bench.members[2].client.signer.public_key().as_slice().to_vec();
    let fault = move |parts: &mut LeafNodeParts| parts.encryption_key = danas.clone().into();
    let package = faulty_package(&client, &bundle, &fault);
    commit_is_refused(&mut bench, &package, expected);
    own_commit_is_refused(&mut bench, &package, expected);
    path_is_refused(&mut bench, &fault, expected);
    tree_is_refused(&mut bench, &fault, expected);
    bench.goes_on();
}

#[test]
fn row_068_the_key_of_a_parent_in_a_leaf_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::ParentKeyNotUnique;
    let parent = parent_key(&bench);
    let fault = move |parts: &mut LeafNodeParts| parts.encryption_key = parent.clone().into();
    let (client, bundle) = bench.newcomer("faye");
    let package = faulty_package(&client, &bundle, &fault);
    commit_is_refused(&mut bench, &package, expected);
    own_commit_is_refused(&mut bench, &package, expected);
    path_is_refused(&mut bench, &fault, expected);
    tree_is_refused(&mut bench, &fault, expected);
    bench.goes_on();
}

#[test]
fn row_069_an_update_that_keeps_the_encryption_key_is_refused() {
    let mut bench = Bench::open();
    let own = bench.leaf(BOB.0).encryption_key;
    let message = update(&bench, &|parts| parts.encryption_key = own.clone());
    update_is_not_committed(&mut bench, &message, Rule::EncryptionKeyUnchanged);
    // Dana commits it in spite of that.
    for member in [0, 2] {
        bench.members[member].group.process(&message, &now()).unwrap();
    }
    bench.observer.as_mut().unwrap().process(&message, &now()).unwrap();
    let entries = [ProposalOrRef::Reference(bench.members[0].group.pending_proposals()[0].reference.clone())];
    let dana = Insider::new(&bench.members[2].group, bench.members[2].client.signer.as_ref());
    let leaf = bench.leaf(3);
    let rng = &mut keyroom_vectors::rng(17);
    let commit = dana.commit_of(dana.sender(), &leaf, dana.signer, entries, &Alter::default(), rng).bytes();
    bench.refuses("a commit that names it", &commit, Rule::EncryptionKeyUnchanged);
    let same = |parts: &mut LeafNodeParts| parts.encryption_key = own.clone();
    let alter = Alter { parts: Some(Box::new(same)), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &alter).bytes();
    bench.refuses("a path", &message, Rule::EncryptionKeyUnchanged);
    bench.goes_on();
}

#[test]
fn row_070_a_leaf_with_an_extension_that_belongs_elsewhere_is_refused() {
    let mut bench = Bench::open();
    for elsewhere in [
        ExtensionType::RATCHET_TREE,
        ExtensionType::REQUIRED_CAPABILITIES,
        ExtensionType::EXTERNAL_PUB,
        ExtensionType::EXTERNAL_SENDERS,
        ExtensionType::LAST_RESORT,
    ] {
        let fault = |parts: &mut LeafNodeParts| {
            parts.extensions.set(elsewhere, b"");
            if elsewhere == ExtensionType::LAST_RESORT {
                parts.capabilities.extensions.push(elsewhere);
            }
        };
        leaf_is_refused_everywhere(&mut bench, &fault, Rule::ExtensionNotAllowedHere);
    }
    bench.goes_on();
}

#[test]
fn row_071_what_nobody_knows_is_ignored_in_capabilities_key_packages_and_group_infos() {
    let mut bench = Bench::open();
    let (faye, bundle) = bench.newcomer("faye");
    let unknown = |parts: &mut LeafNodeParts| {
        parts.capabilities.versions.push(ProtocolVersion(0x4a4a));
        parts.capabilities.cipher_suites.insert(0, CipherSuite(0xbeef));
        parts.capabilities.extensions.push(ExtensionType(0xf123));
        parts.capabilities.proposals.push(ProposalType(0xeaea));
        parts.capabilities.credentials.push(CredentialType(0xbeef));
        parts.extensions.set(ExtensionType(0xf123), b"what nobody knows");
    };
    let mut bundle = bundle;
    bundle.key_package.extensions.set(ExtensionType(0xf124), b"nor this");
    bundle.key_package = faulty_package(&faye, &bundle, &unknown);
    let made = committed(&bench, vec![add(&bundle.key_package)], &Alter::default());
    let info = group_info(&bench, &made, |info| info.extensions.set(ExtensionType(0xf125), b"nor that"));
    assert_eq!(verdicts(&bench, &made, &bundle, info), [Ok(()), Ok(()), Ok(())]);
    let message = made.bytes();
    let received = bench.members[0].group.process(&message, &now()).unwrap().received;
    assert!(matches!(received, Received::Commit(staged) if staged.added().len() == 1));
    bench.observer.as_mut().unwrap().process(&message, &now()).unwrap();
    let welcome = bench.commit(0, |builder| builder.add(bundle.key_package.clone())).unwrap();
    let joined = faye.join(&welcome, bundle, config(), &mut keyroom_vectors::rng(16));
    assert_eq!(joined.context(), bench.members[1].group.context());
}
