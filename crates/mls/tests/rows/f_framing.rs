//! Section F: framing that public and private messages share.

use std::sync::Arc;

use keyroom_crypto::{CryptoRng, Signer};
use keyroom_insider::proposals::{add, remove};
use keyroom_insider::{Alter, BLANK, Bench, INFO, NOW, Private, config, now, suite};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Retry, Rule, Usage};
use keyroom_mls::group::{Group, JoinOptions, Received, propose_externally, propose_own_addition};
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_mls::public_message;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Commit, Content, Credential, Decode, DecodeErrorKind, Encode, ExtensionType, Extensions,
    ExternalSender, FramedContent, LeafIndex, Limits, Mac, MlsMessage, Opaque, PreSharedKeyId, PrivateMessage,
    Proposal, ProposalOrRef, ProtocolVersion, Psk, PublicMessage, ReInit, Sender, Signature, WireFormat,
};

fn public(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

fn private(message: PrivateMessage) -> Vec<u8> {
    MlsMessage::PrivateMessage(message).to_bytes()
}

fn external_init() -> Proposal {
    Proposal::ExternalInit { kem_output: vec![9; 32].into() }
}

fn empty_commit() -> Content {
    Content::Commit(Commit { proposals: Vec::new(), path: None })
}

fn framed(change: impl Fn(&mut FramedContent) + 'static) -> Alter<'static> {
    Alter { content: Some(Box::new(change)), ..Alter::default() }
}

/// A signed and tagged public message in which the content was altered before.
fn altered(bench: &Bench, content: Content, change: impl Fn(&mut FramedContent)) -> Vec<u8> {
    let bob = bench.bob();
    let mut content = bob.framed(bob.sender(), content);
    change(&mut content);
    let mut signed = bob.sign(content, WireFormat::PUBLIC_MESSAGE, bob.signer, &mut keyroom_vectors::rng(1));
    if let Content::Commit(_) = signed.content.content {
        signed.auth.confirmation_tag = Some(vec![0; 32].as_slice().into());
    }
    public(bob.tagged(signed.content, signed.auth))
}

/// What the observer says where it need not see what Alice sees.
#[track_caller]
fn observer_refuses(bench: &mut Bench, message: &[u8], expected: impl Into<Error>) {
    let observer = bench.observer.as_mut().unwrap();
    assert_eq!(observer.process(message, &now()).err(), Some(expected.into()));
}

/// Alice and the observer keep a proposal.
#[track_caller]
fn kept(bench: &mut Bench, message: &[u8]) {
    let received = bench.members[0].group.process(message, &now()).unwrap().received;
    assert!(matches!(received, Received::Proposal(_)));
    let observed = bench.observer.as_mut().unwrap().process(message, &now()).unwrap();
    assert!(matches!(observed, Observed::Proposal(_)));
}

/// A group that trusts one external sender.
fn with_external_sender(seed: u64) -> (Bench, Box<dyn Signer>) {
    let mut bench = Bench::open();
    let key = suite(1).generate_signature_key(&mut keyroom_vectors::rng(seed)).unwrap();
    let signer = suite(1).signer(key.expose()).unwrap();
    let credential = Credential::basic("server");
    let sender = ExternalSender { signature_key: signer.public_key().clone(), credential };
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    bench.commit(0, |builder| builder.extensions(extensions));
    (bench, signer)
}

/// A message of someone outside, signed by `signer`.
fn from_outside(bench: &Bench, sender: Sender, content: Content, signer: &dyn Signer) -> Vec<u8> {
    let bob = bench.bob();
    let content = bob.framed(sender, content);
    let mut signed = bob.sign(content, WireFormat::PUBLIC_MESSAGE, signer, &mut keyroom_vectors::rng(1));
    if let Content::Commit(_) = signed.content.content {
        signed.auth.confirmation_tag = Some(vec![0; 32].as_slice().into());
    }
    public(bob.tagged(signed.content, signed.auth))
}

/// A private commit of Bob, altered.
fn private_commit(bench: &Bench, change: Alter<'_>) -> Vec<u8> {
    let rng = &mut keyroom_vectors::rng(5);
    let bob = bench.bob();
    let change = Alter { sent_as: Some(WireFormat::PRIVATE_MESSAGE), ..change };
    let signed = bob.commit(Vec::new(), &change, rng).signed();
    private(Private::new(empty_commit()).seal(&signed, &bob, rng))
}

fn private_policy() -> Arc<Config> {
    Arc::new(Config { handshakes: HandshakePolicy::Private, ..Config::default() })
}

#[test]
fn row_082_a_message_for_another_group_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(82);
    let elsewhere = |content: &mut FramedContent| content.group_id = b"other"[..].into();
    let commit = bench.bob().commit(Vec::new(), &framed(elsewhere), rng).bytes();
    bench.refuses("commit", &commit, Rule::WrongGroup);
    let proposal = altered(&bench, Content::Proposal(remove(3)), elsewhere);
    bench.refuses("proposal", &proposal, Rule::WrongGroup);
    for content in [Content::Application(b"text"[..].into()), Content::Proposal(remove(3))] {
        let header = |message: &mut PrivateMessage| message.group_id = b"other"[..].into();
        let message = Private { header: Some(Box::new(header)), ..Private::new(content) }.make(&bench.bob(), rng);
        bench.refuses("private", &private(message), Rule::WrongGroup);
    }
    bench.goes_on();
}

#[test]
fn row_083_a_handshake_message_of_an_epoch_before_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(83);
    let earlier = |content: &mut FramedContent| content.epoch -= 1;
    let commit = bench.bob().commit(Vec::new(), &framed(earlier), rng).bytes();
    bench.refuses("commit", &commit, Rule::WrongEpoch);
    let proposal = altered(&bench, Content::Proposal(remove(3)), earlier);
    bench.refuses("proposal", &proposal, Rule::WrongEpoch);
    let commit = bench.bob().commit(Vec::new(), &Alter::default(), rng).bytes();
    let proposal = public(bench.bob().public(bench.bob().sender(), Content::Proposal(remove(3)), rng));
    let hidden = private(Private::new(Content::Proposal(remove(3))).make(&bench.bob(), rng));
    let hidden_commit = private_commit(&bench, Alter::default());
    bench.goes_on();
    for (name, late) in [("commit", commit), ("proposal", proposal), ("hidden", hidden), ("and", hidden_commit)] {
        bench.refuses(name, &late, Rule::WrongEpoch);
    }
    bench.goes_on();
}

