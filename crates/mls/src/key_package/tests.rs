use alloc::vec::Vec;

use keyroom_crypto::{Provider, Signer};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_vectors::{Hex, load, rng};
use keyroom_wire::{CipherSuite, Credential, Decode, Limits, MlsMessage, ProtocolVersion, Signature, is_grease};

use super::*;
use crate::extension::{ExtensionEntry, ExtensionTable};
use crate::leaf_node::tests::{NOW, expectation, parts, public_key, signed, signer, suite};
use crate::leaf_node::{Grease, LeafExpectation, LeafNodeParts, LifetimeCheck, capabilities_for, lifetime_from};

fn builder() -> KeyPackageBuilder<'static> {
    KeyPackageBuilder::new(suite(), Credential::basic("alice"), lifetime_from(NOW, 1_000))
}

/// A valid key package, edited, and signed again.
fn edited(edit: impl FnOnce(&mut KeyPackage)) -> KeyPackage {
    let signer = signer(1);
    let mut key_package = builder().build(&*signer, &mut rng(1)).unwrap().key_package;
    edit(&mut key_package);
    sign(&mut key_package, &*signer);
    key_package
}

fn sign(key_package: &mut KeyPackage, signer: &dyn Signer) {
    key_package.signature = labels::sign_with_label(signer, LABEL, &key_package.tbs(), &mut rng(2)).unwrap();
}

fn verdict(edit: impl FnOnce(&mut KeyPackage)) -> Result<(), Rule> {
    ValidKeyPackage::validate(edited(edit), &expectation()).map(drop)
}

#[test]
fn what_is_built_is_valid_and_names_itself() {
    let bundle = builder().build(&*signer(1), &mut rng(1)).unwrap();
    let reference = bundle.reference(suite());
    let valid = ValidKeyPackage::validate(bundle.key_package.clone(), &expectation()).unwrap();
    assert_eq!(valid.reference(), &reference);
    assert_eq!(reference, labels::key_package_ref(suite(), &bundle.key_package.to_bytes()));
    let public = |private: &keyroom_crypto::Secret| suite().kem().public_key(private.expose()).unwrap();
    assert_eq!(public(&bundle.init_private), bundle.key_package.init_key);
    assert_eq!(public(&bundle.leaf_private), bundle.key_package.leaf_node.encryption_key);
}

#[test]
fn grease_is_added_where_it_may_stand_and_nowhere_when_omitted() {
    let count = |grease, seed| {
        let package = builder().grease(grease).build(&*signer(1), &mut rng(seed)).unwrap().key_package;
        let capabilities = &package.leaf_node.capabilities;
        let lists = [
            capabilities.versions.iter().filter(|v| is_grease(v.0)).count(),
            capabilities.cipher_suites.iter().filter(|v| is_grease(v.0)).count(),
            capabilities.proposals.iter().filter(|v| is_grease(v.0)).count(),
            capabilities.credentials.iter().filter(|v| is_grease(v.0)).count(),
            package.leaf_node.extensions.types().filter(|t| is_grease(t.0)).count(),
            package.extensions.types().filter(|t| is_grease(t.0)).count(),
        ];
        let mut sent = package.leaf_node.extensions.types().chain(package.extensions.types());
        assert!(sent.all(|t| capabilities.extensions.contains(&t)), "what is sent is listed");
        lists
    };
    for seed in 0..20 {
        assert_eq!(count(Grease::Add, seed), [0, 1, 1, 1, 1, 1]);
        assert_eq!(count(Grease::Capabilities, seed), [0, 1, 1, 1, 0, 0]);
        assert_eq!(count(Grease::Omit, seed), [0; 6]);
    }
}

#[test]
fn a_last_resort_package_says_so_and_others_do_not() {
    for (usable, expected) in [(KeyPackageUse::Once, false), (KeyPackageUse::LastResort, true)] {
        let bundle = builder().usable(usable).build(&*signer(1), &mut rng(1)).unwrap();
        assert_eq!(bundle.is_last_resort(), expected);
        let valid = ValidKeyPackage::validate(bundle.key_package, &expectation()).unwrap();
        assert_eq!(valid.is_last_resort(), expected);
    }
}

