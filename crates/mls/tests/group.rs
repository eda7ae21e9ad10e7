//! The life of a group: every operation of RFC 9420, with members that follow each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::sync::Arc;

use keyroom_awslc::AWSLC;
use keyroom_crypto::{Provider, Secret, Suite};
use keyroom_insider::{Client, Member, NOW, admission, agree, commit, config, now, room, room_in, sent, suite};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Rule, Usage};
use keyroom_mls::group::{
    Applied, ExternalJoins, Group, GroupInfoContent, JoinOptions, PathChoice, Received, Status, Succession, Successor,
    TreeDelivery, propose_externally, propose_own_addition,
};
use keyroom_mls::identity::{Judgement, Question};
use keyroom_mls::secret_tree::{RatchetLimits, RatchetType, SecretTree, SecretTreeError};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Credential, Encode, ExtensionType, Extensions, ExternalSender, GroupId, LeafIndex, Proposal,
    ProposalRef, ProtocolVersion, Psk, ReInit, ResumptionPskUsage,
};

const INFO: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };

fn private() -> Arc<Config> {
    Arc::new(Config { handshakes: HandshakePolicy::OnlyPrivate, ..Config::default() })
}

#[test]
fn members_talk_add_update_and_remove_in_every_suite() {
    for provider in [&RUSTCRYPTO, &AWSLC] {
        for suite in provider.suites() {
            members_talk_add_update_and_remove(suite, config());
            members_talk_add_update_and_remove(suite, private());
        }
    }
}

fn members_talk_add_update_and_remove(suite: &'static dyn Suite, config: Arc<Config>) {
    let rng = &mut keyroom_vectors::rng(u64::from(suite.cipher_suite().0));
    let mut members = room_in(suite, &["alice", "bob", "charlie"], config.clone(), rng);
    let message = members[0].send("hello", rng);
    for reader in &mut members[1..] {
        assert_eq!(reader.read(&message), (b"hello".to_vec(), "alice".to_owned()));
    }
    let dana = Client::new("dana", suite, rng);
    let bundle = dana.bundle(rng);
    let package = bundle.key_package.clone();
    let (_, welcome) = commit(&mut members, 1, rng, |builder| builder.add(package));
    let group = dana.join(&welcome.unwrap(), bundle, config, rng);
    members.push(Member { client: dana, group });
    agree(&members);
    for from in 0..4 {
        commit(&mut members, from, rng, |builder| builder);
        agree(&members);
    }
    let (last, _) = commit_without(&mut members, 3, 2, rng);
    let mut removed = members.remove(2);
    assert_eq!(removed.apply_removal(&last), Applied::Removed);
    assert_eq!(removed.group.status(), &Status::Removed);
    agree(&members);
    let message = members[0].send("without charlie", rng);
    assert_eq!(removed.group.process(&message, &now()).unwrap_err(), Error::Usage(Usage::NotMember));
    assert_eq!(members[2].read(&message).1, "alice");
}

/// Member `from` removes member `gone`; the others follow. Returns the message.
fn commit_without(
    members: &mut [Member],
    from: usize,
    gone: usize,
    rng: &mut dyn keyroom_crypto::CryptoRng,
) -> (Vec<u8>, LeafIndex) {
    let leaf_index = members[gone].group.own_leaf();
    let member = &mut members[from];
    let builder = member.group.commit().remove(leaf_index);
    let (pending, _) = builder.build(member.client.signer.as_ref(), &now(), rng).unwrap();
    let message = sent(&pending);
    member.apply(pending);
    for (position, other) in members.iter_mut().enumerate() {
        if position != from && position != gone {
            other.follow(&message);
        }
    }
    (message, leaf_index)
}

trait Removal {
    fn apply_removal(&mut self, message: &[u8]) -> Applied;
}

impl Removal for Member {
    fn apply_removal(&mut self, message: &[u8]) -> Applied {
        let Received::Commit(staged) = self.group.process(message, &now()).unwrap().received else { panic!() };
        assert!(staged.removes_us());
        let verdict = staged.questions().accept_unseen();
        let (applied, changes) = self.group.apply(staged, &verdict).unwrap();
        assert!(changes.deleted);
        applied
    }
}