#[test]
fn row_084_a_message_of_a_later_epoch_waits_outside() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(84);
    let epoch = bench.members[0].group.epoch() + 1;
    let later = NotYet::FutureEpoch { epoch };
    let ahead = |content: &mut FramedContent| content.epoch += 1;
    let commit = bench.bob().commit(Vec::new(), &framed(ahead), rng).bytes();
    bench.refuses("commit", &commit, later.clone());
    let proposal = altered(&bench, Content::Proposal(remove(3)), ahead);
    bench.refuses("proposal", &proposal, later.clone());
    for content in [Content::Application(b"text"[..].into()), Content::Proposal(remove(3))] {
        let header = |message: &mut PrivateMessage| message.epoch += 1;
        let message = Private { header: Some(Box::new(header)), ..Private::new(content) }.make(&bench.bob(), rng);
        bench.refuses("private", &private(message), later.clone());
    }
    // An honest message that overtook a commit is refused without a trace, and read once its time has come.
    let bob = &mut bench.members[1];
    let (pending, _) = bob.group.commit().build(bob.client.signer.as_ref(), &now(), rng).unwrap();
    let commit = keyroom_insider::sent(&pending);
    bob.apply(pending);
    let early = bob.send("early", rng);
    bench.refuses("overtaken", &early, later.clone());
    assert_eq!(Error::from(later).retry(), Retry::AfterSupply);
    bench.members[0].follow(&commit);
    assert_eq!(bench.members[0].read(&early).0, b"early");
}

