//! SelfRemove (draft-ietf-mls-extensions): how a member takes itself out of a group, with the help of
//! another member or of somebody who joins; and every way of doing it that is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::sync::Arc;

use keyroom_insider::proposals::{external_psk, psk, remove};
use keyroom_insider::{Alter, Bench, Client, INFO, Member, Private, agree, config, now, room_of, sent, suite};
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::error::{Error, NotYet, Rule, Usage};
use keyroom_mls::group::{
    Applied, ExternalJoin, Group, OutgoingProposal, Received, Status, Waiting, propose_externally,
};
use keyroom_mls::identity::{Judgement, Question};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::public::Observed;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    Content, Credential, Decode, Encode, ExtensionType, Extensions, ExternalSender, LeafIndex, Limits, MlsMessage,
    Proposal, ProposalOrRef, ProposalRef, ProposalType, Sender, WireFormat,
};

/// Dana's place among the members, and her leaf.
const DANA: usize = 2;
const DANAS: LeafIndex = LeafIndex(3);
/// Erin's.
const ERIN: usize = 3;
const ERINS: LeafIndex = LeafIndex(4);

fn bench() -> Bench {
    Bench::leaving(config())
}

/// A member says that it leaves. It has not reached the others yet.
fn proposes(bench: &mut Bench, from: usize) -> OutgoingProposal {
    let Bench { members, rng, .. } = bench;
    let Member { client, group } = &mut members[from];
    group.propose_self_remove(b"", client.signer.as_ref(), &now(), &mut **rng).unwrap()
}

/// A member says that it leaves, and all have heard it.
fn leaves(bench: &mut Bench, from: usize) -> ProposalRef {
    let proposal = proposes(bench, from);
    assert_eq!(bench.keep(from, &proposal.message), proposal.reference);
    proposal.reference
}

/// The member at `from` commits what waits; all that stay follow, and those at `leaving` are out.
fn commits(bench: &mut Bench, from: usize, leaving: &[usize]) -> Vec<u8> {
    let Bench { members, rng, .. } = bench;
    let Member { client, group } = &mut members[from];
    let (pending, _) = group.commit().build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    let message = sent(&pending);
    members[from].apply(pending);
    follows(bench, Some(from), &message, leaving);
    message
}

/// Everybody but the committer reads a commit.
fn follows(bench: &mut Bench, from: Option<usize>, message: &[u8], leaving: &[usize]) {
    for (position, member) in bench.members.iter_mut().enumerate().filter(|(position, _)| Some(*position) != from) {
        let Received::Commit(staged) = member.group.process(message, &now()).unwrap().received else {
            panic!("a commit was expected")
        };
        assert_eq!(staged.removes_us(), leaving.contains(&position), "{}", member.client.name);
        let verdict = staged.questions().accept_unseen();
        let (applied, changes) = member.group.apply(staged, &verdict).unwrap();
        if leaving.contains(&position) {
            assert_eq!(applied, Applied::Removed);
            assert!(changes.deleted, "nothing is kept of a group that one has left");
            assert_eq!(*member.group.status(), Status::Removed);
        }
    }
    if let Some(observer) = &mut bench.observer {
        let Observed::Commit(staged) = observer.process(message, &now()).unwrap() else { panic!("a commit") };
        let verdict = staged.questions().accept_unseen();
        observer.apply(*staged, &verdict).unwrap();
    }
    let mut position = 0;
    bench.members.retain(|_| {
        position += 1;
        !leaving.contains(&(position - 1))
    });
}

/// Eve, who comes from outside.
struct Eve {
    client: Client,
    bundle: KeyPackageBundle,
}

impl Eve {
    fn new(bench: &mut Bench, name: &'static str) -> Self {
        let client = Client::new(name, suite(1), &mut *bench.rng).supporting(ProposalType::SELF_REMOVE);
        let bundle = client.bundle(&mut *bench.rng);
        Self { client, bundle }
    }

