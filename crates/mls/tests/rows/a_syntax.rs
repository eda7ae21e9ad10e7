//! Section A: malformed bytes, as a group meets them. The decoder on its own is tested where it is.

use std::sync::Arc;

use keyroom_crypto::labels;
use keyroom_insider::{Alter, Bench, Made, SecretParts, now, suite};
use keyroom_mls::config::Config;
use keyroom_mls::error::{Error, Refusal, Rule};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::leaf_node::LeafNodeParts;
use keyroom_mls::secret_tree::RatchetType;
use keyroom_wire::{
    CipherSuite, Content, CredentialType, Decode, DecodeErrorKind as Kind, Encode, ExtensionType, GroupInfo, LeafIndex,
    LeafNodeSource, Limits, Mac, MlsMessage, Node, Opaque, PreSharedKeyId, PrivateMessage, Proposal, ProposalOrRef,
    ProposalRef, ProposalType, ProtocolVersion, Psk, PublicMessage, RatchetTree, RequiredCapabilities,
    ResumptionPskUsage, SenderData, Welcome,
};

use super::leaves::{
    BOB, add, committed, extensions, faulty_package, group_info, leaf_is_refused_everywhere, nobody_joins,
    package_is_refused, proposed, remove, verdicts,
};

/// Where the parts of a PublicMessage of Bob begin: version and wire format, then the group id of
/// four bytes with its length, epoch, sender and leaf, empty authenticated data, content type.
const GROUP_ID: usize = 4;
const SENDER_TYPE: usize = 17;
const CONTENT_TYPE: usize = 23;
const BODY: usize = 24;

/// Alice and the observer refuse the bytes as malformed in this way, and are as before.
#[track_caller]
fn malformed(bench: &mut Bench, message: &[u8], is: impl Fn(Kind) -> bool) {
    let group = &mut bench.members[0].group;
    let before = group.snapshot().unwrap();
    let error = group.process(message, &now()).map(drop).unwrap_err();
    let Error::Malformed(decoding) = &error else { panic!("{error}") };
    assert!(is(decoding.kind), "{error}");
    assert!(group.snapshot().unwrap() == before, "the group has changed");
    let observer = bench.observer.as_mut().unwrap();
    let before = observer.context().clone();
    assert_eq!(observer.process(message, &now()).map(drop).unwrap_err(), error);
    assert_eq!(*observer.context(), before);
}

/// A commit of Bob as it should be.
fn good(bench: &Bench) -> Vec<u8> {
    committed(bench, Vec::new(), &Alter::default()).bytes()
}

fn changed(message: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at] = byte;
    message
}

#[test]
fn row_001_a_presence_octet_of_two_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    assert_eq!(message[BODY..BODY + 2], [0, 1], "no proposals, a path");
    for octet in [2, 0x81, 0xff] {
        malformed(&mut bench, &changed(&message, BODY + 1, octet), |kind| kind == Kind::Presence { value: octet });
    }
    bench.goes_on();
}

#[test]
fn row_002_a_length_with_the_reserved_prefix_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    let reserved = changed(&message, GROUP_ID, message[GROUP_ID] | 0xc0);
    malformed(&mut bench, &reserved, |kind| kind == Kind::LengthReserved);
    bench.goes_on();
}

#[test]
fn row_003_a_length_that_is_longer_written_than_it_must_be_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    let length = message[GROUP_ID];
    for header in [vec![0x40, length], vec![0x80, 0, 0, length]] {
        let wide = [&message[..GROUP_ID], &header, &message[GROUP_ID + 1..]].concat();
        malformed(&mut bench, &wide, |kind| kind == Kind::LengthNotMinimal);
    }
    bench.goes_on();
}

#[test]
fn row_004_a_length_beyond_the_message_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    let proposals = [&message[..BODY], &[0x80, 0x10, 0, 0], &message[BODY + 1..]].concat();
    malformed(&mut bench, &proposals, |kind| matches!(kind, Kind::EndOfInput { needed: 0x10_0000, .. }));
    for end in [GROUP_ID, SENDER_TYPE, BODY, message.len() - 1] {
        malformed(&mut bench, &message[..end], |kind| matches!(kind, Kind::EndOfInput { .. }));
    }
    bench.goes_on();
}