#[test]
fn row_085_messages_of_epochs_beyond_the_window_are_refused() {
    let config = Config { past_epochs: 2, past_epoch_seconds: 100, ..Config::default() };
    let mut bench = Bench::new(85, Arc::new(config));
    let rng = &mut keyroom_vectors::rng(85);
    let [first, second, third] = ["one", "two", "three"].map(|text| {
        let message = bench.members[1].send(text, rng);
        bench.commit(0, |builder| builder);
        message
    });
    bench.refuses("three epochs ago", &first, Refusal::EpochNotKept);
    assert_eq!(bench.members[0].read(&second).0, b"two");
    let group = &mut bench.members[0].group;
    let before = group.snapshot().unwrap();
    let refused = group.process(&third, &Inputs::at(NOW + 101)).unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::EpochNotKept), "too long ago");
    assert!(group.snapshot().unwrap() == before);
    assert_eq!(bench.members[0].read(&third).0, b"three");
    bench.goes_on();
}

#[test]
fn row_086_application_data_in_the_open_are_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(86);
    let outside = [Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit];
    for sender in [bench.bob().sender()].into_iter().chain(outside) {
        let content = Content::Application(b"in the open"[..].into());
        let message = public(bench.bob().public(sender, content, rng));
        bench.refuses("application data", &message, Rule::ApplicationInPublicMessage);
    }
    // And none are sent so: there is no call for it, and the last step refuses.
    let bob = bench.bob();
    let content = bob.framed(bob.sender(), Content::Application(Opaque::default()));
    let signed = bob.sign(content, WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
    let context = bob.group.context().to_bytes();
    let tagged = public_message::protect(bob.group.suite(), bob.secrets.membership_key(), signed, &context);
    assert_eq!(tagged, Err(Rule::ApplicationInPublicMessage));
}

#[test]
fn row_087_a_sender_whose_leaf_is_blank_or_outside_the_tree_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(87);
    for leaf in [BLANK, LeafIndex(6), LeafIndex(8), LeafIndex(1 << 31), LeafIndex(u32::MAX)] {
        let sender = Sender::Member(leaf);
        let commit = bench.bob().commit(Vec::new(), &framed(move |content| content.sender = sender), rng).bytes();
        bench.refuses("commit", &commit, Rule::SenderNotMember);
        let proposal = altered(&bench, Content::Proposal(remove(3)), |content| content.sender = sender);
        bench.refuses("proposal", &proposal, Rule::SenderNotMember);
    }
    bench.goes_on();
}

#[test]
fn row_088_an_external_sender_that_the_group_does_not_list_is_refused() {
    let mut bench = Bench::open();
    let (_, signer) = with_external_sender(88);
    for index in [0, 1, u32::MAX] {
        let message = from_outside(&bench, Sender::External(index), Content::Proposal(remove(3)), signer.as_ref());
        bench.refuses("no extension", &message, Rule::UnknownExternalSender);
    }
    let (mut bench, signer) = with_external_sender(88);
    for index in [1, u32::MAX] {
        let message = from_outside(&bench, Sender::External(index), Content::Proposal(remove(3)), signer.as_ref());
        bench.refuses("beyond the list", &message, Rule::UnknownExternalSender);
    }
    let listed = from_outside(&bench, Sender::External(0), Content::Proposal(remove(3)), signer.as_ref());
    kept(&mut bench, &listed);
}

#[test]
fn row_089_an_external_sender_only_proposes() {
    let (mut bench, signer) = with_external_sender(89);
    let message = from_outside(&bench, Sender::External(0), empty_commit(), signer.as_ref());
    bench.refuses("a commit", &message, Rule::ExternalSenderContent);
    bench.goes_on();
}

