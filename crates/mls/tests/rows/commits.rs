//! Sections H to K: proposals, their lists, external commits, paths.

use keyroom_insider::{Alter, BLANK, Bench, now, resigned, rule};
use keyroom_mls::error::{Error, NotYet, Rule};
use keyroom_wire::{
    CipherSuite, Content, Credential, Encode, ExtensionType, Extensions, HpkePublicKey, KeyPackage, LeafIndex,
    LeafNodeSource, PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef, ProposalType, ProtocolVersion, Psk, ReInit,
    RequiredCapabilities, ResumptionPskUsage, Sender, UpdatePath, WireFormat,
};

fn remove(leaf: u32) -> Proposal {
    Proposal::Remove { removed: LeafIndex(leaf) }
}

fn add(package: &KeyPackage) -> Proposal {
    Proposal::Add { key_package: Box::new(package.clone()) }
}

fn psk(psk: Psk, nonce: usize) -> Proposal {
    Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![1; nonce].into() } }
}

fn external(id: &[u8]) -> Psk {
    Psk::External { psk_id: id.into() }
}

fn resumption(usage: ResumptionPskUsage) -> Psk {
    Psk::Resumption { usage, psk_group_id: b"room"[..].into(), psk_epoch: 1 }
}

fn extensions(list: &[(u16, &[u8])]) -> Extensions {
    Extensions {
        list: list
            .iter()
            .map(|(code, data)| keyroom_wire::Extension {
                extension_type: ExtensionType(*code),
                extension_data: (*data).into(),
            })
            .collect(),
    }
}

fn group_context(extensions: Extensions) -> Proposal {
    Proposal::GroupContextExtensions { extensions }
}

fn reinit(version: u16) -> Proposal {
    Proposal::ReInit(ReInit {
        group_id: b"next"[..].into(),
        version: ProtocolVersion(version),
        cipher_suite: CipherSuite(1),
        extensions: Extensions::new(),
    })
}

