//! A backlog read together has the outcomes and leaves the state of one read message by message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::sync::Arc;

use keyroom_crypto::CryptoRng;
use keyroom_insider::{
    Bench, Client, Counting, Disk, Member, Private, below, commit, config, count, now, room_in, seed, suite,
};
use keyroom_mls::error::{Error, Rule};
use keyroom_mls::group::{Backlog, Group, JoinOptions, Received};
use keyroom_mls::record::ChangeSet;
use keyroom_wire::{Encode, LeafIndex, MlsMessage};

/// What an outcome says, to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Data { leaf: LeafIndex, epoch: u64, generation: u32, data: Vec<u8> },
    Proposal,
    Commit,
    Refused(Error),
}

/// What was said; a commit is applied.
fn act(group: &mut Group, outcome: Result<Received, Error>) -> (Said, Option<ChangeSet>) {
    match outcome {
        Ok(Received::Application { sender, epoch, generation, data, .. }) => {
            (Said::Data { leaf: sender.leaf_index, epoch, generation, data }, None)
        }
        Ok(Received::Proposal(_)) => (Said::Proposal, None),
        Ok(Received::Commit(staged)) => {
            let verdict = staged.questions().accept_unseen();
            (Said::Commit, Some(group.apply(staged, &verdict).unwrap().1))
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => (Said::Refused(error), None),
    }
}

/// Reads all of it, and says in how many calls. `store` gets every change set.
fn together(group: &mut Group, disk: &mut Disk, messages: &[&[u8]]) -> (Vec<Said>, usize) {
    let (mut said, mut calls) = (Vec::new(), 0);
    while said.len() < messages.len() {
        let rest = &messages[said.len()..];
        let (backlog, _) = disk.attempt(group, |group| group.process_backlog(rest, &now()));
        let Backlog { outcomes, changes } = backlog.unwrap();
        assert!(!outcomes.is_empty() && outcomes.len() <= rest.len());
        changes.into_iter().for_each(|changes| disk.apply(changes));
        for outcome in outcomes {
            let (what, changes) = act(group, outcome);
            said.push(what);
            changes.into_iter().for_each(|changes| disk.apply(changes));
        }
        calls += 1;
    }
    (said, calls)
}

/// Messages of all members: in order, out of order, twice, damaged; commits and proposals.
fn history(members: &mut [Member], rng: &mut dyn CryptoRng) -> Vec<Vec<u8>> {
    let senders = members.len();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for step in 0..60 {
        let from = below(rng, senders);
        let text = format!("{step} from {from}");
        match below(rng, 20) {
            0 => {
                messages.push(commit(members, from, rng, |builder| builder).0);
                continue;
            }
            1 => messages.push(messages.last().cloned().unwrap_or_default()),
            2 => drop(members[from].send("lost", rng)),
            3 => {
                let mut damaged = members[from].send("damaged", rng);
                let place = below(rng, damaged.len());
                damaged[place] ^= 1 << below(rng, 8);
                messages.push(damaged);
            }
            4 if messages.len() > 1 => {
                let last = messages.len() - 1;
                messages.swap(last, last - 1);
            }
            _ => {}
        }
        messages.push(members[from].send(&text, rng));
    }
    messages
}

#[test]
fn a_backlog_has_the_outcomes_and_leaves_the_state_of_single_messages() {
    for seed in (seed()..).take(count(12)) {
        let mut rng = keyroom_vectors::rng(seed);
        let mut members = room_in(suite(1), &["alice", "bob", "carol", "dave"], config(), &mut rng);
        let mut disk = reader(&mut members, &mut rng);
        let mut lazy = disk.open::<Group>(&config()).unwrap().0;
        let mut other_disk = disk.clone();
        let mut other = disk.open::<Group>(&config()).unwrap().0;
        let messages = history(&mut members, &mut rng);
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();

        let singly: Vec<Said> =
            messages.iter().flat_map(|message| together(&mut other, &mut other_disk, &[message]).0).collect();
        let (said, calls) = together(&mut lazy, &mut disk, &messages);
        assert_eq!(said, singly, "seed {seed}");
        assert!(calls < messages.len(), "seed {seed}: {calls} calls");
        assert_eq!(disk.snapshot(), other_disk.snapshot(), "seed {seed}");
    }
}

/// A fifth member, who is in storage only.
fn reader(members: &mut [Member], rng: &mut dyn CryptoRng) -> Disk {
    let client = Client::new("reader", suite(1), rng);
    let bundles = [client.bundle(rng)];
    let (_, welcome) = commit(members, 0, rng, |builder| builder.add(bundles[0].key_package.clone()));
    let options = JoinOptions::new(&bundles);
    let joining = Group::join(suite(1), &welcome.unwrap(), &options, config(), &now(), rng).unwrap();
    let verdict = joining.questions().accept_unseen();
    Disk::of(joining.accept(&verdict).unwrap().1)
}

/// Alice as she is in storage, twice.
fn readers(bench: &Bench) -> [(Disk, Group); 2] {
    let alice = &bench.members[0].group;
    let config = Arc::new(alice.config().clone());
    let disk = Disk { records: alice.snapshot().unwrap(), version: alice.version() };
    [(); 2].map(|()| (disk.clone(), disk.open::<Group>(&config).unwrap().0))
}

#[test]
fn a_badly_signed_message_among_good_ones_is_refused_alone_and_spends_no_key() {
    let mut bench = Bench::open();
    let mut rng = keyroom_vectors::rng(2);
    let bad = {
        let dana = bench.members[2].client.signer.as_ref();
        let forged = Private { signer: Some(dana), ..Private::text(b"forged") };
        MlsMessage::PrivateMessage(forged.make(&bench.bob(), &mut rng)).to_bytes()
    };
    let mut messages = vec![bench.members[3].send("first", &mut rng), bad];
    messages.extend((0..3).map(|_| bench.members[1].send("good", &mut rng)));
    messages.push(bench.members[2].send("last", &mut rng));
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();

    let [(mut disk, mut group), (mut other_disk, mut other)] = readers(&bench);
    let (said, _) = together(&mut group, &mut disk, &messages);
    assert_eq!(said[1], Said::Refused(Rule::MessageSignature.into()));
    assert_eq!(said.iter().filter(|said| matches!(said, Said::Data { .. })).count(), 5);
    let mut singly = Vec::new();
    for message in messages {
        singly.extend(together(&mut other, &mut other_disk, &[message]).0);
    }
    assert_eq!(said, singly);
    assert_eq!(disk.snapshot(), other_disk.snapshot());
}

#[test]
fn an_empty_backlog_changes_nothing() {
    let mut bench = Bench::open();
    let version = bench.members[0].group.version();
    let Backlog { outcomes, changes } = bench.members[0].group.process_backlog(&[], &now()).unwrap();
    assert!(outcomes.is_empty() && changes.is_none());
    assert_eq!(bench.members[0].group.version(), version);
}

#[test]
fn messages_in_order_are_read_in_one_call_with_one_signature_check_each() {
    let counting = Counting::leaked(suite(1));
    let mut rng = keyroom_vectors::rng(5);
    let mut members = room_in(counting, &["alice", "bob", "carol"], config(), &mut rng);
    let messages: Vec<Vec<u8>> = (0..100).map(|step| members[step % 2].send(&step.to_string(), &mut rng)).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    counting.take();
    let backlog = members[2].group.process_backlog(&messages, &now()).unwrap();
    assert_eq!(backlog.outcomes.len(), 100);
    assert!(backlog.outcomes.iter().all(Result::is_ok));
    assert_eq!(counting.take().verified, 100);
    let changes = backlog.changes.unwrap();
    assert!(changes.writes.len() < 10, "one change set for all: {}", changes.writes.len());
}

#[test]
fn from_storage_a_backlog_of_many_senders_is_read_in_one_call_and_one_round() {
    let mut rng = keyroom_vectors::rng(6);
    let mut members = room_in(suite(1), &["alice", "bob", "carol", "dave"], config(), &mut rng);
    let disk = reader(&mut members, &mut rng);
    let messages: Vec<Vec<u8>> = (0..20).map(|step| members[step % 4].send(&step.to_string(), &mut rng)).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut group = disk.open::<Group>(&config()).unwrap().0;
    let (backlog, rounds) = disk.attempt(&mut group, |group| group.process_backlog(&messages, &now()));
    assert_eq!((backlog.unwrap().outcomes.len(), rounds), (20, 1));
}