#[test]
fn a_package_that_every_receiver_would_refuse_is_not_built() {
    let no_suite = builder().capabilities(capabilities_for([], [keyroom_wire::CredentialType::BASIC]));
    let error = no_suite.build(&*signer(1), &mut rng(1)).unwrap_err();
    assert_eq!(error, BuildError::Invalid(Rule::LeafLacksCipherSuite));
    let mut misplaced = Extensions::new();
    misplaced.set(ExtensionType::RATCHET_TREE, []);
    let error = builder().extensions(misplaced).build(&*signer(1), &mut rng(1)).unwrap_err();
    assert_eq!(error, BuildError::Invalid(Rule::ExtensionNotAllowedHere));
}

#[test]
fn row_072_version_and_suite_must_be_those_of_the_group() {
    assert_eq!(verdict(|k| k.version = ProtocolVersion(2)), Err(Rule::KeyPackageVersion));
    assert_eq!(verdict(|k| k.cipher_suite = CipherSuite(3)), Err(Rule::KeyPackageCipherSuite));
}

#[test]
fn row_073_the_leaf_must_be_valid_for_a_key_package() {
    let update = LeafNodeParts { leaf_node_source: keyroom_wire::LeafNodeSource::Update, ..parts(1) };
    assert_eq!(verdict(|k| k.leaf_node = signed(update, LeafPlace::KeyPackage, 1)), Err(Rule::LeafSource));
    assert_eq!(verdict(|k| k.leaf_node.signature = Signature::default()), Err(Rule::LeafSignature));
}

#[test]
fn row_074_the_signature_must_be_by_the_key_of_the_leaf() {
    let key_package = edited(|_| {});
    let verdict = |key_package| ValidKeyPackage::validate(key_package, &expectation()).map(drop);
    assert_eq!(verdict(key_package.clone()), Ok(()));
    let mut by_another = key_package.clone();
    sign(&mut by_another, &*signer(2));
    assert_eq!(verdict(by_another), Err(Rule::KeyPackageSignature));
    let mut changed = key_package;
    changed.init_key = public_key(77);
    assert_eq!(verdict(changed), Err(Rule::KeyPackageSignature));
}

#[test]
fn row_075_the_init_key_must_differ_from_the_encryption_key() {
    let same = |k: &mut KeyPackage| k.init_key = k.leaf_node.encryption_key.clone();
    assert_eq!(verdict(same), Err(Rule::InitKeyIsEncryptionKey));
}

#[test]
fn row_024_an_init_key_that_the_suite_refuses_is_refused() {
    for bad in [Vec::new(), [0; 32].to_vec(), [4; 31].to_vec()] {
        assert_eq!(verdict(|k| k.init_key = bad.into()), Err(Rule::InvalidPublicKey));
    }
}

#[test]
fn row_071_extensions_that_nobody_registered_pass_unlisted() {
    let add = |value: u16| move |k: &mut KeyPackage| k.extensions.set(ExtensionType(value), []);
    assert_eq!(verdict(add(0x2a2a)), Ok(()));
    assert_eq!(verdict(add(0xf001)), Ok(()));
    assert_eq!(verdict(add(10)), Ok(()), "last_resort is sent unlisted by deployed clients");
}

#[test]
fn row_077_a_registered_extension_must_be_listed() {
    let add = |value: u16| move |k: &mut KeyPackage| k.extensions.set(ExtensionType(value), []);
    let entry = ExtensionEntry {
        extension_type: ExtensionType(0xf001),
        places: &[ExtensionPlace::KeyPackage],
        listing: Listing::Required,
    };
    let table = ExtensionTable::new().with(entry);
    let expectation = LeafExpectation { extensions: &table, ..expectation() };
    let unlisted = ValidKeyPackage::validate(edited(add(0xf001)), &expectation).map(drop);
    assert_eq!(unlisted, Err(Rule::KeyPackageExtensionNotListed));
    let listed = edited(|k| {
        let mut parts = parts(1);
        parts.capabilities.extensions.push(ExtensionType(0xf001));
        k.leaf_node = signed(parts, LeafPlace::KeyPackage, 1);
        k.extensions.set(ExtensionType(0xf001), []);
    });
    assert_eq!(ValidKeyPackage::validate(listed, &expectation).map(drop), Ok(()));
}