#[test]
fn a_list_of_proposals_that_breaks_a_rule_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(20);
    let (_, one) = bench.newcomer("gina");
    let (other_client, other) = bench.newcomer("hugo");
    let same_client = other_client.bundle(rng);
    let mut same_init = other.key_package.clone();
    same_init.init_key = one.key_package.init_key.clone();
    let same_init = resigned(same_init, &other_client, rng);
    let mut init_is_leaf = other.key_package.clone();
    init_is_leaf.init_key = one.key_package.leaf_node.encryption_key.clone();
    let init_is_leaf = resigned(init_is_leaf, &other_client, rng);
    let bob_leaf = bench.members[1].group.member(LeafIndex(1)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    let update = Proposal::Update { leaf_node: Box::new(bob_leaf) };
    let required = RequiredCapabilities {
        extension_types: vec![ExtensionType(0xff01)],
        proposal_types: Vec::new(),
        credential_types: Vec::new(),
    };
    let required = extensions(&[(ExtensionType::REQUIRED_CAPABILITIES.0, &required.to_bytes())]);
    let cases: Vec<(&str, Vec<Proposal>, Error)> = vec![
        ("140 the own Update", vec![update], rule(Rule::CommitterUpdate)),
        ("141 the own removal", vec![remove(1)], rule(Rule::CommitterRemove)),
        ("142 removed twice", vec![remove(3), remove(3)], rule(Rule::LeafTouchedTwice)),
        ("124 a blank leaf", vec![remove(BLANK.0)], rule(Rule::RemovedNotMember)),
        ("124 no leaf", vec![remove(u32::MAX)], rule(Rule::RemovedNotMember)),
        ("143 added twice", vec![add(&one.key_package), add(&one.key_package)], rule(Rule::ClientAddedTwice)),
        ("143 one key", vec![add(&other.key_package), add(&same_client.key_package)], rule(Rule::ClientAddedTwice)),
        ("151 one init key", vec![add(&one.key_package), add(&same_init)], rule(Rule::InitKeyAddedTwice)),
        ("151 init key of a leaf", vec![add(&one.key_package), add(&init_is_leaf)], rule(Rule::InitKeyIsLeafKey)),
        ("145 one PSK twice", vec![psk(external(b"a"), 32), psk(external(b"a"), 32)], rule(Rule::DuplicatePsk)),
        ("127 a short nonce", vec![psk(external(b"a"), 31)], rule(Rule::PskNonceLength)),
        ("127 a long nonce", vec![psk(external(b"a"), 33)], rule(Rule::PskNonceLength)),
        ("125 reinit PSK", vec![psk(resumption(ResumptionPskUsage::ReInit), 32)], rule(Rule::ReInitPsk)),
        ("126 branch PSK", vec![psk(resumption(ResumptionPskUsage::Branch), 32)], rule(Rule::BranchPsk)),
        (
            "146",
            vec![group_context(Extensions::new()), group_context(Extensions::new())],
            rule(Rule::DuplicateGroupContextExtensions),
        ),
        ("131", vec![group_context(required)], rule(Rule::RequiredCapabilityNotSupported)),
        ("132", vec![group_context(extensions(&[(0xff02, b"x")]))], rule(Rule::GroupExtensionNotSupported)),
        (
            "133",
            vec![group_context(extensions(&[(ExtensionType::RATCHET_TREE.0, b"\0")]))],
            rule(Rule::ExtensionNotAllowedHere),
        ),
        ("232", vec![group_context(extensions(&[(0xff02, b"x"), (0xff02, b"x")]))], rule(Rule::DuplicateExtension)),
        (
            "233",
            vec![group_context(extensions(&[(ExtensionType::REQUIRED_CAPABILITIES.0, b"\x01")]))],
            rule(Rule::MalformedExtension),
        ),
        ("147", vec![reinit(1), remove(3)], rule(Rule::ReInitNotAlone)),
        ("147 twice", vec![reinit(1), reinit(1)], rule(Rule::ReInitNotAlone)),
        ("129", vec![reinit(0)], rule(Rule::ReInitVersion)),
        ("148", vec![Proposal::ExternalInit { kem_output: vec![0; 32].into() }], rule(Rule::ExternalInitByMember)),
        (
            "134",
            vec![Proposal::Custom { proposal_type: ProposalType(0xff00), body: b"x"[..].into() }],
            rule(Rule::ProposalTypeNotSupported),
        ),
    ];
    for (name, proposals, expected) in cases {
        let message = bench.bob().commit(proposals, &Alter::default(), rng).bytes();
        bench.refuses(name, &message, expected);
    }
    let reference = ProposalRef::from(&[5; 32][..]);
    let bob = bench.bob();
    let own = bob.group.member(LeafIndex(1)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    let entries = [ProposalOrRef::Reference(reference.clone())];
    let message = bob.commit_of(bob.sender(), &own, bob.signer, entries, &Alter::default(), rng).bytes();
    bench.refuses("136", &message, NotYet::UnknownProposal(reference));
    bench.goes_on();
}

#[test]
fn paths_are_needed_where_proposals_call_for_them() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(22);
    for (name, proposals) in
        [("empty", vec![]), ("remove", vec![remove(3)]), ("extensions", vec![group_context(Extensions::new())])]
    {
        let change = Alter { without_path: true, ..Alter::default() };
        let message = bench.bob().commit(proposals, &change, rng).bytes();
        bench.refuses(&format!("170 {name}"), &message, Rule::PathMissing);
    }
    bench.goes_on();
}

