//! Section N: PSKs, extensions, and what must not be kept.

use std::sync::Arc;

use keyroom_crypto::Secret;
use keyroom_insider::{
    Alter, Bench, Client, Counting, NOW, Private, SecretParts, agree, config, now, resigned, room, sent, suite,
};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Rule};
use keyroom_mls::group::{Founder, Group, JoinOptions, Received};
use keyroom_mls::identity::{Judgement, Question};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{capabilities_for, lifetime_from};
use keyroom_mls::record::RecordKind;
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, Encode, ExtensionType, Extensions, ExternalSender, GroupInfo, LeafIndex,
    MlsMessage, PreSharedKeyId, Proposal, ProposalType, ProtocolVersion, Psk, ReInit, RequiredCapabilities,
    ResumptionPskUsage,
};

use super::readers::{Readers, leaf, rng};

/// A PSK of the application, and its proposal.
fn external(name: &str) -> (PreSharedKeyId, Secret) {
    let psk = Psk::External { psk_id: name.as_bytes().to_vec().into() };
    (PreSharedKeyId { psk, psk_nonce: vec![7; 32].into() }, Secret::copy_of(name.as_bytes()))
}

fn proposal((psk, _): &(PreSharedKeyId, Secret)) -> Proposal {
    Proposal::PreSharedKey { psk: psk.clone() }
}

fn duplicate((psk, secret): &(PreSharedKeyId, Secret)) -> (PreSharedKeyId, Secret) {
    (psk.clone(), secret.duplicate())
}

fn held(psks: &[(PreSharedKeyId, Secret)]) -> Vec<(Psk, Secret)> {
    psks.iter().map(|(id, secret)| (id.psk.clone(), secret.duplicate())).collect()
}

#[test]
fn row_229_psks_count_in_the_order_of_the_commit() {
    let (one, two) = (external("one"), external("two"));
    let inputs = held(&[duplicate(&one), duplicate(&two)]);
    let inputs = Inputs { now: NOW, psks: &inputs };
    // Whose commit says one order and whose keys come from another is refused by its tag.
    let mut bench = Bench::open();
    for (psks, expected) in [
        (vec![duplicate(&one), duplicate(&two)], None),
        (vec![duplicate(&two), duplicate(&one)], Some(Rule::ConfirmationTag)),
    ] {
        let change = Alter { psks, ..Alter::default() };
        let message = bench.bob().commit(vec![proposal(&one), proposal(&two)], &change, &mut rng()).bytes();
        let before = bench.members[0].group.snapshot().unwrap();
        let outcome = bench.members[0].group.process(&message, &inputs).map(|_| ());
        assert_eq!(outcome.err(), expected.map(Error::Rule));
        assert!(bench.members[0].group.snapshot().unwrap() == before);
    }
    // A Welcome that lists them in another order does not even open.
    let readers = Readers::new();
    let mut forged = readers.forged();
    forged.psks = vec![duplicate(&one), duplicate(&two)];
    let sealed = forged.seal(&mut rng());
    let info = sealed.info(|_| {}, &mut rng()).to_bytes();
    for (psks, expected) in [
        (vec![one.0.clone(), two.0.clone()], Ok(())),
        (vec![two.0.clone(), one.0.clone()], Err(Error::Rule(Rule::GroupInfoDecryption))),
    ] {
        let parts = SecretParts { psks, ..SecretParts::default() };
        let welcome = sealed.welcome(&info, &readers.guest.key_package, parts, &mut rng());
        let welcome = MlsMessage::Welcome(welcome).to_bytes();
        let options = JoinOptions::new(std::slice::from_ref(&readers.guest));
        assert_eq!(Group::join(suite(1), &welcome, &options, config(), &inputs, &mut rng()).map(|_| ()), expected);
    }
    bench.goes_on();
}

