//! Sections F and G: framing, private messages, the secret tree.

use std::sync::Arc;

use keyroom_crypto::Secret;
use keyroom_insider::{Alter, BLANK, Bench, INFO, now};
use keyroom_mls::config::{Config, HandshakePolicy, Inputs};
use keyroom_mls::error::{Error, NotYet, Refusal, Rule, Usage};
use keyroom_mls::private_message;
use keyroom_mls::secret_tree::{MessageKey, RatchetType};
use keyroom_wire::{
    Commit, Content, Encode, LeafIndex, Mac, MlsMessage, Opaque, PrivateMessage, Proposal, PublicMessage, Sender,
    SenderData, Signature, WireFormat,
};

fn bytes(message: PublicMessage) -> Vec<u8> {
    MlsMessage::PublicMessage(message).to_bytes()
}

fn psk_proposal(nonce: usize) -> Proposal {
    let psk = keyroom_wire::Psk::External { psk_id: b"known"[..].into() };
    Proposal::PreSharedKey { psk: keyroom_wire::PreSharedKeyId { psk, psk_nonce: vec![7; nonce].into() } }
}

#[test]
fn a_public_message_must_be_from_here_now_and_its_sender() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(2);
    let honest = bench.bob().commit(Vec::new(), &Alter::default(), rng);
    let cases: Vec<(&str, Alter<'_>, Error)> = vec![
        (
            "82 another group",
            Alter { content: Some(Box::new(|content| content.group_id = b"other"[..].into())), ..Alter::default() },
            Rule::WrongGroup.into(),
        ),
        (
            "83 an epoch before",
            Alter { content: Some(Box::new(|content| content.epoch -= 1)), ..Alter::default() },
            Rule::WrongEpoch.into(),
        ),
        (
            "84 a later epoch",
            Alter { content: Some(Box::new(|content| content.epoch += 1)), ..Alter::default() },
            NotYet::FutureEpoch { epoch: honest.message.content.epoch + 1 }.into(),
        ),
        (
            "87 a blank leaf",
            Alter { content: Some(Box::new(|content| content.sender = Sender::Member(BLANK))), ..Alter::default() },
            Rule::SenderNotMember.into(),
        ),
        (
            "87 a leaf outside the tree",
            Alter {
                content: Some(Box::new(|content| content.sender = Sender::Member(LeafIndex(u32::MAX)))),
                ..Alter::default()
            },
            Rule::SenderNotMember.into(),
        ),
        (
            "98 as another member",
            Alter {
                content: Some(Box::new(|content| content.sender = Sender::Member(LeafIndex(3)))),
                ..Alter::default()
            },
            Rule::MessageSignature.into(),
        ),
        (
            "98 a signature with one bit changed",
            Alter {
                auth: Some(Box::new(|auth| {
                    let mut signature = auth.signature.as_slice().to_vec();
                    signature[40] ^= 1;
                    auth.signature = signature.into();
                })),
                ..Alter::default()
            },
            Rule::MessageSignature.into(),
        ),
        (
            "98 no signature",
            Alter { auth: Some(Box::new(|auth| auth.signature = Signature::default())), ..Alter::default() },
            Rule::MessageSignature.into(),
        ),
        (
            "99 a signature for a private message",
            Alter { wire_format: Some(WireFormat::PRIVATE_MESSAGE), ..Alter::default() },
            Rule::MessageSignature.into(),
        ),
    ];
    for (name, change, expected) in cases {
        let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
        bench.refuses(name, &message, expected);
    }
    bench.goes_on();
}

#[test]
fn tags_count_in_full_length_only() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(3);
    let shorten: [(&str, fn(&[u8]) -> Vec<u8>); 6] = [
        ("empty", |_| Vec::new()),
        ("one byte", |tag| tag[..1].to_vec()),
        ("one byte short", |tag| tag[..tag.len() - 1].to_vec()),
        ("one byte more", |tag| [tag, &[0]].concat()),
        ("last bit", |tag| tag.iter().enumerate().map(|(n, b)| if n + 1 == tag.len() { b ^ 1 } else { *b }).collect()),
        ("zeros", |tag| vec![0; tag.len()]),
    ];
    for (name, damage) in shorten {
        let change = Alter {
            message: Some(Box::new(move |message: &mut PublicMessage| {
                let tag = message.membership_tag.as_ref().unwrap().as_slice();
                message.membership_tag = Some(damage(tag).as_slice().into());
            })),
            ..Alter::default()
        };
        let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
        bench.refuses(&format!("97 membership tag: {name}"), &message, Rule::MembershipTag);
        let change = Alter {
            auth: Some(Box::new(move |auth| {
                let tag = auth.confirmation_tag.as_ref().unwrap().as_slice();
                auth.confirmation_tag = Some(damage(tag).as_slice().into());
            })),
            ..Alter::default()
        };
        let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
        bench.refuses(&format!("102 confirmation tag: {name}"), &message, Rule::ConfirmationTag);
    }
    let stale: Mac = bench.bob().secrets.confirmation_tag(keyroom_insider::suite(1), b"old");
    let change =
        Alter { auth: Some(Box::new(move |auth| auth.confirmation_tag = Some(stale.clone()))), ..Alter::default() };
    let message = bench.bob().commit(Vec::new(), &change, rng).bytes();
    bench.refuses("102 a tag of the old epoch", &message, Rule::ConfirmationTag);
    bench.goes_on();
}