#[test]
fn a_path_is_what_the_tree_calls_for_and_nothing_else() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(23);
    let group = &bench.members[0].group;
    let leaf_of = |leaf| group.member(LeafIndex(leaf)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    let (own, dana) = (leaf_of(1), leaf_of(3));
    // A parent off Bob's path.
    let parents: Vec<_> = group.tree().parents().map(|entry| entry.unwrap()).collect();
    let aside = parents.iter().find(|(node, _)| !node.covers(LeafIndex(1))).unwrap().1.encryption_key.to_vec();
    let with = |path: Box<dyn Fn(&mut UpdatePath)>| Alter { path: Some(path), ..Alter::default() };
    let keys = |keys: Box<dyn Fn(&mut Vec<HpkePublicKey>)>| Alter { keys: Some(keys), ..Alter::default() };
    let (own_key, dana_key) = (own.encryption_key.clone(), dana.encryption_key.clone());
    let dana_parts = dana.encryption_key.clone();
    let cases: Vec<(&str, Alter<'_>, Rule)> = vec![
        ("175 a node less", with(Box::new(|path| drop(path.nodes.pop()))), Rule::PathLength),
        ("175 a node more", with(Box::new(|path| path.nodes.push(path.nodes[0].clone()))), Rule::PathLength),
        ("175 no nodes", with(Box::new(|path| path.nodes.clear())), Rule::PathLength),
        (
            "176 a ciphertext less",
            with(Box::new(|path| drop(path.nodes[0].encrypted_path_secret.pop()))),
            Rule::PathCiphertextCount,
        ),
        (
            "176 a ciphertext more",
            with(Box::new(|path| {
                let one = path.nodes[0].encrypted_path_secret[0].clone();
                path.nodes.last_mut().unwrap().encrypted_path_secret.push(one);
            })),
            Rule::PathCiphertextCount,
        ),
        (
            "177 a broken ciphertext",
            with(Box::new(|path| {
                for node in &mut path.nodes {
                    for sealed in &mut node.encrypted_path_secret {
                        let mut bytes = sealed.ciphertext.as_slice().to_vec();
                        bytes[3] ^= 1;
                        sealed.ciphertext = bytes.into();
                    }
                }
            })),
            Rule::PathDecryption,
        ),
        (
            "177 a broken encapsulation",
            with(Box::new(|path| path.nodes[0].encrypted_path_secret[0].kem_output = Vec::new().into())),
            Rule::PathDecryption,
        ),
        (
            "178 other keys than the secrets give",
            keys(Box::new(|keys| {
                let spare =
                    keyroom_mls::leaf_node::generate_key_pair(keyroom_insider::suite(1), &mut keyroom_vectors::rng(99))
                        .unwrap();
                *keys.last_mut().unwrap() = spare.public;
            })),
            Rule::PathKeyMismatch,
        ),
        ("174 one key twice", keys(Box::new(|keys| keys[1] = keys[0].clone())), Rule::ParentKeyNotUnique),
        (
            "173 the key of another leaf",
            keys(Box::new(move |keys| keys[0] = dana_key.clone())),
            Rule::ParentKeyNotUnique,
        ),
        (
            "173 the key of another parent",
            keys(Box::new(move |keys| keys[0] = aside.clone().into())),
            Rule::ParentKeyNotUnique,
        ),
        ("173 a key of no use", keys(Box::new(|keys| keys[0] = vec![1; 5].into())), Rule::InvalidPublicKey),
        (
            "178 a secret of another length",
            Alter { secret: Some(Box::new(|_, secret| secret.push(0))), ..Alter::default() },
            Rule::PathDecryption,
        ),
        (
            "178 an empty secret",
            Alter { secret: Some(Box::new(|_, secret| secret.clear())), ..Alter::default() },
            Rule::PathDecryption,
        ),
        (
            "178 garbage for all",
            Alter { secret: Some(Box::new(|_, secret| secret.fill(3))), ..Alter::default() },
            Rule::PathKeyMismatch,
        ),
        (
            "172 the same encryption key",
            Alter { parts: Some(Box::new(move |parts| parts.encryption_key = own_key.clone())), ..Alter::default() },
            Rule::EncryptionKeyUnchanged,
        ),
        (
            "200 Dana's encryption key",
            Alter { parts: Some(Box::new(move |parts| parts.encryption_key = dana_parts.clone())), ..Alter::default() },
            Rule::EncryptionKeyNotUnique,
        ),
        (
            "171 not a leaf of a commit",
            Alter {
                parts: Some(Box::new(|parts| parts.leaf_node_source = LeafNodeSource::Update)),
                ..Alter::default()
            },
            Rule::LeafSource,
        ),
        (
            "179 another parent hash",
            Alter {
                parts: Some(Box::new(|parts| {
                    parts.leaf_node_source = LeafNodeSource::Commit { parent_hash: vec![0; 32].into() };
                })),
                ..Alter::default()
            },
            Rule::PathParentHash,
        ),
        (
            "179 no parent hash",
            Alter {
                parts: Some(Box::new(|parts| {
                    parts.leaf_node_source = LeafNodeSource::Commit { parent_hash: Vec::new().into() };
                })),
                ..Alter::default()
            },
            Rule::PathParentHash,
        ),
        (
            "171 a leaf signature",
            Alter {
                leaf: Some(Box::new(|leaf| leaf.credential = Credential::basic(&b"alice"[..]))),
                ..Alter::default()
            },
            Rule::LeafSignature,
        ),
        (
            "171 signed for another place",
            Alter { leaf_index: Some(LeafIndex(3)), ..Alter::default() },
            Rule::LeafSignature,
        ),
        (
            "190 another tree hash",
            Alter { context: Some(Box::new(|context| context.tree_hash = vec![0; 32].into())), ..Alter::default() },
            Rule::ConfirmationTag,
        ),
        (
            "180 another transcript",
            Alter {
                context: Some(Box::new(|context| context.confirmed_transcript_hash = vec![0; 32].into())),
                ..Alter::default()
            },
            Rule::ConfirmationTag,
        ),
        (
            "187 another epoch",
            Alter { context: Some(Box::new(|context| context.epoch += 1)), ..Alter::default() },
            Rule::ConfirmationTag,
        ),
    ];
    for (name, change, expected) in cases {
        let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
        bench.refuses(name, &message, expected);
    }
    bench.goes_on();
}