#[test]
fn proposals_by_reference_take_effect_with_another_members_commit() {
    for config in [config(), private()] {
        let rng = &mut keyroom_vectors::rng(2);
        let mut members = room(&["alice", "bob", "charlie", "dana"], 1, config.clone(), rng);
        let erin = Client::new("erin", suite(1), rng);
        let bundle = erin.bundle(rng);
        let package = Box::new(bundle.key_package.clone());
        let charlie = members[2].group.own_leaf();
        let mut messages = Vec::new();
        for (from, proposal) in
            [(1, Proposal::Add { key_package: package }), (3, Proposal::Remove { removed: charlie })]
        {
            let member = &mut members[from];
            let out = member.group.propose(proposal, b"", member.client.signer.as_ref(), &now(), rng).unwrap();
            messages.push((from, out.message));
        }
        let bob = &mut members[1];
        let update = bob.group.propose_update(b"", bob.client.signer.as_ref(), None, &now(), rng).unwrap();
        messages.push((1, update.message));
        for (from, message) in &messages {
            for (position, member) in members.iter_mut().enumerate() {
                if position != *from {
                    let read = member.group.process(message, &now()).unwrap();
                    assert!(matches!(read.received, Received::Proposal(_)));
                }
            }
        }
        let Member { client, group } = &mut members[0];
        let refused = group.encrypt(b"too early", b"", client.signer.as_ref(), rng);
        assert_eq!(refused.unwrap_err(), Error::Usage(Usage::ProposalsPending));
        let before = members[1].group.member(members[1].group.own_leaf()).unwrap().unwrap();
        let alice = &mut members[0];
        let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
        let (message, welcome) = (sent(&pending), admission(&pending).welcome.unwrap());
        alice.apply(pending);
        let mut charlie = members.remove(2);
        assert_eq!(charlie.apply_removal(&message), Applied::Removed);
        for member in &mut members[1..] {
            member.follow(&message);
        }
        let group = erin.join(&welcome, bundle, config, rng);
        members.push(Member { client: erin, group });
        agree(&members);
        let after = members[1].group.member(members[1].group.own_leaf()).unwrap().unwrap();
        assert_ne!(before.leaf().encryption_key(), after.leaf().encryption_key());
        commit(&mut members, 1, rng, |builder| builder);
        agree(&members);
        let message = members[3].send("hello", rng);
        assert_eq!(members[1].read(&message).1, "erin");
    }
}

#[test]
fn a_commit_that_names_an_unknown_proposal_can_be_tried_again() {
    let rng = &mut keyroom_vectors::rng(3);
    let mut members = room(&["alice", "bob", "charlie"], 1, config(), rng);
    let bob = &mut members[1];
    let update = bob.group.propose_update(b"", bob.client.signer.as_ref(), None, &now(), rng).unwrap();
    members[0].group.process(&update.message, &now()).unwrap();
    let alice = &mut members[0];
    let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let message = sent(&pending);
    alice.apply(pending);
    let early = members[2].group.process(&message, &now()).unwrap_err();
    assert_eq!(early, Error::NotYet(NotYet::UnknownProposal(update.reference)));
    members[2].group.process(&update.message, &now()).unwrap();
    members[2].follow(&message);
    members[1].follow(&message);
    agree(&members);
}

