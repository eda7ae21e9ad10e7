//! Section E: key packages.

use std::sync::Arc;

use keyroom_crypto::labels;
use keyroom_insider::{Alter, Bench, Client, Made, NOW, SecretParts, config, now, resigned, suite};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, NotYet, Rule};
use keyroom_mls::extension::{ExtensionEntry, ExtensionPlace, ExtensionTable, Listing};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle, KeyPackageUse, ValidKeyPackage};
use keyroom_mls::leaf_node::{LeafExpectation, LeafNodeParts, lifetime_from};
use keyroom_wire::{
    CipherSuite, Content, Credential, Decode, DecodeErrorKind as Kind, Encode, ExtensionType, KeyPackage,
    LeafNodeSource, Limits, MlsMessage, ProtocolVersion, Welcome,
};

use super::leaves::{
    add, commit_is_refused, committed, faulty_package, group_info, own_commit_is_refused, package_is_refused, proposed,
    unsigned,
};

/// A newcomer's key package, altered and signed again.
fn altered(bench: &mut Bench, change: impl FnOnce(&mut KeyPackage)) -> KeyPackage {
    let (client, bundle) = bench.newcomer("faye");
    let mut package = bundle.key_package;
    change(&mut package);
    resigned(package, &client, &mut keyroom_vectors::rng(1))
}

#[test]
fn row_072_a_key_package_of_another_version_or_suite_is_refused() {
    let mut bench = Bench::open();
    for version in [0, 2, 0x1a1a] {
        let package = altered(&mut bench, |package| package.version = ProtocolVersion(version));
        package_is_refused(&mut bench, &package, Rule::KeyPackageVersion);
    }
    for suite in [0, 3, 0x0a0a] {
        let package = altered(&mut bench, |package| package.cipher_suite = CipherSuite(suite));
        package_is_refused(&mut bench, &package, Rule::KeyPackageCipherSuite);
    }
    bench.goes_on();
}

#[test]
fn row_073_a_key_package_whose_leaf_is_invalid_is_refused() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    let update = |parts: &mut LeafNodeParts| parts.leaf_node_source = LeafNodeSource::Update;
    package_is_refused(&mut bench, &faulty_package(&client, &bundle, &update), Rule::LeafSource);
    let no_suite = |parts: &mut LeafNodeParts| parts.capabilities.cipher_suites.clear();
    package_is_refused(&mut bench, &faulty_package(&client, &bundle, &no_suite), Rule::LeafLacksCipherSuite);
    let mut package = bundle.key_package;
    package.leaf_node.signature = unsigned();
    sign(&mut package, &client);
    package_is_refused(&mut bench, &package, Rule::LeafSignature);
    bench.goes_on();
}

/// Signs the key package and leaves its leaf as it is.
fn sign(package: &mut KeyPackage, client: &Client) {
    let rng = &mut keyroom_vectors::rng(2);
    package.signature = labels::sign_with_label(client.signer.as_ref(), "KeyPackageTBS", &package.tbs(), rng).unwrap();
}

#[test]
fn row_074_a_key_package_that_is_not_signed_by_the_key_of_its_leaf_is_refused() {
    let mut bench = Bench::open();
    let expected = Rule::KeyPackageSignature;
    let (_, bundle) = bench.newcomer("faye");
    let (stranger, _) = bench.newcomer("gina");
    let mut nobody = bundle.key_package.clone();
    nobody.signature = unsigned();
    package_is_refused(&mut bench, &nobody, expected);
    let mut by_another = bundle.key_package.clone();
    sign(&mut by_another, &stranger);
    package_is_refused(&mut bench, &by_another, expected);
    let mut changed = bundle.key_package.clone();
    changed.init_key = stranger.bundle(&mut keyroom_vectors::rng(3)).key_package.init_key;
    package_is_refused(&mut bench, &changed, expected);
    let mut transplanted = bundle.key_package;
    transplanted.signature = transplanted.leaf_node.signature.clone();
    package_is_refused(&mut bench, &transplanted, expected);
    bench.goes_on();
}

#[test]
fn row_075_a_key_package_with_one_key_for_init_and_leaf_is_refused() {
    let mut bench = Bench::open();
    let package = altered(&mut bench, |package| package.init_key = package.leaf_node.encryption_key.clone());
    package_is_refused(&mut bench, &package, Rule::InitKeyIsEncryptionKey);
    bench.goes_on();
}

