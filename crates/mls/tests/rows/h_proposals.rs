//! Section H: single proposals.

use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Secret, labels};
use keyroom_insider::proposals::{add, extensions, external_psk, group_context, psk, reinit, remove, resumption_psk};
use keyroom_insider::{Alter, BLANK, Bench, Client, Insider, Member, NOW, Private, config, now, resigned, suite};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Retry, Rule, Usage};
use keyroom_mls::group::{Founder, Group, Received, Waiting, propose_externally};
use keyroom_mls::identity::{Judgement, Question};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_mls::proposals::{CommitUse, PathNeed, ProposalTable, ProposalTypeEntry, SenderType};
use keyroom_mls::public::Observed;
use keyroom_wire::{
    AuthenticatedContent, CipherSuite, Content, Credential, Encode, ExtensionType, Extensions, ExternalSender,
    HpkePublicKey, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, MlsMessage, Proposal, ProposalOrRef, ProposalRef,
    ProposalType, ProtocolVersion, Psk, PublicMessage, RequiredCapabilities, ResumptionPskUsage, Sender, WireFormat,
};

/// New extensions of the group.
fn context_of(list: &[(ExtensionType, &[u8])]) -> Proposal {
    group_context(extensions(list))
}

fn bytes(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

fn proposed(bench: &Bench, sender: Sender, proposal: &Proposal) -> Vec<u8> {
    let rng = &mut keyroom_vectors::rng(2);
    bytes(bench.bob().public(sender, Content::Proposal(proposal.clone()), rng))
}

fn committed(bench: &Bench, proposal: &Proposal) -> Vec<u8> {
    let rng = &mut keyroom_vectors::rng(3);
    bench.bob().commit(vec![proposal.clone()], &Alter::default(), rng).bytes()
}

fn leaf_of(group: &Group, leaf: u32) -> LeafNode {
    group.member(LeafIndex(leaf)).unwrap().unwrap().leaf().node().to_owned().unwrap()
}

/// A group does not do it itself, and is as before.
#[track_caller]
fn unwilling<T: std::fmt::Debug>(group: &mut Group, act: impl FnOnce(&mut Group) -> Result<T, Error>, expected: Error) {
    let before = group.snapshot().unwrap();
    assert_eq!(act(group).unwrap_err(), expected);
    assert!(group.snapshot().unwrap() == before, "the group has changed");
}

/// Alice does not propose it herself.
#[track_caller]
fn not_proposed(bench: &mut Bench, proposal: &Proposal, expected: impl Into<Error>) {
    let Member { client, group } = &mut bench.members[0];
    let rng = &mut keyroom_vectors::rng(5);
    let propose = |group: &mut Group| group.propose(proposal.clone(), b"", client.signer.as_ref(), &now(), rng);
    unwilling(group, propose, expected.into());
}

/// Alice does not commit it herself.
#[track_caller]
fn not_committed(bench: &mut Bench, proposal: &Proposal, expected: impl Into<Error>) {
    let Member { client, group } = &mut bench.members[0];
    let rng = &mut keyroom_vectors::rng(6);
    let commit =
        |group: &mut Group| group.commit().propose(proposal.clone()).build(client.signer.as_ref(), &now(), rng);
    unwilling(group, commit, expected.into());
}

/// A proposal is refused as a message, in the open and encrypted, and in a commit; and is not sent.
#[track_caller]
fn refused_everywhere(bench: &mut Bench, proposal: &Proposal, expected: Rule) {
    let message = proposed(bench, bench.bob().sender(), proposal);
    bench.refuses("proposed", &message, expected);
    let hidden = Private::new(Content::Proposal(proposal.clone()));
    let hidden = MlsMessage::PrivateMessage(hidden.make(&bench.bob(), &mut keyroom_vectors::rng(8))).to_bytes();
    bench.refuses("proposed in secret", &hidden, expected);
    let commit = committed(bench, proposal);
    bench.refuses("committed", &commit, expected);
    not_proposed(bench, proposal, expected);
    not_committed(bench, proposal, expected);
}

/// Alice keeps a proposal and says its reference.
fn keeps(member: &mut Member, message: &[u8]) -> ProposalRef {
    match member.group.process(message, &now()).unwrap().received {
        Received::Proposal(kept) => kept.reference,
        other => panic!("a proposal was expected, not {other:?}"),
    }
}

fn reference_of(message: &PublicMessage) -> ProposalRef {
    labels::proposal_ref(suite(1), &message.clone().into_authenticated_content().to_bytes())
}

#[test]
fn row_120_a_proposal_is_kept_only_if_it_is_authentic_and_of_now() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(120);
    let bob = bench.bob();
    let honest = bob.public(bob.sender(), Content::Proposal(remove(3)), rng);
    let mut unsigned = honest.clone();
    unsigned.auth.signature = vec![1; 64].as_slice().into();
    let unsigned = bob.tagged(unsigned.content, unsigned.auth);
    let untagged = PublicMessage { membership_tag: Some(vec![1; 32].as_slice().into()), ..honest.clone() };
    let resigned = |change: fn(&mut keyroom_wire::FramedContent)| {
        let mut content = honest.content.clone();
        change(&mut content);
        let signed = bob.sign(content, WireFormat::PUBLIC_MESSAGE, bob.signer, &mut keyroom_vectors::rng(1));
        bob.tagged(signed.content, signed.auth)
    };
    let epoch = honest.content.epoch;
    let cases: [(PublicMessage, Error); 5] = [
        (unsigned, Rule::MessageSignature.into()),
        (untagged, Rule::MembershipTag.into()),
        (resigned(|content| content.epoch -= 1), Rule::WrongEpoch.into()),
        (resigned(|content| content.epoch += 1), NotYet::FutureEpoch { epoch: epoch + 1 }.into()),
        (resigned(|content| content.group_id = b"other"[..].into()), Rule::WrongGroup.into()),
    ];
    for (message, expected) in cases {
        let unseen = expected == Error::Rule(Rule::MembershipTag);
        let reference = reference_of(&message);
        let message = bytes(message);
        bench.refuses("proposal", &message, expected.clone());
        if !unseen {
            // A commit that names it finds nothing.
            let commit = bench.naming(std::slice::from_ref(&reference));
            bench.refuses("commit", &commit, NotYet::UnknownProposal(reference));
        }
        assert!(bench.members[0].group.pending_proposals().is_empty());
    }
    bench.goes_on();
}