    /// She joins with these SelfRemoves.
    fn joins(&self, bench: &mut Bench, resync: Option<LeafIndex>, messages: &[&[u8]]) -> Result<ExternalJoin, Error> {
        let Bench { members, rng, .. } = bench;
        let Member { client, group } = &members[0];
        let info = group.group_info(INFO, client.signer.as_ref(), &mut **rng).unwrap();
        let mut builder = Group::join_external(suite(1), &self.bundle, config());
        if let Some(leaf) = resync {
            builder = builder.resync(leaf);
        }
        for message in messages {
            builder = builder.self_remove(message);
        }
        builder.build(&info, self.client.signer.as_ref(), &now(), &mut **rng)
    }

    /// Her external commit as Bob makes it up.
    fn made(&self, bench: &Bench, entries: Vec<ProposalOrRef>) -> Vec<u8> {
        let leaf = &self.bundle.key_package.leaf_node;
        let rng = &mut keyroom_vectors::rng(30);
        let signer = self.client.signer.as_ref();
        bench.bob().commit_of(Sender::NewMemberCommit, leaf, signer, entries, &Alter::default(), rng).bytes()
    }
}

fn init() -> ProposalOrRef {
    ProposalOrRef::Proposal(Proposal::ExternalInit { kem_output: Vec::new().into() })
}

fn named(reference: &ProposalRef) -> ProposalOrRef {
    ProposalOrRef::Reference(reference.clone())
}

/// A group does not do it itself, and is as before.
#[track_caller]
fn unwilling<T: std::fmt::Debug>(group: &mut Group, act: impl FnOnce(&mut Group) -> Result<T, Error>, expected: Rule) {
    let before = group.snapshot().unwrap();
    assert_eq!(act(group).unwrap_err(), Error::Rule(expected));
    assert!(group.snapshot().unwrap() == before, "the group has changed");
}

#[test]
fn a_member_leaves_and_the_next_commit_takes_it_out() {
    let mut bench = bench();
    leaves(&mut bench, DANA);
    leaves(&mut bench, ERIN);
    let message = commits(&mut bench, 0, &[DANA, ERIN]);
    let MlsMessage::PublicMessage(message) = MlsMessage::from_bytes(&message, &Limits::default()).unwrap() else {
        panic!("a public message")
    };
    let Content::Commit(commit) = message.content.content else { panic!("a commit") };
    assert!(commit.path.is_some());
    assert!(commit.proposals.iter().all(|entry| matches!(entry, ProposalOrRef::Reference(_))));
    let alice = &bench.members[0].group;
    assert_eq!((alice.member(DANAS).unwrap(), alice.member(ERINS).unwrap()), (None, None));
    assert_eq!(bench.observer.as_ref().unwrap().members_count(), alice.members_count());
    bench.goes_on();
}

#[test]
fn who_has_left_can_do_nothing_more() {
    let mut bench = bench();
    let mut dana = bench.members.remove(DANA);
    let rng = &mut keyroom_vectors::rng(2);
    let proposal = dana.group.propose_self_remove(b"", dana.client.signer.as_ref(), &now(), rng).unwrap();
    bench.keep(usize::MAX, &proposal.message);
    let message = commits(&mut bench, 1, &[]);
    dana.follow(&message);
    let again = dana.group.propose_self_remove(b"", dana.client.signer.as_ref(), &now(), rng);
    assert_eq!(again.unwrap_err(), Error::Usage(Usage::NotMember));
    assert_eq!(dana.group.process(&message, &now()).unwrap_err(), Error::Usage(Usage::NotMember));
}