#[test]
fn row_090_an_external_sender_proposes_what_the_registry_allows() {
    let (mut bench, signer) = with_external_sender(90);
    let (_, bundle) = bench.newcomer("gina");
    let leaf = bench.members[1].group.member(LeafIndex(1)).unwrap().unwrap().leaf().node().to_owned().unwrap();
    for (proposal, expected) in [
        (external_init(), Rule::ExternalSenderProposal),
        (Proposal::Update { leaf_node: Box::new(leaf) }, Rule::UpdateByNonMember),
    ] {
        let message = from_outside(&bench, Sender::External(0), Content::Proposal(proposal), signer.as_ref());
        bench.refuses("what only members send", &message, expected);
    }
    let psk = Psk::External { psk_id: b"known"[..].into() };
    let reinit = ReInit {
        group_id: b"next"[..].into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(1),
        extensions: Extensions::new(),
    };
    let allowed = [
        add(&bundle.key_package),
        remove(3),
        Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: vec![7; 32].into() } },
        Proposal::ReInit(reinit),
        Proposal::GroupContextExtensions { extensions: Extensions::new() },
    ];
    for proposal in allowed {
        let context = bench.members[0].group.context().clone();
        let message = propose_externally(&context, proposal, signer.as_ref(), &mut keyroom_vectors::rng(1)).unwrap();
        kept(&mut bench, &message);
    }
}

#[test]
fn row_091_a_new_member_that_proposes_itself_sends_no_commit() {
    let mut bench = Bench::open();
    let (gina, _) = bench.newcomer("gina");
    let message = from_outside(&bench, Sender::NewMemberProposal, empty_commit(), gina.signer.as_ref());
    bench.refuses("a commit", &message, Rule::NewMemberProposalContent);
    bench.goes_on();
}

#[test]
fn row_092_a_new_member_proposes_its_own_addition_only() {
    let mut bench = Bench::open();
    let (gina, bundle) = bench.newcomer("gina");
    let (hugo, _) = bench.newcomer("hugo");
    let extensions = Proposal::GroupContextExtensions { extensions: Extensions::new() };
    for proposal in [remove(3), external_init(), extensions] {
        let content = Content::Proposal(proposal);
        let message = from_outside(&bench, Sender::NewMemberProposal, content, gina.signer.as_ref());
        bench.refuses("no Add", &message, Rule::NewMemberProposalType);
    }
    let content = || Content::Proposal(add(&bundle.key_package));
    let message = from_outside(&bench, Sender::NewMemberProposal, content(), hugo.signer.as_ref());
    bench.refuses("signed by another", &message, Rule::MessageSignature);
    let context = bench.members[0].group.context().clone();
    let rng = &mut keyroom_vectors::rng(1);
    let own = propose_own_addition(&context, bundle.key_package.clone(), gina.signer.as_ref(), rng).unwrap();
    kept(&mut bench, &own);
}

#[test]
fn row_093_a_new_member_that_commits_sends_no_proposal() {
    let mut bench = Bench::open();
    let (gina, bundle) = bench.newcomer("gina");
    for proposal in [remove(3), add(&bundle.key_package), external_init()] {
        let content = Content::Proposal(proposal);
        let message = from_outside(&bench, Sender::NewMemberCommit, content, gina.signer.as_ref());
        bench.refuses("a proposal", &message, Rule::NewMemberCommitContent);
    }
    bench.goes_on();
}

#[test]
fn row_094_a_private_message_of_someone_outside_does_not_verify() {
    let (mut bench, signer) = with_external_sender(94);
    let (gina, bundle) = bench.newcomer("gina");
    let own_addition = add(&bundle.key_package);
    let cases: [(Sender, Proposal, &dyn Signer); 3] = [
        (Sender::External(0), remove(3), signer.as_ref()),
        (Sender::NewMemberProposal, own_addition.clone(), gina.signer.as_ref()),
        (Sender::NewMemberCommit, own_addition, gina.signer.as_ref()),
    ];
    for (sender, proposal, signer) in cases {
        // A member encrypts for them with a key of its own; only a leaf can stand in the sender data.
        let content = Content::Proposal(proposal);
        let hidden = Private { sender: Some(sender), signer: Some(signer), ..Private::new(content) };
        let message = private(hidden.make(&bench.bob(), &mut keyroom_vectors::rng(1)));
        bench.refuses("from outside", &message, Rule::MessageSignature);
    }
    bench.goes_on();
}

/// An honest proposal of Bob.
fn proposal(bench: &Bench) -> PublicMessage {
    bench.bob().public(bench.bob().sender(), Content::Proposal(remove(3)), &mut keyroom_vectors::rng(1))
}

