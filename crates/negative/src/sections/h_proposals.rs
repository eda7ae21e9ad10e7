//! Section H: single proposals.

use keyroom_crypto::{CryptoRng, Secret, labels};
pub(super) use keyroom_insider::proposals::{group_context, reinit};
use keyroom_insider::{Alter, Insider};
use keyroom_wire::{
    CipherSuite, Content, Encode, ExtensionType, Extensions, FramedContent, KeyPackage, LeafIndex, MlsMessage,
    PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef, ProposalType, ProtocolVersion, Psk, PublicMessage,
    RequiredCapabilities, ResumptionPskUsage, Sender, WireFormat,
};

use super::{extensions, flip, required};
use crate::book::{Book, Trial};
use crate::stage::{BLANK, BOB, DANA, KNOWN_EXTENSION, PSK_ID, Stage, add, remove, resigned};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    updates(book, stage);
    removes(book, stage);
    psks(book, stage);
    book.add(129, "a ReInit to protocol version 0", stage, |stage, rng| {
        let proposals = |version| vec![reinit(version)];
        Trial::commit(stage.commit(proposals(0), rng), stage.commit(proposals(1), rng))
    });
    book.add(130, "an ExternalInit proposed by a member, and committed", stage, |stage, rng| {
        let kem_output = vec![9; stage.suite.kem().encapsulation_len()].into();
        let (bad, bad_commit) = proposed_and_committed(stage, Proposal::ExternalInit { kem_output }, rng);
        let (good, good_commit) = proposed_and_committed(stage, remove(LeafIndex(5)), rng);
        Trial::commit(bad_commit, good_commit).naming(vec![bad], vec![good])
    });
    group_extensions(book, stage);
    references(book, stage);
    unauthentic(book, stage);
    additions(book, stage);
}

/// Proposals that must not be kept, and commits that name them.
fn unauthentic(book: &mut Book, stage: &Stage) {
    type Damage = fn(&Stage, PublicMessage, &mut dyn CryptoRng) -> PublicMessage;
    let damages: [(&str, Damage); 3] = [
        ("with a signature with one bit changed", |stage, message, _| {
            let mut auth = message.auth;
            auth.signature = flip(auth.signature.as_slice(), 3).into();
            stage.bob().tagged(message.content, auth)
        }),
        ("with a membership tag with one bit changed", |_, mut message, _| {
            let tag = message.membership_tag.take().unwrap();
            PublicMessage { membership_tag: Some(flip(tag.as_slice(), 3).as_slice().into()), ..message }
        }),
        ("of the epoch before", |stage, message, rng| {
            let content = FramedContent { epoch: message.content.epoch - 1, ..message.content };
            let signer = stage.members[2].client.signer.as_ref();
            let signed = stage.bob().sign(content, WireFormat::PUBLIC_MESSAGE, signer, rng);
            stage.bob().tagged(signed.content, signed.auth)
        }),
    ];
    for (what, damage) in damages {
        book.add(120, &format!("a proposal {what}, and a commit that names it"), stage, |stage, rng| {
            let damaged = |stage: &Stage, message, rng: &mut dyn CryptoRng| damage(stage, message, rng);
            let (bad, bad_commit) = sent_and_committed(stage, remove(LeafIndex(5)), damaged, rng);
            let (good, good_commit) = proposed_and_committed(stage, remove(LeafIndex(5)), rng);
            Trial::commit(bad_commit, good_commit).naming(vec![bad], vec![good])
        });
    }
}