#[test]
fn row_230_more_psks_than_the_limit_are_refused_before_any_of_them_is_worked_on() {
    let psks: Vec<_> = (0..65).map(|n| external(&format!("psk {n}"))).collect();
    let mut bench = Bench::open();
    let message = bench.bob().commit(psks.iter().map(proposal).collect(), &Alter::default(), &mut rng()).bytes();
    bench.refuses("in a commit", &message, Refusal::TooManyPsks);
    let alice = &mut bench.members[0];
    let mut builder = alice.group.commit();
    for (id, _) in &psks {
        builder = builder.psk(id.psk.clone());
    }
    let held = held(&psks);
    let inputs = Inputs { now: NOW, psks: &held };
    let own = builder.build(alice.client.signer.as_ref(), &inputs, &mut rng());
    assert_eq!(own.map(|_| ()), Err(Refusal::TooManyPsks.into()));
    // In a Welcome, where each would cost three extractions and expansions.
    let readers = Readers::new();
    let forged = readers.forged();
    let sealed = forged.seal(&mut rng());
    let info = sealed.info(|_| {}, &mut rng()).to_bytes();
    let counting = Counting::leaked(suite(1));
    let outcome = |count: usize, inputs: &Inputs<'_>| {
        let psks = psks[..count].iter().map(|(id, _)| id.clone()).collect();
        let parts = SecretParts { psks, ..SecretParts::default() };
        let welcome = sealed.welcome(&info, &readers.guest.key_package, parts, &mut rng());
        let welcome = MlsMessage::Welcome(welcome).to_bytes();
        let options = JoinOptions::new(std::slice::from_ref(&readers.guest));
        counting.take();
        let joined = Group::join(counting, &welcome, &options, config(), inputs, &mut rng()).map(|_| ());
        (joined, counting.take().kdf)
    };
    let (most, work) = outcome(64, &inputs);
    assert_eq!(most, Err(Rule::GroupInfoDecryption.into()), "they were mixed in, and Bob did not");
    assert!(work >= 3 * 64, "{work}");
    for (held, inputs) in [("at hand", inputs), ("not at hand, and not asked for", now())] {
        let (more, work) = outcome(65, &inputs);
        assert_eq!(more, Err(Refusal::TooManyPsks.into()), "{held}");
        assert!(work < 32, "{work}");
    }
    bench.goes_on();
}

#[test]
fn row_231_resumption_psks_are_kept_for_so_many_epochs_and_no_longer() {
    let mut bench = Bench::new(1, Arc::new(Config { resumption_epochs: 2, ..Config::default() }));
    let first = bench.members[1].group.epoch();
    let secret = Secret::copy_of(bench.members[1].group.resumption_psk(first).unwrap());
    let psk = Psk::Resumption {
        usage: ResumptionPskUsage::Application,
        psk_group_id: bench.members[1].group.group_id().clone(),
        psk_epoch: first,
    };
    let entry = (PreSharedKeyId { psk: psk.clone(), psk_nonce: vec![7; 32].into() }, secret);
    let made = |bench: &Bench| {
        let change = Alter { psks: vec![duplicate(&entry)], ..Alter::default() };
        bench.bob().commit(vec![proposal(&entry)], &change, &mut rng()).bytes()
    };
    bench.goes_on();
    let message = made(&bench);
    assert!(bench.members[0].group.process(&message, &now()).is_ok(), "two epochs on it is still there");
    bench.goes_on();
    let message = made(&bench);
    bench.refuses("beyond the window", &message, NotYet::Psks(vec![psk.clone()]));
    assert_eq!(bench.members[0].group.resumption_psk(first), None);
    let alice = &mut bench.members[0];
    let own = alice.group.commit().psk(psk.clone()).build(alice.client.signer.as_ref(), &now(), &mut rng());
    assert_eq!(own.map(|_| ()), Err(NotYet::Psks(vec![psk]).into()));
    bench.goes_on();
}

/// Extensions with one type twice.
fn twice(extensions: &mut Extensions) {
    extensions.set(ExtensionType(0xff05), Vec::new());
    let one = extensions.list.last().unwrap().clone();
    extensions.list.push(one);
}

fn one(extension_type: ExtensionType, data: Vec<u8>) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.set(extension_type, data);
    extensions
}

/// Messages of Bob that put these extensions into the group, a key package, its leaf and his own leaf.
fn commits_with(
    bench: &mut Bench,
    in_group: &Extensions,
    in_package: &Extensions,
    in_leaf: &Extensions,
) -> Vec<(&'static str, Vec<u8>)> {
    let (gina, bundle) = bench.newcomer("gina");
    let bob = bench.bob();
    let rng = &mut rng();
    let extensions = Proposal::GroupContextExtensions { extensions: in_group.clone() };
    let mut package = bundle.key_package.clone();
    package.extensions = in_package.clone();
    let package = Proposal::Add { key_package: Box::new(resigned(package, &gina, rng)) };
    let mut leaf = bundle.key_package;
    leaf.leaf_node.extensions = in_leaf.clone();
    leaf.leaf_node.capabilities.extensions.push(ExtensionType(0xff05));
    let leaf = Proposal::Add { key_package: Box::new(resigned(leaf, &gina, rng)) };
    let own = Alter {
        parts: Some(Box::new(|parts| {
            parts.extensions = in_leaf.clone();
            parts.capabilities.extensions.push(ExtensionType(0xff05));
        })),
        ..Alter::default()
    };
    let honest = Alter::default();
    vec![
        ("in the group", bob.commit(vec![extensions], &honest, rng).bytes()),
        ("in a key package", bob.commit(vec![package], &honest, rng).bytes()),
        ("in the leaf of a key package", bob.commit(vec![leaf], &honest, rng).bytes()),
        ("in a leaf", bob.commit(Vec::new(), &own, rng).bytes()),
    ]
}

