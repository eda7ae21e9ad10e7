#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

//! The rules of the decoder, each under its row of the checklist.

mod support;

use keyroom_wire::{
    Capabilities, Commit, Content, ContentType, Credential, Decode, DecodeError, DecodeErrorKind as Kind, Encode,
    Extension, ExtensionType, Extensions, ExternalPub, GroupContext, GroupInfo, GroupSecrets, KeyPackage, LeafNode,
    LeafNodeRef, Limits, MlsMessage, Node, Opaque, PreSharedKeyId, PrivateMessageContent, Proposal, ProposalOrRef,
    ProposalType, PublicMessage, RatchetTree, RatchetTreeNodes, Reader, RequiredCapabilities, Sender, SenderData,
    Signature,
};
use support::{leaf_nodes, round_trip, samples};

fn decode<T: for<'a> Decode<'a>>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::from_bytes(bytes, &Limits::default())
}

fn error<T: for<'a> Decode<'a>>(bytes: &[u8]) -> DecodeError {
    decode::<T>(bytes).err().expect("an error")
}

fn sample(name: &str) -> Vec<u8> {
    samples().into_iter().find(|(other, _)| *other == name).unwrap().1
}

/// A GroupInfo message starts with version, wire format, version, suite and the group id's length.
const GROUP_ID_AT: usize = 8;

fn group_info_message() -> Vec<u8> {
    let info: GroupInfo = decode(&sample("GroupInfo")).unwrap();
    MlsMessage::GroupInfo(info).to_bytes()
}

#[test]
fn every_sample_encodes_to_the_same_bytes_again() {
    for (name, bytes) in samples() {
        assert_eq!(round_trip(name)(&bytes, &Limits::default()), Ok(bytes), "{name}");
    }
}

#[test]
fn every_prefix_of_every_sample_is_an_error() {
    for (name, bytes) in samples() {
        // Padding may have any length, so the last bytes of a plaintext may be missing.
        let padding = if name.starts_with("PrivateMessageContent") { 9 } else { 0 };
        for end in 0..bytes.len() - padding {
            let error = round_trip(name)(&bytes[..end], &Limits::default()).expect_err(name);
            assert!(matches!(error.kind, Kind::EndOfInput { .. }), "{name} cut at {end}: {error}");
            assert!(!error.within.is_empty() || is_list(name), "{name} cut at {end}: {error}");
        }
    }
}

/// The outermost length of a bare list stands in no field.
fn is_list(name: &str) -> bool {
    name == "ExternalSenders"
}

#[test]
fn row_001_a_presence_octet_other_than_zero_or_one_is_refused() {
    let mut commit = Commit { proposals: Vec::new(), path: None }.to_bytes();
    assert_eq!(commit, [0, 0]);
    commit[1] = 2;
    let error = error::<Commit>(&commit);
    assert_eq!((error.offset, error.kind), (1, Kind::Presence { value: 2 }));
    assert_eq!(error.within, ["Commit.path"]);
}

#[test]
fn row_002_a_length_with_the_reserved_prefix_is_refused() {
    let mut bytes = group_info_message();
    bytes[GROUP_ID_AT] |= 0xc0;
    let error = error::<MlsMessage>(&bytes);
    assert_eq!((error.offset, error.kind), (GROUP_ID_AT, Kind::LengthReserved));
}

#[test]
fn row_003_a_length_that_is_not_minimal_is_refused() {
    let bytes = group_info_message();
    let length = bytes[GROUP_ID_AT];
    for header in [vec![0x40, length], vec![0x80, 0, 0, length]] {
        let wide = [&bytes[..GROUP_ID_AT], &header, &bytes[GROUP_ID_AT + 1..]].concat();
        let error = error::<MlsMessage>(&wide);
        assert_eq!((error.offset, error.kind), (GROUP_ID_AT, Kind::LengthNotMinimal));
        assert_eq!(error.within, ["GroupContext.group_id", "GroupInfo.group_context", "MLSMessage.group_info"]);
    }
}

