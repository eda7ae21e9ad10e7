//! Section G: private messages and the secret tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Alter, BLANK, Bench, Disk, Private, config, now};
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::error::{Error, Refusal, Rule, Usage};
use keyroom_mls::group::{Group, OutgoingMessage, Received};
use keyroom_mls::padding::Padding;
use keyroom_mls::private_message::{SealError, open_sender_data, random_reuse_guard, seal};
use keyroom_mls::record::{RecordKey, RecordKind, RecordValue};
use keyroom_mls::secret_tree::{RatchetLimits, RatchetType, SecretTree, SecretTreeError};
use keyroom_wire::{
    Commit, Content, ContentType, Decode, Encode, LeafIndex, Limits, MlsMessage, Opaque, PrivateMessage, Proposal,
    ProposalOrRef, Sender, SenderData, WireFormat,
};

fn bytes(message: PrivateMessage) -> Vec<u8> {
    MlsMessage::PrivateMessage(message).to_bytes()
}

fn parsed(message: &[u8]) -> PrivateMessage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::PrivateMessage(message) => message,
        other => panic!("{other:?}"),
    }
}

fn text() -> Private<'static> {
    Private::text(b"text")
}

fn proposal() -> Private<'static> {
    Private::new(Content::Proposal(Proposal::Remove { removed: LeafIndex(3) }))
}