#[test]
fn row_121_an_add_with_an_invalid_key_package_is_refused() {
    let mut bench = Bench::open();
    let (gina, bundle) = bench.newcomer("gina");
    type Change = fn(&mut KeyPackage);
    let signed: [(Change, Rule); 4] = [
        (|package| package.cipher_suite = CipherSuite(3), Rule::KeyPackageCipherSuite),
        (|package| package.version = ProtocolVersion(2), Rule::KeyPackageVersion),
        (|package| package.leaf_node.leaf_node_source = LeafNodeSource::Update, Rule::LeafSource),
        (|package| package.leaf_node.capabilities.versions.clear(), Rule::LeafLacksVersion),
    ];
    for (change, expected) in signed {
        let mut package = bundle.key_package.clone();
        change(&mut package);
        let package = resigned(package, &gina, &mut keyroom_vectors::rng(1));
        refused_everywhere(&mut bench, &add(&package), expected);
    }
    let mut unsigned = bundle.key_package.clone();
    unsigned.signature = vec![0; 64].as_slice().into();
    refused_everywhere(&mut bench, &add(&unsigned), Rule::KeyPackageSignature);
    // Nor does it come in from outside.
    let message = bench.bob().framed(Sender::NewMemberProposal, Content::Proposal(add(&unsigned)));
    let rng = &mut keyroom_vectors::rng(1);
    let signed = bench.bob().sign(message, WireFormat::PUBLIC_MESSAGE, gina.signer.as_ref(), rng);
    let message = bytes(PublicMessage { content: signed.content, auth: signed.auth, membership_tag: None });
    bench.refuses("from outside", &message, Rule::KeyPackageSignature);
    bench.goes_on();
}

/// An Update of a member, its leaf altered before it is signed for a place.
fn update(member: &Member, place: u32, change: impl Fn(&mut LeafNode)) -> Proposal {
    let group = &member.group;
    let mut leaf = leaf_of(group, group.own_leaf().0);
    leaf.leaf_node_source = LeafNodeSource::Update;
    leaf.encryption_key = vec![7; 32].into();
    change(&mut leaf);
    let tbs = leaf.tbs(Some((group.group_id(), LeafIndex(place))));
    let signer = member.client.signer.as_ref();
    leaf.signature = labels::sign_with_label(signer, "LeafNodeTBS", &tbs, &mut keyroom_vectors::rng(1)).unwrap();
    Proposal::Update { leaf_node: Box::new(leaf) }
}

