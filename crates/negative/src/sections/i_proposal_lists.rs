//! Section I: what the proposals of one commit may be together.

use keyroom_crypto::{CryptoRng, labels};
use keyroom_insider::Alter;
use keyroom_wire::{Content, Encode, Extensions, KeyPackage, MlsMessage, Proposal, ProposalOrRef, Sender};

use super::h_proposals::{group_context, known, naming, proposed_and_committed, reinit, with_psks};
use crate::book::{Book, Trial};
use crate::stage::{BLANK, BOB, DANA, Stage, add, remove, resigned};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    committer(book, stage);
    targets(book, stage);
    adds(book, stage);
    spoilt(book, stage);
    book.add(145, "one PSK twice", stage, |stage, rng| {
        let psk = || (known(stage.nh()), stage.psk(&mut keyroom_vectors::rng(1)).1);
        Trial::commit(with_psks(stage, &[psk(), psk()], rng), with_psks(stage, &[psk()], rng))
    });
    book.add(146, "new group extensions twice", stage, |stage, rng| {
        let one = || group_context(Extensions::new());
        Trial::commit(stage.commit(vec![one(), one()], rng), stage.commit(vec![one()], rng))
    });
    let alone = || reinit(1);
    for (what, list) in [("beside a Remove", vec![alone(), remove(DANA)]), ("twice", vec![alone(), alone()])] {
        book.add(147, &format!("a ReInit {what}"), stage, |stage, rng| {
            Trial::commit(stage.commit(list, rng), stage.commit(vec![alone()], rng))
        });
    }
    book.add(148, "an ExternalInit in the commit of a member", stage, |stage, rng| {
        let kem_output = vec![9; stage.suite.kem().encapsulation_len()].into();
        Trial::commit(stage.commit(vec![Proposal::ExternalInit { kem_output }], rng), stage.honest(rng))
    });
}

/// A good proposal does not save the bad one beside it.
fn spoilt(book: &mut Book, stage: &Stage) {
    type Make = fn(&Stage, &mut dyn CryptoRng) -> Proposal;
    let cases: [(&str, Make); 4] = [
        ("a Remove of a blank leaf", |_, _| remove(BLANK)),
        ("an Add of a key package with a wrong signature", |stage, rng| {
            let package = stage.outsider("hugo", rng).bundle.key_package;
            add(&KeyPackage { signature: super::flip(package.signature.as_slice(), 9).into(), ..package })
        }),
        ("a PSK with a shorter nonce", |stage, _| Proposal::PreSharedKey { psk: known(stage.nh() - 1) }),
        ("new group extensions with an extension twice", |_, _| {
            let one = (crate::stage::KNOWN_EXTENSION, &b"x"[..]);
            group_context(super::extensions(&[one, one]))
        }),
    ];
    for (what, make) in cases {
        book.add(139, &format!("a commit with a good Add and {what}"), stage, |stage, rng| {
            let good = add(&stage.outsider("gina", rng).bundle.key_package);
            let bad = make(stage, rng);
            Trial::commit(stage.commit(vec![good.clone(), bad], rng), stage.commit(vec![good], rng))
        });
    }
}

fn committer(book: &mut Book, stage: &Stage) {
    book.add(140, "an Update of the committer by value", stage, |stage, rng| {
        let leaf = stage.update_of(BOB, rng);
        let leaf_node = Box::new(stage.sign_leaf(leaf, BOB, rng));
        Trial::commit(stage.commit(vec![Proposal::Update { leaf_node }], rng), stage.honest(rng))
    });
    book.add(140, "an Update of the committer by reference", stage, |stage, rng| {
        let leaf = stage.update_of(BOB, rng);
        let update = Proposal::Update { leaf_node: Box::new(stage.sign_leaf(leaf, BOB, rng)) };
        let message = stage.public(Sender::Member(BOB), Content::Proposal(update.clone()), rng);
        let signed = message.clone().into_authenticated_content();
        let reference = labels::proposal_ref(stage.suite, &signed.to_bytes());
        let change = Alter { named: vec![(reference.clone(), BOB, update)], ..Alter::default() };
        let bad = naming(stage, vec![ProposalOrRef::Reference(reference)], &change, rng);
        let proposal = MlsMessage::PublicMessage(message).to_bytes();
        Trial::commit(bad, stage.honest(rng)).naming(vec![proposal], Vec::new())
    });
    book.add(141, "the removal of the committer", stage, |stage, rng| {
        Trial::commit(stage.commit(vec![remove(BOB)], rng), stage.commit(vec![remove(DANA)], rng))
    });
    book.add(141, "the removal of the committer by reference", stage, |stage, rng| {
        let (proposal, bad) = proposed_and_committed(stage, remove(BOB), rng);
        Trial::commit(bad, stage.honest(rng)).naming(vec![proposal], Vec::new())
    });
}