#[test]
fn row_005_what_is_longer_than_our_limits_is_refused() {
    let limits = Limits { message: 16_000, vector: 4_000, field: 200 };
    let mut bench = Bench::new(1, Arc::new(Config { limits, ..Config::default() }));
    let bob = bench.bob();
    let with = |length: usize, rng: &mut dyn keyroom_crypto::CryptoRng| {
        let mut framed = bob.framed(bob.sender(), Content::Proposal(remove(3)));
        framed.authenticated_data = vec![0; length].into();
        let signed = bob.sign(framed, keyroom_wire::WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
        MlsMessage::PublicMessage(bob.tagged(signed.content, signed.auth)).to_bytes()
    };
    let rng = &mut keyroom_vectors::rng(1);
    let (fits, vector, message) = (with(4_000, rng), with(4_001, rng), with(20_000, rng));
    malformed(&mut bench, &vector, |kind| kind == Kind::TooLong { length: 4_001, limit: 4_000 });
    malformed(&mut bench, &message, |kind| matches!(kind, Kind::TooLong { limit: 16_000, .. }));
    let entries = [ProposalOrRef::Reference(ProposalRef::from(vec![0; 201]))];
    let (bob, own) = (bench.bob(), bench.leaf(BOB.0));
    let alter = Alter { without_path: true, ..Alter::default() };
    let field = bob.commit_of(bob.sender(), &own, bob.signer, entries, &alter, rng).bytes();
    malformed(&mut bench, &field, |kind| kind == Kind::TooLong { length: 201, limit: 200 });
    bench.members[0].group.process(&fits, &now()).unwrap();
}

#[test]
fn row_006_an_element_that_straddles_the_end_of_its_vector_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    // One proposal, a reference that says it has 16 bytes, in a vector of three.
    let straddling = [&message[..BODY], &[3, 2, 16, 9], &message[BODY + 1..]].concat();
    malformed(&mut bench, &straddling, |kind| kind == Kind::EndOfInput { needed: 16, left: 1 });
    bench.goes_on();
}

#[test]
fn row_007_bytes_after_a_message_are_refused() {
    let mut bench = Bench::open();
    let longer = [good(&bench).as_slice(), &[0]].concat();
    malformed(&mut bench, &longer, |kind| kind == Kind::TrailingBytes { count: 1 });
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let tree = |info: &mut GroupInfo| {
        let mut bytes = info.extensions.get(ExtensionType::RATCHET_TREE).unwrap().to_vec();
        bytes.push(0);
        info.extensions.set(ExtensionType::RATCHET_TREE, bytes);
    };
    for verdict in altered_tree(&mut bench, &made, &gina, tree) {
        assert!(matches!(verdict, Err(Error::Malformed(e)) if e.kind == Kind::TrailingBytes { count: 1 }));
    }
    bench.goes_on();
}

fn altered_tree(
    bench: &mut Bench,
    made: &Made,
    welcomed: &KeyPackageBundle,
    change: impl FnOnce(&mut GroupInfo),
) -> [Result<(), Error>; 3] {
    let info = group_info(bench, made, change);
    verdicts(bench, made, welcomed, info)
}

#[test]
fn row_008_bytes_after_the_data_of_a_known_extension_are_refused() {
    let mut bench = Bench::open();
    let required = RequiredCapabilities {
        extension_types: Vec::new(),
        proposal_types: Vec::new(),
        credential_types: vec![CredentialType::BASIC],
    };
    let longer = [required.to_bytes().as_slice(), &[0]].concat();
    let proposal =
        Proposal::GroupContextExtensions { extensions: extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &longer)]) };
    let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
    bench.refuses("required_capabilities", &message, Rule::MalformedExtension);
    let proposal =
        Proposal::GroupContextExtensions { extensions: extensions(&[(ExtensionType::EXTERNAL_SENDERS, &[0, 0])]) };
    let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
    bench.refuses("external_senders", &message, Rule::MalformedExtension);
    let application_id = |parts: &mut LeafNodeParts| parts.extensions.set(ExtensionType::APPLICATION_ID, [1, 7, 0]);
    leaf_is_refused_everywhere(&mut bench, &application_id, Rule::MalformedExtension);
    let (client, mut bundle) = bench.newcomer("faye");
    bundle.key_package.extensions.set(ExtensionType::LAST_RESORT, [0]);
    let package = faulty_package(&client, &bundle, &|_| {});
    package_is_refused(&mut bench, &package, Rule::MalformedExtension);
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let external_pub = |info: &mut GroupInfo| {
        let mut bytes = info.extensions.get(ExtensionType::EXTERNAL_PUB).unwrap().to_vec();
        bytes.push(0);
        info.extensions.set(ExtensionType::EXTERNAL_PUB, bytes);
    };
    nobody_joins(&mut bench, &made, &gina, external_pub, Rule::MalformedExtension);
    bench.goes_on();
}

