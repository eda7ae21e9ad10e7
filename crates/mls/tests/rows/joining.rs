//! Sections L and M: Welcome, GroupInfo and ratchet tree, as an insider can make them.

use keyroom_crypto::labels;
use keyroom_insider::{Alter, BLANK, Bench, Client, Made, SecretParts, config, now, suite};
use keyroom_mls::error::{Error, NotYet, Rule, Usage};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::public::PublicGroup;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Decode, Encode, ExtensionType, GroupInfo, LeafIndex, Limits, Mac, MlsMessage, Node, Opaque,
    PreSharedKeyId, Proposal, ProtocolVersion, Psk, RatchetTree, ResumptionPskUsage, Welcome,
};

/// Bob adds Gina by hand.
fn invitation(bench: &mut Bench) -> (Client, KeyPackageBundle, Made) {
    let (gina, bundle) = bench.newcomer("gina");
    let add = Proposal::Add { key_package: Box::new(bundle.key_package.clone()) };
    let made = bench.bob().commit(vec![add], &Alter::default(), &mut keyroom_vectors::rng(40));
    (gina, bundle, made)
}

fn join(welcome: Welcome, bundle: &KeyPackageBundle, beside: Option<&[u8]>) -> Result<Group, Error> {
    let bundles = std::slice::from_ref(bundle);
    let options = JoinOptions { ratchet_tree: beside, ..JoinOptions::new(bundles) };
    let rng = &mut keyroom_vectors::rng(41);
    let bytes = MlsMessage::Welcome(welcome).to_bytes();
    let joining = Group::join(suite(1), &bytes, &options, config(), &now(), rng)?;
    let verdict = joining.questions().accept_unseen();
    joining.accept(&verdict).map(|(group, _)| group)
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn a_welcome_is_for_one_client_and_says_all_that_must_be_true() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(42);
    let (_, bundle, made) = invitation(&mut bench);
    let bob = bench.bob();
    let info = made.group_info(LeafIndex(1), bob.signer, |_| {}, rng);
    let joiner =
        made.tree.leaves().map(|e| e.unwrap()).find(|(_, l)| l.bytes() == bundle.key_package.leaf_node.to_bytes());
    let leaf = joiner.unwrap().0;
    let path_secret = made.path_secret_for(leaf);
    assert!(path_secret.is_some());
    let honest = || SecretParts { path_secret: path_secret.clone(), ..SecretParts::default() };
    let good = made.welcome(suite(1), &info, &honest(), rng);
    type Change = (&'static str, fn(&mut Welcome), Rule);
    let changes: [Change; 6] = [
        ("205", |w| w.cipher_suite = CipherSuite(3), Rule::WelcomeCipherSuite),
        ("204", |w| w.secrets[0].new_member = vec![0; 32].as_slice().into(), Rule::WelcomeNotForUs),
        ("204 nobody", |w| w.secrets.clear(), Rule::WelcomeNotForUs),
        (
            "206 sealed",
            |w| {
                let sealed = &mut w.secrets[0].encrypted_group_secrets;
                sealed.ciphertext = flip(sealed.ciphertext.as_slice(), 0).into();
            },
            Rule::GroupSecrets,
        ),
        (
            "206 encapsulated",
            |w| w.secrets[0].encrypted_group_secrets.kem_output = Opaque::default(),
            Rule::GroupSecrets,
        ),
        (
            "206 info",
            |w| w.encrypted_group_info = flip(w.encrypted_group_info.as_slice(), 9).into(),
            Rule::GroupSecrets,
        ),
    ];
    for (name, change, expected) in changes {
        let mut welcome = good.clone();
        change(&mut welcome);
        assert_eq!(join(welcome, &bundle, None).err(), Some(expected.into()), "{name}");
    }
    let psk = |usage| PreSharedKeyId {
        psk: Psk::Resumption { usage, psk_group_id: b"old"[..].into(), psk_epoch: 4 },
        psk_nonce: vec![0; 32].into(),
    };
    let external = |nonce: usize| PreSharedKeyId {
        psk: Psk::External { psk_id: b"x"[..].into() },
        psk_nonce: vec![0; nonce].into(),
    };
    let cases: Vec<(&str, SecretParts, Error)> = vec![
        ("216 garbage", SecretParts { path_secret: Some(vec![1; 32]), ..honest() }, Rule::PathKeyMismatch.into()),
        ("216 short", SecretParts { path_secret: Some(vec![1; 31]), ..honest() }, Rule::GroupSecrets.into()),
        (
            "206 joiner secret length",
            SecretParts { joiner_secret: Some(vec![1; 31]), ..honest() },
            Rule::GroupSecrets.into(),
        ),
        ("206 no joiner secret", SecretParts { joiner_secret: Some(vec![]), ..honest() }, Rule::GroupSecrets.into()),
        (
            "210 joiner secret",
            SecretParts { joiner_secret: Some(vec![1; 32]), ..honest() },
            Rule::GroupInfoDecryption.into(),
        ),
        ("206 trailing", SecretParts { trailing: vec![0], ..honest() }, Rule::GroupSecrets.into()),
        (
            "208",
            SecretParts { psks: vec![psk(ResumptionPskUsage::ReInit), psk(ResumptionPskUsage::Branch)], ..honest() },
            Rule::WelcomePsks.into(),
        ),
        ("209", SecretParts { psks: vec![external(31)], ..honest() }, Rule::PskNonceLength.into()),
        ("207", SecretParts { psks: vec![external(32)], ..honest() }, NotYet::Psks(vec![external(32).psk]).into()),
    ];
    for (name, parts, expected) in cases {
        let welcome = made.welcome(suite(1), &info, &parts, rng);
        assert_eq!(join(welcome, &bundle, None).err(), Some(expected), "{name}");
    }
    let group = join(good, &bundle, None).unwrap();
    assert_eq!(group.epoch_authenticator(), made.secrets.epoch_authenticator().expose());
    let message = made.bytes();
    let processed = bench.members[0].group.process(&message, &now());
    assert!(processed.is_ok());
}

/// A change to a GroupInfo before it is signed, and why it is refused.
type InfoCase<'a> = (&'static str, Box<dyn Fn(&mut GroupInfo) + 'a>, Rule);

fn tree_of(info: &GroupInfo) -> RatchetTree {
    let bytes = info.extensions.get(ExtensionType::RATCHET_TREE).unwrap();
    RatchetTree::from_bytes(bytes, &Limits::default()).unwrap()
}

/// Another tree, and a tree hash that fits it if it can be read.
fn with_tree(change: impl Fn(&mut RatchetTree) + 'static) -> Box<dyn Fn(&mut GroupInfo)> {
    Box::new(move |info| {
        let mut tree = tree_of(info);
        change(&mut tree);
        let bytes = tree.to_bytes();
        if let Ok(mut read) = keyroom_mls::tree::Tree::import(suite(1), &bytes, &Limits::default(), 1 << 20) {
            info.group_context.tree_hash = read.tree_hash().unwrap().as_slice().into();
        }
        info.extensions.set(ExtensionType::RATCHET_TREE, bytes);
    })
}

fn first_parent(tree: &mut RatchetTree) -> &mut keyroom_wire::ParentNode {
    let found = tree.nodes.iter_mut().find_map(|node| match node {
        Some(Node::Parent(parent)) => Some(parent),
        _ => None,
    });
    found.unwrap()
}

fn leaf_node(tree: &mut RatchetTree, at: usize) -> &mut keyroom_wire::LeafNode {
    match tree.nodes[2 * at].as_mut() {
        Some(Node::Leaf(leaf)) => leaf,
        _ => panic!("a leaf"),
    }
}

/// What every reader of a GroupInfo refuses: joiners of both kinds and observers.
fn cases() -> Vec<InfoCase<'static>> {
    vec![
        ("211 signer blank", Box::new(|info| info.signer = BLANK), Rule::GroupInfoSignature),
        ("211 signer outside", Box::new(|info| info.signer = LeafIndex(u32::MAX)), Rule::GroupInfoSignature),
        ("211 another signer", Box::new(|info| info.signer = LeafIndex(3)), Rule::GroupInfoSignature),
        ("214", Box::new(|info| info.group_context.version = ProtocolVersion(2)), Rule::GroupVersion),
        ("190", Box::new(|info| info.group_context.tree_hash = vec![0; 32].into()), Rule::TreeHash),
        ("190 length", Box::new(|info| info.group_context.tree_hash = Opaque::default()), Rule::TreeHash),
        ("188", Box::new(|info| info.extensions.list.clear()), Rule::TreeAbsent),
        ("232", Box::new(|info| info.extensions.list.push(info.extensions.list[0].clone())), Rule::DuplicateExtension),
        (
            "226 place",
            Box::new(|info| info.extensions.set(ExtensionType::REQUIRED_CAPABILITIES, vec![0, 0, 0])),
            Rule::ExtensionNotAllowedHere,
        ),
        ("187 epoch", Box::new(|info| info.group_context.epoch = u64::MAX), Rule::EpochOverflow),
        (
            "transcript",
            Box::new(|info| info.group_context.confirmed_transcript_hash = vec![0; 31].into()),
            Rule::TranscriptHashLength,
        ),
        ("188 empty", with_tree(|tree| tree.nodes.clear()), Rule::TreeShape),
        ("189", with_tree(|tree| tree.nodes.extend([None, None])), Rule::TreeShape),
        ("191 parent hash", with_tree(|tree| first_parent(tree).parent_hash = vec![0; 32].into()), Rule::ParentHash),
        (
            "191 parent key",
            with_tree(|tree| {
                let pair = keyroom_mls::leaf_node::generate_key_pair(suite(1), &mut keyroom_vectors::rng(50)).unwrap();
                first_parent(tree).encryption_key = pair.public;
            }),
            Rule::ParentHash,
        ),
        (
            "196 a leaf that is not there",
            with_tree(|tree| first_parent(tree).unmerged_leaves = vec![LeafIndex(7)]),
            Rule::UnmergedLeaves,
        ),
        (
            "196 twice",
            with_tree(|tree| first_parent(tree).unmerged_leaves = vec![LeafIndex(0), LeafIndex(0)]),
            Rule::UnmergedLeaves,
        ),
        (
            "195 leaf signature",
            with_tree(|tree| {
                let capabilities = &mut leaf_node(tree, 3).capabilities;
                capabilities.extensions.push(ExtensionType(0xff07));
            }),
            Rule::ParentHash,
        ),
        (
            "200",
            with_tree(|tree| {
                let key = leaf_node(tree, 3).encryption_key.clone();
                leaf_node(tree, 4).encryption_key = key;
            }),
            Rule::ParentHash,
        ),
    ]
}

