use keyroom_crypto::Secret;
use keyroom_mls::psk::{PskError, PskSecret, psk_secret};
use keyroom_vectors::{Hex, load};
use keyroom_wire::{PreSharedKeyId, Psk};
use serde::Deserialize;

use crate::suite;

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    psks: Vec<OnePsk>,
    psk_secret: Hex,
}

#[derive(Deserialize)]
struct OnePsk {
    psk_id: Hex,
    psk: Hex,
    psk_nonce: Hex,
}

#[test]
fn psks_combine_as_in_the_vectors() {
    let Some(cases) = load::<Vec<Case>>("mls/psk_secret.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let psks: Vec<_> =
            case.psks.iter().map(|psk| (id(&psk.psk_id, &psk.psk_nonce), Secret::copy_of(&psk.psk))).collect();
        let borrowed: Vec<_> = psks.iter().map(|(id, psk)| (id, psk)).collect();
        let combined = psk_secret(suite, &borrowed, u16::MAX).unwrap();
        assert_eq!(combined.expose(), &*case.psk_secret);
    }
}

#[test]
fn no_psks_give_zeros() {
    let suite = suite(1).unwrap();
    assert_eq!(psk_secret(suite, &[], 0).unwrap().expose(), PskSecret::none(suite).expose());
    assert_eq!(PskSecret::none(suite).expose(), [0; 32]);
}

#[test]
fn row_230_more_psks_than_the_limit_or_than_can_be_counted_are_refused() {
    let suite = suite(1).unwrap();
    let (id, psk) = (id(b"id", b"nonce"), Secret::zeros(32));
    let many = |count| vec![(&id, &psk); count];
    assert!(psk_secret(suite, &many(3), 3).is_ok());
    assert_eq!(psk_secret(suite, &many(4), 3).unwrap_err(), PskError::TooMany);
    assert_eq!(psk_secret(suite, &many(65_536), u16::MAX).unwrap_err(), PskError::TooMany);
}

fn id(psk_id: &[u8], psk_nonce: &[u8]) -> PreSharedKeyId {
    PreSharedKeyId { psk: Psk::External { psk_id: psk_id.into() }, psk_nonce: psk_nonce.into() }
}