#[test]
fn the_tree_may_travel_beside_the_welcome() {
    let rng = &mut keyroom_vectors::rng(4);
    let mut members = room(&["alice", "bob"], 1, config(), rng);
    let dana = Client::new("dana", suite(1), rng);
    let bundles = [dana.bundle(rng)];
    let alice = &mut members[0];
    let builder = alice.group.commit().add(bundles[0].key_package.clone()).welcome_tree(TreeDelivery::OutOfBand);
    let (pending, _) = builder.build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let (message, welcome) = (sent(&pending), admission(&pending).welcome.unwrap());
    let tree = pending.staged().next_ratchet_tree().unwrap().unwrap();
    alice.apply(pending);
    assert_eq!(alice.group.ratchet_tree().unwrap(), tree);
    members[1].follow(&message);
    let without = Group::join(suite(1), &welcome, &JoinOptions::new(&bundles), config(), &now(), rng);
    assert_eq!(without.unwrap_err(), Error::Rule(Rule::TreeAbsent));
    let options = JoinOptions { ratchet_tree: Some(&tree), ..JoinOptions::new(&bundles) };
    let joining = Group::join(suite(1), &welcome, &options, config(), &now(), rng).unwrap();
    assert_eq!(joining.questions().len(), 2);
    let verdict = joining.questions().accept_unseen();
    let (group, _) = joining.accept(&verdict).unwrap();
    members.push(Member { client: dana, group });
    agree(&members);
}

#[test]
fn psks_of_the_application_and_of_past_epochs_are_mixed_in() {
    let rng = &mut keyroom_vectors::rng(5);
    let mut members = room(&["alice", "bob", "charlie"], 1, config(), rng);
    let epoch = members[0].group.epoch();
    commit(&mut members, 2, rng, |builder| builder);
    let external = Psk::External { psk_id: b"door code".to_vec().into() };
    let resumption = Psk::Resumption {
        usage: ResumptionPskUsage::Application,
        psk_group_id: GroupId::from(&b"room"[..]),
        psk_epoch: epoch,
    };
    let psks = [(external.clone(), Secret::copy_of(b"1234"))];
    let with = Inputs { now: NOW, psks: &psks };
    let alice = &mut members[0];
    let builder = alice.group.commit().path(PathChoice::WhenRequired).psk(external.clone()).psk(resumption);
    let (pending, _) = builder.build(alice.client.signer.as_ref(), &with, rng).unwrap();
    let message = sent(&pending);
    alice.apply(pending);
    for member in &mut members[1..] {
        let without = member.group.process(&message, &now()).unwrap_err();
        assert_eq!(without, Error::NotYet(NotYet::Psks(vec![external.clone()])));
        let wrong = [(external.clone(), Secret::copy_of(b"4321"))];
        let wrong = member.group.process(&message, &Inputs { now: NOW, psks: &wrong }).unwrap_err();
        assert_eq!(wrong, Error::Rule(Rule::ConfirmationTag));
        let Received::Commit(staged) = member.group.process(&message, &with).unwrap().received else { panic!() };
        let verdict = staged.questions().accept_unseen();
        member.group.apply(staged, &verdict).unwrap();
    }
    agree(&members);
}

#[test]
fn a_client_joins_by_external_commit_and_rejoins_in_its_own_place() {
    for config in [config(), private()] {
        let rng = &mut keyroom_vectors::rng(6);
        let mut members = room(&["alice", "bob", "charlie"], 1, config.clone(), rng);
        let dana = Client::new("dana", suite(1), rng);
        let bundle = dana.bundle(rng);
        let info = members[1].group.group_info(INFO, members[1].client.signer.as_ref(), rng).unwrap();
        let builder = Group::join_external(suite(1), &bundle, config.clone()).group_info(INFO);
        let join = builder.build(&info, dana.signer.as_ref(), &now(), rng).unwrap();
        for member in &mut members {
            let Received::Commit(staged) = member.group.process(&join.message, &now()).unwrap().received else {
                panic!()
            };
            assert!(staged.questions().iter().any(|question| matches!(question, Question::Joins(_))));
            let verdict = staged.questions().accept_unseen();
            member.group.apply(staged, &verdict).unwrap();
        }
        assert!(join.group_info.is_some());
        let verdict = join.questions().accept_unseen();
        members.push(Member { client: dana, group: join.accept(&verdict).unwrap().0 });
        agree(&members);
        commit(&mut members, 3, rng, |builder| builder);
        commit(&mut members, 0, rng, |builder| builder);
        agree(&members);

        // Bob has lost his state; he still has his name, and takes his old leaf's place.
        let lost = members.remove(1);
        let leaf_index = lost.group.own_leaf();
        let bob = Client::new("bob", suite(1), rng);
        let bundle = bob.bundle(rng);
        let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), rng).unwrap();
        let builder = Group::join_external(suite(1), &bundle, config).resync(leaf_index);
        let join = builder.build(&info, bob.signer.as_ref(), &now(), rng).unwrap();
        for member in &mut members {
            let Received::Commit(staged) = member.group.process(&join.message, &now()).unwrap().received else {
                panic!()
            };
            let rejoins = |question: &Question| matches!(question, Question::Rejoins { .. });
            assert!(staged.questions().iter().any(rejoins), "the application is asked whether it is the same client");
            let verdict = staged.questions().accept_unseen();
            member.group.apply(staged, &verdict).unwrap();
        }
        let verdict = join.questions().accept_unseen();
        let group = join.accept(&verdict).unwrap().0;
        assert_eq!(group.own_leaf(), leaf_index, "the leftmost free leaf is the one that was just left");
        members.push(Member { client: bob, group });
        agree(&members);
        let message = members[3].send("back again", rng);
        assert_eq!(members[0].read(&message).1, "bob");
    }
}

