//! Section G: private messages and the keys of the secret tree.

use keyroom_mls::secret_tree::RatchetType;
use keyroom_wire::{Content, ContentType, Encode, LeafIndex, MlsMessage, Opaque, PrivateMessage};

use super::flip;
use crate::book::{Book, Trial};
use crate::case::Kind;
use crate::forged::Forged;
use crate::stage::{BLANK, BOB, DANA, READER, Stage, remove};

fn honest() -> Forged {
    Forged::by(BOB, b"text")
}

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    sender_data(book, stage);
    contents(book, stage);
    damage(book, stage);
    generations(book, stage);
    handshakes(book, stage);
}

fn forged(book: &mut Book, stage: &Stage, row: u16, what: &str, bad: &Forged) {
    book.add(row, what, stage, |stage, rng| {
        Trial::application(bad.bytes(&stage.bob(), rng), honest().bytes(&stage.bob(), rng))
    });
}

fn sender_data(book: &mut Book, stage: &Stage) {
    forged(book, stage, 104, "a message in the reader's own name", &Forged { leaf: READER, ..honest() });
    forged(book, stage, 106, "a message from a blank leaf", &Forged { leaf: BLANK, ..honest() });
    forged(book, stage, 106, "a message from outside the tree", &Forged { leaf: LeafIndex(4000), ..honest() });
    let dana = Forged { leaf: DANA, key_of: DANA, ..honest() };
    forged(book, stage, 98, "a message in the name and with the key of another member", &dana);
    let own_key = Forged { leaf: DANA, ..honest() };
    forged(book, stage, 107, "a message in the name of another member with the own key", &own_key);
    // What was forged in Dana's name must not have burnt her key.
    book.add(116, "a forged message that uses up the key of another member", stage, |stage, rng| {
        let bad = Forged { leaf: DANA, key_of: DANA, ..honest() };
        let dana = &stage.members[2];
        let insider = keyroom_insider::Insider::new(&dana.group, dana.client.signer.as_ref());
        Trial::application(bad.bytes(&stage.bob(), rng), Forged::by(DANA, b"text").bytes(&insider, rng))
    });
}

fn contents(book: &mut Book, stage: &Stage) {
    let padded = Forged { spoil: |plain| plain.extend([0, 0, 1]), ..honest() };
    forged(book, stage, 109, "a byte in the padding that is not zero", &padded);
    let first = Forged { spoil: |plain| plain.extend([1, 0, 0]), ..honest() };
    forged(book, stage, 109, "a first byte of the padding that is not zero", &first);
    forged(book, stage, 110, "an empty plaintext", &Forged { spoil: Vec::clear, ..honest() });
    let cut = Forged { spoil: |plain| plain.truncate(20), ..honest() };
    forged(book, stage, 110, "a plaintext that ends in its signature", &cut);
    let wrong = Forged { spoil_signature: |signature| *signature = flip(signature, 7), ..honest() };
    forged(book, stage, 98, "a private message with a signature with one bit changed", &wrong);
    forged(
        book,
        stage,
        98,
        "a private message without a signature",
        &Forged { spoil_signature: Vec::clear, ..honest() },
    );
    let other = Forged { ratchet: RatchetType::Handshake, ..honest() };
    forged(book, stage, 114, "application data under a handshake key", &other);
}

fn damage(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut PrivateMessage);
    let changes: [(u16, &str, Change); 12] = [
        (82, "a private message for another group", |m| m.group_id = b"other"[..].into()),
        (84, "a private message of a later epoch", |m| m.epoch += 7),
        (105, "a private message that names another content type", |m| m.content_type = ContentType::Proposal),
        (105, "sender data with one bit changed", |m| {
            m.encrypted_sender_data = flip(m.encrypted_sender_data.as_slice(), 3).into();
        }),
        (105, "no sender data", |m| m.encrypted_sender_data = Opaque::default()),
        (105, "sender data shorter than an authentication tag", |m| {
            m.encrypted_sender_data = m.encrypted_sender_data.as_slice()[..5].into();
        }),
        (107, "other authenticated data", |m| m.authenticated_data = b"x"[..].into()),
        (107, "a ciphertext with its last bit changed", |m| {
            m.ciphertext = flip(m.ciphertext.as_slice(), m.ciphertext.len() - 1).into();
        }),
        (105, "a ciphertext with its first bit changed, to which the sender data are bound", |m| {
            m.ciphertext = flip(m.ciphertext.as_slice(), 0).into()
        }),
        (107, "a ciphertext without its last byte", |m| {
            m.ciphertext = m.ciphertext.as_slice()[..m.ciphertext.len() - 1].into();
        }),
        (108, "a ciphertext of seven bytes", |m| m.ciphertext = m.ciphertext.as_slice()[..7].into()),
        (108, "no ciphertext", |m| m.ciphertext = Opaque::default()),
    ];
    for (row, what, change) in changes {
        book.add(row, what, stage, |stage, rng| {
            let good = honest().make(&stage.bob(), rng);
            let mut bad = good.clone();
            change(&mut bad);
            let bytes = |message| MlsMessage::PrivateMessage(message).to_bytes();
            Trial::application(bytes(bad), bytes(good))
        });
    }
}

fn generations(book: &mut Book, stage: &Stage) {
    book.add(111, "a message for the second time", stage, |stage, rng| {
        let once = honest().bytes(&stage.bob(), rng);
        let next = Forged { key_generation: 1, ..honest() }.bytes(&stage.bob(), rng);
        Trial::application(once.clone(), next).after(once)
    });
    book.add(111, "a second message under the key of the first", stage, |stage, rng| {
        let once = honest().bytes(&stage.bob(), rng);
        let again = Forged::by(BOB, b"other").bytes(&stage.bob(), rng);
        let next = Forged { key_generation: 1, ..honest() }.bytes(&stage.bob(), rng);
        Trial::application(again, next).after(once)
    });
    let ahead = Forged { generation: Some(3), ..honest() };
    forged(book, stage, 107, "a message that names another generation than its key's", &ahead);
    forged(book, stage, 112, "generation 2^31", &Forged { generation: Some(1 << 31), ..honest() });
    forged(book, stage, 117, "the last generation", &Forged { generation: Some(u32::MAX), ..honest() });
}

fn handshakes(book: &mut Book, stage: &Stage) {
    let proposal = || Forged { content: Content::Proposal(remove(DANA)), ratchet: RatchetType::Handshake, ..honest() };
    let mut handshake = |row, what: &str, bad: &Forged| {
        book.add(row, what, stage, |stage, rng| {
            let trial = Trial::proposal(bad.bytes(&stage.bob(), rng), proposal().bytes(&stage.bob(), rng));
            trial.with_twin_of(Kind::Proposal)
        });
    };
    handshake(114, "a proposal under an application key", &Forged { ratchet: RatchetType::Application, ..proposal() });
    handshake(109, "a proposal with padding that is not zero", &Forged { spoil: |plain| plain.push(1), ..proposal() });
    let forged = Forged { leaf: DANA, key_of: DANA, ..proposal() };
    handshake(98, "a private proposal in the name of another member", &forged);
}