#[test]
fn row_076_a_key_package_of_another_version_than_its_message_is_refused() {
    let mut bench = Bench::open();
    let package = altered(&mut bench, |package| package.version = ProtocolVersion(2));
    let message = MlsMessage::KeyPackage(package).to_bytes();
    let Ok(MlsMessage::KeyPackage(read)) = MlsMessage::from_bytes(&message, &Limits::default()) else {
        panic!("version 2 inside version 1 parses")
    };
    let table = ExtensionTable::new();
    let expectation = LeafExpectation { now: Some(NOW), ..LeafExpectation::new(suite(1), &table) };
    assert_eq!(ValidKeyPackage::validate(read.clone(), &expectation), Err(Rule::KeyPackageVersion));
    package_is_refused(&mut bench, &read, Rule::KeyPackageVersion);
    // The other way round, the message itself is of a version that nobody here speaks.
    let (_, bundle) = bench.newcomer("gina");
    let mut message = MlsMessage::KeyPackage(bundle.key_package).to_bytes();
    message[1] = 2;
    let error = MlsMessage::from_bytes(&message, &Limits::default()).unwrap_err();
    assert_eq!(error.kind, Kind::UnknownValue { value: 2 });
}

#[test]
fn row_077_a_key_package_with_a_registered_extension_that_its_leaf_does_not_list_is_refused() {
    const REGISTERED: ExtensionType = ExtensionType(0xf0f0);
    let entry = ExtensionEntry {
        extension_type: REGISTERED,
        places: &[ExtensionPlace::KeyPackage],
        listing: Listing::Required,
    };
    let extensions = ExtensionTable::new().with(entry);
    let mut bench = Bench::new(4, Arc::new(Config { extensions, ..Config::default() }));
    let package = altered(&mut bench, |package| package.extensions.set(REGISTERED, b"content"));
    package_is_refused(&mut bench, &package, Rule::KeyPackageExtensionNotListed);
    // Listed it passes, and what nobody knows passes unlisted too.
    let listed = altered(&mut bench, |package| {
        package.leaf_node.capabilities.extensions.push(REGISTERED);
        package.extensions.set(REGISTERED, b"content");
        package.extensions.set(ExtensionType(0x5a5a), b"grease");
    });
    bench.commit(0, |builder| builder.add(listed));
    bench.goes_on();
}

#[test]
fn row_078_a_key_package_with_an_extension_that_belongs_elsewhere_is_refused() {
    let mut bench = Bench::open();
    for elsewhere in [
        ExtensionType::APPLICATION_ID,
        ExtensionType::RATCHET_TREE,
        ExtensionType::REQUIRED_CAPABILITIES,
        ExtensionType::EXTERNAL_PUB,
        ExtensionType::EXTERNAL_SENDERS,
    ] {
        let package = altered(&mut bench, |package| package.extensions.set(elsewhere, b""));
        package_is_refused(&mut bench, &package, Rule::ExtensionNotAllowedHere);
    }
    bench.goes_on();
}

#[test]
fn row_079_no_two_key_packages_of_a_client_share_a_key() {
    let rng = &mut keyroom_vectors::rng(5);
    let faye = Client::new("faye", suite(1), rng);
    let mut keys = Vec::new();
    for usable in [KeyPackageUse::Once, KeyPackageUse::Once, KeyPackageUse::LastResort, KeyPackageUse::LastResort] {
        let builder = KeyPackageBuilder::new(suite(1), Credential::basic("faye"), lifetime_from(NOW, 100));
        let bundle = builder.usable(usable).build(faye.signer.as_ref(), rng).unwrap();
        keys.push(bundle.key_package.init_key);
        keys.push(bundle.key_package.leaf_node.encryption_key);
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 8);
}

fn welcome(bench: &Bench, made: &Made) -> Welcome {
    let info = group_info(bench, made, |_| {});
    made.welcome(suite(1), &info, &SecretParts::default(), &mut keyroom_vectors::rng(6))
}

fn joined(welcome: &Welcome, bundles: &[KeyPackageBundle]) -> Result<keyroom_mls::group::Joining, Error> {
    let bytes = MlsMessage::Welcome(welcome.clone()).to_bytes();
    Group::join(suite(1), &bytes, &JoinOptions::new(bundles), config(), &now(), &mut keyroom_vectors::rng(7))
}