#[test]
fn a_path_secret_that_is_garbage_for_one_member_is_noticed_by_that_member() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(24);
    let change = Alter {
        secret: Some(Box::new(|recipient, secret| {
            if recipient.node.covers(LeafIndex(0)) && recipient.node.height == 0 {
                secret.fill(9);
            }
        })),
        ..Alter::default()
    };
    let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
    bench.refuses("178 garbage for Alice", &message, Rule::PathKeyMismatch);
    for reader in 2..5 {
        bench.members[reader].group.process(&message, &now()).unwrap();
    }
    bench.goes_on();
}

#[test]
fn an_update_is_a_new_leaf_with_a_new_key() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(25);
    let own = bench.members[1].group.member(LeafIndex(1)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    // Kept as a proposal, the leaf is checked on its own; the commit that names it is refused.
    let sign = |bench: &Bench, encryption_key: HpkePublicKey, rng: &mut dyn keyroom_crypto::CryptoRng| {
        let mut leaf = own.clone();
        leaf.encryption_key = encryption_key;
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = bench.members[1].group.group_id().clone();
        let tbs = leaf.tbs(Some((&group_id, LeafIndex(1))));
        let signer = bench.members[1].client.signer.as_ref();
        leaf.signature = keyroom_crypto::labels::sign_with_label(signer, "LeafNodeTBS", &tbs, rng).unwrap();
        leaf
    };
    let leaf = sign(&bench, own.encryption_key.clone(), rng);
    let bob = bench.bob();
    let update = bob.public(bob.sender(), Content::Proposal(Proposal::Update { leaf_node: Box::new(leaf) }), rng);
    let update = keyroom_wire::MlsMessage::PublicMessage(update).to_bytes();
    let kept = bench.members[0].group.process(&update, &now()).unwrap().received;
    let keyroom_mls::group::Received::Proposal(kept) = kept else { panic!("a proposal was expected") };
    let Bench { members, rng, .. } = &mut bench;
    let alice = &mut members[0];
    let named = alice.group.commit().waiting(keyroom_mls::group::Waiting::Only(vec![kept.reference]));
    let refused = named.build(alice.client.signer.as_ref(), &now(), &mut **rng).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::EncryptionKeyUnchanged));
    let (without, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), &mut **rng).unwrap();
    let next = without.staged().next_context().unwrap().clone();
    assert_eq!(next.epoch, alice.group.epoch() + 1, "what cannot be committed does not keep others from it");
    alice.group.discard(without.id).unwrap();
    let forged = sign(&bench, vec![7; 32].into(), &mut keyroom_vectors::rng(1));
    let bob = bench.bob();
    let mut wrong = forged.clone();
    wrong.signature = vec![0; 64].as_slice().into();
    for (name, leaf, sender, expected) in [
        ("122 signature", wrong, bob.sender(), Rule::LeafSignature),
        ("122 source", own.clone(), bob.sender(), Rule::LeafSource),
        ("123 from outside", forged, Sender::External(0), Rule::UpdateByNonMember),
    ] {
        let bob = bench.bob();
        let proposal = Content::Proposal(Proposal::Update { leaf_node: Box::new(leaf) });
        let message = bob.public(sender, proposal, &mut keyroom_vectors::rng(2));
        bench.refuses(name, &keyroom_wire::MlsMessage::PublicMessage(message).to_bytes(), expected);
    }
}