#[test]
fn who_may_send_what() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(4);
    let remove = || Content::Proposal(Proposal::Remove { removed: LeafIndex(3) });
    let commit = || Content::Commit(Commit { proposals: Vec::new(), path: None });
    let (client, bundle) = bench.newcomer("gina");
    let add = || Content::Proposal(Proposal::Add { key_package: Box::new(bundle.key_package.clone()) });
    let cases = [
        ("86", bench.bob().sender(), Content::Application(Opaque::default()), Rule::ApplicationInPublicMessage),
        ("88", Sender::External(0), remove(), Rule::UnknownExternalSender),
        ("88 far", Sender::External(u32::MAX), remove(), Rule::UnknownExternalSender),
        ("89", Sender::External(0), commit(), Rule::SenderMayNotSend),
        (
            "90",
            Sender::External(0),
            Content::Proposal(Proposal::ExternalInit { kem_output: vec![0; 32].into() }),
            Rule::SenderMayNotPropose,
        ),
        ("91", Sender::NewMemberProposal, commit(), Rule::SenderMayNotSend),
        ("92 no add", Sender::NewMemberProposal, remove(), Rule::SenderMayNotPropose),
        ("92 another key", Sender::NewMemberProposal, add(), Rule::MessageSignature),
        ("93", Sender::NewMemberCommit, remove(), Rule::SenderMayNotSend),
        ("162", Sender::NewMemberCommit, commit(), Rule::PathMissing),
        (
            "120",
            Sender::Member(LeafIndex(1)),
            Content::Proposal(Proposal::Remove { removed: BLANK }),
            Rule::RemovedNotMember,
        ),
        (
            "124",
            Sender::Member(LeafIndex(1)),
            Content::Proposal(Proposal::Remove { removed: LeafIndex(1 << 30) }),
            Rule::RemovedNotMember,
        ),
        (
            "130",
            Sender::Member(LeafIndex(1)),
            Content::Proposal(Proposal::ExternalInit { kem_output: vec![0; 32].into() }),
            Rule::SenderMayNotPropose,
        ),
    ];
    for (name, sender, content, expected) in cases {
        let mut message = bench.bob().public(sender, content, rng);
        if let Content::Commit(_) = message.content.content {
            message.auth.confirmation_tag = Some(vec![0; 32].as_slice().into());
        }
        let message = bytes(bench.bob().tagged(message.content, message.auth));
        bench.refuses(name, &message, expected);
    }
    drop(client);
    bench.goes_on();
}

#[test]
fn replayed_and_foreign_kinds_of_messages_are_refused() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(5);
    let old = bench.bob().commit(Vec::new(), &Alter::default(), rng).bytes();
    bench.goes_on();
    bench.refuses("185 a commit of the epoch before", &old, Rule::WrongEpoch);
    let Bench { members, .. } = &mut bench;
    let sent = members[1].send("once", rng);
    assert_eq!(members[0].read(&sent).0, b"once");
    bench.refuses("111 replay", &sent, Rule::GenerationConsumed);
    let info = bench.members[1].group.group_info(INFO, bench.members[1].client.signer.as_ref(), rng);
    bench.refuses("a GroupInfo", &info.unwrap(), Usage::WrongMessageKind);
    let (_, bundle) = bench.newcomer("gina");
    let package = MlsMessage::KeyPackage(bundle.key_package).to_bytes();
    bench.refuses("a key package", &package, Usage::WrongMessageKind);
    let own = bench.members[0].send("mine", rng);
    bench.refuses("104 an own message", &own, Rule::OwnMessage);
    bench.goes_on();
}

/// A private message that Bob makes by hand: as which leaf, with which key, signed and padded how.
struct Forged {
    leaf: LeafIndex,
    key_of: LeafIndex,
    generation: Option<u32>,
    ahead: u32,
    content: Content,
    ratchet: RatchetType,
    spoil: fn(&mut Vec<u8>),
    group_epoch: Option<u64>,
}

