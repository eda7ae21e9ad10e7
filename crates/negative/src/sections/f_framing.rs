//! Section F: who may send what, when, and how it is authenticated.

use keyroom_crypto::{CryptoRng, labels};
use keyroom_insider::{Alter, Insider, Private};
use keyroom_wire::{
    Content, Credential, Encode, ExtensionType, ExternalSender, FramedContent, Mac, MlsMessage, Opaque, Proposal,
    ProposalOrRef, PublicMessage, Sender, Signature, WireFormat,
};

use super::{extensions, flip};
use crate::book::{Book, Trial};
use crate::case::Kind;
use crate::forged::Forged;
use crate::stage::{BLANK, BOB, DANA, READER, Stage, add, bytes, remove};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    places(book, stage);
    senders(book, stage);
    if stage.suite.cipher_suite().0 == 1 {
        external_senders(book);
    }
    newcomers(book, stage);
    membership_tags(book, stage);
    signatures(book, stage);
    confirmation_tags(book, stage);
    hidden_outsiders(book, stage);
    earlier_epochs(book, stage);
    own_commits(book, stage);
}

/// A member encrypts for somebody who is outside; only a leaf can stand in the sender data.
fn hidden_outsiders(book: &mut Book, stage: &Stage) {
    let cases = [
        ("an external sender", Sender::External(0)),
        ("a client that proposes its own addition", Sender::NewMemberProposal),
        ("a client that joins by commit", Sender::NewMemberCommit),
    ];
    for (what, sender) in cases {
        book.add(94, &format!("a private message signed as {what}"), stage, |stage, rng| {
            let gina = stage.outsider("gina", rng);
            let content = || Content::Proposal(add(&gina.bundle.key_package));
            let hidden = |private: Private<'_>, rng: &mut dyn CryptoRng| {
                MlsMessage::PrivateMessage(private.make(&stage.bob(), rng)).to_bytes()
            };
            let signer = Some(gina.client.signer.as_ref());
            let bad = hidden(Private { sender: Some(sender), signer, ..Private::new(content()) }, rng);
            Trial::proposal(bad, hidden(Private::new(content()), rng))
        });
    }
}

/// Messages of an epoch that has ended, from leaves where others sit now.
fn earlier_epochs(book: &mut Book, stage: &Stage) {
    for (what, leaf, newcomer) in
        [("a leaf that was another's then", DANA, 1), ("a leaf that was blank then", BLANK, 0)]
    {
        book.add(101, &format!("a late message, signed by who sits now on {what}"), stage, |stage, rng| {
            // The first takes the blank leaf, the second that of Dana.
            let guests = ["hugo", "gina"].map(|name| stage.outsider(name, rng));
            let [hugo, gina] = guests.each_ref().map(|guest| add(&guest.bundle.key_package));
            let commit = stage.commit(vec![remove(DANA), hugo, gina], rng);
            let signer = guests[newcomer].client.signer.as_ref();
            let by = Private { leaf: Some(leaf), key_of: Some(leaf), signer: Some(signer), ..Private::text(b"text") };
            let bad = MlsMessage::PrivateMessage(by.make(&stage.bob(), rng)).to_bytes();
            let dana = &stage.members[2];
            let dana = Insider::new(&dana.group, dana.client.signer.as_ref());
            // One who has been removed since, and one who is still there.
            let late = if leaf == DANA {
                Forged::by(DANA, b"text").bytes(&dana, rng)
            } else {
                Forged::by(BOB, b"text").bytes(&stage.bob(), rng)
            };
            Trial::application(bad, late).after(commit)
        });
    }
}

/// The reader has made no commit, so that none of its leaf is its own.
fn own_commits(book: &mut Book, stage: &Stage) {
    book.add(103, "a commit in the reader's name that it has not made", stage, |stage, rng| {
        let (leaf, signer) = (stage.leaf(READER), stage.reader.client.signer.as_ref());
        let change = Alter::default();
        let bad = stage.bob().commit_of(Sender::Member(READER), &leaf, signer, [], &change, rng);
        Trial::commit(bad.bytes(), stage.honest(rng))
    });
}

fn content<'a>(change: impl Fn(&mut FramedContent) + 'a) -> Alter<'a> {
    Alter { content: Some(Box::new(change)), ..Alter::default() }
}