#[test]
fn row_080_a_join_names_the_key_package_that_is_used_up() {
    let mut bench = Bench::open();
    let (faye, once) = bench.newcomer("faye");
    let again = KeyPackageBuilder::new(suite(1), Credential::basic("faye"), lifetime_from(NOW, 100));
    let again = again.usable(KeyPackageUse::LastResort);
    let again = again.build(faye.signer.as_ref(), &mut keyroom_vectors::rng(8)).unwrap();
    for (bundle, last_resort) in [(once, false), (again, true)] {
        let made = committed(&bench, vec![add(&bundle.key_package)], &Alter::default());
        let welcome = welcome(&bench, &made);
        let mut bundles = vec![bundle];
        let joining = joined(&welcome, &bundles).unwrap();
        let used = joining.key_package().unwrap().clone();
        assert_eq!(used, bundles[0].reference(suite(1)));
        assert_eq!(bundles[0].is_last_resort(), last_resort);
        // What a client does with it: without the init key the Welcome is no use any more.
        bundles.retain(|bundle| bundle.is_last_resort() || bundle.reference(suite(1)) != used);
        let twice = joined(&welcome, &bundles).map(drop);
        assert_eq!(twice, if last_resort { Ok(()) } else { Err(Rule::WelcomeNotForUs.into()) });
    }
}

#[test]
fn row_081_a_reference_that_is_not_the_hash_of_the_very_bytes_finds_nothing() {
    let mut bench = Bench::open();
    let (faye, bundle) = bench.newcomer("faye");
    let made = committed(&bench, vec![add(&bundle.key_package)], &Alter::default());
    let good = welcome(&bench, &made);
    let mut other_bytes = bundle.key_package.clone();
    other_bytes.extensions.set(ExtensionType(0x6a6a), b"");
    let other_bytes = resigned(other_bytes, &faye, &mut keyroom_vectors::rng(9));
    let package = bundle.key_package.to_bytes();
    let references = [
        labels::key_package_ref(suite(1), &other_bytes.to_bytes()),
        labels::key_package_ref(suite(1), &MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes()),
        labels::ref_hash(suite(1), "MLS 1.0 Proposal Reference", &package).as_slice().into(),
        suite(1).hash(&[&package]).as_slice().into(),
        good.secrets[0].new_member.as_slice()[..31].into(),
    ];
    let bundles = [bundle];
    for reference in references {
        let mut welcome = good.clone();
        welcome.secrets[0].new_member = reference;
        assert_eq!(joined(&welcome, &bundles).map(drop), Err(Rule::WelcomeNotForUs.into()));
    }
    joined(&good, &bundles).unwrap();

    // A proposal is named by the whole message, its signature included.
    let message = proposed(&bench.bob(), add(&bundles[0].key_package));
    let Ok(MlsMessage::PublicMessage(public)) = MlsMessage::from_bytes(&message, &Limits::default()) else {
        panic!("a public message")
    };
    bench.members[0].group.process(&message, &now()).unwrap();
    let kept = bench.members[0].group.pending_proposals()[0].reference.clone();
    let Content::Proposal(proposal) = &public.content.content else { panic!("a proposal") };
    let mut unsigned_message = public.clone().into_authenticated_content();
    unsigned_message.auth.signature = unsigned();
    let references = [
        labels::proposal_ref(suite(1), &proposal.to_bytes()),
        labels::proposal_ref(suite(1), &public.content.to_bytes()),
        labels::proposal_ref(suite(1), &unsigned_message.to_bytes()),
        labels::proposal_ref(suite(1), &message),
    ];
    for reference in references {
        assert_ne!(reference, kept);
        let message = bench.naming(std::slice::from_ref(&reference));
        bench.refuses("another reference", &message, NotYet::UnknownProposal(reference));
    }
    assert_eq!(kept, labels::proposal_ref(suite(1), &public.into_authenticated_content().to_bytes()));
}

#[test]
fn row_151_an_init_key_that_a_member_has_as_encryption_key_is_refused() {
    let mut bench = Bench::open();
    let dana = bench.leaf(3).encryption_key;
    let package = altered(&mut bench, |package| package.init_key = dana);
    commit_is_refused(&mut bench, &package, Rule::InitKeyIsLeafKey);
    own_commit_is_refused(&mut bench, &package, Rule::InitKeyIsLeafKey);
    bench.goes_on();
}