fn additions(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut KeyPackage);
    let changes: [(&str, Change); 4] = [
        ("of another protocol version", |package| package.version = ProtocolVersion(2)),
        ("of another cipher suite", |package| package.cipher_suite = CipherSuite(0xf00f)),
        ("with a leaf made for an Update", |package| {
            package.leaf_node.leaf_node_source = keyroom_wire::LeafNodeSource::Update;
        }),
        ("with a leaf that supports no protocol version", |package| package.leaf_node.capabilities.versions.clear()),
    ];
    for (what, change) in changes {
        book.add(121, &format!("a proposal to add a key package {what}"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let bad = add(&resigned(&gina, change, rng));
            let good = stage.proposal(Sender::Member(BOB), add(&gina.bundle.key_package), rng);
            Trial::proposal(stage.proposal(Sender::Member(BOB), bad, rng), good)
        });
    }
    book.add(121, "a proposal to add a key package with a wrong signature", stage, |stage, rng| {
        let package = stage.outsider("gina", rng).bundle.key_package;
        let bad = KeyPackage { signature: flip(package.signature.as_slice(), 9).into(), ..package.clone() };
        let good = stage.proposal(Sender::Member(BOB), add(&package), rng);
        Trial::proposal(stage.proposal(Sender::Member(BOB), add(&bad), rng), good)
    });
}

/// Dana's proposal, and a commit of Bob's that names it.
pub(super) fn proposed_and_committed(stage: &Stage, proposal: Proposal, rng: &mut dyn CryptoRng) -> (Vec<u8>, Vec<u8>) {
    sent_and_committed(stage, proposal, |_, message, _| message, rng)
}

/// The same with Dana's message altered on its way.
fn sent_and_committed(
    stage: &Stage,
    proposal: Proposal,
    change: impl FnOnce(&Stage, PublicMessage, &mut dyn CryptoRng) -> PublicMessage,
    rng: &mut dyn CryptoRng,
) -> (Vec<u8>, Vec<u8>) {
    let member = &stage.members[2];
    let dana = Insider::new(&member.group, member.client.signer.as_ref());
    let message = dana.public(dana.sender(), Content::Proposal(proposal.clone()), rng);
    let message = change(stage, message, rng);
    let signed = message.clone().into_authenticated_content();
    let reference = labels::proposal_ref(stage.suite, &signed.to_bytes());
    let change = Alter { named: vec![(reference.clone(), DANA, proposal)], ..Alter::default() };
    let commit = naming(stage, vec![ProposalOrRef::Reference(reference)], &change, rng);
    (MlsMessage::PublicMessage(message).to_bytes(), commit)
}

/// A commit of Bob's with these entries.
pub(super) fn naming(
    stage: &Stage,
    entries: Vec<ProposalOrRef>,
    change: &Alter<'_>,
    rng: &mut dyn CryptoRng,
) -> Vec<u8> {
    let bob = stage.bob();
    bob.commit_of(bob.sender(), &stage.leaf(BOB), bob.signer, entries, change, rng).bytes()
}

fn updates(book: &mut Book, stage: &Stage) {
    book.add(122, "an Update that is not signed as it stands", stage, |stage, rng| {
        let leaf = stage.update_of(DANA, rng);
        let good = stage.sign_leaf(leaf, DANA, rng);
        let mut bad = good.clone();
        bad.signature = flip(good.signature.as_slice(), 11).into();
        let update = |leaf| Proposal::Update { leaf_node: Box::new(leaf) };
        let (bad, bad_commit) = proposed_and_committed(stage, update(bad), rng);
        let (good, good_commit) = proposed_and_committed(stage, update(good), rng);
        Trial::commit(bad_commit, good_commit).naming(vec![bad], vec![good])
    });
    book.add(122, "an Update that does not support its own credential", stage, |stage, rng| {
        super::d_leaf_nodes::update(stage, |leaf| leaf.capabilities.credentials.clear(), rng)
    });
}

fn removes(book: &mut Book, stage: &Stage) {
    for (what, leaf) in [("a blank leaf", BLANK), ("a leaf outside the tree", LeafIndex(1 << 20))] {
        book.add(124, &format!("a commit that removes {what}"), stage, |stage, rng| {
            Trial::commit(stage.commit(vec![remove(leaf)], rng), stage.commit(vec![remove(DANA)], rng))
        });
    }
}

