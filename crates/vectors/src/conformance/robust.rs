use keyroom_crypto::{CryptoRng, Suite};

use super::kem::{Form, randomness};

/// Random bytes of every plausible length, in every place that takes bytes from a stranger, end in
/// an error.
///
/// # Panics
/// If something is accepted, or panics.
pub fn random_bytes_are_refused(suite: &dyn Suite) {
    let mut rng = crate::rng(8);
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let private = suite.generate_signature_key(&mut rng).unwrap();
    let signer = suite.signer(private.expose()).unwrap();
    let key_len = signer.public_key().len();
    for length in (0..150).chain([kem.public_key_len(); 20]).chain([kem.encapsulation_len(); 20]) {
        let mut bytes = random(length, &mut rng);
        // The tag of an uncompressed point.
        bytes.iter_mut().take(1).for_each(|tag| *tag = 4);
        assert!(suite.verify(signer.public_key().as_slice(), b"message", &bytes).is_err());
        assert!(suite.verify(&bytes, b"message", &random(64, &mut rng)).is_err());
        assert!(suite.aead_open(&bytes, &bytes, &bytes, &mut bytes.clone()).is_err());
        let form = Form::of(kem);
        // Every string of the right length is a u-coordinate.
        if !matches!(form, Form::X25519 | Form::X448) || length != kem.public_key_len() {
            assert!(kem.validate_public_key(&bytes).is_err());
            assert!(kem.encap(&bytes, &randomness(kem, 1)).is_err());
        }
        // And every string of the right length is a ciphertext of ML-KEM.
        if matches!(form, Form::Point | Form::MlKemPoint) || length != kem.encapsulation_len() {
            assert!(kem.decap(&bytes, pair.private.expose()).is_err());
        }
        // Half of the strings are points of an Edwards curve, and all are keys of ML-DSA.
        if matches!(key_len, 65 | 97 | 133) || length != key_len {
            assert!(suite.validate_signature_key(&bytes).is_err());
        }
    }
}

fn random(length: usize, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}