#[test]
fn row_232_one_extension_type_twice_is_refused_in_every_list() {
    let mut bench = Bench::open();
    let mut list = Extensions::new();
    twice(&mut list);
    for (name, message) in commits_with(&mut bench, &list, &list, &list) {
        bench.refuses(name, &message, Rule::DuplicateExtension);
    }
    let reinit = ReInit {
        group_id: b"next"[..].into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(1),
        extensions: list,
    };
    let message = bench.bob().commit(vec![Proposal::ReInit(reinit)], &Alter::default(), &mut rng()).bytes();
    bench.refuses("in a successor", &message, Rule::DuplicateExtension);
    bench.goes_on();
    // In what joiners read.
    let readers = Readers::new();
    readers.refuse(Rule::DuplicateExtension, |forged| twice(&mut forged.context.extensions));
    leaf(&readers, Rule::DuplicateExtension, |leaf| {
        leaf.capabilities.extensions.push(ExtensionType(0xff05));
        twice(&mut leaf.extensions);
    });
    let refused = || Err(Error::Rule(Rule::DuplicateExtension));
    let forged = readers.forged();
    assert_eq!(readers.outcomes(&forged, |info| twice(&mut info.extensions)), [refused(), refused(), refused()]);
}

#[test]
fn row_233_a_known_extension_that_does_not_parse_is_refused_in_every_list() {
    let mut bench = Bench::open();
    let in_package = one(ExtensionType::LAST_RESORT, vec![0]);
    let in_leaf = one(ExtensionType::APPLICATION_ID, vec![9]);
    for extension_type in [ExtensionType::REQUIRED_CAPABILITIES, ExtensionType::EXTERNAL_SENDERS] {
        for data in [vec![9], vec![0, 0, 0, 0], vec![0x40]] {
            let in_group = one(extension_type, data);
            for (name, message) in commits_with(&mut bench, &in_group, &in_package, &in_leaf) {
                bench.refuses(name, &message, Rule::MalformedExtension);
            }
        }
    }
    bench.goes_on();
    // In what joiners read.
    let readers = Readers::new();
    for extension_type in [ExtensionType::REQUIRED_CAPABILITIES, ExtensionType::EXTERNAL_SENDERS] {
        readers.refuse(Rule::MalformedExtension, |forged| forged.context.extensions.set(extension_type, vec![9]));
    }
    let forged = readers.forged();
    let refused = || Err(Error::Rule(Rule::MalformedExtension));
    let damaged = |info: &mut GroupInfo| info.extensions.set(ExtensionType::EXTERNAL_PUB, vec![9]);
    assert_eq!(readers.outcomes(&forged, damaged), [refused(), refused(), refused()]);
}

/// External senders that nobody can verify, that members do not know, and too many.
fn bad_senders(signature_key: keyroom_wire::SignaturePublicKey) -> Vec<(Vec<ExternalSender>, Rule)> {
    let custom = Credential::Other { credential_type: CredentialType(0xff01), body: vec![1].into() };
    let basic = || Credential::basic(b"server".to_vec());
    let strange = ExternalSender { signature_key: signature_key.clone(), credential: custom };
    let other_suite = ExternalSender { signature_key: vec![4; 65].as_slice().into(), credential: basic() };
    let known = ExternalSender { signature_key, credential: basic() };
    vec![
        (vec![strange], Rule::ExternalSenderCredential),
        (vec![other_suite], Rule::InvalidPublicKey),
        (vec![known; 257], Rule::TooManyExternalSenders),
    ]
}