/// Application data and a handshake message, both of which Bob makes in the way that `change` says.
fn both(bench: &Bench, change: impl Fn(Private<'static>) -> Private<'static>) -> [Vec<u8>; 2] {
    let rng = &mut keyroom_vectors::rng(7);
    [text(), proposal()].map(|private| bytes(change(private).make(&bench.bob(), rng)))
}

/// What was refused has burnt no key: the honest messages with the same keys are still read.
#[track_caller]
fn honest_ones_are_read(bench: &mut Bench) {
    let [text, proposal] = both(bench, |private| private);
    assert_eq!(bench.members[0].read(&text).0, b"text");
    let received = bench.members[0].group.process(&proposal, &now()).unwrap().received;
    assert!(matches!(received, Received::Proposal(_)));
}

fn private_policy() -> Arc<Config> {
    Arc::new(Config { handshakes: HandshakePolicy::Private, ..Config::default() })
}

type Header = fn(&mut PrivateMessage);
const HEADER: [Header; 4] = [
    |message| message.group_id = b"other"[..].into(),
    |message| message.epoch -= 1,
    |message| message.content_type = ContentType::Commit,
    |message| message.authenticated_data = b"other"[..].into(),
];

#[test]
fn row_105_sender_data_that_do_not_open_are_refused() {
    let mut bench = Bench::open();
    let changes: [Header; 8] = [
        |message| message.encrypted_sender_data = vec![9; message.encrypted_sender_data.len()].into(),
        |message| message.encrypted_sender_data = Opaque::default(),
        |message| message.encrypted_sender_data = message.encrypted_sender_data.as_slice()[..27].into(),
        |message| message.encrypted_sender_data = [message.encrypted_sender_data.as_slice(), &[0]].concat().into(),
        // The sample is the head of the ciphertext.
        |message| message.ciphertext = [&[1, 2, 3], &message.ciphertext.as_slice()[3..]].concat().into(),
        |message| {
            message.content_type = match message.content_type {
                ContentType::Application => ContentType::Proposal,
                _ => ContentType::Application,
            }
        },
        |message| message.content_type = ContentType::Commit,
        |message| message.epoch = 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for message in both(&bench, |private| private) {
            let mut message = parsed(&message);
            change(&mut message);
            // A handshake message of an epoch before is refused for that; Alice keeps epochs 2 to 4.
            if number == 7 && message.content_type != ContentType::Application {
                continue;
            }
            message.epoch = if number == 7 { bench.members[0].group.epoch() - 1 } else { message.epoch };
            bench.refuses("sender data", &bytes(message), Rule::SenderData);
        }
    }
    honest_ones_are_read(&mut bench);
}

#[test]
fn row_106_sender_data_that_name_no_member_are_refused() {
    let mut bench = Bench::open();
    for leaf in [BLANK, LeafIndex(7), LeafIndex(8), LeafIndex(4_000), LeafIndex(u32::MAX)] {
        for message in both(&bench, |private| Private { leaf: Some(leaf), ..private }) {
            bench.refuses("no member", &message, Rule::SenderNotMember);
        }
    }
    // With the keys of the blank leaf itself, which every member can derive.
    for message in both(&bench, |private| Private { leaf: Some(BLANK), key_of: Some(BLANK), ..private }) {
        bench.refuses("a blank leaf", &message, Rule::SenderNotMember);
    }
    honest_ones_are_read(&mut bench);
}

#[test]
fn row_107_content_is_bound_to_its_header() {
    let mut bench = Bench::open();
    for change in HEADER {
        for message in both(&bench, |private| Private { bound_to: Some(Box::new(change)), ..private }) {
            bench.refuses("bound to another header", &message, Rule::ContentDecryption);
        }
    }
    for message in both(&bench, |private| private) {
        let mut changed = parsed(&message);
        changed.authenticated_data = b"x"[..].into();
        bench.refuses("authenticated data", &bytes(changed), Rule::ContentDecryption);
        for at in [40, 60] {
            let mut changed = parsed(&message);
            let mut ciphertext = changed.ciphertext.into_vec();
            ciphertext[at] ^= 1;
            changed.ciphertext = ciphertext.into();
            bench.refuses("ciphertext", &bytes(changed), Rule::ContentDecryption);
        }
    }
    honest_ones_are_read(&mut bench);
}

#[test]
fn row_108_a_short_ciphertext_is_an_error() {
    let mut bench = Bench::open();
    for length in (0..=33).chain([60]) {
        // Bound together, so that only the length is wrong.
        let cut = move |ciphertext: &mut Vec<u8>| ciphertext.truncate(length);
        for message in both(&bench, |private| Private { ciphertext: Some(Box::new(cut)), ..private }) {
            bench.refuses("short", &message, Rule::ContentDecryption);
        }
        for message in both(&bench, |private| private) {
            let mut message = parsed(&message);
            message.ciphertext = message.ciphertext.as_slice()[..length].into();
            let expected = if length < 32 { Rule::SenderData } else { Rule::ContentDecryption };
            bench.refuses("cut", &bytes(message), expected);
        }
    }
    honest_ones_are_read(&mut bench);
}

#[test]
fn row_109_padding_is_zero() {
    let mut bench = Bench::open();
    let padded = |padding: &'static [u8]| move |plaintext: &mut Vec<u8>| plaintext.extend_from_slice(padding);
    for padding in [&[1][..], &[0, 0, 1], &[1, 0, 0], &[0, 0x80, 0]] {
        for message in both(&bench, |private| Private { plaintext: Some(Box::new(padded(padding))), ..private }) {
            bench.refuses("padding", &message, Rule::PaddingNotZero);
        }
    }
    let zeros = padded(&[0; 500]);
    let [message, _] = both(&bench, |private| Private { plaintext: Some(Box::new(zeros)), ..private });
    assert_eq!(bench.members[0].read(&message).0, b"text");
}

#[test]
fn row_110_content_that_is_not_of_the_announced_type_is_refused() {
    let mut bench = Bench::open();
    let change = |change: fn(&mut Vec<u8>)| move |plaintext: &mut Vec<u8>| change(plaintext);
    let changes: [fn(&mut Vec<u8>); 4] = [
        Vec::clear,
        |plaintext| plaintext.truncate(1),
        |plaintext| plaintext.truncate(20),
        |plaintext| plaintext.fill(0xff),
    ];
    for spoil in changes {
        for message in both(&bench, |private| Private { plaintext: Some(Box::new(change(spoil))), ..private }) {
            bench.refuses("spoilt", &message, Rule::PrivateContent);
        }
    }
    let announced: Header = |message| message.content_type = ContentType::Commit;
    let proposal = Private { header: Some(Box::new(announced)), ..proposal() };
    let message = bytes(proposal.make(&bench.bob(), &mut keyroom_vectors::rng(1)));
    bench.refuses("a proposal as a commit", &message, Rule::PrivateContent);
    honest_ones_are_read(&mut bench);
}

#[test]
fn row_111_a_generation_opens_one_message() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(111);
    for generation in [0, 5, 3] {
        let messages = both(&bench, |private| Private { key_generation: generation, ..private });
        for message in &messages {
            bench.members[0].group.process(message, &now()).unwrap();
            bench.refuses("again", message, Rule::GenerationConsumed);
        }
        let other = Private { key_generation: generation, ..Private::text(b"another") }.make(&bench.bob(), rng);
        bench.refuses("another with the same key", &bytes(other), Rule::GenerationConsumed);
    }
    bench.goes_on();
    let old = bench.members[1].send("late", rng);
    bench.commit(0, |builder| builder);
    assert_eq!(bench.members[0].read(&old).0, b"late");
    bench.refuses("again in an epoch before", &old, Rule::GenerationConsumed);
}

