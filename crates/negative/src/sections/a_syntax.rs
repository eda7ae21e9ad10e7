//! Section A: bytes that do not follow the presentation language.

use keyroom_insider::Alter;
use keyroom_wire::{
    CipherSuite, Content, Encode, ExtensionType, LeafIndex, Mac, Node, Proposal, ProposalType, RatchetTree, Sender,
};

use super::{extensions, required};
use crate::book::{Book, Trial};
use crate::forged::Forged;
use crate::sections::m_welcomes::Invitation;
use crate::stage::{BOB, DANA, Stage, bytes, remove};

/// Offsets in a PublicMessage of a member of the group "room".
const GROUP_ID: usize = 4;
const SENDER: usize = 17;
const CONTENT_TYPE: usize = 23;
const PROPOSALS: usize = 24;

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    vectors(book, stage);
    values(book, stage);
    tags(book, stage);
    inside(book, stage);
    tree_nodes(book, stage);
    indexes(book, stage);
    grease(book, stage);
}

/// Indexes with which arithmetic would overflow name nobody.
fn indexes(book: &mut Book, stage: &Stage) {
    for (what, leaf) in [("2^31", LeafIndex(1 << 31)), ("2^32-1", LeafIndex(u32::MAX))] {
        book.add(18, &format!("a commit that removes leaf {what}"), stage, |stage, rng| {
            Trial::commit(stage.commit(vec![remove(leaf)], rng), stage.commit(vec![remove(DANA)], rng))
        });
        book.add(18, &format!("a commit of leaf {what}"), stage, |stage, rng| {
            let content = move |content: &mut keyroom_wire::FramedContent| content.sender = Sender::Member(leaf);
            let change = Alter { content: Some(Box::new(content)), ..Alter::default() };
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
        book.add(18, &format!("sender data that name leaf {what}"), stage, |stage, rng| {
            let honest = Forged::by(BOB, b"text");
            let bad = Forged { leaf, ..honest.clone() };
            Trial::application(bad.bytes(&stage.bob(), rng), honest.bytes(&stage.bob(), rng))
        });
    }
}

/// GREASE is passed over in lists of what is supported, and is unknown elsewhere.
fn grease(book: &mut Book, stage: &Stage) {
    let greased = |stage: &Stage, rng: &mut dyn keyroom_crypto::CryptoRng| {
        let gina = stage.outsider("gina", rng);
        let package = crate::stage::resigned(
            &gina,
            |package| {
                let lists = &mut package.leaf_node.capabilities;
                lists.versions.push(keyroom_wire::ProtocolVersion(0x1a1a));
                lists.cipher_suites.push(CipherSuite(0x2a2a));
                lists.extensions.push(ExtensionType(0x3a3a));
                lists.proposals.push(ProposalType(0x4a4a));
                lists.credentials.push(keyroom_wire::CredentialType(0x5a5a));
            },
            rng,
        );
        stage.commit(vec![crate::stage::add(&package)], rng)
    };
    book.add(20, "a proposal of a type reserved for GREASE", stage, |stage, rng| {
        let custom = Proposal::Custom { proposal_type: ProposalType(0x0a0a), body: b"x"[..].into() };
        Trial::commit(stage.commit(vec![custom], rng), greased(stage, rng))
    });
    book.add(20, "an Add of a key package of a cipher suite reserved for GREASE", stage, |stage, rng| {
        let gina = stage.outsider("gina", rng);
        let bad = crate::stage::resigned(&gina, |package| package.cipher_suite = CipherSuite(0x7a7a), rng);
        Trial::commit(stage.commit(vec![crate::stage::add(&bad)], rng), greased(stage, rng))
    });
}

/// Replaces a part of a message.
fn spliced(mut message: Vec<u8>, at: usize, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(&message[at..at + old.len()], old);
    message.splice(at..at + old.len(), new.iter().copied());
    message
}

fn vectors(book: &mut Book, stage: &Stage) {
    let mut edit = |row, what: &str, at: usize, old: &'static [u8], new: &'static [u8]| {
        book.add(row, what, stage, |stage, rng| {
            let honest = stage.honest(rng);
            Trial::commit(spliced(honest.clone(), at, old, new), honest)
        });
    };
    edit(1, "the presence octet of the path is 2", PROPOSALS + 1, &[1], &[2]);
    edit(2, "a vector length with the prefix 11", GROUP_ID, &[4], &[0xc0, 0, 0, 0, 0, 0, 0, 4]);
    edit(3, "a vector length of four bytes written in two", GROUP_ID, &[4], &[0x40, 4]);
    edit(3, "a vector length of four bytes written in four", GROUP_ID, &[4], &[0x80, 0, 0, 4]);
    edit(5, "a group identifier of 2^30 bytes", GROUP_ID, &[4], &[0xbf, 0xff, 0xff, 0xff]);
    book.add(6, "a list of proposals that ends inside its last element", stage, |stage, rng| {
        let honest = stage.commit(vec![remove(DANA)], rng);
        Trial::commit(spliced(honest.clone(), PROPOSALS, &[7], &[6]), honest)
    });
    book.add(7, "a byte after the end of the message", stage, |stage, rng| {
        let honest = stage.honest(rng);
        Trial::commit([honest.as_slice(), &[0]].concat(), honest)
    });
    book.add(4, "a message without its last byte", stage, |stage, rng| {
        let honest = stage.honest(rng);
        Trial::commit(honest[..honest.len() - 1].to_vec(), honest)
    });
    book.add(8, "a byte after the end of required_capabilities", stage, |stage, rng| {
        let change = |trailing: &[u8]| {
            let data = [required(None, None, Some(1)).to_bytes().as_slice(), trailing].concat();
            let extensions = extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &data)]);
            vec![Proposal::GroupContextExtensions { extensions }]
        };
        Trial::commit(stage.commit(change(&[0]), rng), stage.commit(change(&[]), rng))
    });
}