/// What Gina says to a Welcome.
fn welcomed(welcome: Welcome, gina: &KeyPackageBundle) -> Result<(), Error> {
    let options = JoinOptions::new(std::slice::from_ref(gina));
    let bytes = MlsMessage::Welcome(welcome).to_bytes();
    Group::join(suite(1), &bytes, &options, Arc::default(), &now(), &mut keyroom_vectors::rng(2)).map(drop)
}

/// A Welcome whose plaintexts have these bytes after their end.
fn welcome_with(
    bench: &Bench,
    made: &Made,
    gina: &KeyPackageBundle,
    after_info: &[u8],
    after_secrets: &[u8],
) -> Welcome {
    let rng = &mut keyroom_vectors::rng(3);
    let info = group_info(bench, made, |_| {});
    let mut welcome = made.welcome(suite(1), &info, &SecretParts::default(), rng);
    let mut sealed = [info.to_bytes().as_slice(), after_info].concat();
    let (key, nonce) = (made.welcome_key.key.expose(), made.welcome_key.nonce.expose());
    suite(1).aead_seal(key, nonce, b"", &mut sealed).unwrap();
    let secrets =
        keyroom_wire::GroupSecrets { joiner_secret: &made.joiner_secret, path_secret: None, psks: Vec::new() };
    let secrets = [secrets.to_bytes().as_slice(), after_secrets].concat();
    let to = gina.key_package.init_key.as_slice();
    welcome.secrets[0].encrypted_group_secrets =
        labels::encrypt_with_label(suite(1), to, "Welcome", &sealed, &secrets, rng).unwrap();
    welcome.encrypted_group_info = sealed.into();
    welcome
}

/// Bob's application message with this plaintext for the sender data, all of it encrypted as it must be.
fn with_sender_data(bench: &Bench, sender_data: &[u8]) -> Vec<u8> {
    let bob = bench.bob();
    let key = bob.key(BOB, RatchetType::Application, 0);
    let framed = bob.framed(bob.sender(), Content::Application(Opaque::from(&b"text"[..])));
    let rng = &mut keyroom_vectors::rng(4);
    let signed = bob.sign(framed, keyroom_wire::WireFormat::PRIVATE_MESSAGE, bob.signer, rng);
    let sealed = keyroom_mls::private_message::seal(
        suite(1),
        bob.secrets.sender_data_secret(),
        key,
        [1; 4],
        &signed,
        keyroom_mls::padding::Padding::None,
    );
    let mut message: PrivateMessage = sealed.unwrap();
    let key = bob.secrets.sender_data_secret().key_nonce(suite(1), message.ciphertext.as_slice()).unwrap();
    let mut sealed = sender_data.to_vec();
    let aad = message.sender_data_aad();
    suite(1).aead_seal(key.key.expose(), key.nonce.expose(), &aad, &mut sealed).unwrap();
    message.encrypted_sender_data = sealed.into();
    MlsMessage::PrivateMessage(message).to_bytes()
}

/// The sender data of Bob's first application message.
fn honest_sender_data() -> Vec<u8> {
    SenderData { leaf_index: BOB, generation: 0, reuse_guard: [1; 4] }.to_bytes()
}

#[test]
fn row_009_bytes_after_what_was_decrypted_are_refused() {
    let mut bench = Bench::open();
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let longer = welcome_with(&bench, &made, &gina, b"", &[0]);
    assert_eq!(welcomed(longer, &gina), Err(Rule::GroupSecrets.into()));
    let longer = welcome_with(&bench, &made, &gina, &[0], b"");
    assert_eq!(welcomed(longer, &gina), Err(Rule::GroupInfoContent.into()));
    assert_eq!(welcomed(welcome_with(&bench, &made, &gina, b"", b""), &gina), Ok(()));
    let longer = with_sender_data(&bench, &[honest_sender_data().as_slice(), &[0]].concat());
    bench.refuses("SenderData", &longer, Rule::SenderData);
    bench.goes_on();
}