#[test]
fn it_is_public_whatever_the_policy_for_handshakes_and_kept_where_only_private_ones_are() {
    for policy in [HandshakePolicy::Private, HandshakePolicy::OnlyPrivate] {
        let mut bench = Bench::leaving(Arc::new(Config { handshakes: policy, ..Config::default() }));
        let proposal = proposes(&mut bench, DANA);
        let message = MlsMessage::from_bytes(&proposal.message, &Limits::default()).unwrap();
        assert!(matches!(message, MlsMessage::PublicMessage(_)), "{policy:?}");
        bench.keep(DANA, &proposal.message);
        commits(&mut bench, 1, &[DANA]);
        agree(&bench.members);
        bench.goes_on();
    }
}

#[test]
fn it_needs_a_path() {
    let mut bench = bench();
    let reference = leaves(&mut bench, DANA);
    let without = Alter { without_path: true, ..Alter::default() };
    let message = bench.bob().commit_with(vec![named(&reference)], &without, &mut keyroom_vectors::rng(4)).bytes();
    bench.refuses("without a path", &message, Rule::PathMissing);
}

#[test]
fn by_value_it_is_refused() {
    let mut bench = bench();
    let rng = &mut keyroom_vectors::rng(4);
    let message = bench.bob().commit(vec![Proposal::SelfRemove], &Alter::default(), rng).bytes();
    bench.refuses("of a member", &message, Rule::SelfRemoveByValue);
    bench.own_refuses("of a member", |builder| builder.propose(Proposal::SelfRemove), Rule::SelfRemoveByValue);
    let eve = Eve::new(&mut bench, "eve");
    let message = eve.made(&bench, vec![init(), ProposalOrRef::Proposal(Proposal::SelfRemove)]);
    bench.refuses("of a joiner", &message, Rule::SelfRemoveByValue);
    bench.goes_on();
}

#[test]
fn once_in_an_epoch_is_enough() {
    let mut bench = bench();
    let first = proposes(&mut bench, DANA);
    let dana = &mut bench.members[DANA];
    let rng = &mut keyroom_vectors::rng(4);
    let signer = dana.client.signer.as_ref();
    let again = |group: &mut Group| group.propose_self_remove(b"again", signer, &now(), rng);
    unwilling(&mut dana.group, again, Rule::SelfRemoveTwice);
    bench.keep(DANA, &first.message);
    bench.keep(DANA, &first.message);
    assert_eq!(bench.members[0].group.pending_proposals().len(), 1, "the same one again is the same");

    let mut content = bench.insider(DANA).framed(Sender::Member(DANAS), Content::Proposal(Proposal::SelfRemove));
    content.authenticated_data = b"again"[..].into();
    let insider = bench.insider(DANA);
    let signed = insider.sign(content, WireFormat::PUBLIC_MESSAGE, insider.signer, &mut keyroom_vectors::rng(5));
    let second = insider.tagged(signed.content, signed.auth);
    let second = MlsMessage::PublicMessage(second).to_bytes();
    bench.refuses("another one", &second, Rule::SelfRemoveTwice);
    let eve = Eve::new(&mut bench, "eve");
    let joined = eve.joins(&mut bench, None, &[&first.message, &second]).map(drop);
    assert_eq!(joined.unwrap_err(), Error::Rule(Rule::SelfRemoveTwice));

    // One reference twice in a commit takes nobody out twice.
    let message = bench.naming(&[first.reference.clone(), first.reference]);
    bench.refuses("one twice", &message, Rule::SelfRemoveTwice);
    // In the next epoch it may be said anew.
    bench.commit(0, |builder| builder.waiting(Waiting::Only(Vec::new())));
    leaves(&mut bench, DANA);
    commits(&mut bench, 0, &[DANA]);
    bench.goes_on();
}

#[test]
fn encrypted_it_is_refused() {
    let mut bench = bench();
    let hidden = Private::new(Content::Proposal(Proposal::SelfRemove));
    let hidden = hidden.make(&bench.bob(), &mut keyroom_vectors::rng(8));
    let hidden = MlsMessage::PrivateMessage(hidden).to_bytes();
    bench.refuses("in a private message", &hidden, Rule::SelfRemoveInPrivateMessage);
    bench.goes_on();
}

