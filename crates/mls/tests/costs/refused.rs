//! What is refused costs no more than the checks before its fault, and changes nothing.

use keyroom_insider::{Alter, Insider, Private, Tally, now};
use keyroom_mls::error::{Error, Rule};
use keyroom_wire::{Encode, FramedContentAuthData, LeafNode, Mac, MlsMessage, Signature, UpdatePath};

use super::{Room, TEN_THOUSAND, THOUSAND, assert_within, followed};
use crate::Cost;

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[0] ^= 1;
    bytes
}

impl Room {
    /// The second refuses what the first has made up, and how much that cost.
    fn refusal(&mut self, what: &str, message: &[u8], expected: Rule) -> Tally {
        let version = self.second.group.version();
        self.suite.take();
        let error = self.second.group.process(message, &now()).unwrap_err();
        assert_eq!(error, Error::Rule(expected), "{what}");
        assert_eq!(self.second.group.version(), version);
        self.suite.take()
    }

    fn altered(&mut self, what: &str, change: &Alter<'_>, expected: Rule) -> Tally {
        let insider = Insider::new(&self.first.group, self.first.client.signer.as_ref());
        let message = insider.commit(Vec::new(), change, &mut self.rng).bytes();
        self.refusal(what, &message, expected)
    }
}

fn assert_refusals(mut room: Room) {
    let depth = room.depth();
    let within = |what: &str, cost: Tally, bound: Tally| {
        assert_within(what, Cost { tally: cost, ..Cost::default() }, Cost { tally: bound, ..Cost::default() });
    };

    let tag =
        Alter { message: Some(Box::new(|m| m.membership_tag = Some(Mac::from(&[0; 32][..])))), ..Alter::default() };
    let cost = room.altered("membership tag", &tag, Rule::MembershipTag);
    within("a commit from outside", cost, Tally { hashes: 1, ..Tally::default() });

    let signature = |s: &mut Signature| *s = Signature::from(flipped(s.as_slice()));
    let forged = Alter { signature: Some(Box::new(signature)), ..Alter::default() };
    let cost = room.altered("signature", &forged, Rule::MessageSignature);
    within("a forged commit", cost, Tally { hashes: 1, verified: 1, ..Tally::default() });

    let longer = |path: &mut UpdatePath| path.nodes.push(path.nodes[0].clone());
    let shape = Alter { path: Some(Box::new(longer)), ..Alter::default() };
    let cost = room.altered("length of the path", &shape, Rule::PathLength);
    within("a path of the wrong length", cost, Tally { hashes: 1, verified: 1, ..Tally::default() });

    let leaf = |leaf: &mut LeafNode| leaf.signature = Signature::from(flipped(leaf.signature.as_slice()));
    let unsigned = Alter { leaf: Some(Box::new(leaf)), ..Alter::default() };
    let cost = room.altered("signature of the leaf", &unsigned, Rule::LeafSignature);
    within("a commit with a forged leaf", cost, Tally { hashes: 2 * depth + 6, verified: 2, ..Tally::default() });

    let untrue = |auth: &mut FramedContentAuthData| {
        auth.confirmation_tag = auth.confirmation_tag.as_ref().map(|tag| Mac::from(flipped(tag.as_slice())));
    };
    let confirmed = Alter { auth: Some(Box::new(untrue)), ..Alter::default() };
    let cost = room.altered("confirmation tag", &confirmed, Rule::ConfirmationTag);
    within("a commit with a wrong tag", cost, followed(depth));

    for (what, private, expected) in [
        (
            "ciphertext",
            Private { ciphertext: Some(Box::new(|c| c[0] ^= 1)), ..Private::text(b"no") },
            Rule::ContentDecryption,
        ),
        (
            "sender data",
            Private { sender_data: Some(Box::new(|s| s.push(0))), ..Private::text(b"no") },
            Rule::SenderData,
        ),
    ] {
        let insider = Insider::new(&room.first.group, room.first.client.signer.as_ref());
        let message = MlsMessage::PrivateMessage(private.make(&insider, &mut room.rng)).to_bytes();
        let cost = room.refusal(what, &message, expected);
        // It may be the first message of its sender: then the tree is walked down on copies.
        within("a damaged message", cost, Tally { kdf: 2 * depth + 7, ..Tally::default() });
    }
    // None of it has cost anything for good.
    room.commit(|commit| commit);
    room.message();
}

#[test]
fn in_a_group_of_a_thousand_a_forgery_costs_one_signature_check_at_most() {
    assert_refusals(Room::new(&THOUSAND));
}

#[test]
fn in_a_group_of_ten_thousand_a_forgery_costs_one_signature_check_at_most() {
    assert_refusals(Room::new(&TEN_THOUSAND));
}