#[test]
fn row_112_a_generation_too_far_ahead_is_refused_before_anything_is_derived() {
    let ratchet = RatchetLimits { max_forward: 20, ..RatchetLimits::default() };
    let mut bench = Bench::new(112, Arc::new(Config { ratchet, ..Config::default() }));
    for generation in [21, 22, 1 << 20, 1 << 31, u32::MAX - 1] {
        for message in both(&bench, |private| Private { generation: Some(generation), ..private }) {
            bench.refuses("far ahead", &message, Refusal::GenerationTooFarAhead);
        }
    }
    // Right up to the limit it opens, and counts from there.
    for message in both(&bench, |private| Private { key_generation: 20, ..private }) {
        bench.members[0].group.process(&message, &now()).unwrap();
    }
    for message in both(&bench, |private| Private { key_generation: 42, ..private }) {
        bench.refuses("far ahead again", &message, Refusal::GenerationTooFarAhead);
    }
    honest_ones_are_read(&mut bench);
}

/// Bytes of skipped keys that a group stores.
fn skipped(group: &Group) -> usize {
    let snapshot = group.snapshot().unwrap();
    snapshot.iter().filter(|(key, _)| key.kind == RecordKind::Skipped).map(|(_, value)| value.len()).sum()
}

#[test]
fn row_113_skipped_keys_are_bounded_for_each_sender_and_for_the_epoch() {
    let ratchet = RatchetLimits { max_forward: 1_000, max_skipped_per_sender: 40, max_skipped_total: 60 };
    let mut bench = Bench::new(113, Arc::new(Config { ratchet, ..Config::default() }));
    let rng = &mut keyroom_vectors::rng(113);
    // Key, nonce and share of a record's head; the index has an entry for each record.
    let most = |keys: usize| keys * (16 + 12) + (keys + 40) * 14;
    let message =
        |bench: &Bench, generation| bytes(Private { key_generation: generation, ..text() }.make(&bench.bob(), rng));
    let [first, second, old, kept] = [100, 900, 858, 870].map({
        let mut message = message;
        let bench = &bench;
        move |generation| message(bench, generation)
    });
    bench.members[0].read(&first);
    assert!(skipped(&bench.members[0].group) <= most(40), "of one sender");
    bench.members[0].read(&second);
    assert!(skipped(&bench.members[0].group) <= most(40), "of one sender who goes on");
    bench.refuses("older than what is kept", &old, Refusal::GenerationNotKept);
    assert_eq!(bench.members[0].read(&kept).0, b"text");
    let rng = &mut keyroom_vectors::rng(114);
    for sender in 2..5 {
        for _ in 0..60 {
            bench.members[sender].send("lost", rng);
        }
        let message = bench.members[sender].send("read", rng);
        bench.members[0].read(&message);
        assert!(skipped(&bench.members[0].group) <= most(60), "of all senders");
    }
    bench.goes_on();
}