#[test]
fn row_234_external_senders_must_be_few_known_to_all_and_have_keys_of_the_suite() {
    let readers = Readers::new();
    let mut bench = Bench::open();
    let client = Client::new("server", suite(1), &mut rng());
    for (senders, expected) in bad_senders(client.signer.public_key().clone()) {
        let extensions = one(ExtensionType::EXTERNAL_SENDERS, senders.to_bytes());
        let proposal = Proposal::GroupContextExtensions { extensions: extensions.clone() };
        let message = bench.bob().commit(vec![proposal], &Alter::default(), &mut rng()).bytes();
        bench.refuses("in a commit", &message, expected);
        let alice = &mut bench.members[0];
        let own = alice.group.commit().extensions(extensions.clone());
        let own = own.build(alice.client.signer.as_ref(), &now(), &mut rng());
        assert_eq!(own.map(|_| ()), Err(expected.into()));
        let founded = found(extensions.clone(), client.bundle(&mut rng()));
        assert_eq!(founded.map(|_| ()), Err(expected.into()));
        readers.refuse(expected, |forged| forged.context.extensions = extensions.clone());
    }
    // Which variants these are.
    let all = [Rule::ExternalSenderCredential, Rule::InvalidPublicKey, Rule::TooManyExternalSenders];
    assert_eq!(
        bad_senders(client.signer.public_key().clone()).into_iter().map(|(_, rule)| rule).collect::<Vec<_>>(),
        all
    );
    bench.goes_on();
}

fn found(extensions: Extensions, bundle: KeyPackageBundle) -> Result<Group, Error> {
    let founder = Founder { bundle, group_id: b"new"[..].into(), extensions };
    Group::create(suite(1), founder, config(), &now(), &mut rng()).map(|(group, _)| group)
}

#[test]
fn row_235_nobody_requires_what_it_lacks_itself_or_more_than_a_leaf_can_list() {
    let alice = Client::new("alice", suite(1), &mut rng());
    let required = |change: fn(&mut RequiredCapabilities)| {
        let mut required = RequiredCapabilities::default();
        change(&mut required);
        one(ExtensionType::REQUIRED_CAPABILITIES, required.to_bytes())
    };
    let too_many = required(|r| r.proposal_types = (0..1_025).map(|n| ProposalType(0x8000 + n)).collect());
    let cases = [
        (required(|r| r.extension_types.push(ExtensionType(0xff05))), Rule::LeafLacksRequiredExtension),
        (required(|r| r.proposal_types.push(ProposalType(0xff06))), Rule::LeafLacksRequiredProposal),
        (required(|r| r.credential_types.push(CredentialType(0xff01))), Rule::LeafLacksRequiredCredential),
        (too_many, Rule::TooManyRequiredCapabilities),
    ];
    let mut bench = Bench::open();
    let readers = Readers::new();
    for (extensions, expected) in cases {
        let founded = found(extensions.clone(), alice.bundle(&mut rng()));
        assert_eq!(founded.map(|_| ()), Err(expected.into()));
        // Later it is the members who lack it.
        let later = match expected {
            Rule::TooManyRequiredCapabilities => expected,
            _ => Rule::RequiredCapabilityNotSupported,
        };
        let proposal = Proposal::GroupContextExtensions { extensions: extensions.clone() };
        let message = bench.bob().commit(vec![proposal], &Alter::default(), &mut rng()).bytes();
        bench.refuses("in a commit", &message, later);
        readers.refuse(expected, |forged| forged.context.extensions = extensions.clone());
    }
    assert!(found(required(|_| {}), alice.bundle(&mut rng())).is_ok());
    bench.goes_on();
}

/// A key package of a client that supports these suites.
fn supporting(name: &'static str, suites: &[u16]) -> (Client, KeyPackageBundle) {
    let rng = &mut keyroom_vectors::rng(name.len().try_into().unwrap());
    let client = Client::new(name, suite(1), rng);
    let capabilities = capabilities_for(suites.iter().copied().map(CipherSuite), [CredentialType::BASIC]);
    let builder = KeyPackageBuilder::new(suite(1), Credential::basic(name.as_bytes()), lifetime_from(NOW, 1000));
    let bundle = builder.capabilities(capabilities).build(client.signer.as_ref(), rng).unwrap();
    (client, bundle)
}