#[test]
fn row_003_only_the_shortest_header_of_each_length_is_accepted() {
    for (header, accepted) in [
        (&[0x3f][..], true),
        (&[0x40, 0x3f], false),
        (&[0x40, 0x40], true),
        (&[0x80, 0, 0x3f, 0xff], false),
        (&[0x7f, 0xff], true),
        (&[0x80, 0, 0x40, 0], true),
    ] {
        let bytes = [header, &vec![0; 0x4000]].concat();
        let result = Reader::new(&bytes, Limits::default()).opaque();
        assert_eq!(result.is_ok(), accepted, "{header:02x?}");
    }
}

#[test]
fn row_004_a_declared_length_beyond_the_input_is_refused() {
    let mut bytes = group_info_message();
    bytes.truncate(GROUP_ID_AT);
    bytes.extend([0x80, 0, 0xff, 0xff, 1]);
    let error = error::<MlsMessage>(&bytes);
    assert_eq!((error.offset, error.kind), (GROUP_ID_AT + 4, Kind::EndOfInput { needed: 0xffff, left: 1 }));
}

#[test]
fn row_004_a_list_element_takes_few_bytes_of_memory_for_each_byte_that_encodes_it() {
    // Smallest encodings: a blank node, a reference, an empty ciphertext, an empty PSK, an empty
    // certificate, an empty extension, an empty path node.
    let most = [
        size_of::<Option<Node>>(),
        size_of::<ProposalOrRef>() / 2,
        size_of::<keyroom_wire::HpkeCiphertext>() / 2,
        size_of::<PreSharedKeyId>() / 3,
        size_of::<Opaque>(),
        size_of::<Extension>() / 3,
        size_of::<keyroom_wire::UpdatePathNode>() / 2,
    ];
    assert!(most.into_iter().all(|bytes| bytes <= 64), "{most:?}");
}

#[test]
fn row_005_a_message_over_the_limit_is_refused_whole() {
    let bytes = group_info_message();
    let limits = Limits { message: bytes.len() - 1, ..Limits::default() };
    let error = MlsMessage::from_bytes(&bytes, &limits).unwrap_err();
    assert_eq!((error.offset, error.kind), (0, Kind::TooLong { length: bytes.len(), limit: limits.message }));
    assert!(RatchetTreeNodes::new(&bytes, &limits).is_err());
    assert!(MlsMessage::from_bytes(&bytes, &Limits { message: bytes.len(), ..limits }).is_ok());
}

#[test]
fn row_005_a_vector_over_the_limit_is_refused_though_it_is_there() {
    let bytes = Opaque::from(vec![0; 101]).to_bytes();
    let limits = |vector, field| Limits { vector, field, ..Limits::default() };
    let kind = |limits| Opaque::from_bytes(&bytes, &limits).map_err(|e| e.kind);
    assert_eq!(kind(limits(100, 1)), Err(Kind::TooLong { length: 101, limit: 100 }));
    assert!(kind(limits(101, 1)).is_ok());
}

#[test]
fn row_005_a_key_over_the_limit_of_a_field_is_refused() {
    let bytes = Signature::from(vec![0; 101]).to_bytes();
    let limits = Limits { field: 100, ..Limits::default() };
    let error = Signature::from_bytes(&bytes, &limits).unwrap_err();
    assert_eq!((error.offset, error.kind), (0, Kind::TooLong { length: 101, limit: 100 }));
    let leaf = leaf_nodes()[0].to_bytes();
    let limits = Limits { field: 31, ..Limits::default() };
    let error = LeafNodeRef::from_bytes(&leaf, &limits).unwrap_err();
    assert_eq!(error.within, ["LeafNode.encryption_key"]);
}