#[test]
fn outsiders_propose_if_the_group_lists_them_or_for_themselves() {
    let rng = &mut keyroom_vectors::rng(7);
    let mut members = room(&["alice", "bob", "charlie"], 1, private(), rng);
    let server = Client::new("server", suite(1), rng);
    let context = members[0].group.context().clone();
    let removal = Proposal::Remove { removed: members[2].group.own_leaf() };
    let unlisted = propose_externally(&context, removal.clone(), server.signer.as_ref(), rng);
    assert_eq!(unlisted.unwrap_err(), Error::Usage(Usage::WrongSigner));

    let sender = ExternalSender {
        signature_key: server.signer.public_key().clone(),
        credential: Credential::basic(b"server".to_vec()),
    };
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    commit(&mut members, 0, rng, |builder| builder.extensions(extensions));
    let context = members[0].group.context().clone();
    let removal = propose_externally(&context, removal, server.signer.as_ref(), rng).unwrap();
    let dana = Client::new("dana", suite(1), rng);
    let bundle = dana.bundle(rng);
    let addition = propose_own_addition(&context, bundle.key_package.clone(), dana.signer.as_ref(), rng).unwrap();
    for member in &mut members {
        member.group.process(&removal, &now()).unwrap();
        member.group.process(&addition, &now()).unwrap();
    }
    let bob = &mut members[1];
    let (pending, _) = bob.group.commit().build(bob.client.signer.as_ref(), &now(), rng).unwrap();
    let (message, welcome) = (sent(&pending), admission(&pending).welcome.unwrap());
    bob.apply(pending);
    members[0].follow(&message);
    let mut charlie = members.remove(2);
    assert_eq!(charlie.apply_removal(&message), Applied::Removed);
    let group = dana.join(&welcome, bundle, private(), rng);
    members.push(Member { client: dana, group });
    agree(&members);
}