#[test]
fn nobody_else_says_it() {
    let mut bench = bench();
    let rng = &mut keyroom_vectors::rng(9);
    let key = suite(1).generate_signature_key(rng).unwrap();
    let signer = suite(1).signer(key.expose()).unwrap();
    let sender = ExternalSender { signature_key: signer.public_key().clone(), credential: Credential::basic("server") };
    let mut trusted = Extensions::new();
    trusted.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    bench.commit(0, |builder| builder.extensions(trusted));
    let context = bench.members[0].group.context().clone();
    let message = propose_externally(&context, Proposal::SelfRemove, signer.as_ref(), rng).unwrap();
    bench.refuses("an external sender", &message, Rule::ExternalSenderProposal);
    let content = Content::Proposal(Proposal::SelfRemove);
    let message = bench.bob().public(Sender::NewMemberProposal, content.clone(), rng);
    let message = MlsMessage::PublicMessage(message).to_bytes();
    bench.refuses("a newcomer", &message, Rule::NewMemberProposalType);
    let message = bench.bob().public(Sender::Member(DANAS), content, rng);
    let message = MlsMessage::PublicMessage(message).to_bytes();
    bench.refuses("another member", &message, Rule::MessageSignature);
    bench.goes_on();
}

#[test]
fn a_committer_does_not_take_itself_out() {
    let mut bench = bench();
    let own = leaves(&mut bench, 1);
    let message = bench.naming(std::slice::from_ref(&own));
    bench.refuses("Bob by himself", &message, Rule::CommitterSelfRemove);
    let bob = &mut bench.members[1];
    let rng = &mut keyroom_vectors::rng(4);
    let signer = bob.client.signer.as_ref();
    let only = |group: &mut Group| group.commit().waiting(Waiting::Only(vec![own])).build(signer, &now(), rng);
    unwilling(&mut bob.group, only, Rule::CommitterSelfRemove);
    // What else waits can be committed without it; then it is gone with its epoch.
    leaves(&mut bench, DANA);
    commits(&mut bench, 1, &[DANA]);
    assert!(bench.members[1].group.pending_proposals().is_empty());
    leaves(&mut bench, 1);
    commits(&mut bench, 0, &[1]);
    agree(&bench.members);
}

#[test]
fn beside_it_a_remove_of_the_same_member_is_invalid() {
    let mut bench = bench();
    let reference = leaves(&mut bench, DANA);
    let removal = bench.insider(ERIN).proposal(remove(DANAS.0), &mut keyroom_vectors::rng(3));
    let removal = bench.keep(ERIN, &removal);
    let message = bench.naming(&[removal.clone(), reference.clone()]);
    bench.refuses("by reference", &message, Rule::RemoveBesideSelfRemove);
    let entries = vec![ProposalOrRef::Proposal(remove(DANAS.0)), named(&reference)];
    let message = bench.bob().commit_with(entries, &Alter::default(), &mut keyroom_vectors::rng(4)).bytes();
    bench.refuses("by value", &message, Rule::RemoveBesideSelfRemove);
    let only = Waiting::Only(vec![reference.clone(), removal]);
    bench.own_refuses("both", |builder| builder.waiting(only), Rule::RemoveBesideSelfRemove);
    let eve = Eve::new(&mut bench, "eve");
    let entries = vec![init(), ProposalOrRef::Proposal(remove(DANAS.0)), named(&reference)];
    let message = eve.made(&bench, entries);
    bench.refuses("by a joiner", &message, Rule::RemoveBesideSelfRemove);

    // An honest member leaves the Removes out, its own too.
    let Bench { members, rng, .. } = &mut bench;
    let Member { client, group } = &mut members[0];
    let (pending, _) = group.commit().remove(DANAS).build(client.signer.as_ref(), &now(), &mut **rng).unwrap();
    let message = sent(&pending);
    members[0].apply(pending);
    follows(&mut bench, Some(0), &message, &[DANA]);
    bench.goes_on();
}