/// What the membership check says to a message that is not encoded first.
fn unprotected(bench: &Bench, message: PublicMessage) -> Result<(), Rule> {
    let bob = bench.bob();
    let (key, context) = (bob.secrets.membership_key(), bob.group.context().to_bytes());
    public_message::unprotect(bob.group.suite(), key, message, &context).map(drop)
}

#[test]
fn row_095_a_public_message_of_a_member_has_a_membership_tag() {
    let mut bench = Bench::open();
    let without = PublicMessage { membership_tag: None, ..proposal(&bench) };
    assert_eq!(unprotected(&bench, without.clone()), Err(Rule::MembershipTagAbsent));
    // In bytes the tag is what comes last, and it is missing.
    let commit = bench.bob().commit(Vec::new(), &Alter::default(), &mut keyroom_vectors::rng(95)).message;
    for message in [without, PublicMessage { membership_tag: None, ..commit }] {
        let bytes = public(message);
        let error = MlsMessage::from_bytes(&bytes, &Limits::default()).unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::EndOfInput { .. }));
        bench.refuses("no tag", &bytes, error);
    }
    bench.goes_on();
}

#[test]
fn row_096_a_public_message_from_outside_has_no_membership_tag() {
    let (mut bench, signer) = with_external_sender(96);
    let tag = proposal(&bench).membership_tag;
    let bytes = from_outside(&bench, Sender::External(0), Content::Proposal(remove(3)), signer.as_ref());
    let MlsMessage::PublicMessage(honest) = MlsMessage::from_bytes(&bytes, &Limits::default()).unwrap() else {
        panic!("a public message")
    };
    let tagged = PublicMessage { membership_tag: tag, ..honest.clone() };
    assert_eq!(unprotected(&bench, tagged.clone()), Err(Rule::MembershipTagOfNonMember));
    assert_eq!(unprotected(&bench, honest), Ok(()));
    // In bytes the tag is something that follows the message.
    let tagged = public(tagged);
    let error = MlsMessage::from_bytes(&tagged, &Limits::default()).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::TrailingBytes { .. }));
    bench.refuses("a tag too many", &tagged, error);
    kept(&mut bench, &bytes);
}

/// Ways in which a tag is not the right one, the empty and the truncated one among them.
fn wrong_tags(tag: &[u8]) -> Vec<Mac> {
    let mut first = tag.to_vec();
    first[0] ^= 0x80;
    let mut last = tag.to_vec();
    *last.last_mut().unwrap() ^= 1;
    let tags = [&[], &tag[..1], &tag[..tag.len() - 1], &[tag, &[0]].concat(), &first, &last, &vec![0; tag.len()]];
    tags.iter().map(|tag| Mac::from(*tag)).collect()
}

#[test]
fn row_097_a_membership_tag_that_is_wrong_or_not_whole_is_refused() {
    let mut bench = Bench::open();
    let commit = bench.bob().commit(Vec::new(), &Alter::default(), &mut keyroom_vectors::rng(97)).message;
    for honest in [commit, proposal(&bench)] {
        let tag = honest.membership_tag.clone().unwrap();
        for wrong in wrong_tags(tag.as_slice()) {
            let whole = wrong.len() == tag.len();
            let message = public(PublicMessage { membership_tag: Some(wrong), ..honest.clone() });
            bench.refuses("membership tag", &message, Rule::MembershipTag);
            if !whole {
                observer_refuses(&mut bench, &message, Rule::MembershipTag);
            }
        }
    }
    bench.goes_on();
}