#[test]
fn row_122_an_update_with_an_invalid_leaf_is_refused() {
    let mut bench = Bench::open();
    type Change = fn(&mut LeafNode);
    let commit = LeafNodeSource::Commit { parent_hash: Vec::new().into() };
    let unsigned = match update(&bench.members[1], 1, |_| {}) {
        Proposal::Update { mut leaf_node } => {
            leaf_node.credential = Credential::basic("alice");
            Proposal::Update { leaf_node }
        }
        other => other,
    };
    let mut cases = vec![
        (unsigned, Rule::LeafSignature),
        (update(&bench.members[1], 3, |_| {}), Rule::LeafSignature),
        (update(&bench.members[1], 1, move |leaf| leaf.leaf_node_source = commit.clone()), Rule::LeafSource),
    ];
    let changes: [(Change, Rule); 4] = [
        (|leaf| leaf.capabilities.cipher_suites.clear(), Rule::LeafLacksCipherSuite),
        (|leaf| leaf.capabilities.credentials.clear(), Rule::LeafLacksOwnCredential),
        (|leaf| leaf.encryption_key = vec![7; 31].into(), Rule::InvalidPublicKey),
        (|leaf| leaf.extensions.set(ExtensionType(0xff03), []), Rule::LeafExtensionNotListed),
    ];
    cases.extend(changes.map(|(change, expected)| (update(&bench.members[1], 1, change), expected)));
    for (update, expected) in cases {
        let message = proposed(&bench, bench.bob().sender(), &update);
        bench.refuses("proposed", &message, expected);
        let hidden = Private::new(Content::Proposal(update));
        let hidden = MlsMessage::PrivateMessage(hidden.make(&bench.bob(), &mut keyroom_vectors::rng(8))).to_bytes();
        bench.refuses("proposed in secret", &hidden, expected);
    }
    bench.goes_on();
}

#[test]
fn row_122_an_update_that_keeps_its_key_is_refused_in_a_commit() {
    let mut bench = Bench::open();
    // On its own the leaf is valid; it is the one before it that makes it wrong.
    let key: HpkePublicKey = leaf_of(&bench.members[3].group, 4).encryption_key;
    let update = update(&bench.members[3], 4, move |leaf| leaf.encryption_key = key.clone());
    let erin = &bench.members[3];
    let erin = Insider::new(&erin.group, erin.client.signer.as_ref());
    let message = bytes(erin.public(erin.sender(), Content::Proposal(update), &mut keyroom_vectors::rng(1)));
    let reference = keeps(&mut bench.members[0], &message);
    assert!(matches!(bench.observer.as_mut().unwrap().process(&message, &now()), Ok(Observed::Proposal(_))));
    let commit = bench.naming(std::slice::from_ref(&reference));
    bench.refuses("named by another", &commit, Rule::EncryptionKeyUnchanged);
    let Member { client, group } = &mut bench.members[0];
    let rng = &mut keyroom_vectors::rng(6);
    let named = |group: &mut Group| {
        group.commit().waiting(Waiting::Only(vec![reference])).build(client.signer.as_ref(), &now(), rng)
    };
    unwilling(group, named, Rule::EncryptionKeyUnchanged.into());
    // It does not keep Alice from committing everything else.
    let rng = &mut keyroom_vectors::rng(6);
    let (pending, _) = group.commit().build(client.signer.as_ref(), &now(), rng).unwrap();
    assert!(pending.staged().next_context().is_some());
}

#[test]
fn row_123_nobody_but_a_member_updates() {
    let mut bench = Bench::open();
    let update = update(&bench.members[1], 1, |_| {});
    for sender in [Sender::External(0), Sender::NewMemberProposal] {
        let message = proposed(&bench, sender, &update);
        bench.refuses("from outside", &message, Rule::UpdateByNonMember);
    }
    bench.goes_on();
}

#[test]
fn row_124_only_members_are_removed() {
    let mut bench = Bench::open();
    let (eve, bundle) = bench.newcomer("eve");
    for leaf in [BLANK.0, 6, 8, 1 << 30, u32::MAX] {
        refused_everywhere(&mut bench, &remove(leaf), Rule::RemovedNotMember);
        let bob = bench.bob();
        let init = Proposal::ExternalInit { kem_output: Vec::new().into() };
        let entries = [init, remove(leaf)].map(ProposalOrRef::Proposal);
        let (joins, node) = (Sender::NewMemberCommit, &bundle.key_package.leaf_node);
        let rng = &mut keyroom_vectors::rng(1);
        let message = bob.commit_of(joins, node, eve.signer.as_ref(), entries, &Alter::default(), rng).bytes();
        bench.refuses("by a joiner", &message, Rule::RemovedNotMember);
    }
    bench.goes_on();
}