#[test]
fn beside_it_an_update_of_the_same_member_is_invalid_and_left_out() {
    let mut bench = bench();
    let leaf = bench.insider(DANA).update(|_| {}, &mut keyroom_vectors::rng(3));
    let update = Proposal::Update { leaf_node: Box::new(leaf) };
    let update = bench.insider(DANA).proposal(update, &mut keyroom_vectors::rng(3));
    let update = bench.keep(DANA, &update);
    let reference = leaves(&mut bench, DANA);
    let message = bench.naming(&[update, reference]);
    bench.refuses("both", &message, Rule::LeafTouchedTwice);
    commits(&mut bench, 0, &[DANA]);
    bench.goes_on();
}

#[test]
fn where_one_member_does_not_support_it_nobody_uses_it() {
    let mixed = |client: Client| match client.name {
        "frank" => client,
        _ => client.supporting(ProposalType::SELF_REMOVE),
    };
    let mut bench = Bench::of(1, config(), mixed);
    assert!(!bench.members[0].group.is_self_remove_capable());
    assert!(!bench.observer.as_ref().unwrap().is_self_remove_capable());
    let message = bench.bob().proposal(Proposal::SelfRemove, &mut keyroom_vectors::rng(3));
    bench.refuses("proposed", &message, Rule::ProposalTypeNotSupported);
    let Member { client, group } = &mut bench.members[0];
    let rng = &mut keyroom_vectors::rng(4);
    let propose = |group: &mut Group| group.propose_self_remove(b"", client.signer.as_ref(), &now(), rng);
    unwilling(group, propose, Rule::ProposalTypeNotSupported);
    let eve = Eve::new(&mut bench, "eve");
    let joined = eve.joins(&mut bench, None, &[&message]).map(drop);
    assert_eq!(joined.unwrap_err(), Error::Rule(Rule::ProposalTypeNotSupported));
    let unknown = eve.made(&bench, vec![init(), named(&ProposalRef::from(&[5; 32][..]))]);
    bench.refuses("a joiner has nothing to name", &unknown, Rule::ExternalProposalByReference);
    // Without Frank all can.
    let frank = bench.members.last().unwrap().group.own_leaf();
    bench.members.pop();
    bench.commit(0, |builder| builder.remove(frank));
    assert!(bench.observer.as_ref().unwrap().is_self_remove_capable());
    leaves(&mut bench, DANA);
    commits(&mut bench, 0, &[DANA]);
    bench.goes_on();
}

#[test]
fn a_joiner_takes_those_out_who_leave() {
    let mut bench = bench();
    let (dana, erin) = (proposes(&mut bench, DANA), proposes(&mut bench, ERIN));
    bench.keep(DANA, &dana.message);
    bench.keep(ERIN, &erin.message);
    let eve = Eve::new(&mut bench, "eve");
    let join = eve.joins(&mut bench, None, &[&dana.message, &erin.message, &dana.message]).unwrap();
    let staged = bench.accepts(&join.message);
    assert_eq!(staged.removed().iter().map(|member| member.leaf_index).collect::<Vec<_>>(), [DANAS, ERINS]);
    let joins = |question: &Question| matches!(question, Question::Joins(_));
    assert_eq!(staged.questions().iter().filter(|question| joins(question)).count(), 1, "she replaces nobody");
    let message = join.message.clone();
    let verdict = join.questions().accept_unseen();
    let (group, _) = join.accept(&verdict).unwrap();
    follows(&mut bench, None, &message, &[DANA, ERIN]);
    bench.members.push(Member { client: eve.client, group });
    agree(&bench.members);
    bench.goes_on();
}