impl Default for Forged {
    fn default() -> Self {
        Self {
            leaf: LeafIndex(1),
            key_of: LeafIndex(1),
            generation: None,
            ahead: 0,
            content: Content::Application(b"text"[..].into()),
            ratchet: RatchetType::Application,
            spoil: |_| {},
            group_epoch: None,
        }
    }
}

impl Forged {
    fn make(&self, bench: &Bench, rng: &mut dyn keyroom_crypto::CryptoRng) -> PrivateMessage {
        let bob = bench.bob();
        let suite = bob.group.suite();
        let MessageKey { generation, key, nonce } = bob.key(self.key_of, self.ratchet, self.ahead);
        let content = bob.framed(Sender::Member(self.leaf), self.content.clone());
        let signed = bob.sign(content, WireFormat::PRIVATE_MESSAGE, bob.signer, rng);
        let mut plaintext = Vec::new();
        signed.content.content.encode_body(&mut plaintext);
        signed.auth.encode(&mut plaintext);
        (self.spoil)(&mut plaintext);
        let mut message = PrivateMessage {
            group_id: bob.group.group_id().clone(),
            epoch: self.group_epoch.unwrap_or(bob.group.epoch()),
            content_type: signed.content.content.content_type(),
            authenticated_data: Opaque::default(),
            encrypted_sender_data: Opaque::default(),
            ciphertext: Opaque::default(),
        };
        let guard = private_message::random_reuse_guard(rng);
        let mut nonce = nonce.expose().to_vec();
        nonce.iter_mut().zip(guard).for_each(|(byte, guard)| *byte ^= guard);
        suite.aead_seal(key.expose(), &nonce, &message.content_aad(), &mut plaintext).unwrap();
        let sender =
            SenderData { leaf_index: self.leaf, generation: self.generation.unwrap_or(generation), reuse_guard: guard };
        let mut sender = sender.to_bytes();
        let keys = bob.secrets.sender_data_key_nonce(suite, &plaintext).unwrap();
        suite.aead_seal(keys.key.expose(), keys.nonce.expose(), &message.sender_data_aad(), &mut sender).unwrap();
        message.encrypted_sender_data = sender.into();
        message.ciphertext = plaintext.into();
        message
    }
}

#[test]
fn private_messages_are_opened_only_as_their_sender_made_them() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(6);
    let good = Forged::default().make(&bench, rng);
    let cases: Vec<(&str, Forged, Error)> = vec![
        ("106 a blank leaf", Forged { leaf: BLANK, ..Forged::default() }, Rule::SenderNotMember.into()),
        ("106 outside the tree", Forged { leaf: LeafIndex(4000), ..Forged::default() }, Rule::SenderNotMember.into()),
        ("104 as the reader", Forged { leaf: LeafIndex(0), ..Forged::default() }, Rule::OwnMessage.into()),
        (
            "116 with the keys of another",
            Forged { leaf: LeafIndex(3), key_of: LeafIndex(3), ..Forged::default() },
            Rule::MessageSignature.into(),
        ),
        (
            "98 as another with the own keys",
            Forged { leaf: LeafIndex(3), ..Forged::default() },
            Rule::ContentDecryption.into(),
        ),
        (
            "109 padding",
            Forged { spoil: |plain| plain.extend([0, 0, 1]), ..Forged::default() },
            Rule::PrivateContent.into(),
        ),
        ("110 nothing", Forged { spoil: Vec::clear, ..Forged::default() }, Rule::PrivateContent.into()),
        ("110 cut", Forged { spoil: |plain| plain.truncate(20), ..Forged::default() }, Rule::PrivateContent.into()),
        (
            "112 far ahead",
            Forged { generation: Some(1 << 20), ..Forged::default() },
            Refusal::GenerationTooFarAhead.into(),
        ),
        (
            "117 the last generation",
            Forged { generation: Some(u32::MAX), ..Forged::default() },
            Refusal::RatchetExhausted.into(),
        ),
        (
            "117 nearly the last",
            Forged { generation: Some(u32::MAX - 1), ..Forged::default() },
            Refusal::GenerationTooFarAhead.into(),
        ),
        ("112 a wrong generation", Forged { generation: Some(3), ..Forged::default() }, Rule::ContentDecryption.into()),
        (
            "114 the other ratchet",
            Forged { ratchet: RatchetType::Handshake, ..Forged::default() },
            Rule::ContentDecryption.into(),
        ),
        ("105 another epoch", Forged { group_epoch: Some(3), ..Forged::default() }, Rule::SenderData.into()),
        (
            "84 a later epoch",
            Forged { group_epoch: Some(999), ..Forged::default() },
            NotYet::FutureEpoch { epoch: 999 }.into(),
        ),
    ];
    for (name, forged, expected) in cases {
        let message = MlsMessage::PrivateMessage(forged.make(&bench, rng)).to_bytes();
        bench.refuses(name, &message, expected);
    }
    type Damage = (&'static str, fn(&mut PrivateMessage), Rule);
    let damages: [Damage; 8] = [
        ("107 authenticated data", |m| m.authenticated_data = b"x"[..].into(), Rule::ContentDecryption),
        ("107 content type", |m| m.content_type = keyroom_wire::ContentType::Proposal, Rule::SenderData),
        ("82 group", |m| m.group_id = b"other"[..].into(), Rule::WrongGroup),
        (
            "105 sender data",
            |m| m.encrypted_sender_data = vec![9; m.encrypted_sender_data.len()].into(),
            Rule::SenderData,
        ),
        ("105 no sender data", |m| m.encrypted_sender_data = Opaque::default(), Rule::SenderData),
        ("108 no ciphertext", |m| m.ciphertext = Opaque::default(), Rule::SenderData),
        ("108 a short ciphertext", |m| m.ciphertext = m.ciphertext.as_slice()[..7].into(), Rule::SenderData),
        (
            "107 the last byte",
            |m| {
                let mut bytes = m.ciphertext.as_slice().to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                m.ciphertext = bytes.into();
            },
            Rule::ContentDecryption,
        ),
    ];
    for (name, damage, expected) in damages {
        let mut message = good.clone();
        damage(&mut message);
        bench.refuses(name, &MlsMessage::PrivateMessage(message).to_bytes(), expected);
    }
    let good = MlsMessage::PrivateMessage(good).to_bytes();
    assert_eq!(bench.members[0].read(&good).0, b"text", "no failed message has burnt its key");
    bench.refuses("111 twice", &good, Rule::GenerationConsumed);
    bench.goes_on();
}