#[test]
fn row_236_a_founder_answers_for_its_cipher_suite_if_all_first_members_support_another() {
    type Guests = &'static [&'static [u16]];
    let cases: [(Guests, Option<Vec<CipherSuite>>); 4] = [
        (&[&[1, 3, 2], &[2, 1, 3]], Some(vec![CipherSuite(2), CipherSuite(3)])),
        (&[&[1, 3], &[1, 2, 3]], Some(vec![CipherSuite(3)])),
        (&[&[1, 2], &[1, 3]], None),
        (&[&[1, 0x0a0a]], None),
    ];
    for (guests, others) in cases {
        let (alice, bundle) = supporting("alice", &[1, 2, 3, 0x0a0a]);
        let mut group = found(Extensions::new(), bundle).unwrap();
        let mut builder = group.commit();
        for (name, suites) in ["bob", "dana"].into_iter().zip(guests) {
            builder = builder.add(supporting(name, suites).1.key_package);
        }
        let (pending, _) = builder.build(alice.signer.as_ref(), &now(), &mut rng()).unwrap();
        let asked = |question: &&Question| matches!(question, Question::CipherSuite { .. });
        let expected = others.map(|others| Question::CipherSuite { chosen: CipherSuite(1), others });
        assert_eq!(pending.questions().iter().find(asked), expected.as_ref());
        // Without an answer the commit takes no effect.
        let judged =
            pending.questions().judge(|question| if asked(&question) { Judgement::Reject } else { Judgement::Accept });
        assert_eq!(judged.is_err(), expected.is_some());
        let verdict = pending.questions().accept_unseen();
        group.apply(pending.into_staged(), &verdict).unwrap();
        assert_eq!(group.epoch(), 1);
        // Whoever comes later finds the suite as it is.
        let (_, later) = supporting("charlie", &[1, 2, 3]);
        let builder = group.commit().add(later.key_package);
        let rng = &mut keyroom_vectors::rng(72);
        let (pending, _) = builder.build(alice.signer.as_ref(), &now(), rng).unwrap();
        assert_eq!(pending.questions().iter().find(asked), None);
    }
}

/// Whether any record of a group holds these bytes.
fn stored(group: &Group, secret: &[u8]) -> bool {
    let records = group.snapshot().unwrap();
    records.values().any(|record| record.windows(secret.len()).any(|part| part == secret))
}

/// The private keys of a member's path, its leaf's first.
fn path_keys(group: &Group) -> Vec<Vec<u8>> {
    let records = group.snapshot().unwrap();
    let (_, record) = records.iter().find(|(key, _)| key.kind == RecordKind::PathKeys).unwrap();
    // A version, and for each key its height and its length.
    record[1..].chunks(34).map(|entry| entry[2..].to_vec()).collect()
}

#[test]
fn row_237_secrets_of_an_epoch_are_gone_when_its_window_has_passed() {
    let mut bench = Bench::new(1, Arc::new(Config { past_epochs: 1, ..Config::default() }));
    let old = bench.members[0].group.epoch();
    let bob = bench.bob();
    let secrets = [
        bob.secrets.init_secret().expose().to_vec(),
        bob.secrets.confirmation_key().expose().to_vec(),
        bob.secrets.membership_key().expose().to_vec(),
        bob.secrets.exporter_secret().expose().to_vec(),
        bob.secrets.external_secret().expose().to_vec(),
        bob.secrets.sender_data_secret().expose().to_vec(),
    ];
    let keys = path_keys(&bench.members[0].group);
    assert!(keys.len() > 2);
    let group = &bench.members[0].group;
    assert!(secrets.iter().chain(&keys).all(|secret| stored(group, secret)), "the search finds what is kept");
    // Alice commits, and with that all her keys are replaced; of the epoch only late messages are read.
    bench.commit(0, |builder| builder);
    let group = &bench.members[0].group;
    assert!(secrets[..5].iter().chain(&keys).all(|secret| !stored(group, secret)));
    assert!(stored(group, &secrets[5]));
    bench.commit(0, |builder| builder);
    for member in &bench.members {
        assert!(!stored(&member.group, &secrets[5]));
        let of_old = |kind: &RecordKind| {
            matches!(kind, RecordKind::Epoch | RecordKind::Secrets | RecordKind::Ratchet | RecordKind::Skipped)
        };
        let records = member.group.snapshot().unwrap();
        assert!(records.keys().all(|key| !of_old(&key.kind) || key.major > old));
    }
    bench.goes_on();
}

#[test]
fn row_237_the_key_of_a_message_is_gone_once_it_has_been_read() {
    let mut bench = Bench::open();
    let message = bench.members[1].send("once", &mut rng());
    bench.members[0].read(&message);
    bench.refuses("again", &message, Rule::GenerationConsumed);
    let again = bench.members[1].send("twice", &mut rng());
    bench.members[0].read(&again);
    bench.goes_on();
}