#[test]
fn row_006_an_element_that_straddles_the_end_of_its_vector_is_refused() {
    // versions: three bytes, so one version and a half.
    let error = error::<Capabilities>(&[3, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!((error.offset, error.kind), (3, Kind::EndOfInput { needed: 2, left: 1 }));
    assert_eq!(error.within, ["Capabilities.versions"]);
}

#[test]
fn row_006_half_an_unmerged_leaf_is_refused() {
    // Blank, then a parent with key, parent hash and six bytes of unmerged leaves.
    let tree = [13, 0, 1, 2, 1, 9, 0, 6, 0, 0, 0, 1, 0, 0];
    let error = error::<RatchetTree>(&tree);
    assert_eq!((error.offset, error.kind), (12, Kind::EndOfInput { needed: 4, left: 2 }));
}

#[test]
fn row_007_bytes_after_any_struct_are_refused() {
    for (name, mut bytes) in samples() {
        if name.starts_with("PrivateMessageContent") {
            continue;
        }
        bytes.extend([0, 0]);
        let error = round_trip(name)(&bytes, &Limits::default()).expect_err(name);
        assert_eq!((error.offset, error.kind), (bytes.len() - 2, Kind::TrailingBytes { count: 2 }), "{name}");
    }
    let mut tree = sample("RatchetTree");
    tree.push(0);
    assert!(RatchetTreeNodes::new(&tree, &Limits::default()).is_err());
}

#[test]
fn row_008_bytes_after_known_extension_data_are_refused() {
    let mut extensions = Extensions::new();
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    extensions.set(ExtensionType::REQUIRED_CAPABILITIES, longer(sample("RequiredCapabilities")));
    extensions.set(ExtensionType::EXTERNAL_PUB, longer(sample("ExternalPub")));
    let (limits, one) = (Limits::default(), Err(Kind::TrailingBytes { count: 1 }));
    let required = extensions.read::<RequiredCapabilities>(ExtensionType::REQUIRED_CAPABILITIES, &limits);
    assert_eq!(required.map_err(|e| e.kind), one);
    let external_pub = extensions.read::<ExternalPub>(ExtensionType::EXTERNAL_PUB, &limits);
    assert_eq!(external_pub.map_err(|e| e.kind), Err(Kind::TrailingBytes { count: 1 }));
}

#[test]
fn row_009_bytes_after_decrypted_group_secrets_group_info_or_sender_data_are_refused() {
    for name in ["GroupSecrets", "GroupInfo", "SenderData"] {
        let mut bytes = sample(name);
        bytes.push(0);
        let error = round_trip(name)(&bytes, &Limits::default()).expect_err(name);
        assert_eq!(error.kind, Kind::TrailingBytes { count: 1 }, "{name}");
    }
}

#[test]
fn row_010_a_message_of_another_protocol_version_is_refused() {
    for version in [0_u16, 2, 0x0a0a, 0xffff] {
        let bytes = [&version.to_be_bytes()[..], &group_info_message()[2..]].concat();
        let error = error::<MlsMessage>(&bytes);
        assert_eq!((error.offset, error.kind), (0, Kind::UnknownValue { value: version.into() }));
        assert_eq!(error.within, ["MLSMessage.version"]);
    }
}

#[test]
fn row_011_a_message_of_an_unknown_wire_format_is_refused() {
    for wire_format in [0_u16, 6, 0x1a1a, 0xffff] {
        let mut bytes = group_info_message();
        bytes[2..4].copy_from_slice(&wire_format.to_be_bytes());
        let error = error::<MlsMessage>(&bytes);
        assert_eq!((error.offset, error.kind), (2, Kind::UnknownValue { value: wire_format.into() }));
        assert_eq!(error.within, ["MLSMessage.wire_format"]);
    }
}

/// Puts each undefined value at `at` of a struct that is valid otherwise.
fn assert_closed<T: for<'a> Decode<'a>>(bytes: &[u8], at: usize, defined: u8, field: &str) {
    assert!(decode::<T>(bytes).is_ok(), "{field}");
    for value in (0..=u8::MAX).filter(|value| !(1..=defined).contains(value)) {
        let mut bad = bytes.to_vec();
        bad[at] = value;
        let error = error::<T>(&bad);
        assert_eq!((error.offset, error.kind), (at, Kind::UnknownValue { value: value.into() }), "{field}");
        assert!(error.within.is_empty() || error.within[0] == field, "{error}");
    }
}

#[test]
fn row_012_undefined_values_of_closed_enums_are_refused() {
    assert_closed::<ContentType>(&[1], 0, 3, "");
    assert_closed::<Sender>(&[3], 0, 4, "Sender.sender_type");
    assert_closed::<ProposalOrRef>(&[2, 0], 0, 2, "ProposalOrRef.type");
    assert_closed::<PreSharedKeyId>(&[1, 0, 0], 0, 2, "PreSharedKeyID.psktype");
    assert_closed::<PreSharedKeyId>(&[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1, 3, "PreSharedKeyID.usage");
    assert_closed::<Node>(&[2, 0, 0, 0], 0, 2, "Node.node_type");
    let leaf = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0];
    assert_closed::<LeafNode>(&leaf, 10, 3, "LeafNode.leaf_node_source");
}

#[test]
fn row_013_a_commit_with_a_proposal_that_is_not_one_vector_is_refused() {
    // One proposal by value of type 0xf00d whose body is a bare 32-bit number.
    let bytes = [7, 1, 0xf0, 0x0d, 0xff, 0, 0, 1, 0];
    let error = error::<Commit>(&bytes);
    assert_eq!(error.within, ["Proposal.body", "ProposalOrRef.proposal", "Commit.proposals"]);
}

#[test]
fn row_013_the_reserved_proposal_type_is_refused() {
    let error = error::<Proposal>(&[0, 0, 0]);
    assert_eq!((error.offset, error.kind), (0, Kind::UnknownValue { value: 0 }));
}

#[test]
fn row_013_a_custom_proposal_survives_byte_for_byte() {
    let bytes = [8, 1, 0xf0, 0x0d, 4, 1, 2, 3, 4, 0];
    let commit: Commit = decode(&bytes).unwrap();
    let [ProposalOrRef::Proposal(Proposal::Custom { proposal_type, body })] = commit.proposals.as_slice() else {
        panic!("{commit:?}")
    };
    assert_eq!((*proposal_type, body.as_slice()), (ProposalType(0xf00d), &[1, 2, 3, 4][..]));
    assert_eq!(commit.to_bytes(), bytes);
}

fn public_message(content_type: ContentType) -> PublicMessage {
    samples()
        .into_iter()
        .filter(|(name, _)| *name == "MlsMessage")
        .find_map(|(_, bytes)| match decode(&bytes).unwrap() {
            MlsMessage::PublicMessage(message) if message.content.content.content_type() == content_type => {
                Some(message)
            }
            _ => None,
        })
        .unwrap()
}

#[test]
fn row_014_a_commit_without_confirmation_tag_is_refused() {
    let mut message = public_message(ContentType::Commit);
    message.auth.confirmation_tag = None;
    message.membership_tag = None;
    let error = error::<MlsMessage>(&MlsMessage::PublicMessage(message).to_bytes());
    assert!(matches!(error.kind, Kind::EndOfInput { .. }), "{error}");
    assert_eq!(error.within[0], "FramedContentAuthData.confirmation_tag");
}

#[test]
fn row_014_a_confirmation_tag_on_a_proposal_or_application_message_is_refused() {
    for content_type in [ContentType::Proposal, ContentType::Application] {
        let mut message = public_message(content_type);
        message.auth.confirmation_tag = message.membership_tag.clone();
        let error = error::<MlsMessage>(&MlsMessage::PublicMessage(message).to_bytes());
        assert!(matches!(error.kind, Kind::TrailingBytes { .. }), "{error}");
    }
}

#[test]
fn row_016_sender_data_is_exactly_twelve_bytes() {
    let bytes = sample("SenderData");
    assert_eq!(bytes.len(), 12);
    for count in (0..24).filter(|count| *count != 12) {
        let other: Vec<u8> = bytes.iter().copied().cycle().take(count).collect();
        let fits = match error::<SenderData>(&other).kind {
            Kind::EndOfInput { .. } => count < 12,
            Kind::TrailingBytes { count: behind } => behind + 12 == count,
            _ => false,
        };
        assert!(fits, "{count}");
    }
    assert_eq!(error::<SenderData>(&bytes[..11]).within, ["SenderData.reuse_guard"]);
}

#[test]
fn row_017_a_leaf_at_an_odd_index_or_a_parent_at_an_even_one_is_refused() {
    let tree: RatchetTree = decode(&sample("RatchetTree")).unwrap();
    for (from, to) in [(0, 1), (3, 2)] {
        let mut swapped = tree.clone();
        swapped.nodes.swap(from, to);
        let bytes = swapped.to_bytes();
        let owned = error::<RatchetTree>(&bytes);
        assert_eq!(owned.kind, Kind::NodeTypeAtWrongParity);
        let mut nodes = RatchetTreeNodes::new(&bytes, &Limits::default()).unwrap();
        assert_eq!(nodes.find_map(Result::err), Some(owned));
        assert!(nodes.next().is_none(), "the iterator ends with the error");
    }
}

#[test]
fn row_018_a_tree_over_the_local_limit_is_refused() {
    let blanks = RatchetTree { nodes: vec![None; 1000] }.to_bytes();
    let limits = Limits { vector: 999, ..Limits::default() };
    let kind = Kind::TooLong { length: 1000, limit: 999 };
    assert_eq!(RatchetTree::from_bytes(&blanks, &limits).map_err(|e| e.kind), Err(kind));
    assert_eq!(RatchetTreeNodes::new(&blanks, &limits).map(|_| ()).map_err(|e| e.kind), Err(kind));
    assert!(RatchetTree::from_bytes(&blanks, &Limits { vector: 1000, ..limits }).is_ok());
}

#[test]
fn row_020_grease_and_unknown_code_points_survive_wherever_unknown_is_ignorable() {
    for name in ["KeyPackage", "GroupInfo", "Capabilities", "Extensions", "RequiredCapabilities"] {
        let bytes = sample(name);
        assert_eq!(round_trip(name)(&bytes, &Limits::default()), Ok(bytes), "{name}");
    }
    let package: KeyPackage = decode(&sample("KeyPackage")).unwrap();
    assert_eq!(package.leaf_node.capabilities.extensions[1], ExtensionType(0x3a3a));
    assert_eq!(package.extensions.get(ExtensionType(0x7a7a)), Some(&[1; 100][..]));
}

#[test]
fn an_unknown_credential_survives_byte_for_byte() {
    let bytes = [0x4a, 0x4a, 3, 1, 2, 3];
    let credential: Credential = decode(&bytes).unwrap();
    assert!(matches!(credential, Credential::Other { .. }));
    assert_eq!(credential.to_bytes(), bytes);
}

#[test]
fn padding_that_is_not_zero_is_refused_where_it_stands() {
    let mut bytes = sample("PrivateMessageContent(application)");
    let last = bytes.len() - 1;
    bytes[last] = 1;
    let mut reader = Reader::new(&bytes, Limits::default());
    let error = PrivateMessageContent::decode_for(ContentType::Application, &mut reader).unwrap_err();
    assert_eq!((error.offset, error.kind), (last, Kind::PaddingNotZero));
}

#[test]
fn the_wire_format_of_signed_content_is_a_framing_one() {
    let mut bytes = sample("AuthenticatedContent");
    bytes[1] = 3;
    let error = round_trip("AuthenticatedContent")(&bytes, &Limits::default()).unwrap_err();
    assert_eq!((error.offset, error.kind), (0, Kind::UnknownValue { value: 3 }));
}

#[test]
fn debug_shows_no_secret() {
    let secrets = GroupSecrets { joiner_secret: &[0xab; 32], path_secret: Some(&[0xab; 32]), psks: Vec::new() };
    let bytes = secrets.to_bytes();
    let reader = Reader::new(&bytes, Limits::default());
    let content = Content::Application(vec![0xab; 5].into());
    for text in [format!("{secrets:?}"), format!("{reader:?}"), format!("{content:?}")] {
        assert!(!text.contains("ab") && !text.contains("171"), "{text}");
    }
}

#[test]
fn group_secrets_are_encoded_without_growing_a_buffer() {
    let secrets = GroupSecrets { joiner_secret: &[1; 64], path_secret: Some(&[2; 64]), psks: Vec::new() };
    let (once, mut grown) = (secrets.to_bytes(), Vec::new());
    secrets.encode(&mut grown);
    assert_eq!(once, grown);
    assert!(once.capacity() <= once.len() + 8, "a buffer that grows takes more than it needs");
}

#[test]
fn a_context_of_epoch_zero_is_as_section_11_says() {
    let context: GroupContext =
        decode(&GroupContext::new(keyroom_wire::CipherSuite(1), (&b"g"[..]).into()).to_bytes()).unwrap();
    assert_eq!(context.to_bytes(), [0, 1, 0, 1, 1, b'g', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
