use keyroom_crypto::Suite;
use keyroom_mls::key_schedule::SenderDataSecret;
use keyroom_mls::record::ChangeSet;
use keyroom_mls::secret_tree::{RatchetLimits, RatchetType, SecretTree};
use keyroom_vectors::{Hex, load};
use keyroom_wire::{GroupId, LeafIndex};
use serde::Deserialize;

use crate::{secret, suite};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    encryption_secret: Hex,
    sender_data: SenderData,
    leaves: Vec<Vec<Generation>>,
}

#[derive(Deserialize)]
struct SenderData {
    sender_data_secret: Hex,
    ciphertext: Hex,
    key: Hex,
    nonce: Hex,
}

#[derive(Deserialize)]
struct Generation {
    generation: u32,
    application_key: Hex,
    application_nonce: Hex,
    handshake_key: Hex,
    handshake_nonce: Hex,
}

#[test]
fn every_generation_has_the_key_of_the_vectors_in_any_order() {
    let Some(cases) = load::<Vec<Case>>("mls/secret-tree.json") else { return };
    for case in &cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        open_all(
            suite,
            case,
            case.leaves.iter().enumerate().flat_map(|(leaf, keys)| keys.iter().map(move |key| (leaf, key))),
        );
        open_all(
            suite,
            case,
            case.leaves.iter().enumerate().rev().flat_map(|(leaf, keys)| keys.iter().rev().map(move |key| (leaf, key))),
        );
    }
}

fn open_all<'a>(suite: &'static dyn Suite, case: &Case, order: impl Iterator<Item = (usize, &'a Generation)>) {
    let depth = u8::try_from(case.leaves.len().next_power_of_two().ilog2()).unwrap();
    let mut tree = SecretTree::new(suite, secret(&case.encryption_secret), depth, 0);
    let mut changes = ChangeSet::new(GroupId::default(), 0);
    for (leaf, expected) in order {
        let leaf = LeafIndex(u32::try_from(leaf).unwrap());
        for (ratchet_type, key, nonce) in [
            (RatchetType::Application, &expected.application_key, &expected.application_nonce),
            (RatchetType::Handshake, &expected.handshake_key, &expected.handshake_nonce),
        ] {
            let limits = RatchetLimits::default();
            let (found, puncture) = tree.open_key(leaf, ratchet_type, expected.generation, &limits).unwrap();
            tree.apply(puncture, &mut changes).unwrap();
            assert_eq!((found.key.expose(), found.nonce.expose()), (&**key, &**nonce));
        }
    }
}

#[test]
fn sender_data_keys_are_those_of_the_vectors() {
    let Some(cases) = load::<Vec<Case>>("mls/secret-tree.json") else { return };
    for Case { cipher_suite, sender_data, .. } in &cases {
        let Some(suite) = suite(*cipher_suite) else { continue };
        let sender_data_secret: SenderDataSecret = secret(&sender_data.sender_data_secret);
        let keys = sender_data_secret.key_nonce(suite, &sender_data.ciphertext).unwrap();
        assert_eq!((keys.key.expose(), keys.nonce.expose()), (&*sender_data.key, &*sender_data.nonce));
    }
}