#[test]
fn a_group_is_reinitialised_in_another_suite_with_the_same_members() {
    let rng = &mut keyroom_vectors::rng(8);
    let mut members = room(&["alice", "bob"], 1, config(), rng);
    let reinit = ReInit {
        group_id: GroupId::from(&b"next room"[..]),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(3),
        extensions: Extensions::new(),
    };
    let Member { client, group } = &mut members[0];
    let beside = group.commit().reinit(reinit.clone()).remove(LeafIndex(1));
    let refused = beside.build(client.signer.as_ref(), &now(), rng);
    assert_eq!(refused.unwrap_err(), Error::Rule(Rule::ReInitNotAlone));
    commit(&mut members, 0, rng, |builder| builder.reinit(reinit.clone()));
    for member in &mut members {
        assert_eq!(member.group.status(), &Status::Reinitialised(reinit.clone()));
        let sent = member.group.encrypt(b"more", b"", member.client.signer.as_ref(), rng);
        assert_eq!(sent.unwrap_err(), Error::Rule(Rule::GroupReinitialised));
    }
    let next: Vec<Client> = ["alice", "bob"].map(|name| Client::new(name, suite(3), rng)).into();
    let bundles = [next[1].bundle(rng)];
    let succession = Succession {
        successor: Successor::ReInit,
        bundle: next[0].bundle(rng),
        members: vec![bundles[0].key_package.clone()],
        welcome_tree: TreeDelivery::Inside,
        group_info: None,
    };
    let old = &members[0].group;
    let (group, _, pending, _) =
        old.succeed(suite(3), succession, next[0].signer.as_ref(), config(), &now(), rng).unwrap();
    let welcome = admission(&pending).welcome.unwrap();
    let mut alice = Member { client: Client::new("alice", suite(3), rng), group };
    alice.apply(pending);
    let alone = Group::join(suite(3), &welcome, &JoinOptions::new(&bundles), config(), &now(), rng);
    assert!(matches!(alone.unwrap_err(), Error::NotYet(NotYet::Psks(_))));
    let options = JoinOptions { predecessor: Some(&members[1].group), ..JoinOptions::new(&bundles) };
    let joining = Group::join(suite(3), &welcome, &options, config(), &now(), rng).unwrap();
    let verdict = joining.questions().accept_unseen();
    let (bob, _) = joining.accept(&verdict).unwrap();
    assert_eq!(bob.epoch(), 1);
    assert_eq!(bob.epoch_authenticator(), alice.group.epoch_authenticator());
}

fn side_room(extensions: Extensions) -> Successor {
    Successor::Branch { group_id: GroupId::from(&b"side room"[..]), extensions }
}

#[test]
fn a_branch_has_extensions_of_its_own_and_its_tree_may_travel_apart() {
    let rng = &mut keyroom_vectors::rng(18);
    let members = room(&["alice", "bob"], 1, config(), rng);
    let founder = Client::new("alice", suite(1), rng);
    let bundles = [Client::new("bob", suite(1), rng).bundle(rng)];
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::REQUIRED_CAPABILITIES, [0, 0, 0]);
    let succession = Succession {
        successor: side_room(extensions.clone()),
        bundle: founder.bundle(rng),
        members: vec![bundles[0].key_package.clone()],
        welcome_tree: TreeDelivery::OutOfBand,
        group_info: None,
    };
    let old = &members[0].group;
    let (_, _, pending, _) = old.succeed(suite(1), succession, founder.signer.as_ref(), config(), &now(), rng).unwrap();
    let welcome = admission(&pending).welcome.unwrap();
    let tree = pending.staged().next_ratchet_tree().unwrap().unwrap();
    let blind = JoinOptions { predecessor: Some(&members[1].group), ..JoinOptions::new(&bundles) };
    let refused = Group::join(suite(1), &welcome, &blind, config(), &now(), rng).map(|_| ());
    assert_eq!(refused, Err(Error::Rule(Rule::TreeAbsent)));
    let options = JoinOptions { ratchet_tree: Some(&tree), ..blind };
    let joining = Group::join(suite(1), &welcome, &options, config(), &now(), rng).unwrap();
    assert_eq!(joining.group().context().extensions, extensions);
}

#[test]
fn a_branch_holds_some_members_of_the_old_group_and_no_others() {
    let rng = &mut keyroom_vectors::rng(9);
    let members = room(&["alice", "bob", "charlie"], 1, config(), rng);
    for (guest, outcome) in [("bob", Ok(())), ("mallory", Err(Error::Rule(Rule::BranchMembers)))] {
        let founder = Client::new("alice", suite(1), rng);
        let guest = Client::new(guest, suite(1), rng);
        let bundles = [guest.bundle(rng)];
        let succession = Succession {
            successor: side_room(Extensions::new()),
            bundle: founder.bundle(rng),
            members: vec![bundles[0].key_package.clone()],
            welcome_tree: TreeDelivery::Inside,
            group_info: None,
        };
        let old = &members[0].group;
        let (_, _, pending, _) =
            old.succeed(suite(1), succession, founder.signer.as_ref(), config(), &now(), rng).unwrap();
        let options = JoinOptions { predecessor: Some(&members[1].group), ..JoinOptions::new(&bundles) };
        let joined = Group::join(suite(1), &admission(&pending).welcome.unwrap(), &options, config(), &now(), rng);
        assert_eq!(joined.map(|_| ()), outcome);
    }
}