#[test]
fn all_leave_and_a_joiner_has_the_group_for_itself() {
    let rng = &mut keyroom_vectors::rng(1);
    let client = Client::new("alice", suite(1), rng).supporting(ProposalType::SELF_REMOVE);
    let mut members = room_of(vec![client], config(), rng);
    let Member { client, group } = &mut members[0];
    let proposal = group.propose_self_remove(b"", client.signer.as_ref(), &now(), rng).unwrap();
    let info = group.group_info(INFO, client.signer.as_ref(), rng).unwrap();
    let eve = Client::new("eve", suite(1), rng).supporting(ProposalType::SELF_REMOVE);
    let bundle = eve.bundle(rng);
    let builder = Group::join_external(suite(1), &bundle, config()).self_remove(&proposal.message);
    let join = builder.build(&info, eve.signer.as_ref(), &now(), rng).unwrap();
    assert_eq!((join.group().members_count(), join.group().own_leaf()), (1, LeafIndex(0)));
    members[0].follow(&join.message);
    assert_eq!(*members[0].group.status(), Status::Removed);
}

#[test]
fn a_joiner_names_nothing_else_and_knows_what_it_names() {
    let mut bench = bench();
    let eve = Eve::new(&mut bench, "eve");
    let removal = bench.insider(DANA).proposal(remove(ERINS.0), &mut keyroom_vectors::rng(3));
    let joined = eve.joins(&mut bench, None, &[&removal]).map(drop);
    assert_eq!(joined.unwrap_err(), Error::Rule(Rule::ExternalProposalByReference));
    let removal = bench.keep(DANA, &removal);
    let leaving = leaves(&mut bench, DANA);
    let message = eve.made(&bench, vec![init(), named(&leaving), named(&removal)]);
    bench.refuses("a Remove", &message, Rule::ExternalProposalByReference);
    let mixed = bench.insider(ERIN).proposal(psk(external_psk(b"a"), 32), &mut keyroom_vectors::rng(3));
    let mixed = bench.keep(ERIN, &mixed);
    let message = eve.made(&bench, vec![init(), named(&mixed)]);
    bench.refuses("a PSK", &message, Rule::ExternalProposalByReference);
    let unknown = ProposalRef::from(&[5; 32][..]);
    let message = eve.made(&bench, vec![init(), named(&unknown)]);
    bench.refuses("what is on its way", &message, NotYet::UnknownProposal(unknown));
    let message = eve.made(&bench, vec![init(), named(&ProposalRef::from(&[5; 31][..]))]);
    bench.refuses("what cannot be", &message, Rule::ProposalRefLength);
}

#[test]
fn a_joiner_checks_all_but_the_membership_tag() {
    let mut bench = bench();
    let eve = Eve::new(&mut bench, "eve");
    let honest = bench.insider(DANA).public(
        Sender::Member(DANAS),
        Content::Proposal(Proposal::SelfRemove),
        &mut keyroom_vectors::rng(3),
    );
    let encoded = |message| MlsMessage::PublicMessage(message).to_bytes();
    let mut forged = honest.clone();
    forged.auth.signature = vec![1; 64].into();
    let mut of_another = honest.clone();
    of_another.content.sender = Sender::Member(ERINS);
    let mut early = honest.clone();
    early.content.epoch -= 1;
    let mut of_no_member = honest.clone();
    of_no_member.content.sender = Sender::Member(LeafIndex(99));
    let mut half_tagged = honest.clone();
    half_tagged.membership_tag = Some(vec![1; 16].into());
    let cases = [
        ("signature", forged, Rule::MessageSignature),
        ("sender", of_another, Rule::MessageSignature),
        ("epoch", early, Rule::WrongEpoch),
        ("no member", of_no_member, Rule::SenderNotMember),
        ("a tag of the wrong length", half_tagged, Rule::MembershipTag),
    ];
    for (name, message, expected) in cases {
        let joined = eve.joins(&mut bench, None, &[&encoded(message)]).map(drop);
        assert_eq!(joined.unwrap_err(), Error::Rule(expected), "{name}");
    }
    let info = bench.members[0].group.group_info(INFO, bench.members[0].client.signer.as_ref(), &mut *bench.rng);
    let joined = eve.joins(&mut bench, None, &[&info.unwrap()]).map(drop);
    assert_eq!(joined.unwrap_err(), Error::Usage(Usage::WrongMessageKind));
    let mut with_wrong_tag = honest;
    with_wrong_tag.membership_tag = Some(vec![1; 32].into());
    let with_wrong_tag = encoded(with_wrong_tag);
    eve.joins(&mut bench, None, &[&with_wrong_tag]).expect("it takes a member to see the tag");
    bench.refuses("members see it", &with_wrong_tag, Rule::MembershipTag);
}