#[test]
fn row_114_each_content_type_has_its_own_ratchet() {
    let mut bench = Bench::open();
    let other = |private: Private<'static>| {
        let ratchet = RatchetType::from(private.content.content_type()).other();
        Private { ratchet: Some(ratchet), ..private }
    };
    for message in both(&bench, other) {
        bench.refuses("the other ratchet", &message, Rule::ContentDecryption);
    }
    honest_ones_are_read(&mut bench);
}

/// What a thief of these records can still derive.
fn derived(
    group: &Group,
    records: &BTreeMap<RecordKey, RecordValue>,
    epoch: u64,
    ratchet: RatchetType,
    generation: u32,
) -> Result<(), SecretTreeError> {
    let mut tree = SecretTree::stored(group.suite(), group.tree().depth(), epoch);
    loop {
        match tree.open_key(LeafIndex(1), ratchet, generation, &RatchetLimits::default()) {
            Err(SecretTreeError::Missing(missing)) => {
                let found = missing.0.into_iter().map(|key| (key, records.get(&key).cloned()));
                tree.supply(&found.collect::<Vec<_>>()).unwrap();
            }
            other => return other.map(drop),
        }
    }
}

#[test]
fn row_115_a_used_key_is_gone_in_memory_and_in_storage() {
    let mut bench = Bench::new(115, private_policy());
    let epoch = bench.members[0].group.epoch();
    let mut disk = Disk { records: bench.members[0].group.snapshot().unwrap(), version: 0 };
    disk.version = bench.members[0].group.version();
    let gone = Err(SecretTreeError::Consumed);
    for generation in [0, 4, 2] {
        for (message, ratchet) in both(&bench, |private| Private { key_generation: generation, ..private })
            .into_iter()
            .zip([RatchetType::Application, RatchetType::Handshake])
        {
            let group = &mut bench.members[0].group;
            assert_eq!(derived(group, &disk.records, epoch, ratchet, generation), Ok(()), "before");
            let processed = group.process(&message, &now()).unwrap();
            disk.apply(processed.changes.unwrap());
            let memory = group.snapshot().unwrap();
            assert_eq!(derived(group, &memory, epoch, ratchet, generation), gone, "in memory");
            assert_eq!(derived(group, &disk.records, epoch, ratchet, generation), gone, "in storage");
            // What was skipped, and what comes, is there.
            assert_eq!(derived(group, &memory, epoch, ratchet, 3), Ok(()));
        }
    }
    // The key of a commit goes with the epoch that it ends.
    let rng = &mut keyroom_vectors::rng(115);
    let bob = bench.bob();
    let change = Alter { sent_as: Some(WireFormat::PRIVATE_MESSAGE), ..Alter::default() };
    let signed = bob.commit(Vec::new(), &change, rng).signed();
    let commit = Commit { proposals: Vec::<ProposalOrRef>::new(), path: None };
    let sealed = Private { key_generation: 6, ..Private::new(Content::Commit(commit)) }.seal(&signed, &bob, rng);
    bench.members[0].follow(&bytes(sealed));
    let group = &bench.members[0].group;
    let memory = group.snapshot().unwrap();
    assert_eq!(derived(group, &memory, epoch, RatchetType::Handshake, 6), gone);
    assert_eq!(derived(group, &memory, epoch, RatchetType::Handshake, 7), Ok(()), "late ones may come");
}

