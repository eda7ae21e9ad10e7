use core::fmt::Debug;

use keyroom_crypto::hpke::{self, Info};
use keyroom_crypto::{SealJob, Secret, Suite};

use super::kem::randomness;

/// Nothing that holds a secret prints it.
///
/// # Panics
/// If a secret shows up in hexadecimal or decimal, in part or whole.
pub fn debug_shows_no_secret(suite: &dyn Suite) {
    let mut rng = crate::rng(6);
    let pair = suite.kem().derive_key_pair(b"pair").unwrap();
    assert_hidden(pair.private.expose(), &pair);

    let private = suite.generate_signature_key(&mut rng).unwrap();
    assert_hidden(private.expose(), &private);
    assert_hidden(private.expose(), &suite.signer(private.expose()).unwrap());

    let secret = Secret::random(32, &mut rng);
    assert_hidden(
        secret.expose(),
        &SealJob { public_key: b"", plaintext: secret.expose(), randomness: secret.duplicate() },
    );
    let info = Info::psk(suite, b"", secret.duplicate(), b"id").unwrap();
    assert_hidden(secret.expose(), &info);
    let randomness = |byte| Secret::copy_of(&randomness(suite.kem(), byte));
    let (enc, sender) = hpke::setup_sender(suite, &info, pair.public.as_slice(), &randomness(1)).unwrap();
    let shared_secret = suite.kem().decap(&enc, pair.private.expose()).unwrap();
    assert_hidden(shared_secret.expose(), &sender);
    // Two contexts with different secrets look the same.
    let (_, other) = hpke::setup_sender(suite, &info, pair.public.as_slice(), &randomness(2)).unwrap();
    assert_eq!(format!("{sender:?}"), format!("{other:?}"));
}

fn assert_hidden(secret: &[u8], value: &dyn Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}"), format!("{value:02x?}")] {
        let text = text.replace([' ', '\n', ','], "").to_lowercase();
        for part in secret.chunks_exact(4) {
            let decimal: String = part.iter().map(u8::to_string).collect();
            assert!(!text.contains(&hex::encode(part)) && !text.contains(&decimal), "{text}");
        }
    }
}