#[test]
fn row_010_a_message_of_another_version_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    for version in [0_u16, 2, 0x0a0a, 0xffff] {
        let other = [&version.to_be_bytes()[..], &message[2..]].concat();
        malformed(&mut bench, &other, |kind| kind == Kind::UnknownValue { value: version.into() });
    }
    bench.goes_on();
}

#[test]
fn row_011_a_message_of_an_unknown_wire_format_is_refused() {
    let mut bench = Bench::open();
    let message = good(&bench);
    for wire_format in [0_u16, 6, 0x1a1a, 0xffff] {
        let other = [&message[..2], &wire_format.to_be_bytes()[..], &message[4..]].concat();
        malformed(&mut bench, &other, |kind| kind == Kind::UnknownValue { value: wire_format.into() });
    }
    bench.goes_on();
}

#[test]
fn row_012_a_value_that_a_closed_enum_does_not_have_is_refused() {
    let mut bench = Bench::open();
    let unknown = |value: u8| move |kind| kind == Kind::UnknownValue { value: value.into() };
    let message = good(&bench);
    for value in [0, 5, 0xff] {
        malformed(&mut bench, &changed(&message, SENDER_TYPE, value), unknown(value));
        malformed(&mut bench, &changed(&message, CONTENT_TYPE, value), unknown(value));
    }
    // In a commit a proposal begins with how it stands there and its type.
    let message = committed(&bench, vec![remove(3)], &Alter::default()).bytes();
    assert_eq!(message[BODY..BODY + 4], [7, 1, 0, 3]);
    let psk =
        Psk::Resumption { usage: ResumptionPskUsage::Application, psk_group_id: b"room"[..].into(), psk_epoch: 1 };
    let psk = Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![1; 32].into() } };
    let with_psk = proposed(&bench.bob(), psk);
    assert_eq!(with_psk[BODY..BODY + 4], [0, 4, 2, 1]);
    let (_, gina) = bench.newcomer("gina");
    let with_leaf = proposed(&bench.bob(), add(&gina.key_package));
    let LeafNodeSource::KeyPackage(lifetime) = &gina.key_package.leaf_node.leaf_node_source else { panic!() };
    let lifetime = lifetime.to_bytes();
    let source = with_leaf.windows(lifetime.len()).position(|window| window == lifetime).unwrap() - 1;
    for value in [0, 4, 0xff] {
        malformed(&mut bench, &changed(&message, BODY + 1, value), unknown(value));
        malformed(&mut bench, &changed(&with_psk, BODY + 2, value), unknown(value));
        malformed(&mut bench, &changed(&with_psk, BODY + 3, value), unknown(value));
        malformed(&mut bench, &changed(&with_leaf, source, value), unknown(value));
    }
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    for value in [0, 3, 0xff] {
        let node_type = |info: &mut GroupInfo| {
            let mut bytes = info.extensions.get(ExtensionType::RATCHET_TREE).unwrap().to_vec();
            assert_eq!((bytes[0] >> 6, bytes[2], bytes[3]), (1, 1, 1), "a leaf that is there");
            bytes[3] = value;
            info.extensions.set(ExtensionType::RATCHET_TREE, bytes);
        };
        for verdict in altered_tree(&mut bench, &made, &gina, node_type) {
            assert!(matches!(verdict, Err(Error::Malformed(e)) if unknown(value)(e.kind)));
        }
    }
    bench.goes_on();
}

#[test]
fn row_013_a_proposal_of_an_unknown_type_in_a_commit_is_refused() {
    let mut bench = Bench::open();
    for value in [0xf00d, 0x1a1a, 8] {
        let proposal = Proposal::Custom { proposal_type: ProposalType(value), body: b"body"[..].into() };
        let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
        bench.refuses("unknown type", &message, Rule::ProposalTypeNotSupported);
    }
    // A body that is not one vector cannot even be told from what follows it.
    let message = good(&bench);
    let bare = [&message[..BODY], &[7, 1, 0xf0, 0x0d, 0x3f, 0, 0, 1], &message[BODY + 1..]].concat();
    malformed(&mut bench, &bare, |kind| kind == Kind::EndOfInput { needed: 0x3f, left: 3 });
    bench.goes_on();
}

