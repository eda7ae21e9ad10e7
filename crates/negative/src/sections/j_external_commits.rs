//! Section J: joining by external commit.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Alter, Made};
use keyroom_wire::{Extensions, LeafIndex, Proposal, ProposalOrRef, ProposalRef, Sender, UpdatePath, WireFormat};

use super::h_proposals::{group_context, reinit};
use crate::book::{Book, Trial};
use crate::stage::{BLANK, BOB, DANA, Outsider, Stage, add, bytes, remove};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    lists(book, stage);
    paths(book, stage);
    authenticity(book, stage);
    book.add(225, "an external commit from the GroupInfo of an epoch that has ended", stage, |stage, rng| {
        let eve = stage.outsider("eve", rng);
        let stale = joined(stage, &eve, values(vec![init()]), &Alter::default(), rng).bytes();
        let commit = stage.honest(rng);
        let dana = stage.dana_after(&commit);
        let insider = keyroom_insider::Insider::new(&dana.group, dana.client.signer.as_ref());
        let (leaf, signer) = (&eve.bundle.key_package.leaf_node, eve.client.signer.as_ref());
        let fresh =
            insider.commit_of(Sender::NewMemberCommit, leaf, signer, values(vec![init()]), &Alter::default(), rng);
        Trial::commit(stale, fresh.bytes()).after(commit)
    });
}

fn init() -> Proposal {
    // The insider puts the encapsulation in.
    Proposal::ExternalInit { kem_output: Vec::new().into() }
}

/// Eve joins from outside, with these proposals by value.
fn joined(
    stage: &Stage,
    eve: &Outsider,
    entries: Vec<ProposalOrRef>,
    change: &Alter<'_>,
    rng: &mut dyn CryptoRng,
) -> Made {
    let leaf = &eve.bundle.key_package.leaf_node;
    stage.bob().commit_of(Sender::NewMemberCommit, leaf, eve.client.signer.as_ref(), entries, change, rng)
}

fn values(proposals: Vec<Proposal>) -> Vec<ProposalOrRef> {
    proposals.into_iter().map(ProposalOrRef::Proposal).collect()
}