#[test]
fn row_116_a_message_that_fails_burns_no_key() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(116);
    let dana = LeafIndex(3);
    let honest = bench.members[2].send("honest", rng);
    // An insider knows Dana's keys and not her signature key: everything opens, and only then it fails.
    for ahead in [0, 1, 900] {
        for (name, private) in [("text", text()), ("proposal", proposal())] {
            let as_dana = Private { leaf: Some(dana), key_of: Some(dana), key_generation: ahead, ..private };
            let forged = bytes(as_dana.make(&bench.bob(), rng));
            bench.refuses(name, &forged, Rule::MessageSignature);
        }
    }
    let spoilt = |plaintext: &mut Vec<u8>| plaintext.push(1);
    let padding = Private { plaintext: Some(Box::new(spoilt)), leaf: Some(dana), key_of: Some(dana), ..text() };
    let padding = bytes(padding.make(&bench.bob(), rng));
    bench.refuses("padding", &padding, Rule::PaddingNotZero);
    let cut = |ciphertext: &mut Vec<u8>| ciphertext[50] ^= 1;
    let cut = Private { ciphertext: Some(Box::new(cut)), leaf: Some(dana), key_of: Some(dana), ..text() };
    let cut = bytes(cut.make(&bench.bob(), rng));
    bench.refuses("ciphertext", &cut, Rule::ContentDecryption);
    // A proposal that opens and verifies, and is refused for what it says.
    let nobody = Private::new(Content::Proposal(Proposal::Remove { removed: BLANK })).make(&bench.bob(), rng);
    bench.refuses("proposal", &bytes(nobody), Rule::RemovedNotMember);
    assert_eq!(bench.members[0].read(&honest), (b"honest".to_vec(), "dana".to_owned()));
    honest_ones_are_read(&mut bench);
}

/// Puts a ratchet of the group's own leaf at a generation, in storage.
fn at_generation(group: &Group, ratchet: RatchetType, generation: u32) -> Disk {
    let mut disk = Disk { records: group.snapshot().unwrap(), version: group.version() };
    let minor = u64::from(group.own_leaf().0) << 1 | u64::from(ratchet == RatchetType::Application);
    let key = RecordKey::new(RecordKind::Ratchet, group.epoch(), minor);
    let mut record = disk.records[&key].to_vec();
    record[1..5].copy_from_slice(&generation.to_be_bytes());
    disk.records.insert(key, record.into());
    disk
}

#[test]
fn row_117_the_last_generation_is_never_used() {
    let mut bench = Bench::open();
    for message in both(&bench, |private| Private { generation: Some(u32::MAX), ..private }) {
        bench.refuses("received", &message, Refusal::RatchetExhausted);
    }
    let rng = &mut keyroom_vectors::rng(117);
    bench.members[1].send("so that there is a ratchet", rng);
    let bob = &bench.members[1];
    let disk = at_generation(&bob.group, RatchetType::Application, u32::MAX - 1);
    let (mut group, _) = disk.open::<Group>(&config()).unwrap();
    let mut send = || {
        let signer = bob.client.signer.as_ref();
        disk.attempt(&mut group, |group| group.encrypt(b"text", b"", signer, rng)).0
    };
    assert_eq!(send().unwrap().generation, u32::MAX - 1);
    assert_eq!(send().unwrap_err(), Error::Refused(Refusal::RatchetExhausted), "sent");
}

/// The reuse guard of a message, as its readers see it.
fn sender_data(bench: &Bench, message: &[u8]) -> SenderData {
    let bob = bench.bob();
    open_sender_data(bob.group.suite(), bob.secrets.sender_data_secret(), &parsed(message)).unwrap()
}

fn sends(group: &mut Group, disk: &Disk, bench: &Bench, rng: &mut dyn CryptoRng) -> OutgoingMessage {
    let signer = bench.members[0].client.signer.as_ref();
    disk.attempt(group, |group| group.encrypt(b"text", b"", signer, &mut *rng)).0.unwrap()
}