fn psk(psk: Psk, nonce: usize) -> PreSharedKeyId {
    PreSharedKeyId { psk, psk_nonce: vec![1; nonce].into() }
}

pub(super) fn known(nonce: usize) -> PreSharedKeyId {
    psk(Psk::External { psk_id: PSK_ID.into() }, nonce)
}

/// A commit of Bob's with these PSKs.
pub(super) fn with_psks(stage: &Stage, psks: &[(PreSharedKeyId, Secret)], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let proposals = psks.iter().map(|(id, _)| Proposal::PreSharedKey { psk: id.clone() }).collect();
    let psks = psks.iter().map(|(id, psk)| (id.clone(), psk.duplicate())).collect();
    stage.made(proposals, &Alter { psks, ..Alter::default() }, rng).bytes()
}

fn psks(book: &mut Book, stage: &Stage) {
    let good = |stage: &Stage, rng: &mut dyn CryptoRng| with_psks(stage, &[stage.psk(rng)], rng);
    for (row, what, usage) in
        [(125, "for a reinitialisation", ResumptionPskUsage::ReInit), (126, "for a branch", ResumptionPskUsage::Branch)]
    {
        book.add(row, &format!("a resumption PSK {what} in a group that goes on"), stage, |stage, rng| {
            // The PSK of this very epoch, which the reader has.
            let group = &stage.members[1].group;
            let psk_epoch = group.epoch();
            let secret = Secret::copy_of(stage.bob().secrets.resumption_psk().expose());
            let id =
                |usage| psk(Psk::Resumption { usage, psk_group_id: group.group_id().clone(), psk_epoch }, stage.nh());
            let bad = with_psks(stage, &[(id(usage), secret.duplicate())], rng);
            Trial::commit(bad, with_psks(stage, &[(id(ResumptionPskUsage::Application), secret)], rng))
        });
    }
    for (what, more) in [("shorter", -1), ("longer", 1)] {
        book.add(127, &format!("a PSK with a {what} nonce"), stage, |stage, rng| {
            let length = stage.nh().checked_add_signed(more).unwrap();
            let secret = stage.psk(rng).1;
            let bad = with_psks(stage, &[(known(length), secret)], rng);
            Trial::commit(bad, good(stage, rng))
        });
    }
    book.add(128, "a PSK that the reader does not have", stage, |stage, rng| {
        let unknown = psk(Psk::External { psk_id: b"unknown"[..].into() }, stage.nh());
        let bad = with_psks(stage, &[(unknown, stage.psk(rng).1)], rng);
        Trial::commit(bad, good(stage, rng))
    });
    book.add(128, "a commit made with another PSK than it names", stage, |stage, rng| {
        let (id, _) = stage.psk(rng);
        let bad = with_psks(stage, &[(id, Secret::copy_of(b"another"))], rng);
        Trial::commit(bad, good(stage, rng))
    });
    book.add(229, "PSKs mixed in another order than they are named", stage, |stage, rng| {
        let pair = [stage.psk(rng), stage.psk(rng)];
        let proposals: Vec<_> = pair.iter().rev().map(|(id, _)| Proposal::PreSharedKey { psk: id.clone() }).collect();
        let honest = with_psks(stage, &pair, rng);
        let psks = pair.into_iter().collect();
        Trial::commit(stage.made(proposals, &Alter { psks, ..Alter::default() }, rng).bytes(), honest)
    });
}