fn values(book: &mut Book, stage: &Stage) {
    let mut edit = |row, what: &str, at: usize, old: &'static [u8], new: &'static [u8]| {
        book.add(row, what, stage, |stage, rng| {
            let honest = stage.commit(vec![remove(DANA)], rng);
            Trial::commit(spliced(honest.clone(), at, old, new), honest)
        });
    };
    edit(10, "protocol version 0", 0, &[0, 1], &[0, 0]);
    edit(10, "protocol version 2", 0, &[0, 1], &[0, 2]);
    edit(10, "a protocol version reserved for GREASE", 0, &[0, 1], &[0x0a, 0x0a]);
    edit(11, "wire format 0", 2, &[0, 1], &[0, 0]);
    edit(11, "wire format 6", 2, &[0, 1], &[0, 6]);
    edit(12, "sender type 0", SENDER, &[1], &[0]);
    edit(12, "sender type 5", SENDER, &[1], &[5]);
    edit(12, "content type 0", CONTENT_TYPE, &[3], &[0]);
    edit(12, "content type 4", CONTENT_TYPE, &[3], &[4]);
    edit(12, "a proposal that is neither by value nor by reference", PROPOSALS + 1, &[1], &[3]);
    book.add(13, "a proposal of an unknown type", stage, |stage, rng| {
        let custom = Proposal::Custom { proposal_type: ProposalType(0xf0f0), body: b"x"[..].into() };
        Trial::commit(stage.commit(vec![custom], rng), stage.honest(rng))
    });
}

fn tags(book: &mut Book, stage: &Stage) {
    book.add(14, "a commit without a confirmation tag", stage, |stage, rng| {
        let change = Alter { auth: Some(Box::new(|auth| auth.confirmation_tag = None)), ..Alter::default() };
        Trial::commit(stage.altered(&change, rng), stage.honest(rng))
    });
    book.add(14, "a proposal with a confirmation tag", stage, |stage, rng| {
        let honest = stage.public(Sender::Member(BOB), Content::Proposal(remove(DANA)), rng);
        let mut auth = honest.auth.clone();
        auth.confirmation_tag = Some(Mac::from(vec![7; stage.nh()].as_slice()));
        let bad = stage.bob().tagged(honest.content.clone(), auth);
        Trial::proposal(bytes(bad), bytes(honest))
    });
    for (what, length) in [("an empty", 0), ("a shorter", 1)] {
        book.add(15, &format!("{what} confirmation tag"), stage, |stage, rng| {
            let change = Alter {
                auth: Some(Box::new(move |auth| {
                    let tag = auth.confirmation_tag.as_ref().unwrap().as_slice();
                    auth.confirmation_tag = Some(tag[..length].into());
                })),
                ..Alter::default()
            };
            Trial::commit(stage.altered(&change, rng), stage.honest(rng))
        });
    }
}

/// What is malformed under encryption.
fn inside(book: &mut Book, stage: &Stage) {
    book.add(9, "a byte after the end of GroupSecrets", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let mut parts = invitation.parts();
        parts.trailing = vec![0];
        Trial::welcome(invitation.welcome(&parts, |_| {}, rng), invitation.honest(rng))
    });
    book.add(9, "a byte after the end of SenderData", stage, |stage, rng| {
        let honest = Forged::by(BOB, b"text");
        let bad = Forged { spoil_sender: |sender| sender.push(0), ..honest.clone() };
        Trial::application(bad.bytes(&stage.bob(), rng), honest.bytes(&stage.bob(), rng))
    });
    book.add(16, "SenderData without its last byte", stage, |stage, rng| {
        let honest = Forged::by(BOB, b"text");
        let bad = Forged { spoil_sender: |sender| sender.truncate(11), ..honest.clone() };
        Trial::application(bad.bytes(&stage.bob(), rng), honest.bytes(&stage.bob(), rng))
    });
}

fn tree_nodes(book: &mut Book, stage: &Stage) {
    let mut edit = |row, what: &str, change: fn(&mut RatchetTree)| {
        book.add(row, what, stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            let bad = invitation.with_tree(stage, change, rng);
            Trial::welcome(bad, invitation.honest(rng))
        });
    };
    edit(17, "a leaf where a parent belongs", |tree| tree.nodes[1] = tree.nodes[0].clone());
    edit(17, "a parent where a leaf belongs", |tree| tree.nodes[0] = tree.nodes[1].clone());
    edit(19, "unmerged leaves out of order", |tree| *unmerged(tree) = vec![DANA, BOB]);
    edit(19, "an unmerged leaf twice", |tree| *unmerged(tree) = vec![DANA, DANA]);
}

/// The unmerged leaves of the root.
fn unmerged(tree: &mut RatchetTree) -> &mut Vec<LeafIndex> {
    let root = tree.nodes.len().next_power_of_two() / 2 - 1;
    match tree.nodes[root].as_mut() {
        Some(Node::Parent(parent)) => &mut parent.unmerged_leaves,
        _ => panic!("a blank root"),
    }
}