#[test]
fn an_external_commit_does_nothing_but_join() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(26);
    let (eve, bundle) = bench.newcomer("eve");
    let (_, other) = bench.newcomer("gina");
    let leaf = bundle.key_package.leaf_node.clone();
    let init = || Proposal::ExternalInit { kem_output: Vec::new().into() };
    let value = ProposalOrRef::Proposal;
    let dana = bench.members[0].group.member(LeafIndex(3)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    let dana_key = dana.encryption_key.clone();
    let dana_again = dana.encryption_key.clone();
    let honest = Alter::default;
    let cases: Vec<(&str, Vec<ProposalOrRef>, Alter<'_>, Error)> = vec![
        ("155", vec![], honest(), rule(Rule::ExternalInitCount)),
        ("156", vec![value(init()), value(init())], honest(), rule(Rule::ExternalInitCount)),
        ("157", vec![value(init()), value(remove(3)), value(remove(4))], honest(), rule(Rule::ExternalRemoveCount)),
        ("124", vec![value(init()), value(remove(BLANK.0))], honest(), rule(Rule::RemovedNotMember)),
        ("160 add", vec![value(init()), value(add(&other.key_package))], honest(), rule(Rule::ExternalProposalType)),
        ("160 reinit", vec![value(init()), value(reinit(1))], honest(), rule(Rule::ExternalProposalType)),
        (
            "160 extensions",
            vec![value(init()), value(group_context(Extensions::new()))],
            honest(),
            rule(Rule::ExternalProposalType),
        ),
        (
            "161",
            vec![value(init()), ProposalOrRef::Reference(ProposalRef::from(&[5; 32][..]))],
            honest(),
            rule(Rule::ExternalProposalByReference),
        ),
        ("162", vec![value(init())], Alter { without_path: true, ..honest() }, rule(Rule::PathMissing)),
        (
            "130",
            vec![value(Proposal::ExternalInit { kem_output: vec![1; 31].into() })],
            honest(),
            rule(Rule::ExternalInitKemOutput),
        ),
        (
            "167",
            vec![value(Proposal::ExternalInit { kem_output: vec![9; 32].into() })],
            honest(),
            rule(Rule::ConfirmationTag),
        ),
        ("165", vec![value(init())], Alter { leaf_index: Some(LeafIndex(7)), ..honest() }, rule(Rule::LeafSignature)),
        (
            "166 Dana's key",
            vec![value(init())],
            Alter { parts: Some(Box::new(move |parts| parts.encryption_key = dana_key.clone())), ..honest() },
            rule(Rule::EncryptionKeyNotUnique),
        ),
        (
            "159 the key of the leaf removed",
            vec![value(init()), value(remove(3))],
            Alter { parts: Some(Box::new(move |parts| parts.encryption_key = dana_again.clone())), ..honest() },
            rule(Rule::EncryptionKeyUnchanged),
        ),
        (
            "99",
            vec![value(init())],
            Alter { wire_format: Some(WireFormat::PRIVATE_MESSAGE), ..honest() },
            rule(Rule::MessageSignature),
        ),
        (
            "164 as a member",
            vec![value(init())],
            Alter { content: Some(Box::new(|content| content.sender = Sender::Member(LeafIndex(1)))), ..honest() },
            rule(Rule::MessageSignature),
        ),
    ];
    for (name, proposals, change, expected) in cases {
        let bob = bench.bob();
        let made = bob.commit_of(Sender::NewMemberCommit, &leaf, eve.signer.as_ref(), proposals, &change, rng);
        bench.refuses(name, &made.bytes(), expected);
    }
    // 163: signed by another key than the leaf's.
    let bob = bench.bob();
    let entries = [value(init())];
    let mut made = bob.commit_of(Sender::NewMemberCommit, &leaf, eve.signer.as_ref(), entries, &honest(), rng);
    let signed = bob.sign(made.message.content.clone(), WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
    made.message.auth.signature = signed.auth.signature;
    let forged = made.bytes();
    let bob = bench.bob();
    let entries = [value(init())];
    let honest = bob.commit_of(Sender::NewMemberCommit, &leaf, eve.signer.as_ref(), entries, &honest(), rng).bytes();
    bench.refuses("163", &forged, Rule::MessageSignature);
    bench.members[0].group.process(&honest, &now()).unwrap();
    bench.goes_on();
}