#[test]
fn a_group_info_is_checked_by_whoever_reads_it() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(43);
    let (_, bundle, made) = invitation(&mut bench);
    let (hugo, hugo_bundle) = bench.newcomer("hugo");
    let bob = bench.bob();
    let external = |info: &mut GroupInfo| {
        let public = made.secrets.external_key_pair(suite(1)).unwrap().public;
        let external = keyroom_wire::ExternalPub { external_pub: public };
        info.extensions.set(ExtensionType::EXTERNAL_PUB, external.to_bytes());
    };
    for (name, change, expected) in cases() {
        let altered = made.group_info(LeafIndex(1), bob.signer, |info| change(info), rng);
        let welcome = made.welcome(suite(1), &altered, &SecretParts::default(), rng);
        // The key schedule binds the context, so a joiner may notice by its tag before it reads on.
        let refused = join(welcome, &bundle, None).map(|_| ()).unwrap_err();
        let binding = [Error::Rule(Rule::ConfirmationTag), Error::Rule(expected)];
        assert!(binding.contains(&refused), "{name}: {refused:?}");
        let info = made.group_info(
            LeafIndex(1),
            bob.signer,
            |info| {
                external(info);
                change(info);
                if expected == Rule::TreeAbsent {
                    external(info);
                }
            },
            rng,
        );
        let bytes = MlsMessage::GroupInfo(info).to_bytes();
        let join = Group::join_external(suite(1), &hugo_bundle, config());
        let refused = join.build(&bytes, hugo.signer.as_ref(), &now(), rng).map(|_| ()).unwrap_err();
        assert_eq!(refused, Error::Rule(expected), "{name}: by external commit");
        let observed = PublicGroup::observe(&RUSTCRYPTO, &bytes, None, config(), &now(), rng);
        assert_eq!(observed.map(|_| ()).unwrap_err(), Error::Rule(expected), "{name}: by an observer");
    }
    let info = made.group_info(LeafIndex(1), bob.signer, external, rng);
    let mut unsigned = info.clone();
    unsigned.signature = flip(info.signature.as_slice(), 5).as_slice().into();
    let bytes = MlsMessage::GroupInfo(unsigned).to_bytes();
    let observed = PublicGroup::observe(&RUSTCRYPTO, &bytes, None, config(), &now(), rng);
    assert_eq!(observed.map(|_| ()).unwrap_err(), Error::Rule(Rule::GroupInfoSignature), "211");
    let without = made.group_info(LeafIndex(1), bob.signer, |_| {}, rng);
    let bytes = MlsMessage::GroupInfo(without).to_bytes();
    let join = Group::join_external(suite(1), &hugo_bundle, config());
    let refused = join.build(&bytes, hugo.signer.as_ref(), &now(), rng).map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::ExternalPubAbsent), "224");
    let not_info = made.bytes();
    let join = Group::join_external(suite(1), &hugo_bundle, config());
    let refused = join.build(&not_info, hugo.signer.as_ref(), &now(), rng).map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Usage(Usage::WrongMessageKind));
}