#[test]
fn row_098_a_message_that_its_sender_has_not_signed_is_refused() {
    let (mut bench, _) = with_external_sender(98);
    let rng = &mut keyroom_vectors::rng(98);
    let dana = Sender::Member(LeafIndex(3));
    let as_dana = bench.bob().commit(Vec::new(), &framed(move |content| content.sender = dana), rng).bytes();
    bench.refuses("as another member", &as_dana, Rule::MessageSignature);
    let as_server = from_outside(&bench, Sender::External(0), Content::Proposal(remove(3)), bench.bob().signer);
    bench.refuses("as the external sender", &as_server, Rule::MessageSignature);
    for place in [0, 31, 40, 63, 64] {
        let spoil = move |signature: &mut Signature| {
            let mut bytes = signature.as_slice().to_vec();
            if place < bytes.len() {
                bytes[place] ^= 1
            } else {
                bytes.clear()
            }
            *signature = bytes.as_slice().into();
        };
        let change = Alter { auth: Some(Box::new(move |auth| spoil(&mut auth.signature))), ..Alter::default() };
        let commit = bench.bob().commit(Vec::new(), &change, rng).bytes();
        bench.refuses("a spoilt signature", &commit, Rule::MessageSignature);
        let mut message = proposal(&bench);
        spoil(&mut message.auth.signature);
        let message = public(bench.bob().tagged(message.content, message.auth));
        bench.refuses("a spoilt signature", &message, Rule::MessageSignature);
    }
    let (other, _) = bench.newcomer("hugo");
    for content in [Content::Application(b"text"[..].into()), Content::Proposal(remove(3))] {
        let forged =
            private(Private { signer: Some(other.signer.as_ref()), ..Private::new(content) }.make(&bench.bob(), rng));
        bench.refuses("private", &forged, Rule::MessageSignature);
    }
    bench.goes_on();
}

#[test]
fn row_099_a_signature_does_not_pass_from_one_wire_format_to_the_other() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(99);
    let for_private = Alter { wire_format: Some(WireFormat::PRIVATE_MESSAGE), ..Alter::default() };
    let commit = bench.bob().commit(Vec::new(), &for_private, rng).bytes();
    bench.refuses("public commit", &commit, Rule::MessageSignature);
    let bob = bench.bob();
    let content = bob.framed(bob.sender(), Content::Proposal(remove(3)));
    let signed = bob.sign(content, WireFormat::PRIVATE_MESSAGE, bob.signer, rng);
    let message = public(bob.tagged(signed.content, signed.auth));
    bench.refuses("public proposal", &message, Rule::MessageSignature);
    for content in [Content::Application(b"text"[..].into()), Content::Proposal(remove(3))] {
        let moved = Private { wire_format: WireFormat::PUBLIC_MESSAGE, ..Private::new(content) };
        let moved = private(moved.make(&bench.bob(), rng));
        bench.refuses("private", &moved, Rule::MessageSignature);
    }
    let for_public = Alter { wire_format: Some(WireFormat::PUBLIC_MESSAGE), ..Alter::default() };
    let commit = private_commit(&bench, for_public);
    bench.refuses("private commit", &commit, Rule::MessageSignature);
    bench.goes_on();
}

#[test]
fn row_100_a_signature_does_not_pass_to_another_group_or_epoch() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(100);
    let (eve, bundle) = bench.newcomer("eve");
    let here = bench.members[0].group.context().clone();
    let (mut other_group, mut other_epoch, mut other_branch) = (here.clone(), here.clone(), here);
    other_group.group_id = b"other"[..].into();
    other_epoch.epoch -= 1;
    other_branch.confirmed_transcript_hash = vec![1; 32].into();
    for context in [other_group, other_epoch, other_branch] {
        let elsewhere = || Alter { signed_in: Some(context.clone()), ..Alter::default() };
        let bob = bench.bob();
        let commit = bob.commit(Vec::new(), &elsewhere(), rng).bytes();
        let init = [ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() })];
        let leaf = &bundle.key_package.leaf_node;
        let joins = Sender::NewMemberCommit;
        let external = bob.commit_of(joins, leaf, eve.signer.as_ref(), init, &elsewhere(), rng).bytes();
        let content = bob.framed(bob.sender(), Content::Proposal(remove(3)));
        let signed = bob.sign_in(content, WireFormat::PUBLIC_MESSAGE, &context, bob.signer, rng);
        let proposal = public(bob.tagged(signed.content, signed.auth));
        let text = private(Private { context: Some(context), ..Private::text(b"text") }.make(&bob, rng));
        observer_refuses(&mut bench, &proposal, Rule::MessageSignature);
        for message in [commit, external, proposal, text] {
            bench.refuses("transplanted", &message, Rule::MessageSignature);
        }
    }
    bench.goes_on();
}