fn group_extensions(book: &mut Book, stage: &Stage) {
    let twin = || vec![group_context(extensions(&[(KNOWN_EXTENSION, b"x")]))];
    let needed =
        |required: &RequiredCapabilities| extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())]);
    let cases: [(u16, &str, Extensions); 10] = [
        (131, "an extension type required that nobody supports", needed(&required(Some(0xf105), None, None))),
        (131, "a proposal type required that nobody supports", needed(&required(None, Some(0xf105), None))),
        (131, "a credential type required that nobody supports", needed(&required(None, None, Some(0xf105)))),
        (132, "an extension that nobody supports", extensions(&[(ExtensionType(0xf106), b"x")])),
        (133, "a ratchet_tree extension in the group context", extensions(&[(ExtensionType::RATCHET_TREE, b"\0")])),
        (133, "an external_pub extension in the group context", extensions(&[(ExtensionType::EXTERNAL_PUB, b"\0")])),
        (
            133,
            "an application_id extension in the group context",
            extensions(&[(ExtensionType::APPLICATION_ID, b"\0")]),
        ),
        (232, "an extension twice", extensions(&[(KNOWN_EXTENSION, b"x"), (KNOWN_EXTENSION, b"x")])),
        (
            233,
            "required_capabilities that do not parse",
            extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, b"\x01")]),
        ),
        (233, "external_senders that do not parse", extensions(&[(ExtensionType::EXTERNAL_SENDERS, b"\x05\0")])),
    ];
    for (row, what, list) in cases {
        book.add(row, &format!("new group extensions: {what}"), stage, |stage, rng| {
            Trial::commit(stage.commit(vec![group_context(list)], rng), stage.commit(twin(), rng))
        });
    }
    book.add(134, "a proposal type that nobody supports", stage, |stage, rng| {
        let custom = Proposal::Custom { proposal_type: ProposalType(0xf107), body: b"x"[..].into() };
        Trial::commit(stage.commit(vec![custom], rng), stage.honest(rng))
    });
    let external = |key: &[u8]| {
        let sender = keyroom_wire::ExternalSender {
            signature_key: key.into(),
            credential: keyroom_wire::Credential::basic(&b"steward"[..]),
        };
        extensions(&[(ExtensionType::EXTERNAL_SENDERS, &labels::opaque_bytes(&sender.to_bytes()))])
    };
    book.add(234, "new group extensions: an external sender with a key of another length", stage, |stage, rng| {
        let key = stage.bob_signer().public_key().as_slice();
        let [bad, good] = [&key[1..], key].map(|key| vec![group_context(external(key))]);
        Trial::commit(stage.commit(bad, rng), stage.commit(good, rng))
    });
}

fn references(book: &mut Book, stage: &Stage) {
    book.add(136, "a commit that names a proposal nobody has sent", stage, |stage, rng| {
        let unknown = ProposalRef::from(vec![5; stage.nh()].as_slice());
        let bad = naming(stage, vec![ProposalOrRef::Reference(unknown)], &Alter::default(), rng);
        let (proposal, commit) = proposed_and_committed(stage, remove(LeafIndex(5)), rng);
        Trial::commit(bad, commit).naming(Vec::new(), vec![proposal])
    });
    book.add(81, "a commit that names the hash of a proposal's message with its header", stage, |stage, rng| {
        let (proposal, commit) = proposed_and_committed(stage, remove(LeafIndex(5)), rng);
        let reference = labels::proposal_ref(stage.suite, &proposal);
        let change = Alter { named: vec![(reference.clone(), DANA, remove(LeafIndex(5)))], ..Alter::default() };
        let bad = naming(stage, vec![ProposalOrRef::Reference(reference)], &change, rng);
        Trial::commit(bad, commit).naming(vec![proposal.clone()], vec![proposal])
    });
    book.add(137, "a commit that names the hash of a proposal without its signature", stage, |stage, rng| {
        let (proposal, commit) = proposed_and_committed(stage, remove(LeafIndex(5)), rng);
        let reference = labels::proposal_ref(stage.suite, &remove(LeafIndex(5)).to_bytes());
        let change = Alter { named: vec![(reference.clone(), DANA, remove(LeafIndex(5)))], ..Alter::default() };
        let bad = naming(stage, vec![ProposalOrRef::Reference(reference)], &change, rng);
        Trial::commit(bad, commit).naming(vec![proposal.clone()], vec![proposal])
    });
}