/// A PSK that does not belong into an external commit either.
#[track_caller]
fn refused_of_joiner(bench: &mut Bench, proposal: &Proposal, expected: Rule) {
    let (eve, bundle) = bench.newcomer("eve");
    let bob = bench.bob();
    let init = Proposal::ExternalInit { kem_output: Vec::new().into() };
    let entries = [init, proposal.clone()].map(ProposalOrRef::Proposal);
    let (joins, node) = (Sender::NewMemberCommit, &bundle.key_package.leaf_node);
    let rng = &mut keyroom_vectors::rng(1);
    let message = bob.commit_of(joins, node, eve.signer.as_ref(), entries, &Alter::default(), rng).bytes();
    bench.refuses("by a joiner", &message, expected);
}

#[test]
fn row_125_a_psk_for_a_reinitialisation_is_refused_outside_of_one() {
    let mut bench = Bench::open();
    let reinit = psk(resumption_psk(ResumptionPskUsage::ReInit, 4), 32);
    refused_everywhere(&mut bench, &reinit, Rule::ReInitPsk);
    refused_of_joiner(&mut bench, &reinit, Rule::ReInitPsk);
    bench.goes_on();
}

#[test]
fn row_126_a_psk_for_a_branch_is_refused_outside_of_one() {
    let mut bench = Bench::open();
    let branch = psk(resumption_psk(ResumptionPskUsage::Branch, 4), 32);
    refused_everywhere(&mut bench, &branch, Rule::BranchPsk);
    refused_of_joiner(&mut bench, &branch, Rule::BranchPsk);
    bench.goes_on();
}

#[test]
fn row_127_a_psk_nonce_is_as_long_as_the_kdf_output() {
    let mut bench = Bench::open();
    for length in [0, 16, 31, 33, 64] {
        for id in [external_psk(b"known"), resumption_psk(ResumptionPskUsage::Application, 4)] {
            let short = psk(id, length);
            refused_everywhere(&mut bench, &short, Rule::PskNonceLength);
            refused_of_joiner(&mut bench, &short, Rule::PskNonceLength);
        }
    }
    bench.goes_on();
}

#[test]
fn row_128_a_psk_that_this_member_lacks_is_asked_for() {
    let mut bench = Bench::open();
    let known = external_psk(b"known");
    let long_ago = Psk::Resumption {
        usage: ResumptionPskUsage::Application,
        psk_group_id: b"room"[..].into(),
        psk_epoch: u64::MAX,
    };
    for lacking in [known.clone(), long_ago, Psk::External { psk_id: Vec::new().into() }] {
        let commit = committed(&bench, &psk(lacking.clone(), 32));
        let expected = Error::from(NotYet::Psks(vec![lacking.clone()]));
        bench.refuses("received", &commit, expected.clone());
        assert_eq!(expected.retry(), Retry::AfterSupply);
        let Member { client, group } = &mut bench.members[0];
        let rng = &mut keyroom_vectors::rng(6);
        let commit = |group: &mut Group| group.commit().psk(lacking).build(client.signer.as_ref(), &now(), rng);
        unwilling(group, commit, expected);
    }
    // Another value under the same name leads into another epoch.
    let message = committed(&bench, &psk(known.clone(), 32));
    let with = |value: &[u8]| [(known.clone(), Secret::copy_of(value))];
    let wrong = with(b"something");
    let read = |group: &mut Group| group.process(&message, &Inputs { psks: &wrong, ..now() });
    unwilling(&mut bench.members[0].group, read, Rule::ConfirmationTag.into());
    // With the right value all go on together.
    let right = with(b"right");
    let inputs = Inputs { psks: &right, ..now() };
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[1];
    let (pending, _) = group.commit().psk(known).build(client.signer.as_ref(), &inputs, &mut **rng).unwrap();
    let received = members[0].group.process(&keyroom_insider::sent(&pending), &inputs).unwrap().received;
    assert!(matches!(received, Received::Commit(_)));
}

#[test]
fn row_129_a_group_is_not_reinitialised_with_a_lower_version() {
    let mut bench = Bench::open();
    refused_everywhere(&mut bench, &reinit(0), Rule::ReInitVersion);
    let (message, commit) = (proposed(&bench, bench.bob().sender(), &reinit(1)), committed(&bench, &reinit(1)));
    assert!(matches!(bench.members[0].group.process(&commit, &now()).unwrap().received, Received::Commit(_)));
    keeps(&mut bench.members[0], &message);
}