#[test]
fn row_101_a_late_message_is_verified_with_the_tree_of_its_epoch() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(101);
    let (gina, gina_bundle) = bench.newcomer("gina");
    let (hugo, hugo_bundle) = bench.newcomer("hugo");
    let mut dana = bench.members.remove(2);
    let late = dana.send("late", rng);
    // The two who will sit on Dana's leaf and on the one that is blank today, with the keys of today.
    let forged = |leaf: LeafIndex, signer: &dyn Signer, rng: &mut dyn CryptoRng| {
        let forged = Private { leaf: Some(leaf), key_of: Some(leaf), signer: Some(signer), ..Private::text(b"not I") };
        private(Private { key_generation: 1, ..forged }.make(&bench.bob(), rng))
    };
    let as_dana = forged(LeafIndex(3), gina.signer.as_ref(), rng);
    let as_nobody = forged(BLANK, hugo.signer.as_ref(), rng);
    let (hugo_package, gina_package) = (hugo_bundle.key_package.clone(), gina_bundle.key_package.clone());
    bench.commit(1, |builder| builder.remove(LeafIndex(3)).add(hugo_package).add(gina_package));
    let group = &bench.members[0].group;
    let sits = |leaf| group.member(leaf).unwrap().unwrap().credential().unwrap();
    assert_eq!((sits(BLANK), sits(LeafIndex(3))), (Credential::basic("hugo"), Credential::basic("gina")));
    bench.refuses("by who sits there now", &as_dana, Rule::MessageSignature);
    bench.refuses("of a leaf that was blank", &as_nobody, Rule::SenderNotMember);
    let (text, by) = bench.members[0].read(&late);
    assert_eq!((text.as_slice(), by.as_str()), (&b"late"[..], "dana"));
}

#[test]
fn row_102_a_confirmation_tag_that_is_not_of_the_new_epoch_is_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(102);
    let honest = bench.bob().commit(Vec::new(), &Alter::default(), &mut keyroom_vectors::rng(1));
    let of_old_epoch = bench.bob().secrets.confirmation_tag(suite(1), b"transcript");
    let mut wrong = wrong_tags(honest.tag.as_slice());
    wrong.extend([of_old_epoch, bench.bob().group.context().confirmed_transcript_hash.as_slice().into()]);
    for tag in wrong {
        let whole = tag.len() == honest.tag.len();
        let with = || {
            let tag = tag.clone();
            Alter { auth: Some(Box::new(move |auth| auth.confirmation_tag = Some(tag.clone()))), ..Alter::default() }
        };
        let message = bench.bob().commit(Vec::new(), &with(), rng).bytes();
        bench.refuses("commit", &message, Rule::ConfirmationTag);
        if !whole {
            observer_refuses(&mut bench, &message, Rule::ConfirmationTag);
        }
        let hidden = private_commit(&bench, with());
        bench.refuses("private commit", &hidden, Rule::ConfirmationTag);
    }
    bench.goes_on();
}

/// Alice makes a commit and does not apply it; what comes back, and the same a little different.
fn row_103_in(config: Arc<Config>, altered: impl Fn(&[u8]) -> Vec<(Vec<u8>, Error)>) {
    let mut bench = Bench::new(103, config);
    // To others it is a commit like any other.
    bench.observer = None;
    let rng = &mut keyroom_vectors::rng(103);
    let alice = &mut bench.members[0];
    let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    for (message, expected) in altered(&keyroom_insider::sent(&pending)) {
        bench.refuses("altered", &message, expected);
    }
    let hidden = bench.members[0].group.config().handshakes == HandshakePolicy::Private;
    let alice = keyroom_insider::Insider::new(&bench.members[0].group, bench.members[0].client.signer.as_ref());
    let another = if hidden {
        let sent_as = Some(WireFormat::PRIVATE_MESSAGE);
        let signed = alice.commit(Vec::new(), &Alter { sent_as, ..Alter::default() }, rng).signed();
        private(Private { key_generation: 1, ..Private::new(empty_commit()) }.seal(&signed, &alice, rng))
    } else {
        alice.commit(Vec::new(), &Alter::default(), rng).bytes()
    };
    bench.refuses("another own one", &another, Rule::OwnMessage);
    let echo = bench.members[0].group.process(&keyroom_insider::sent(&pending), &now()).unwrap().received;
    assert!(matches!(echo, Received::OwnCommit(id) if id == pending.id));
}