#[test]
fn a_member_changes_its_signature_key_and_credential() {
    let rng = &mut keyroom_vectors::rng(10);
    let mut members = room(&["alice", "bob"], 2, config(), rng);
    let newer = Client::new("alice", suite(2), rng);
    let alice = &mut members[0];
    let builder = alice.group.commit().new_identity(newer.signer.as_ref(), Credential::basic(b"alice 2".to_vec()));
    let (pending, _) = builder.build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let message = sent(&pending);
    alice.apply(pending);
    let Received::Commit(staged) = members[1].group.process(&message, &now()).unwrap().received else { panic!() };
    let refused = staged.questions().judge(|question| match question {
        Question::Changes { .. } => Judgement::Reject,
        _ => Judgement::Accept,
    });
    assert!(refused.is_err());
    let verdict = staged.questions().accept_unseen();
    members[1].group.apply(staged, &verdict).unwrap();
    agree(&members);
    let Member { client, group } = &mut members[0];
    let with_old_key = group.encrypt(b"hi", b"", client.signer.as_ref(), rng);
    assert_eq!(with_old_key.unwrap_err(), Error::Usage(Usage::WrongSigner));
    let wrong = Error::Usage(Usage::WrongSigner);
    let signer = client.signer.as_ref();
    assert_eq!(group.commit().build(signer, &now(), rng).map(drop).unwrap_err(), wrong);
    assert_eq!(group.group_info(INFO, signer, rng).map(drop).unwrap_err(), wrong);
    let removal = Proposal::Remove { removed: LeafIndex(1) };
    assert_eq!(group.propose(removal, b"", signer, &now(), rng).map(drop).unwrap_err(), wrong);
    members[0].client = newer;
    let message = members[0].send("new key", rng);
    assert_eq!(members[1].read(&message).1, "alice 2");
}

#[test]
fn several_candidates_exist_and_only_one_made_from_this_state_applies() {
    let rng = &mut keyroom_vectors::rng(11);
    let mut members = room(&["alice", "bob", "charlie"], 1, config(), rng);
    let snapshot = members[2].group.snapshot().unwrap();
    let mut messages = Vec::new();
    for from in [0, 1] {
        let member = &mut members[from];
        let (pending, _) = member.group.commit().build(member.client.signer.as_ref(), &now(), rng).unwrap();
        messages.push(sent(&pending));
    }
    let charlie = &mut members[2].group;
    let mut staged = Vec::new();
    for message in &messages {
        let Received::Commit(commit) = charlie.process(message, &now()).unwrap().received else { panic!() };
        staged.push(commit);
    }
    assert_eq!(charlie.snapshot().unwrap(), snapshot, "staging moves nothing");
    let second = staged.pop().unwrap();
    let first = staged.pop().unwrap();
    let wrong = second.questions().accept_unseen();
    let verdict = first.questions().accept_unseen();
    charlie.apply(first, &verdict).unwrap();
    assert_eq!(charlie.apply(second, &wrong).unwrap_err(), Error::Usage(Usage::StaleCommit));
}