#[test]
fn who_comes_back_while_it_leaves_is_not_removed_twice() {
    let mut bench = bench();
    let proposal = proposes(&mut bench, DANA);
    bench.keep(DANA, &proposal.message);
    let dana = Eve::new(&mut bench, "dana");
    let join = dana.joins(&mut bench, Some(DANAS), &[&proposal.message]).unwrap();
    let message = join.message.clone();
    bench.accepts(&message);
    let verdict = join.questions().accept_unseen();
    let (group, _) = join.accept(&verdict).unwrap();
    follows(&mut bench, None, &message, &[DANA]);
    bench.members.push(Member { client: dana.client, group });
    agree(&bench.members);
}

#[test]
fn who_rejoins_takes_the_place_of_its_own_leaf_and_of_no_other() {
    let mut bench = bench();
    let leaving = proposes(&mut bench, DANA);
    bench.keep(DANA, &leaving.message);
    let erin = Eve::new(&mut bench, "erin");
    let join = erin.joins(&mut bench, Some(ERINS), &[&leaving.message]).unwrap();
    let staged = bench.accepts(&join.message);
    let same_client = |question: &Question| match question {
        Question::Rejoins { old, new } if old.credential() != new.credential() => Judgement::Reject,
        Question::Joins(_) => Judgement::Reject,
        _ => Judgement::Accept,
    };
    assert!(staged.questions().judge(same_client).is_ok(), "Erin comes in for Erin, not for Dana");
    assert_eq!(staged.removed().len(), 2);
}

#[test]
fn it_is_remembered_over_a_restart_on_both_sides() {
    let mut bench = bench();
    let proposal = proposes(&mut bench, DANA);
    bench.keep(DANA, &proposal.message);
    for position in [0, DANA] {
        let Member { client, group } = &bench.members[position];
        let records = group.snapshot().unwrap();
        let mut group = Group::open(&RUSTCRYPTO, config(), group.version(), &records).unwrap();
        let [waiting] = &group.pending_proposals()[..] else { panic!("one waits") };
        assert_eq!((&waiting.reference, waiting.sender), (&proposal.reference, Sender::Member(DANAS)));
        if position == DANA {
            let rng = &mut keyroom_vectors::rng(4);
            let refused = loop {
                match group.propose_self_remove(b"again", client.signer.as_ref(), &now(), rng).unwrap_err() {
                    Error::Missing(missing) => {
                        let found = missing.0.into_iter().map(|key| (key, records.get(&key).cloned()));
                        group.supply(&found.collect::<Vec<_>>()).unwrap();
                    }
                    refused => break refused,
                }
            };
            assert_eq!(refused, Error::Rule(Rule::SelfRemoveTwice));
        }
    }
}

#[test]
fn the_error_says_which_document_has_the_rule() {
    let text = Rule::SelfRemoveByValue.to_string();
    assert_eq!(text, "self-remove-by-value (draft-ietf-mls-extensions, SelfRemove Proposal)");
    assert_eq!(Rule::CommitterRemove.to_string(), "committer-remove (RFC 9420 §12.2)");
}