#[test]
fn row_078_extensions_that_belong_elsewhere_are_refused() {
    for value in 1..=5 {
        let misplaced = |k: &mut KeyPackage| k.extensions.set(ExtensionType(value), []);
        assert_eq!(verdict(misplaced), Err(Rule::ExtensionNotAllowedHere));
    }
    let filled = |k: &mut KeyPackage| k.extensions.set(ExtensionType::LAST_RESORT, [0]);
    assert_eq!(verdict(filled), Err(Rule::MalformedExtension));
}

#[test]
fn row_079_every_package_has_its_own_keys() {
    let mut rng = rng(5);
    let mut keys = Vec::new();
    for _ in 0..10 {
        let bundle = builder().build(&*signer(1), &mut rng).unwrap();
        keys.push(bundle.key_package.init_key);
        keys.push(bundle.key_package.leaf_node.encryption_key);
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 20);
}

#[test]
fn row_232_an_extension_twice_is_refused() {
    let twice = |k: &mut KeyPackage| {
        let list = k.extensions.list.clone();
        k.extensions.list.extend(list);
    };
    assert_eq!(verdict(twice), Err(Rule::DuplicateExtension));
}

#[test]
fn a_stored_bundle_comes_back_whole_or_not_at_all() {
    let bundle = builder().build(&*signer(1), &mut rng(1)).unwrap();
    let stored = bundle.encode();
    let read = KeyPackageBundle::decode(&stored).unwrap();
    assert_eq!(read.key_package, bundle.key_package);
    assert_eq!(read.init_private.expose(), bundle.init_private.expose());
    assert_eq!(read.leaf_private.expose(), bundle.leaf_private.expose());
    for length in 0..stored.len() {
        assert!(KeyPackageBundle::decode(&stored[..length]).is_err());
    }
    let mut longer = stored.to_vec();
    longer.push(0);
    assert!(matches!(KeyPackageBundle::decode(&longer), Err(BundleError::Malformed(_))));
    longer[0] = 2;
    assert_eq!(KeyPackageBundle::decode(&longer).unwrap_err(), BundleError::UnknownVersion(2));
}

#[test]
fn encoding_a_bundle_leaves_no_copy_of_a_key_behind() {
    let bundle = builder().build(&*signer(1), &mut rng(1)).unwrap();
    let stored = bundle.encode();
    let room = bundle.key_package.to_bytes().len() + bundle.init_private.len() + bundle.leaf_private.len() + 16;
    assert!(stored.capacity() == room, "the buffer never grew");
}

#[test]
fn debug_shows_no_private_key() {
    let bundle = builder().build(&*signer(1), &mut rng(1)).unwrap();
    let shown = alloc::format!("{bundle:?}");
    assert!(shown.contains("init_private: Secret(32 bytes)"));
}

#[derive(serde::Deserialize)]
struct PassiveClient {
    cipher_suite: u16,
    key_package: Hex,
}

#[test]
fn official_key_packages_are_valid() {
    for file in ["mls/passive-client-welcome.json", "mls/passive-client-random.json"] {
        let Some(cases) = load::<Vec<PassiveClient>>(file) else { return };
        for case in cases {
            let Ok(suite) = RUSTCRYPTO.suite(CipherSuite(case.cipher_suite)) else { continue };
            let message = MlsMessage::from_bytes(&case.key_package.0, &Limits::default()).unwrap();
            let MlsMessage::KeyPackage(key_package) = message else { panic!("a key package") };
            let table = ExtensionTable::new();
            let mut expectation = LeafExpectation::new(suite, &table);
            expectation.lifetimes.check = LifetimeCheck::Order;
            assert_eq!(ValidKeyPackage::validate(key_package, &expectation).map(drop), Ok(()));
        }
    }
}