#[test]
fn row_130_an_encapsulated_key_that_does_not_open_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(130);
    let (eve, bundle) = bench.newcomer("eve");
    let mut commit = |bench: &Bench, kem_output: Vec<u8>| {
        let bob = bench.bob();
        let entries = [ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: kem_output.into() })];
        let (joins, node) = (Sender::NewMemberCommit, &bundle.key_package.leaf_node);
        bob.commit_of(joins, node, eve.signer.as_ref(), entries, &Alter::default(), rng).bytes()
    };
    for length in [1, 31, 33, 64] {
        let message = commit(&bench, vec![9; length]);
        bench.refuses("of another length", &message, Rule::ExternalInitKemOutput);
    }
    // A point of small order: only who has the private key sees that nothing comes out.
    bench.observer = None;
    for point in [vec![0; 32], [vec![1], vec![0; 31]].concat()] {
        let message = commit(&bench, point);
        bench.refuses("does not decapsulate", &message, Rule::ExternalInitKemOutput);
    }
    bench.goes_on();
}

const ABLE: ExtensionType = ExtensionType(0xff01);

/// A key package whose leaf lists [`ABLE`], or not.
fn package(client: &Client, extensions: &[ExtensionType], rng: &mut dyn CryptoRng) -> KeyPackageBundle {
    let mut capabilities = client.bundle(rng).key_package.leaf_node.capabilities;
    capabilities.extensions.extend(extensions);
    let credential = Credential::basic(client.name.as_bytes());
    let builder = KeyPackageBuilder::new(client.suite, credential, lifetime_from(NOW, 1_000));
    builder.capabilities(capabilities).build(client.signer.as_ref(), rng).unwrap()
}

/// Alice and Bob are able, Carol is not.
fn two_of_three(rng: &mut dyn CryptoRng) -> (Member, Member) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Client::new(name, suite(1), rng));
    let bundle = package(&alice, &[ABLE], rng);
    let founder = Founder { bundle, group_id: b"room"[..].into(), extensions: Extensions::new() };
    let group = Group::create(suite(1), founder, config(), &now(), rng).unwrap().0;
    let mut alice = Member { client: alice, group };
    let bundle = package(&bob, &[ABLE], rng);
    let builder = alice.group.commit().add(bundle.key_package.clone()).add(package(&carol, &[], rng).key_package);
    let (pending, _) = builder.build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let welcome = keyroom_insider::admission(&pending).welcome.unwrap();
    alice.apply(pending);
    let group = bob.join(&welcome, bundle, config(), rng);
    (alice, Member { client: bob, group })
}

/// A change of extensions that Carol does not support: refused, unless she is removed with it; those
/// added with it must support it too.
fn only_for_the_able(change: &Proposal, refused: Rule, refused_of_newcomer: Rule) {
    let rng = &mut keyroom_vectors::rng(131);
    let (mut alice, bob) = two_of_three(rng);
    let newcomer = Client::new("dave", suite(1), rng);
    let (able, unable) = (package(&newcomer, &[ABLE], rng), package(&newcomer, &[], rng));
    let bob = Insider::new(&bob.group, bob.client.signer.as_ref());
    let mut commit = |more: Vec<Proposal>| {
        let proposals = [vec![change.clone()], more].concat();
        bob.commit(proposals, &Alter::default(), rng).bytes()
    };
    let of_all = commit(vec![]);
    let without_carol = commit(vec![remove(2)]);
    let with_able = commit(vec![remove(2), add(&able.key_package)]);
    let with_unable = commit(vec![remove(2), add(&unable.key_package)]);
    unwilling(&mut alice.group, |group| group.process(&of_all, &now()), refused.into());
    unwilling(&mut alice.group, |group| group.process(&with_unable, &now()), refused_of_newcomer.into());
    for accepted in [without_carol, with_able] {
        let received = alice.group.process(&accepted, &now()).unwrap().received;
        assert!(matches!(received, Received::Commit(_)));
    }
    let Member { client, group } = &mut alice;
    let rng = &mut keyroom_vectors::rng(1);
    let own = |group: &mut Group| group.commit().propose(change.clone()).build(client.signer.as_ref(), &now(), rng);
    unwilling(group, own, refused.into());
}

#[test]
fn row_131_what_a_group_requires_its_members_have() {
    let required =
        RequiredCapabilities { extension_types: vec![ABLE], proposal_types: Vec::new(), credential_types: Vec::new() };
    let change = context_of(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())]);
    only_for_the_able(&change, Rule::RequiredCapabilityNotSupported, Rule::LeafLacksRequiredExtension);
}

#[test]
fn row_132_what_stands_in_the_group_context_its_members_support() {
    only_for_the_able(&context_of(&[(ABLE, b"x")]), Rule::GroupExtensionNotSupported, Rule::LeafLacksGroupExtension);
}