#[test]
fn a_verdict_fits_the_operation_that_asked_and_no_other() {
    let rng = &mut keyroom_vectors::rng(12);
    let mut members = room(&["alice", "bob"], 1, config(), rng);
    let alice = &mut members[0];
    let (one, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let (two, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
    let verdict = two.questions().accept_unseen();
    assert_eq!(alice.group.apply(one.into_staged(), &verdict).unwrap_err(), Error::Usage(Usage::WrongVerdict));
}

#[test]
fn late_messages_are_read_within_the_window_and_in_any_order() {
    let rng = &mut keyroom_vectors::rng(13);
    let window = Arc::new(Config { past_epochs: 2, ..Config::default() });
    let mut members = room(&["alice", "bob", "charlie"], 1, window, rng);
    let early: Vec<Vec<u8>> = (0..4).map(|n| members[0].send(&format!("early {n}"), rng)).collect();
    let leaving = members[2].send("before I go", rng);
    assert_eq!(members[1].read(&early[3]).0, b"early 3");
    assert_eq!(members[1].read(&early[1]).0, b"early 1");
    let replay = members[1].group.process(&early[1], &now()).unwrap_err();
    assert_eq!(replay, Error::Rule(Rule::GenerationConsumed));
    let (_, _) = commit_without(&mut members, 1, 2, rng);
    assert_eq!(members[1].read(&early[0]).0, b"early 0");
    assert_eq!(members[1].read(&leaving), (b"before I go".to_vec(), "charlie".to_owned()));
    members.truncate(2);
    commit(&mut members, 0, rng, |builder| builder);
    commit(&mut members, 0, rng, |builder| builder);
    let late = members[1].group.process(&early[2], &now()).unwrap_err();
    assert_eq!(late, Error::Refused(Refusal::EpochNotKept));
}

#[test]
fn an_own_commit_that_comes_back_is_recognised_and_other_own_messages_are_refused() {
    let rng = &mut keyroom_vectors::rng(14);
    for config in [config(), private()] {
        let mut members = room(&["alice", "bob"], 1, config, rng);
        let alice = &mut members[0];
        let own = alice.send("mine", rng);
        assert_eq!(alice.group.process(&own, &now()).unwrap_err(), Error::Rule(Rule::OwnMessage));
        let (pending, _) = alice.group.commit().build(alice.client.signer.as_ref(), &now(), rng).unwrap();
        let Received::OwnCommit(id) = alice.group.process(&sent(&pending), &now()).unwrap().received else { panic!() };
        assert_eq!(id, pending.id);
        let again = alice.group.pending_commit(id, &now()).unwrap();
        assert_eq!(sent(&again), sent(&pending));
        let context = pending.staged().next_context().cloned();
        assert_eq!(again.staged().next_context().cloned(), context);
        let message = sent(&again);
        alice.apply(again);
        members[1].follow(&message);
        agree(&members);
        commit(&mut members, 0, rng, |builder| builder);
        agree(&members);
    }
}

#[test]
fn exported_secrets_agree_and_depend_on_label_context_and_epoch() {
    let rng = &mut keyroom_vectors::rng(15);
    let mut members = room(&["alice", "bob"], 7, config(), rng);
    let export = |member: &Member, label: &str, context: &[u8]| {
        member.group.export(label, context, 40).unwrap().expose().to_vec()
    };
    let one = export(&members[0], "call", b"1");
    assert_eq!(one, export(&members[1], "call", b"1"));
    assert_ne!(one, export(&members[0], "call", b"2"));
    assert_ne!(one, export(&members[0], "file", b"1"));
    commit(&mut members, 0, rng, |builder| builder);
    assert_ne!(one, export(&members[0], "call", b"1"));
    assert!(members[0].group.export("call", b"", 65_536).is_err());
}

#[test]
fn the_key_of_a_private_commit_is_gone_once_the_commit_is_applied() {
    let rng = &mut keyroom_vectors::rng(16);
    let mut members = room(&["alice", "bob", "charlie"], 1, private(), rng);
    let said = members[2].send("in the same epoch", rng);
    let epoch = members[0].group.epoch();
    let (_, _) = commit(&mut members, 1, rng, |builder| builder);
    for reader in [0, 1] {
        let snapshot = members[reader].group.snapshot().unwrap();
        let mut tree = SecretTree::stored(suite(1), members[reader].group.tree().depth(), epoch);
        let outcome = loop {
            match tree.open_key(LeafIndex(1), RatchetType::Handshake, 0, &RatchetLimits::default()) {
                Err(SecretTreeError::Missing(missing)) => {
                    let records = missing.0.into_iter().map(|key| (key, snapshot.get(&key).cloned()));
                    tree.supply(&records.collect::<Vec<_>>()).unwrap();
                }
                other => break other.map(|_| ()),
            }
        };
        assert!(outcome.is_err(), "what is kept for late messages does not open the commit again");
    }
    assert_eq!(members[0].read(&said).1, "charlie");
}

#[test]
fn a_group_that_has_not_ended_founds_no_group_in_its_place() {
    let rng = &mut keyroom_vectors::rng(62);
    let Member { client, group } = &room(&["alice", "bob"], 1, config(), rng)[0];
    let succession = Succession {
        successor: Successor::ReInit,
        bundle: client.bundle(rng),
        members: Vec::new(),
        welcome_tree: TreeDelivery::Inside,
        group_info: None,
    };
    let founded = group.succeed(suite(1), succession, client.signer.as_ref(), config(), &now(), rng).map(drop);
    assert_eq!(founded.unwrap_err(), Error::Usage(Usage::NotReinitialised));
}

#[test]
fn a_proposal_that_does_not_wait_cannot_be_dropped() {
    let group = &mut room(&["alice", "bob"], 1, config(), &mut keyroom_vectors::rng(63))[0].group;
    let before = group.snapshot().unwrap();
    let dropped = group.drop_proposal(&ProposalRef::from(&[7; 32][..])).map(drop);
    assert_eq!(dropped.unwrap_err(), Error::Usage(Usage::NoSuchProposal));
    assert!(group.snapshot().unwrap() == before);
}

#[test]
fn the_first_commit_of_a_successor_is_found_again_after_a_restart() {
    let rng = &mut keyroom_vectors::rng(17);
    let members = room(&["alice", "bob"], 1, config(), rng);
    let founder = Client::new("alice", suite(1), rng);
    let guest = Client::new("bob", suite(1), rng);
    let succession = Succession {
        successor: side_room(Extensions::new()),
        bundle: founder.bundle(rng),
        members: vec![guest.bundle(rng).key_package],
        welcome_tree: TreeDelivery::Inside,
        group_info: None,
    };
    let old = &members[0].group;
    let (_, created, pending, made) =
        old.succeed(suite(1), succession, founder.signer.as_ref(), config(), &now(), rng).unwrap();
    let mut disk = keyroom_insider::Disk::of(created);
    disk.apply(made);
    let (mut group, _) = disk.open::<Group>(&config()).unwrap();
    let psk = Psk::Resumption {
        usage: ResumptionPskUsage::Branch,
        psk_group_id: old.group_id().clone(),
        psk_epoch: old.epoch(),
    };
    let psks = [(psk, Secret::copy_of(old.resumption_psk(old.epoch()).unwrap()))];
    let inputs = Inputs { now: NOW, psks: &psks };
    let again = disk.attempt(&mut group, |group| group.pending_commit(pending.id, &inputs)).0.unwrap();
    assert_eq!(sent(&again), sent(&pending));
    assert!(admission(&again) == admission(&pending));
    assert_eq!(again.staged().next_context(), pending.staged().next_context());
}

#[test]
fn messages_may_be_read_between_staging_and_applying_a_private_commit() {
    let rng = &mut keyroom_vectors::rng(18);
    let mut members = room(&["alice", "bob", "charlie"], 1, private(), rng);
    let said = members[2].send("meanwhile", rng);
    let bob = &mut members[1];
    let (pending, _) = bob.group.commit().build(bob.client.signer.as_ref(), &now(), rng).unwrap();
    let message = sent(&pending);
    bob.apply(pending);
    members[2].follow(&message);
    let alice = &mut members[0];
    let Received::Commit(staged) = alice.group.process(&message, &now()).unwrap().received else { panic!() };
    assert_eq!(alice.read(&said).1, "charlie");
    let sent = alice.send("mine", rng);
    let verdict = staged.questions().accept_unseen();
    alice.group.apply(staged, &verdict).unwrap();
    assert_eq!(members[1].read(&sent).0, b"mine");
    agree(&members);
}
