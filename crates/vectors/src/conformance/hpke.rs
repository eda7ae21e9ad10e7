use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{CryptoError, Secret, Suite};
use keyroom_wire::HpkeCiphertext;

use super::kem::randomness;

const PSK: [u8; 32] = [0x5a; 32];

fn with_psk(suite: &dyn Suite, psk: &[u8], id: &[u8]) -> Info {
    Info::psk(suite, b"info", Secret::copy_of(psk), id).unwrap()
}

/// Single-shot seal and open in base and PSK mode.
///
/// # Panics
/// If a ciphertext does not open, or opens under another key, info, associated data or PSK.
pub fn hpke_opens_what_it_sealed_and_nothing_else(suite: &dyn Suite) {
    let base = Info::base(suite, b"info");
    let psk = with_psk(suite, &PSK, b"id");
    let others = [
        Info::base(suite, b"other"),
        with_psk(suite, &[0x5b; 32], b"id"),
        with_psk(suite, &PSK, b"other"),
        Info::psk(suite, b"other", Secret::copy_of(&PSK), b"id").unwrap(),
    ];
    round_trip(suite, &base, others.iter().chain([&psk]));
    round_trip(suite, &psk, others.iter().chain([&base]));
    assert_eq!(Info::psk(suite, b"", Secret::copy_of(&PSK[1..]), b"id").err(), Some(CryptoError::WrongLength));
    assert_eq!(Info::psk(suite, b"", Secret::copy_of(&PSK), b"").err(), Some(CryptoError::WrongLength));
}

fn round_trip<'a>(suite: &dyn Suite, info: &Info, others: impl Iterator<Item = &'a Info>) {
    let recipient = suite.kem().derive_key_pair(b"recipient").unwrap();
    let stranger = suite.kem().derive_key_pair(b"stranger").unwrap();
    let seal = |byte: u8| {
        let randomness = Secret::copy_of(&randomness(suite.kem(), byte));
        hpke::seal(suite, info, recipient.public.as_slice(), &randomness, b"aad", b"plaintext").unwrap()
    };
    let sealed = seal(1);
    assert_eq!(sealed, seal(1));
    assert_ne!(sealed, seal(2));
    assert_eq!(sealed.kem_output.as_slice().len(), suite.kem().encapsulation_len());

    let open = |info: &Info, private: &Secret, aad: &[u8], sealed: &HpkeCiphertext| {
        hpke::open(suite, info, private.expose(), aad, sealed)
    };
    assert_eq!(**open(info, &recipient.private, b"aad", &sealed).unwrap(), *b"plaintext");
    let refused = Some(CryptoError::Open);
    assert_eq!(open(info, &recipient.private, b"other", &sealed).err(), refused);
    assert_eq!(open(info, &stranger.private, b"aad", &sealed).err(), refused);
    others.for_each(|other| assert_eq!(open(other, &recipient.private, b"aad", &sealed).err(), refused));
    let swapped = HpkeCiphertext { kem_output: seal(2).kem_output, ciphertext: sealed.ciphertext.clone() };
    assert_eq!(open(info, &recipient.private, b"aad", &swapped).err(), refused);
    let truncated = HpkeCiphertext {
        kem_output: sealed.kem_output.clone(),
        ciphertext: sealed.ciphertext.as_slice()[..suite.aead_tag_len() - 1].into(),
    };
    assert_eq!(open(info, &recipient.private, b"aad", &truncated).err(), refused);
}

/// Secret export, and several messages in one context.
///
/// # Panics
/// If the two sides differ, or two contexts or lengths give related output.
pub fn hpke_exports_the_same_on_both_sides(suite: &dyn Suite) {
    let recipient = suite.kem().derive_key_pair(b"recipient").unwrap();
    for info in [Info::base(suite, b""), with_psk(suite, &PSK, b"id")] {
        let randomness = Secret::copy_of(&randomness(suite.kem(), 1));
        let (enc, mut sender) = hpke::setup_sender(suite, &info, recipient.public.as_slice(), &randomness).unwrap();
        let mut receiver = hpke::setup_receiver(suite, &info, recipient.private.expose(), &enc).unwrap();
        let one = sender.export(suite, b"one", 40).unwrap();
        assert_eq!(one.expose(), receiver.export(suite, b"one", 40).unwrap().expose());
        assert_ne!(one.expose(), sender.export(suite, b"two", 40).unwrap().expose());
        assert_ne!(&one.expose()[..39], sender.export(suite, b"one", 39).unwrap().expose());
        let most = 255 * suite.kdf().output_len();
        assert_eq!(sender.export(suite, b"", most + 1).err(), Some(CryptoError::OutputTooLong));

        let messages: Vec<_> = (0..3).map(|_| sender.seal(suite, b"", b"same").unwrap()).collect();
        assert_ne!(messages[0], messages[1]);
        assert_eq!(receiver.open(suite, b"", &messages[1]).err(), Some(CryptoError::Open));
        messages.iter().for_each(|message| assert_eq!(**receiver.open(suite, b"", message).unwrap(), *b"same"));
    }
}