#[test]
fn row_133_an_extension_that_does_not_belong_into_the_group_context_is_refused() {
    let mut bench = Bench::open();
    for misplaced in [
        ExtensionType::RATCHET_TREE,
        ExtensionType::EXTERNAL_PUB,
        ExtensionType::APPLICATION_ID,
        ExtensionType::LAST_RESORT,
    ] {
        refused_everywhere(&mut bench, &context_of(&[(misplaced, b"\0")]), Rule::ExtensionNotAllowedHere);
    }
    bench.goes_on();
}

const CUSTOM: ProposalType = ProposalType(0xff00);

#[test]
fn row_134_a_proposal_type_that_some_member_does_not_support_is_refused() {
    let custom = Proposal::Custom { proposal_type: CUSTOM, body: b"x"[..].into() };
    let grease = Proposal::Custom { proposal_type: ProposalType(0x0a0a), body: b"x"[..].into() };
    let mut bench = Bench::open();
    refused_everywhere(&mut bench, &custom, Rule::ProposalTypeNotSupported);
    refused_everywhere(&mut bench, &grease, Rule::ProposalTypeNotSupported);
    bench.goes_on();
    // Nor does it help that Alice knows the type, as long as the leaves of the others do not list it.
    let entry = ProposalTypeEntry {
        proposal_type: CUSTOM,
        senders: &[SenderType::Member],
        path: PathNeed::Optional,
        member_commit: CommitUse::Any,
        external_commit: CommitUse::Forbidden,
        order: 80,
    };
    let config = Config { proposals: ProposalTable::new().with(entry), ..Config::default() };
    let mut bench = Bench::new(134, Arc::new(config));
    refused_everywhere(&mut bench, &custom, Rule::ProposalTypeNotSupported);
    bench.goes_on();
}

#[test]
fn row_135_the_application_judges_every_proposal_from_outside() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(135);
    let key = suite(1).generate_signature_key(rng).unwrap();
    let signer = suite(1).signer(key.expose()).unwrap();
    let sender = ExternalSender { signature_key: signer.public_key().clone(), credential: Credential::basic("server") };
    let mut trusted = Extensions::new();
    trusted.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    bench.commit(0, |builder| builder.extensions(trusted));
    let context = bench.members[0].group.context().clone();
    let message = propose_externally(&context, remove(3), signer.as_ref(), rng).unwrap();
    for member in &mut bench.members[..2] {
        keeps(member, &message);
    }
    let bob = &mut bench.members[1];
    let (pending, _) = bob.group.commit().build(bob.client.signer.as_ref(), &now(), rng).unwrap();
    let from_outside =
        |question: &Question| matches!(question, Question::Proposal { proposer: Sender::External(0), .. });
    let authorised = |question: &Question| match from_outside(question) {
        true => Judgement::Reject,
        false => Judgement::Accept,
    };
    // Whoever commits it is asked, and whoever receives the commit.
    assert!(pending.questions().judge(authorised).is_err());
    let read = |group: &mut Group| match group.process(&keyroom_insider::sent(&pending), &now()).unwrap().received {
        Received::Commit(staged) => staged,
        other => panic!("a commit was expected, not {other:?}"),
    };
    let alice = &mut bench.members[0].group;
    let staged = read(alice);
    assert_eq!(staged.questions().iter().filter(|question| from_outside(question)).count(), 1);
    assert!(staged.questions().judge(authorised).is_err());
    // Without the answer to exactly this question nothing is applied.
    let other = read(alice).questions().accept_unseen();
    unwilling(alice, |group| group.apply(staged, &other), Usage::WrongVerdict.into());
}

#[test]
fn row_136_a_commit_waits_for_the_proposals_that_it_names() {
    let mut bench = Bench::open();
    let bob = &mut bench.members[1];
    let rng = &mut keyroom_vectors::rng(136);
    let signer = bob.client.signer.as_ref();
    let sent = bob.group.propose(remove(3), b"", signer, &now(), rng).unwrap();
    let (pending, _) = bob.group.commit().build(signer, &now(), rng).unwrap();
    let expected = NotYet::UnknownProposal(sent.reference.clone());
    bench.refuses("too early", &keyroom_insider::sent(&pending), expected.clone());
    assert_eq!(Error::from(expected).retry(), Retry::AfterSupply);
    assert_eq!(keeps(&mut bench.members[0], &sent.message), sent.reference);
    bench.members[0].follow(&keyroom_insider::sent(&pending));
}