fn targets(book: &mut Book, stage: &Stage) {
    book.add(142, "one member removed twice", stage, |stage, rng| {
        let once = stage.commit(vec![remove(DANA)], rng);
        Trial::commit(stage.commit(vec![remove(DANA), remove(DANA)], rng), once)
    });
    book.add(142, "one member updated and removed", stage, |stage, rng| {
        let leaf = stage.update_of(DANA, rng);
        let update = Proposal::Update { leaf_node: Box::new(stage.sign_leaf(leaf, DANA, rng)) };
        let member = &stage.members[2];
        let dana = keyroom_insider::Insider::new(&member.group, member.client.signer.as_ref());
        let message = dana.public(dana.sender(), Content::Proposal(update.clone()), rng);
        let signed = message.clone().into_authenticated_content();
        let reference = labels::proposal_ref(stage.suite, &signed.to_bytes());
        let change = Alter { named: vec![(reference.clone(), DANA, update)], ..Alter::default() };
        let entries = |more: Option<Proposal>| {
            let named = ProposalOrRef::Reference(reference.clone());
            [named].into_iter().chain(more.map(ProposalOrRef::Proposal)).collect::<Vec<_>>()
        };
        let bad = naming(stage, entries(Some(remove(DANA))), &change, rng);
        let good = naming(stage, entries(None), &change, rng);
        let proposal = || vec![MlsMessage::PublicMessage(message.clone()).to_bytes()];
        Trial::commit(bad, good).naming(proposal(), proposal())
    });
}

fn adds(book: &mut Book, stage: &Stage) {
    book.add(143, "one key package added twice", stage, |stage, rng| {
        let package = stage.outsider("gina", rng).bundle.key_package;
        let once = stage.commit(vec![add(&package)], rng);
        Trial::commit(stage.commit(vec![add(&package), add(&package)], rng), once)
    });
    book.add(143, "two key packages of one client added", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let mut second = stage.outsider("gina", rng).bundle.key_package;
        second.leaf_node.signature_key = gina.client.signer.public_key().clone();
        let second = keyroom_insider::resigned(second, &gina.client, rng);
        let first = &gina.bundle.key_package;
        let once = stage.commit(vec![add(first)], rng);
        Trial::commit(stage.commit(vec![add(first), add(&second)], rng), once)
    });
    book.add(144, "a member added once more", stage, |stage, rng| {
        let dana = &stage.members[2].client;
        let mut again = stage.outsider("dana", rng).bundle.key_package;
        again.leaf_node.signature_key = dana.signer.public_key().clone();
        let again = keyroom_insider::resigned(again, dana, rng);
        let replaced = stage.commit(vec![remove(DANA), add(&again)], rng);
        Trial::commit(stage.commit(vec![add(&again)], rng), replaced)
    });
    book.add(149, "two newcomers with one encryption key", stage, |stage, rng| {
        let (gina, hugo) = (stage.outsider("gina", rng), stage.outsider("hugo", rng));
        let key = gina.bundle.key_package.leaf_node.encryption_key.clone();
        let same = resigned(&hugo, |package| package.leaf_node.encryption_key = key, rng);
        let both = |second| vec![add(&gina.bundle.key_package), add(second)];
        Trial::commit(stage.commit(both(&same), rng), stage.commit(both(&hugo.bundle.key_package), rng))
    });
    book.add(151, "two newcomers with one init key", stage, |stage, rng| {
        let (gina, hugo) = (stage.outsider("gina", rng), stage.outsider("hugo", rng));
        let key = gina.bundle.key_package.init_key.clone();
        let same = resigned(&hugo, |package| package.init_key = key, rng);
        let both = |second| vec![add(&gina.bundle.key_package), add(second)];
        Trial::commit(stage.commit(both(&same), rng), stage.commit(both(&hugo.bundle.key_package), rng))
    });
    book.add(151, "a newcomer whose init key is a member's encryption key", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let key = stage.leaf(DANA).encryption_key;
        let bad = resigned(&gina, |package| package.init_key = key, rng);
        let good = stage.commit(vec![add(&gina.bundle.key_package)], rng);
        Trial::commit(stage.commit(vec![add(&bad)], rng), good)
    });
}