#[test]
fn handshakes_in_a_format_that_the_policy_forbids_are_refused() {
    for (policy, expected) in [(HandshakePolicy::OnlyPrivate, true), (HandshakePolicy::OnlyPublic, false)] {
        let config = Config { handshakes: policy, ..Config::default() };
        let mut bench = Bench::new(7, Arc::new(config));
        let rng = &mut keyroom_vectors::rng(7);
        let message = if expected {
            bench.bob().commit(Vec::new(), &Alter::default(), rng).bytes()
        } else {
            let content = Content::Proposal(psk_proposal(32));
            let forged = Forged { content, ratchet: RatchetType::Handshake, ..Forged::default() };
            MlsMessage::PrivateMessage(forged.make(&bench, rng)).to_bytes()
        };
        bench.refuses("format", &message, Refusal::HandshakeFormat);
        bench.goes_on();
    }
}

#[test]
fn nothing_is_spent_when_no_more_proposals_may_wait() {
    let config = Arc::new(Config { max_proposals: 5, handshakes: HandshakePolicy::Private, ..Config::default() });
    let mut bench = Bench::new(8, config);
    let rng = &mut keyroom_vectors::rng(8);
    for _ in 0..5 {
        let bob = &mut bench.members[1];
        let update = bob.group.propose_update(b"", bob.client.signer.as_ref(), None, &now(), rng).unwrap();
        bench.members[0].group.process(&update.message, &now()).unwrap();
    }
    let bob = &mut bench.members[1];
    let before = bob.group.snapshot().unwrap();
    let refused = bob.group.propose_update(b"", bob.client.signer.as_ref(), None, &now(), rng).unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::TooManyProposals));
    assert!(bob.group.snapshot().unwrap() == before, "138 a proposal that is not sent spends no key");
    let content = Content::Proposal(Proposal::Remove { removed: LeafIndex(3) });
    let forged = Forged { content, ratchet: RatchetType::Handshake, ahead: 9, ..Forged::default() };
    let message = MlsMessage::PrivateMessage(forged.make(&bench, rng)).to_bytes();
    bench.refuses("138 one more", &message, Refusal::TooManyProposals);
}

#[test]
fn a_wrong_psk_is_a_wrong_epoch() {
    let mut bench = Bench::open();
    let rng = &mut keyroom_vectors::rng(9);
    let message = bench.bob().commit(vec![psk_proposal(32)], &Alter::default(), rng).bytes();
    let psk = keyroom_wire::Psk::External { psk_id: b"known"[..].into() };
    bench.refuses("128 an unknown PSK", &message, NotYet::Psks(vec![psk.clone()]));
    let alice = &mut bench.members[0].group;
    let before = alice.snapshot().unwrap();
    let psks = [(psk, Secret::copy_of(b"something"))];
    let refused = alice.process(&message, &Inputs { psks: &psks, ..now() }).unwrap_err();
    assert_eq!(refused, Error::Rule(Rule::ConfirmationTag));
    assert!(alice.snapshot().unwrap() == before);
    bench.goes_on();
}