#[test]
fn row_137_a_reference_stands_for_one_message_of_one_sender() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(137);
    let bob = bench.bob();
    let message = bob.public(bob.sender(), Content::Proposal(remove(3)), rng);
    let right = message.clone().into_authenticated_content();
    let reference = keeps(&mut bench.members[0], &bytes(message));
    assert_eq!(reference, labels::proposal_ref(suite(1), &right.to_bytes()));
    // Dana proposes the same, and it is another proposal.
    let dana = Insider::new(&bench.members[2].group, bench.members[2].client.signer.as_ref());
    let same = bytes(dana.public(dana.sender(), Content::Proposal(remove(4)), rng));
    assert_ne!(keeps(&mut bench.members[0], &same), reference);
    // No other message, and no part of this one, has its reference.
    type Change = fn(&mut AuthenticatedContent);
    let changes: [Change; 4] = [
        |content| content.wire_format = WireFormat::PRIVATE_MESSAGE,
        |content| content.content.sender = Sender::Member(LeafIndex(3)),
        |content| content.auth.signature = vec![0; 64].as_slice().into(),
        |content| content.content.authenticated_data = b"x"[..].into(),
    ];
    let mut wrong: Vec<Vec<u8>> = changes
        .map(|change| {
            let mut other = right.clone();
            change(&mut other);
            other.to_bytes()
        })
        .into();
    wrong.push(remove(3).to_bytes());
    wrong.push(right.content.to_bytes());
    for content in wrong {
        let other = labels::proposal_ref(suite(1), &content);
        let commit = bench.naming(std::slice::from_ref(&other));
        let Bench { members, .. } = &mut bench;
        let read = |group: &mut Group| group.process(&commit, &now());
        unwilling(&mut members[0].group, read, NotYet::UnknownProposal(other).into());
    }
}

/// Proposals of Bob that nobody has seen before, as messages.
fn many(bench: &Bench, count: u8, length: usize) -> Vec<Vec<u8>> {
    let sender = bench.bob().sender();
    (0..count).map(|number| proposed(bench, sender, &psk(external_psk(&vec![number; length]), 32))).collect()
}

fn with_limits(seed: u64, config: Config) -> Bench {
    let mut bench = Bench::new(seed, Arc::new(config));
    // It takes in only what it is shown here.
    bench.observer = None;
    bench
}

#[test]
fn row_138_one_sender_has_only_so_many_waiting_proposals() {
    let config = Config { max_proposals_per_sender: 5, ..Config::default() };
    let mut bench = with_limits(138, config);
    let messages = many(&bench, 7, 4);
    for message in &messages[..5] {
        keeps(&mut bench.members[0], message);
    }
    for message in &messages[5..] {
        bench.refuses("one more", message, Refusal::TooManyProposalsOfSender);
    }
    // Others are not concerned.
    let dana = Insider::new(&bench.members[2].group, bench.members[2].client.signer.as_ref());
    let rng = &mut keyroom_vectors::rng(1);
    let of_dana = bytes(dana.public(dana.sender(), Content::Proposal(remove(4)), rng));
    keeps(&mut bench.members[0], &of_dana);
    // What is dropped makes room, and so does a new epoch.
    let first = bench.members[0].group.pending_proposals()[0].reference.clone();
    bench.members[0].group.drop_proposal(&first).unwrap();
    keeps(&mut bench.members[0], &messages[5]);
    bench.refuses("one more", &messages[6], Refusal::TooManyProposalsOfSender);
    bench.commit(1, |builder| builder);
    for message in many(&bench, 5, 4) {
        keeps(&mut bench.members[0], &message);
    }
}

#[test]
fn row_138_newcomers_share_the_room_of_one_sender() {
    let config = Config { max_proposals_per_sender: 2, ..Config::default() };
    let mut bench = with_limits(138, config);
    let messages: Vec<Vec<u8>> = ["gina", "hugo", "ines"]
        .map(|name| {
            let (client, bundle) = bench.newcomer(name);
            let context = bench.members[0].group.context().clone();
            let rng = &mut keyroom_vectors::rng(1);
            let signer = client.signer.as_ref();
            keyroom_mls::group::propose_own_addition(&context, bundle.key_package, signer, rng).unwrap()
        })
        .into();
    for message in &messages[..2] {
        keeps(&mut bench.members[0], message);
    }
    bench.refuses("a third", &messages[2], Refusal::TooManyProposalsOfSender);
}

