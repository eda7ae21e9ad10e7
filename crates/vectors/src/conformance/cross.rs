use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{Provider, Secret, Suite};

use super::kem::randomness;

/// For every suite that both have: keys, seals and exports are equal byte for byte, each opens
/// what the other sealed and verifies what the other signed.
///
/// # Panics
/// If not, or if they have no suite in common.
pub fn each_opens_and_verifies_what_the_other_made(one: &dyn Provider, other: &dyn Provider) {
    let common = one.suites().into_iter().filter_map(|suite| Some((suite, other.suite(suite.cipher_suite()).ok()?)));
    let pairs: Vec<_> = common.collect();
    assert!(!pairs.is_empty());
    for (one, other) in pairs {
        for (maker, checker) in [(one, other), (other, one)] {
            derivations(maker, checker);
            encryption(maker, checker);
            signature(maker, checker);
        }
    }
}

fn derivations(maker: &dyn Suite, checker: &dyn Suite) {
    for seed in 0..20u8 {
        let (pair, same) = (maker.kem().derive_key_pair(&[seed; 40]), checker.kem().derive_key_pair(&[seed; 40]));
        let (pair, same) = (pair.unwrap(), same.unwrap());
        assert_eq!((pair.private.expose(), &pair.public), (same.private.expose(), &same.public));
        assert_eq!(maker.hash(&[&[seed]]), checker.hash(&[&[seed]]));
        assert_eq!(maker.mac(&[seed; 200], &[b"message"]), checker.mac(&[seed; 200], &[b"message"]));
    }
}

fn encryption(maker: &dyn Suite, checker: &dyn Suite) {
    let recipient = maker.kem().derive_key_pair(b"recipient").unwrap();
    let public = recipient.public.as_slice();
    let infos = |suite: &dyn Suite| {
        [Info::base(suite, b"info"), Info::psk(suite, b"info", Secret::copy_of(&[8; 32]), b"id").unwrap()]
    };
    for (ours, theirs) in infos(maker).iter().zip(&infos(checker)) {
        let randomness = Secret::copy_of(&randomness(maker.kem(), 6));
        let sealed = hpke::seal(maker, ours, public, &randomness, b"aad", b"plaintext").unwrap();
        let opened = hpke::open(checker, theirs, recipient.private.expose(), b"aad", &sealed).unwrap();
        assert_eq!(**opened, *b"plaintext");
        let (enc, sender) = hpke::setup_sender(maker, ours, public, &randomness).unwrap();
        let receiver = hpke::setup_receiver(checker, theirs, recipient.private.expose(), &enc).unwrap();
        let exported = sender.export(maker, b"context", 50).unwrap();
        assert_eq!(exported.expose(), receiver.export(checker, b"context", 50).unwrap().expose());
    }
}

fn signature(maker: &dyn Suite, checker: &dyn Suite) {
    let mut rng = crate::rng(7);
    let private = maker.generate_signature_key(&mut rng).unwrap();
    let (signer, same) = (maker.signer(private.expose()).unwrap(), checker.signer(private.expose()).unwrap());
    assert_eq!(signer.public_key(), same.public_key());
    // Several, so that both halves of the range of an ECDSA `S` occur.
    for number in 0..8u8 {
        let signature = signer.sign(&[number], &mut rng).unwrap();
        checker.verify(signer.public_key().as_slice(), &[number], signature.as_slice()).unwrap();
        assert!(checker.verify(signer.public_key().as_slice(), b"other", signature.as_slice()).is_err());
    }
}