#[test]
fn a_joiner_compares_the_group_info_with_its_own_key_package_and_secrets() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(44);
    let (_, bundle, made) = invitation(&mut bench);
    let bob = bench.bob();
    let tag = |tag: Mac| move |info: &mut GroupInfo| info.confirmation_tag = tag.clone();
    for (name, damaged) in [("empty", Vec::new()), ("short", vec![0; 31]), ("wrong", vec![0; 32])] {
        let info = made.group_info(LeafIndex(1), bob.signer, tag(damaged.as_slice().into()), rng);
        let welcome = made.welcome(suite(1), &info, &SecretParts::default(), rng);
        assert_eq!(join(welcome, &bundle, None).err(), Some(Rule::ConfirmationTag.into()), "218 {name}");
    }
    let info = made.group_info(LeafIndex(1), bob.signer, |info| info.group_context.cipher_suite = CipherSuite(3), rng);
    let welcome = made.welcome(suite(1), &info, &SecretParts::default(), rng);
    assert_eq!(join(welcome, &bundle, None).err(), Some(Rule::WelcomeCipherSuite.into()), "213");
    let old = bench.members[1].group.ratchet_tree().unwrap();
    let honest = made.group_info(LeafIndex(1), bob.signer, |_| {}, rng);
    let welcome = made.welcome(suite(1), &honest, &SecretParts::default(), rng);
    assert_eq!(join(welcome, &bundle, Some(&old)).err(), Some(Rule::TreesDiffer.into()), "226");
    let apart = made.group_info(LeafIndex(1), bob.signer, |info| info.extensions.list.clear(), rng);
    let welcome = || made.welcome(suite(1), &apart, &SecretParts::default(), &mut keyroom_vectors::rng(45));
    assert_eq!(join(welcome(), &bundle, None).err(), Some(Rule::TreeAbsent.into()), "188");
    assert_eq!(join(welcome(), &bundle, Some(&old)).err(), Some(Rule::OwnLeafAbsent.into()), "215");
    let tree = made.tree.export().unwrap();
    assert!(join(welcome(), &bundle, Some(&tree)).is_ok());
    for cut in [0, 1, tree.len() / 2, tree.len() - 1] {
        assert!(join(welcome(), &bundle, Some(&tree[..cut])).is_err(), "a tree cut at {cut}");
    }
    let _unused = labels::opaque_bytes(b"");
}