#[test]
fn row_103_a_public_commit_that_comes_back_changed_is_not_the_own_one() {
    row_103_in(Arc::default(), |message| {
        let (mut tag, longer) = (message.to_vec(), [message, &[0]].concat());
        *tag.last_mut().unwrap() ^= 1;
        let trailing = MlsMessage::from_bytes(&longer, &Limits::default()).unwrap_err();
        vec![(tag, Rule::MembershipTag.into()), (longer, trailing.into())]
    });
}

#[test]
fn row_103_a_private_commit_that_comes_back_changed_is_not_the_own_one() {
    row_103_in(private_policy(), |message| {
        let mut changed = message.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        vec![(changed, Rule::OwnMessage.into())]
    });
}

#[test]
fn row_104_an_own_private_message_that_comes_back_is_not_opened() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(104);
    let first = bench.members[0].send("mine", rng);
    let alice = &mut bench.members[0];
    let data = alice.group.encrypt(b"mine too", b"", alice.client.signer.as_ref(), rng).unwrap();
    bench.refuses("in this epoch", &first, Rule::OwnMessage);
    bench.refuses("the latest", &data.message, Rule::OwnMessage);
    bench.goes_on();
    bench.refuses("in an epoch before", &first, Rule::OwnMessage);
    let as_alice = Private { leaf: Some(LeafIndex(0)), key_of: Some(LeafIndex(0)), ..Private::text(b"not mine") };
    let forged = private(as_alice.make(&bench.bob(), rng));
    bench.refuses("forged with the own keys", &forged, Rule::OwnMessage);
    let more = bench.members[0].send("more", rng);
    assert_eq!(bench.members[1].read(&more).0, b"more");
}

#[test]
fn handshakes_in_a_format_that_the_policy_forbids_are_refused() {
    let rng = &mut keyroom_vectors::rng(7);
    let only = |handshakes| Bench::new(7, Arc::new(Config { handshakes, ..Config::default() }));
    let mut bench = only(HandshakePolicy::OnlyPrivate);
    let commit = bench.bob().commit(Vec::new(), &Alter::default(), rng).bytes();
    bench.refuses("public", &commit, Refusal::HandshakeFormat);
    bench.goes_on();
    let mut bench = only(HandshakePolicy::OnlyPublic);
    let hidden = private(Private::new(Content::Proposal(remove(3))).make(&bench.bob(), rng));
    bench.refuses("private", &hidden, Refusal::HandshakeFormat);
    bench.goes_on();
}

#[test]
fn messages_that_are_not_framed_belong_to_other_calls() {
    let mut bench = Bench::open();
    let signer = bench.members[1].client.signer.as_ref();
    let info = bench.members[1].group.group_info(INFO, signer, &mut keyroom_vectors::rng(1)).unwrap();
    bench.refuses("a GroupInfo", &info, Usage::WrongMessageKind);
    let (gina, bundle) = bench.newcomer("gina");
    let package = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
    bench.refuses("a key package", &package, Usage::WrongMessageKind);

    let rng = &mut keyroom_vectors::rng(2);
    let bundles = std::slice::from_ref(&bundle);
    let join = Group::join_external(suite(1), &bundle, config());
    let observer = bench.observer.as_mut().unwrap();
    let outcomes = [
        Group::join(suite(1), &info, &JoinOptions::new(bundles), config(), &now(), rng).map(drop),
        join.build(&package, gina.signer.as_ref(), &now(), rng).map(drop),
        PublicGroup::observe(&RUSTCRYPTO, &package, None, config(), &now(), rng).map(drop),
        observer.process(&package, &now()).map(drop),
        observer.check_group_info(&package),
    ];
    assert_eq!(outcomes, [(); 5].map(|()| Err(Error::Usage(Usage::WrongMessageKind))));
}