#[test]
fn row_138_an_epoch_has_only_so_many_waiting_proposals() {
    let config = Config { max_proposals: 6, max_proposals_per_sender: 4, ..Config::default() };
    let mut bench = with_limits(138, config);
    for message in &many(&bench, 4, 4) {
        keeps(&mut bench.members[0], message);
    }
    let dana = Insider::new(&bench.members[2].group, bench.members[2].client.signer.as_ref());
    let rng = &mut keyroom_vectors::rng(1);
    let of_dana = [1, 4, 5].map(|leaf| bytes(dana.public(dana.sender(), Content::Proposal(remove(leaf)), rng)));
    for message in &of_dana[..2] {
        keeps(&mut bench.members[0], message);
    }
    bench.refuses("all together", &of_dana[2], Refusal::TooManyProposals);
}

#[test]
fn row_138_waiting_proposals_have_only_so_many_bytes() {
    let config = Config { max_waiting_bytes: 10_000, ..Config::default() };
    let mut bench = with_limits(138, config);
    let messages = many(&bench, 11, 1_000);
    for message in &messages[..9] {
        keeps(&mut bench.members[0], message);
    }
    bench.refuses("too long", &messages[9], Refusal::WaitingProposalsTooLong);
    let short = proposed(&bench, bench.bob().sender(), &remove(3));
    keeps(&mut bench.members[0], &short);
    bench.refuses("still too long", &messages[10], Refusal::WaitingProposalsTooLong);
}

#[test]
fn row_138_the_limits_hold_after_a_restart() {
    let config = Config { max_proposals_per_sender: 3, ..Config::default() };
    let mut bench = with_limits(138, config.clone());
    let messages = many(&bench, 4, 4);
    for message in &messages[..3] {
        keeps(&mut bench.members[0], message);
    }
    let group = &bench.members[0].group;
    let disk = keyroom_insider::Disk { records: group.snapshot().unwrap(), version: group.version() };
    let (mut group, _) = disk.open::<Group>(&Arc::new(config)).unwrap();
    let refused = disk.attempt(&mut group, |group| group.process(&messages[3], &now())).0.unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::TooManyProposalsOfSender));
}

#[test]
fn row_138_a_proposal_that_comes_again_changes_nothing() {
    let config = Config { max_proposals_per_sender: 2, ..Config::default() };
    let mut bench = with_limits(138, config);
    let messages = many(&bench, 2, 4);
    let first = keeps(&mut bench.members[0], &messages[0]);
    keeps(&mut bench.members[0], &messages[1]);
    let group = &mut bench.members[0].group;
    let (before, version) = (group.snapshot().unwrap(), group.version());
    let again = group.process(&messages[0], &now()).unwrap();
    assert!(again.changes.is_none());
    assert!(matches!(again.received, Received::Proposal(kept) if kept.reference == first));
    assert!(group.snapshot().unwrap() == before);
    assert_eq!((group.version(), group.pending_proposals().len()), (version, 2));
}

#[test]
fn row_138_a_proposal_that_is_not_sent_spends_no_key() {
    let config = Config { max_proposals_per_sender: 5, handshakes: HandshakePolicy::Private, ..Config::default() };
    let mut bench = Bench::new(8, Arc::new(config));
    let rng = &mut keyroom_vectors::rng(8);
    for _ in 0..5 {
        let bob = &mut bench.members[1];
        let update = bob.group.propose_update(b"", bob.client.signer.as_ref(), None, &now(), rng).unwrap();
        bench.members[0].group.process(&update.message, &now()).unwrap();
    }
    let Member { client, group } = &mut bench.members[1];
    let own = |group: &mut Group| group.propose_update(b"", client.signer.as_ref(), None, &now(), rng);
    unwilling(group, own, Refusal::TooManyProposalsOfSender.into());
    // And one that is not kept burns none.
    let hidden = Private { key_generation: 9, ..Private::new(Content::Proposal(remove(3))) };
    let hidden = MlsMessage::PrivateMessage(hidden.make(&bench.bob(), &mut keyroom_vectors::rng(1))).to_bytes();
    bench.refuses("one more", &hidden, Refusal::TooManyProposalsOfSender);
}

#[test]
fn a_member_proposes_no_leaf_whose_key_it_does_not_keep_and_no_external_init() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(60);
    let leaf_node = Box::new(bench.insider(0).update(|_| {}, rng));
    let kem_output = vec![9; 32].into();
    for proposal in [Proposal::Update { leaf_node }, Proposal::ExternalInit { kem_output }] {
        let Member { client, group } = &mut bench.members[0];
        let before = group.snapshot().unwrap();
        let refused = group.propose(proposal, b"", client.signer.as_ref(), &now(), rng).map(drop);
        assert_eq!(refused, Err(Rule::SenderMayNotPropose.into()));
        assert!(group.snapshot().unwrap() == before);
    }
    bench.goes_on();
}