fn trial(stage: &Stage, entries: Vec<ProposalOrRef>, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Trial {
    let eve = stage.outsider("eve", rng);
    let bad = joined(stage, &eve, entries, change, rng).bytes();
    Trial::commit(bad, joined(stage, &eve, values(vec![init()]), &Alter::default(), rng).bytes())
}

fn lists(book: &mut Book, stage: &Stage) {
    let encapsulation = stage.suite.kem().encapsulation_len();
    let other = |length| Proposal::ExternalInit { kem_output: vec![9; length].into() };
    let gina = stage.outsider("gina", &mut keyroom_vectors::rng(77)).bundle.key_package;
    let cases = [
        (155, "without an ExternalInit", vec![]),
        (156, "with two ExternalInits", vec![init(), init()]),
        (157, "that removes two members", vec![init(), remove(DANA), remove(LeafIndex(5))]),
        (124, "that removes a blank leaf", vec![init(), remove(BLANK)]),
        (160, "that adds somebody", vec![init(), add(&gina)]),
        (160, "that replaces the group extensions", vec![init(), group_context(Extensions::new())]),
        (160, "that reinitialises the group", vec![init(), reinit(1)]),
        (130, "with an encapsulation without its last byte", vec![other(encapsulation - 1)]),
    ];
    for (row, what, proposals) in cases {
        book.add(row, &format!("an external commit {what}"), stage, |stage, rng| {
            trial(stage, values(proposals), &Alter::default(), rng)
        });
    }
    if stage.suite.cipher_suite().0 != 2 {
        // Any 32 bytes are a point of Curve25519.
        book.add(167, "an external commit whose encapsulation leads to another secret", stage, |stage, rng| {
            trial(stage, values(vec![other(encapsulation)]), &Alter::default(), rng)
        });
    }
    book.add(161, "an external commit that names a proposal by reference", stage, |stage, rng| {
        let (proposal, _) = super::h_proposals::proposed_and_committed(stage, remove(DANA), rng);
        let reference = proposal_ref(stage, &proposal);
        let entries = vec![ProposalOrRef::Proposal(init()), ProposalOrRef::Reference(reference.clone())];
        let change = Alter { named: vec![(reference, DANA, remove(DANA))], ..Alter::default() };
        trial(stage, entries, &change, rng).naming(vec![proposal.clone()], vec![proposal])
    });
}

fn proposal_ref(stage: &Stage, message: &[u8]) -> ProposalRef {
    use keyroom_wire::{Decode, Encode, Limits, MlsMessage};
    let Ok(MlsMessage::PublicMessage(message)) = MlsMessage::from_bytes(message, &Limits::default()) else {
        panic!("a public message was expected");
    };
    keyroom_crypto::labels::proposal_ref(stage.suite, &message.into_authenticated_content().to_bytes())
}

fn paths(book: &mut Book, stage: &Stage) {
    let mut alter = |row, what: &str, proposals: Vec<Proposal>, change: Alter<'_>| {
        book.add(row, &format!("an external commit {what}"), stage, |stage, rng| {
            trial(stage, values(proposals), &change, rng)
        });
    };
    let dana = stage.leaf(DANA).encryption_key;
    alter(162, "without a path", vec![init()], Alter { without_path: true, ..Alter::default() });
    let place = Alter { leaf_index: Some(LeafIndex(7)), ..Alter::default() };
    alter(165, "whose leaf is signed for another place", vec![init()], place);
    let key = dana.clone();
    let parts = Alter { parts: Some(Box::new(move |parts| parts.encryption_key = key.clone())), ..Alter::default() };
    alter(166, "with the encryption key of a member", vec![init()], parts);
    let path = Alter { path: Some(Box::new(|path: &mut UpdatePath| drop(path.nodes.pop()))), ..Alter::default() };
    alter(175, "with a path node too few", vec![init()], path);
    book.add(159, "a rejoin with the encryption key of the leaf removed", stage, |stage, rng| {
        let dana = &stage.members[2];
        let leaf = stage.leaf(DANA);
        let entries = || values(vec![init(), remove(DANA)]);
        let key = leaf.encryption_key.clone();
        let change =
            Alter { parts: Some(Box::new(move |parts| parts.encryption_key = key.clone())), ..Alter::default() };
        let mut join = |change: &Alter<'_>| {
            let signer = dana.client.signer.as_ref();
            stage.bob().commit_of(Sender::NewMemberCommit, &leaf, signer, entries(), change, rng).bytes()
        };
        let bad = join(&change);
        Trial::commit(bad, join(&Alter::default()))
    });
    book.add(166, "an external commit with the signature key of a member", stage, |stage, rng| {
        let dana = &stage.members[2];
        let mut join = |entries| {
            let (leaf, signer) = (stage.leaf(DANA), dana.client.signer.as_ref());
            let change = Alter::default();
            stage.bob().commit_of(Sender::NewMemberCommit, &leaf, signer, entries, &change, rng).bytes()
        };
        let bad = join(values(vec![init()]));
        Trial::commit(bad, join(values(vec![init(), remove(DANA)])))
    });
}

fn authenticity(book: &mut Book, stage: &Stage) {
    book.add(163, "an external commit signed with another key than its leaf's", stage, |stage, rng| {
        let eve = stage.outsider("eve", rng);
        let good = joined(stage, &eve, values(vec![init()]), &Alter::default(), rng);
        let mut bad = good.message.clone();
        let signed = stage.bob().sign(bad.content.clone(), WireFormat::PUBLIC_MESSAGE, stage.bob_signer(), rng);
        bad.auth.signature = signed.auth.signature;
        Trial::commit(bytes(bad), good.bytes())
    });
    book.add(164, "an external commit in the name of a member", stage, |stage, rng| {
        let change =
            Alter { content: Some(Box::new(|content| content.sender = Sender::Member(BOB))), ..Alter::default() };
        trial(stage, values(vec![init()]), &change, rng)
    });
    book.add(99, "an external commit signed for a private message", stage, |stage, rng| {
        let change = Alter { wire_format: Some(WireFormat::PRIVATE_MESSAGE), ..Alter::default() };
        trial(stage, values(vec![init()]), &change, rng)
    });
    book.add(83, "an external commit of the epoch before", stage, |stage, rng| {
        let change = Alter { content: Some(Box::new(|content| content.epoch -= 1)), ..Alter::default() };
        trial(stage, values(vec![init()]), &change, rng)
    });
}