#[test]
fn row_238_commits_that_lost_and_epochs_that_were_left_are_not_kept() {
    let mut bench = Bench::new(1, Arc::new(Config { past_epochs: 2, ..Config::default() }));
    let count =
        |group: &Group, kind: RecordKind| group.snapshot().unwrap().keys().filter(|key| key.kind == kind).count();
    let alice = &mut bench.members[0];
    for _ in 0..3 {
        alice.group.commit().build(alice.client.signer.as_ref(), &now(), &mut rng()).unwrap();
    }
    assert_eq!(count(&alice.group, RecordKind::Pending), 3);
    // A staged commit is a value: what is dropped leaves nothing.
    let bob = &mut bench.members[1];
    let (made, _) = bob.group.commit().build(bob.client.signer.as_ref(), &now(), &mut rng()).unwrap();
    let before = bench.members[3].group.snapshot().unwrap();
    let staged = bench.members[3].group.process(&sent(&made), &now()).unwrap().received;
    assert!(matches!(staged, Received::Commit(_)));
    drop(staged);
    assert!(bench.members[3].group.snapshot().unwrap() == before);
    bench.commit(1, |builder| builder);
    for member in &bench.members {
        assert_eq!(count(&member.group, RecordKind::Pending), 0, "commits that lost are forgotten");
    }
    for _ in 0..4 {
        bench.goes_on();
        for member in &bench.members {
            assert_eq!(count(&member.group, RecordKind::Epoch), 3, "the current epoch and two before it");
            assert_eq!(count(&member.group, RecordKind::PastLeaves), 2);
        }
    }
    let changes = bench.members[0].group.expire(NOW + 8 * 24 * 3600).unwrap();
    assert!(changes.is_some());
    assert_eq!(count(&bench.members[0].group, RecordKind::Epoch), 1, "after a week only the current one");
}

#[test]
fn row_239_members_who_were_led_apart_see_it_by_their_epoch_authenticators() {
    let mut members = room(&["alice", "bob", "charlie", "dana"], 1, config(), &mut rng());
    agree(&members);
    let same = members[0].group.epoch_authenticator().to_vec();
    // The Delivery Service shows Charlie the commit of Alice and Dana that of Bob.
    for (from, to) in [(0, 2), (1, 3)] {
        let member = &mut members[from];
        let (pending, _) = member.group.commit().build(member.client.signer.as_ref(), &now(), &mut rng()).unwrap();
        let message = sent(&pending);
        member.apply(pending);
        members[to].follow(&message);
    }
    let seen: Vec<_> = members.iter().map(|member| member.group.epoch_authenticator().to_vec()).collect();
    assert!(members.iter().all(|member| member.group.epoch() == members[0].group.epoch()));
    assert_eq!((&seen[0], &seen[1]), (&seen[2], &seen[3]));
    assert_ne!(seen[0], seen[1]);
    assert!(!seen.contains(&same));
}

#[test]
fn row_240_the_generation_of_a_message_is_shown_so_that_a_copy_at_another_one_can_be_told() {
    let mut bench = Bench::open();
    // What Alice has signed once, Bob can encrypt again with another of her keys: the signature does not
    // cover the generation, and all members can derive the keys of all.
    let (alice, bob) = (&bench.members[0], bench.bob());
    let signer = alice.client.signer.as_ref();
    let mut copies = Vec::new();
    for generation in [0, 4] {
        let copy = Private {
            signer: Some(signer),
            leaf: Some(LeafIndex(0)),
            key_of: Some(LeafIndex(0)),
            key_generation: generation,
            ..Private::text(b"pay")
        };
        copies.push(MlsMessage::PrivateMessage(copy.make(&bob, &mut rng())).to_bytes());
    }
    let generations: Vec<u32> = copies
        .iter()
        .map(|copy| match bench.members[3].group.process(copy, &now()).unwrap().received {
            Received::Application { generation, data, .. } if data == b"pay" => generation,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(generations, [0, 4]);
    assert_eq!(bench.members[0].group.next_generation(), Ok(0), "what an honest sender binds its message to");
    let alice = &mut bench.members[0];
    let sent = alice.group.encrypt(b"", b"", alice.client.signer.as_ref(), &mut rng()).unwrap();
    assert_eq!(sent.generation, 0);
    assert_eq!(bench.members[0].group.next_generation(), Ok(1));
}