#[test]
fn row_118_a_key_is_spent_in_storage_before_its_message_can_leave() {
    let bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(118);
    let alice = &bench.members[0].group;
    let mut disk = Disk { records: alice.snapshot().unwrap(), version: alice.version() };
    let mut guards = Vec::new();
    for generation in 0..4 {
        let (mut group, _) = disk.open::<Group>(&config()).unwrap();
        let sent = sends(&mut group, &disk, &bench, rng);
        let data = sender_data(&bench, &sent.message);
        assert_eq!((data.generation, sent.generation), (generation, generation));
        guards.push(data.reuse_guard);
        // The caller gets the change together with the message. Killed after storing it, whether the message
        // has left or not, the next one takes the next key.
        let kinds: Vec<RecordKind> = sent.changes.writes.keys().map(|key| key.kind).collect();
        assert!(kinds.contains(&RecordKind::Ratchet), "{kinds:?}");
        disk.apply(sent.changes);
    }
    guards.sort_unstable();
    guards.dedup();
    assert_eq!(guards.len(), 4, "a guard is fresh for each message");
}

#[test]
fn row_118_a_store_that_was_rolled_back_uses_a_key_twice_but_no_nonce() {
    let bench = Bench::open();
    let alice = &bench.members[0].group;
    let disk = Disk { records: alice.snapshot().unwrap(), version: alice.version() };
    let [first, second] = [1, 2].map(|seed| {
        let (mut group, _) = disk.open::<Group>(&config()).unwrap();
        sends(&mut group, &disk, &bench, &mut keyroom_vectors::rng(seed)).message
    });
    let (one, two) = (sender_data(&bench, &first), sender_data(&bench, &second));
    assert_eq!(one.generation, two.generation);
    assert_ne!(one.reuse_guard, two.reuse_guard);
    assert_ne!(parsed(&first).ciphertext, parsed(&second).ciphertext);
    // So too for handshake messages.
    let mut bench = Bench::new(118, private_policy());
    let alice = &mut bench.members[0];
    let disk = Disk { records: alice.group.snapshot().unwrap(), version: alice.group.version() };
    let [first, second] = [1, 2].map(|seed| {
        let (mut group, _) = disk.open::<Group>(&private_policy()).unwrap();
        let rng = &mut keyroom_vectors::rng(seed);
        let removed = LeafIndex(3);
        let signer = alice.client.signer.as_ref();
        let proposal = Proposal::Remove { removed };
        disk.attempt(&mut group, |group| group.propose(proposal.clone(), b"", signer, &now(), rng)).0.unwrap().message
    });
    let (one, two) = (sender_data(&bench, &first), sender_data(&bench, &second));
    assert_eq!(one.generation, two.generation);
    assert_ne!(one.reuse_guard, two.reuse_guard);
}

#[test]
fn row_119_nobody_but_a_member_sends_a_private_message() {
    let bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(119);
    let bob = bench.bob();
    for sender in [Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit] {
        let content = bob.framed(sender, Content::Proposal(Proposal::Remove { removed: LeafIndex(3) }));
        let signed = bob.sign(content, WireFormat::PRIVATE_MESSAGE, bob.signer, rng);
        let key = bob.key(LeafIndex(1), RatchetType::Handshake, 0);
        let guard = random_reuse_guard(rng);
        let sealed = seal(bob.group.suite(), bob.secrets.sender_data_secret(), key, guard, &signed, Padding::None);
        assert_eq!(sealed, Err(SealError::SenderNotMember));
    }
    assert_eq!(Error::from(SealError::SenderNotMember), Error::Usage(Usage::WrongMessageKind));
    // Nor is what a member has signed to be sent in the open.
    let content = bob.framed(bob.sender(), Content::Proposal(Proposal::Remove { removed: LeafIndex(3) }));
    let signed = bob.sign(content, WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
    let key = bob.key(LeafIndex(1), RatchetType::Handshake, 0);
    let guard = random_reuse_guard(rng);
    let sealed = seal(bob.group.suite(), bob.secrets.sender_data_secret(), key, guard, &signed, Padding::None);
    assert_eq!(sealed, Err(SealError::WireFormat));
}