fn places(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut FramedContent);
    let changes: [(u16, &str, Change); 4] = [
        (82, "a commit for another group", |content| content.group_id = b"other"[..].into()),
        (83, "a commit of the epoch before", |content| content.epoch -= 1),
        (84, "a commit of the next epoch", |content| content.epoch += 1),
        (84, "a commit of the last of all epochs", |content| content.epoch = u64::MAX),
    ];
    for (row, what, change) in changes {
        book.add(row, what, stage, |stage, rng| Trial::commit(stage.altered(&content(change), rng), stage.honest(rng)));
    }
    book.add(83, "a proposal of the epoch before", stage, |stage, rng| {
        let bob = stage.bob();
        let framed = bob.framed(bob.sender(), Content::Proposal(remove(DANA)));
        let old = FramedContent { epoch: framed.epoch - 1, ..framed };
        let signed = bob.sign(old, WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
        let bad = bytes(bob.tagged(signed.content, signed.auth));
        Trial::proposal(bad, stage.proposal(Sender::Member(BOB), remove(DANA), rng))
    });
    book.add(86, "application data in a public message", stage, |stage, rng| {
        let data = || Content::Application(b"text"[..].into());
        let bad = bytes(stage.public(Sender::Member(BOB), data(), rng));
        Trial::application(bad, Forged::by(BOB, b"text").bytes(&stage.bob(), rng))
    });
    for (what, leaf) in [("a blank leaf", BLANK), ("a leaf outside the tree", keyroom_wire::LeafIndex(1 << 20))] {
        book.add(87, &format!("a proposal from {what}"), stage, |stage, rng| {
            let good = stage.proposal(Sender::Member(BOB), remove(DANA), rng);
            Trial::proposal(stage.proposal(Sender::Member(leaf), remove(DANA), rng), good)
        });
        book.add(87, &format!("a commit from {what}"), stage, |stage, rng| {
            let change = content(move |content| content.sender = Sender::Member(leaf));
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
}

fn senders(book: &mut Book, stage: &Stage) {
    book.add(88, "a proposal from outside where nobody outside may propose", stage, |stage, rng| {
        let good = stage.proposal(Sender::Member(BOB), remove(DANA), rng);
        Trial::proposal(stage.proposal(Sender::External(0), remove(DANA), rng), good)
    });
    for (row, what, sender) in [
        (91, "a commit by a client that proposes its own addition", Sender::NewMemberProposal),
        (93, "a proposal by a client that joins by commit", Sender::NewMemberCommit),
    ] {
        book.add(row, what, stage, |stage, rng| {
            let commit = row == 91;
            if commit {
                let change = content(|content| content.sender = Sender::NewMemberProposal);
                return Trial::commit(stage.altered(&change, rng), stage.honest(rng));
            }
            let good = stage.proposal(Sender::Member(BOB), remove(DANA), rng);
            Trial::proposal(stage.proposal(sender, remove(DANA), rng), good)
        });
    }
    book.add(98, "a commit in the name of another member", stage, |stage, rng| {
        let change = content(|content| content.sender = Sender::Member(DANA));
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
}

/// In a group that lists Bob's key as that of an external sender.
fn external_senders(book: &mut Book) {
    let listed = |key: &keyroom_wire::SignaturePublicKey| {
        let sender = ExternalSender { signature_key: key.clone(), credential: Credential::basic(&b"steward"[..]) };
        extensions(&[(ExtensionType::EXTERNAL_SENDERS, &labels::opaque_bytes(&sender.to_bytes()))])
    };
    let key = Stage::plain(1).bob_signer().public_key().clone();
    let stage = &Stage::new(1, listed(&key));
    assert_eq!(*stage.bob_signer().public_key(), key, "the same randomness gives the same keys");
    let outside = Sender::External(0);
    book.add(88, "a proposal from an external sender that is not listed", stage, |stage, rng| {
        let good = stage.proposal(outside, remove(DANA), rng);
        Trial::proposal(stage.proposal(Sender::External(1), remove(DANA), rng), good)
    });
    book.add(89, "a commit by an external sender", stage, |stage, rng| {
        let change = content(|content| content.sender = Sender::External(0));
        let good = stage.proposal(outside, remove(DANA), rng);
        Trial::commit(stage.altered(&change, rng), good).with_twin_of(Kind::Proposal)
    });
    book.add(90, "an ExternalInit by an external sender, and committed", stage, |stage, rng| {
        let kem_output = vec![9; stage.suite.kem().encapsulation_len()].into();
        from_outside(stage, Proposal::ExternalInit { kem_output }, rng)
    });
    book.add(90, "an Update by an external sender, and committed", stage, |stage, rng| {
        let leaf = stage.update_of(DANA, rng);
        let leaf_node = Box::new(stage.sign_leaf(leaf, DANA, rng));
        from_outside(stage, Proposal::Update { leaf_node }, rng)
    });
    book.add(98, "a proposal of an external sender signed by somebody else", stage, |stage, rng| {
        let bob = stage.bob();
        let framed = bob.framed(outside, Content::Proposal(remove(DANA)));
        let signer = stage.members[2].client.signer.as_ref();
        let signed = bob.sign(framed, WireFormat::PUBLIC_MESSAGE, signer, rng);
        let bad = bytes(bob.tagged(signed.content, signed.auth));
        Trial::proposal(bad, stage.proposal(outside, remove(DANA), rng))
    });
}

/// A proposal from outside and a commit that names it; the twin removes Dana.
fn from_outside(stage: &Stage, proposal: Proposal, rng: &mut dyn CryptoRng) -> Trial {
    let committed = |proposal: Proposal, named: bool, rng: &mut dyn CryptoRng| {
        let message = stage.public(Sender::External(0), Content::Proposal(proposal.clone()), rng);
        let signed = message.clone().into_authenticated_content();
        let reference = labels::proposal_ref(stage.suite, &signed.to_bytes());
        let named = named.then(|| (reference.clone(), DANA, proposal));
        let change = Alter { named: named.into_iter().collect(), ..Alter::default() };
        let commit = super::h_proposals::naming(stage, vec![ProposalOrRef::Reference(reference)], &change, rng);
        (bytes(message), commit)
    };
    let (bad, bad_commit) = committed(proposal, false, rng);
    let (good, good_commit) = committed(remove(DANA), true, rng);
    Trial::commit(bad_commit, good_commit).naming(vec![bad], vec![good])
}

fn newcomers(book: &mut Book, stage: &Stage) {
    let own = |stage: &Stage, proposal, signer: &dyn keyroom_crypto::Signer, rng: &mut dyn CryptoRng| {
        let bob = stage.bob();
        let framed = bob.framed(Sender::NewMemberProposal, Content::Proposal(proposal));
        let signed = bob.sign(framed, WireFormat::PUBLIC_MESSAGE, signer, rng);
        bob.tagged(signed.content, signed.auth)
    };
    book.add(92, "a removal proposed by a client outside", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let signer = gina.client.signer.as_ref();
        let good = bytes(own(stage, add(&gina.bundle.key_package), signer, rng));
        Trial::proposal(bytes(own(stage, remove(DANA), signer, rng)), good)
    });
    book.add(92, "an own addition signed with another key", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let proposal = || add(&gina.bundle.key_package);
        let good = bytes(own(stage, proposal(), gina.client.signer.as_ref(), rng));
        Trial::proposal(bytes(own(stage, proposal(), stage.bob_signer(), rng)), good)
    });
    book.add(123, "an Update by a client outside", stage, |stage, rng| {
        let leaf = stage.update_of(DANA, rng);
        let update = Proposal::Update { leaf_node: Box::new(stage.sign_leaf(leaf, DANA, rng)) };
        let gina = stage.outsider("gina", rng);
        let signer = gina.client.signer.as_ref();
        let good = bytes(own(stage, add(&gina.bundle.key_package), signer, rng));
        Trial::proposal(bytes(own(stage, update, signer, rng)), good)
    });
    book.add(96, "a membership tag on the proposal of a client outside", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let good = own(stage, add(&gina.bundle.key_package), gina.client.signer.as_ref(), rng);
        let tag = Some(Mac::from(vec![7; stage.nh()].as_slice()));
        let bad = PublicMessage { membership_tag: tag, ..good.clone() };
        Trial::proposal(bytes(bad), bytes(good))
    });
}

fn damaged() -> [(&'static str, fn(&[u8]) -> Vec<u8>); 5] {
    [
        ("with one bit changed", |tag| flip(tag, tag.len() - 1)),
        ("of no bytes", |_| Vec::new()),
        ("without its last byte", |tag| tag[..tag.len() - 1].to_vec()),
        ("with a byte more", |tag| [tag, &[0]].concat()),
        ("of zeros", |tag| vec![0; tag.len()]),
    ]
}

fn membership_tags(book: &mut Book, stage: &Stage) {
    let message = |change: fn(&[u8]) -> Vec<u8>| Alter {
        message: Some(Box::new(move |message: &mut PublicMessage| {
            let tag = message.membership_tag.as_ref().unwrap().as_slice();
            message.membership_tag = Some(change(tag).as_slice().into());
        })),
        ..Alter::default()
    };
    for (what, damage) in damaged() {
        book.add(97, &format!("a commit with a membership tag {what}"), stage, |stage, rng| {
            Trial::commit(stage.altered(&message(damage), rng), stage.honest(rng))
        });
    }
    book.add(97, "a proposal with a membership tag with one bit changed", stage, |stage, rng| {
        let good = stage.public(Sender::Member(BOB), Content::Proposal(remove(DANA)), rng);
        let tag = good.membership_tag.as_ref().unwrap().as_slice();
        let bad = PublicMessage { membership_tag: Some(flip(tag, 0).as_slice().into()), ..good.clone() };
        Trial::proposal(bytes(bad), bytes(good))
    });
    book.add(95, "a commit of a member without a membership tag", stage, |stage, rng| {
        let change = Alter { message: Some(Box::new(|message| message.membership_tag = None)), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
}

fn signatures(book: &mut Book, stage: &Stage) {
    let signature = |change: fn(&[u8]) -> Vec<u8>| Alter {
        signature: Some(Box::new(move |signature: &mut Signature| {
            *signature = change(signature.as_slice()).into();
        })),
        ..Alter::default()
    };
    let damages: [(&str, fn(&[u8]) -> Vec<u8>); 3] = [
        ("with one bit changed", |signature| flip(signature, signature.len() / 2)),
        ("of no bytes", |_| Vec::new()),
        ("without its last byte", |signature| signature[..signature.len() - 1].to_vec()),
    ];
    for (what, damage) in damages {
        book.add(98, &format!("a commit with a signature {what}"), stage, |stage, rng| {
            Trial::commit(stage.altered(&signature(damage), rng), stage.honest(rng))
        });
    }
    book.add(99, "a commit in a public message, signed for a private one", stage, |stage, rng| {
        let change = Alter { wire_format: Some(WireFormat::PRIVATE_MESSAGE), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(99, "application data in a private message, signed for a public one", stage, |stage, rng| {
        let good = Forged::by(BOB, b"text");
        let bad = Forged { wire_format: WireFormat::PUBLIC_MESSAGE, ..good.clone() };
        Trial::application(bad.bytes(&stage.bob(), rng), good.bytes(&stage.bob(), rng))
    });
    book.add(100, "a proposal signed in the context of another epoch", stage, |stage, rng| {
        let bob = stage.bob();
        let framed = bob.framed(bob.sender(), Content::Proposal(remove(DANA)));
        let mut signed = bob.sign(framed, WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
        let mut other = bob.group.context().clone();
        other.tree_hash = Opaque::from(flip(other.tree_hash.as_slice(), 0));
        let tbs = signed.content.tbs(WireFormat::PUBLIC_MESSAGE, &other.to_bytes());
        signed.auth.signature = labels::sign_with_label(bob.signer, "FramedContentTBS", &tbs, rng).unwrap();
        let bad = bytes(bob.tagged(signed.content, signed.auth));
        Trial::proposal(bad, stage.proposal(Sender::Member(BOB), remove(DANA), rng))
    });
}

fn confirmation_tags(book: &mut Book, stage: &Stage) {
    let tag = |change: fn(&[u8]) -> Vec<u8>| Alter {
        auth: Some(Box::new(move |auth: &mut keyroom_wire::FramedContentAuthData| {
            let tag = auth.confirmation_tag.as_ref().unwrap().as_slice();
            auth.confirmation_tag = Some(change(tag).as_slice().into());
        })),
        ..Alter::default()
    };
    for (what, damage) in damaged() {
        book.add(102, &format!("a commit with a confirmation tag {what}"), stage, |stage, rng| {
            Trial::commit(stage.altered(&tag(damage), rng), stage.honest(rng))
        });
    }
    book.add(102, "a commit with a confirmation tag of the old epoch's key", stage, |stage, rng| {
        let old = stage.bob().secrets.confirmation_tag(stage.suite, b"old");
        let change =
            Alter { auth: Some(Box::new(move |auth| auth.confirmation_tag = Some(old.clone()))), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
}