fn bytes(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

#[test]
fn row_014_a_confirmation_tag_stands_in_commits_and_nowhere_else() {
    let mut bench = Bench::open();
    let mut without = committed(&bench, Vec::new(), &Alter::default()).message;
    let tag = without.auth.confirmation_tag.take();
    // What comes next is taken for it, and then the message is over too soon.
    malformed(&mut bench, &bytes(without), |kind| matches!(kind, Kind::EndOfInput { .. }));
    let rng = &mut keyroom_vectors::rng(5);
    for content in [Content::Proposal(remove(3)), Content::Application(Opaque::from(&b"text"[..]))] {
        let bob = bench.bob();
        let mut with = bob.public(bob.sender(), content, rng);
        with.auth.confirmation_tag = tag.clone();
        malformed(&mut bench, &bytes(with), |kind| matches!(kind, Kind::TrailingBytes { count: 33 }));
    }
    bench.goes_on();
}

#[test]
fn row_015_a_tag_or_hash_of_another_length_is_refused() {
    let mut bench = Bench::open();
    let resized = |bytes: &[u8], length: usize| bytes.iter().copied().chain([0; 64]).take(length).collect::<Vec<_>>();
    for length in [0, 1, 16, 31, 33, 64] {
        let membership = |message: &mut PublicMessage| {
            let tag = resized(message.membership_tag.as_ref().unwrap().as_slice(), length);
            message.membership_tag = Some(Mac::from(tag));
        };
        let alter = Alter { message: Some(Box::new(membership)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("membership tag", &message, Rule::MembershipTag);
        // Its length is public, so that an observer sees it without the key.
        let observed = bench.observer.as_mut().unwrap().process(&message, &now()).map(drop);
        assert_eq!(observed, Err(Rule::MembershipTag.into()));

        let confirmation = |auth: &mut keyroom_wire::FramedContentAuthData| {
            let tag = resized(auth.confirmation_tag.as_ref().unwrap().as_slice(), length);
            auth.confirmation_tag = Some(Mac::from(tag));
        };
        let alter = Alter { auth: Some(Box::new(confirmation)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("confirmation tag", &message, Rule::ConfirmationTag);
        let observed = bench.observer.as_mut().unwrap().process(&message, &now()).map(drop);
        assert_eq!(observed, Err(Rule::ConfirmationTag.into()));

        let parent_hash = |parts: &mut LeafNodeParts| {
            let LeafNodeSource::Commit { parent_hash } = &parts.leaf_node_source else { panic!("a path") };
            let parent_hash = resized(parent_hash.as_slice(), length).into();
            parts.leaf_node_source = LeafNodeSource::Commit { parent_hash };
        };
        let alter = Alter { parts: Some(Box::new(parent_hash)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("parent hash", &message, Rule::PathParentHash);

        let reference = ProposalRef::from(vec![5; length]);
        let bob = bench.bob();
        let own = bench.leaf(BOB.0);
        let rng = &mut keyroom_vectors::rng(6);
        let entries = [ProposalOrRef::Reference(reference)];
        let message = bob.commit_of(bob.sender(), &own, bob.signer, entries, &Alter::default(), rng).bytes();
        bench.refuses("reference", &message, Rule::ProposalRefLength);

        let (_, gina) = bench.newcomer("gina");
        let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
        let info = |change: &dyn Fn(&mut GroupInfo)| {
            let info = group_info(&bench, &made, change);
            MlsMessage::GroupInfo(info).to_bytes()
        };
        let tree_hash = info(&|info| {
            info.group_context.tree_hash = resized(info.group_context.tree_hash.as_slice(), length).into();
        });
        assert_eq!(observed_by_all(&mut bench, &tree_hash), Err(Rule::TreeHash.into()));
        let transcript = info_with_transcript(&bench, &made, length);
        assert_eq!(observed_by_all(&mut bench, &transcript), Err(Rule::TranscriptHashLength.into()));
    }
    bench.goes_on();
}

fn info_with_transcript(bench: &Bench, made: &Made, length: usize) -> Vec<u8> {
    let info = group_info(bench, made, |info| {
        info.group_context.confirmed_transcript_hash = vec![7; length].into();
    });
    MlsMessage::GroupInfo(info).to_bytes()
}

/// What a joiner from outside and an observer say to a GroupInfo; they agree.
fn observed_by_all(bench: &mut Bench, info: &[u8]) -> Result<(), Error> {
    let rng = &mut keyroom_vectors::rng(7);
    let (ida, bundle) = bench.newcomer("ida");
    let joiner = Group::join_external(suite(1), &bundle, Arc::default());
    let from_outside = joiner.build(info, ida.signer.as_ref(), &now(), rng).map(drop);
    let provider = &keyroom_rustcrypto::RUSTCRYPTO;
    let observer =
        keyroom_mls::public::PublicGroup::observe(provider, info, None, Arc::default(), &now(), rng).map(drop);
    assert_eq!(from_outside, observer);
    observer
}

#[test]
fn row_016_sender_data_that_is_not_twelve_bytes_is_refused() {
    let mut bench = Bench::open();
    let honest = honest_sender_data();
    assert_eq!(honest.len(), 12);
    for length in [0, 4, 8, 11, 13, 24] {
        let other: Vec<u8> = honest.iter().copied().cycle().take(length).collect();
        let message = with_sender_data(&bench, &other);
        bench.refuses("SenderData", &message, Rule::SenderData);
    }
    let message = with_sender_data(&bench, &honest);
    assert_eq!(bench.members[0].read(&message).0, b"text");
}

fn tree_of(info: &GroupInfo) -> RatchetTree {
    let bytes = info.extensions.get(ExtensionType::RATCHET_TREE).unwrap();
    RatchetTree::from_bytes(bytes, &Limits::default()).unwrap()
}

#[test]
fn row_017_a_tree_with_a_node_where_it_cannot_be_is_refused() {
    let mut bench = Bench::open();
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    let parent =
        tree_of(&group_info(&bench, &made, |_| {})).nodes.iter().position(|node| matches!(node, Some(Node::Parent(_))));
    let parent = parent.unwrap();
    assert_eq!(parent % 2, 1);
    for (to, from) in [(0, parent), (parent, 0)] {
        let misplaced = |info: &mut GroupInfo| {
            let mut tree = tree_of(info);
            tree.nodes[to] = tree.nodes[from].clone();
            info.extensions.set(ExtensionType::RATCHET_TREE, tree.to_bytes());
        };
        for verdict in altered_tree(&mut bench, &made, &gina, misplaced) {
            assert!(matches!(verdict, Err(Error::Malformed(e)) if e.kind == Kind::NodeTypeAtWrongParity));
        }
    }
    bench.goes_on();
}

#[test]
fn row_018_a_tree_with_more_leaves_than_we_take_is_refused() {
    let mut bench = Bench::new(1, Arc::new(Config { max_leaves: 6, ..Config::default() }));
    let (_, gina) = bench.newcomer("gina");
    let (_, hank) = bench.newcomer("hank");
    let (_, ivan) = bench.newcomer("ivan");
    let proposals = vec![add(&gina.key_package), add(&hank.key_package), add(&ivan.key_package)];
    let made = committed(&bench, proposals, &Alter::default());
    nobody_joins(&mut bench, &made, &gina, |_| {}, Refusal::TooManyLeaves);
    bench.refuses("a commit", &made.bytes(), Refusal::TooManyLeaves);
    bench.goes_on();
}

#[test]
fn row_018_an_index_that_arithmetic_would_overflow_names_nobody() {
    let mut bench = Bench::open();
    for index in [8, 1 << 24, 1 << 30, 1 << 31, u32::MAX - 1, u32::MAX] {
        let message = committed_anyhow(&bench, remove(index));
        bench.refuses("a Remove", &message, Rule::RemovedNotMember);
        let sender = |content: &mut keyroom_wire::FramedContent| {
            content.sender = keyroom_wire::Sender::Member(LeafIndex(index));
        };
        let alter = Alter { content: Some(Box::new(sender)), ..Alter::default() };
        let message = committed(&bench, Vec::new(), &alter).bytes();
        bench.refuses("a sender", &message, Rule::SenderNotMember);
        let data = SenderData { leaf_index: LeafIndex(index), generation: 0, reuse_guard: [1; 4] };
        let message = with_sender_data(&bench, &data.to_bytes());
        bench.refuses("sender data", &message, Rule::SenderNotMember);
    }
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    for index in [7, 8, 1 << 31, u32::MAX] {
        let unmerged = |info: &mut GroupInfo| with_unmerged(info, vec![LeafIndex(index)]);
        let info = MlsMessage::GroupInfo(group_info(&bench, &made, unmerged)).to_bytes();
        assert!(observed_by_all(&mut bench, &info).is_err(), "an unmerged leaf {index}");
    }
    bench.goes_on();
}

fn committed_anyhow(bench: &Bench, proposal: Proposal) -> Vec<u8> {
    committed(bench, vec![proposal], &Alter::default()).bytes()
}

/// Gives the first parent these unmerged leaves, and the context the hash of the tree that results.
fn with_unmerged(info: &mut GroupInfo, unmerged: Vec<LeafIndex>) {
    let mut tree = tree_of(info);
    let parent = tree.nodes.iter_mut().flatten().find_map(|node| match node {
        Node::Parent(parent) => Some(parent),
        Node::Leaf(_) => None,
    });
    parent.unwrap().unmerged_leaves = unmerged;
    let bytes = tree.to_bytes();
    let mut read = keyroom_mls::tree::Tree::import(suite(1), &bytes, &Limits::default(), 1 << 20).unwrap();
    info.group_context.tree_hash = read.tree_hash().unwrap().as_slice().into();
    info.extensions.set(ExtensionType::RATCHET_TREE, bytes);
}

#[test]
fn row_019_unmerged_leaves_out_of_order_or_twice_are_refused() {
    let mut bench = Bench::open();
    let (_, gina) = bench.newcomer("gina");
    let made = committed(&bench, vec![add(&gina.key_package)], &Alter::default());
    for unmerged in [[0, 0], [1, 0], [1, 1]] {
        let unmerged = unmerged.map(LeafIndex).to_vec();
        let info = group_info(&bench, &made, |info| with_unmerged(info, unmerged));
        let info = MlsMessage::GroupInfo(info).to_bytes();
        assert_eq!(observed_by_all(&mut bench, &info), Err(Rule::UnmergedLeaves.into()));
    }
    bench.goes_on();
}

#[test]
fn row_020_grease_is_ignored_where_unknown_is_and_refused_elsewhere_like_anything_unknown() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("faye");
    for grease in [0x0a0a_u16, 0x7a7a, 0xeaea] {
        let refused = |kind| kind == Kind::UnknownValue { value: grease.into() };
        let message = good(&bench);
        let version = [&grease.to_be_bytes()[..], &message[2..]].concat();
        malformed(&mut bench, &version, refused);
        let wire_format = [&message[..2], &grease.to_be_bytes()[..], &message[4..]].concat();
        malformed(&mut bench, &wire_format, refused);
        let proposal = Proposal::Custom { proposal_type: ProposalType(grease), body: b"grease"[..].into() };
        let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
        bench.refuses("a proposal", &message, Rule::ProposalTypeNotSupported);
        let (other, mut greased) = bench.newcomer("gina");
        greased.key_package.cipher_suite = CipherSuite(grease);
        let package = faulty_package(&other, &greased, &|_| {});
        package_is_refused(&mut bench, &package, Rule::KeyPackageCipherSuite);

        // In lists of what is supported, and in extensions that are listed, it is passed over.
        let package = faulty_package(&client, &bundle, &|parts| {
            parts.capabilities.versions.push(ProtocolVersion(grease));
            parts.capabilities.cipher_suites.push(CipherSuite(grease));
            parts.capabilities.extensions.push(ExtensionType(grease));
            parts.capabilities.proposals.push(ProposalType(grease));
            parts.capabilities.credentials.push(CredentialType(grease));
            parts.extensions.set(ExtensionType(grease), b"grease");
        });
        let message = committed(&bench, vec![add(&package)], &Alter::default()).bytes();
        bench.members[0].group.process(&message, &now()).unwrap();
        bench.observer.as_mut().unwrap().process(&message, &now()).unwrap();
    }
    bench.goes_on();
}
