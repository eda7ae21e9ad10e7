use keyroom_crypto::{CryptoRng, Suite};

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
    let nist = kem.id() != 0x0020;
    for length in (0..150).chain([kem.public_key_len(); 20]) {
        let mut bytes = random(length, &mut rng);
        if let (true, Some(tag)) = (nist, bytes.first_mut()) {
            *tag = 4;
        }
        assert!(suite.verify(signer.public_key().as_slice(), b"message", &bytes).is_err());
        assert!(suite.verify(&bytes, b"message", &random(64, &mut rng)).is_err());
        assert!(suite.aead_open(&bytes, &bytes, &bytes, &mut bytes.clone()).is_err());
        // Every 32 bytes are a u-coordinate, but few points and keys have the other lengths and forms.
        if nist || length != 32 {
            assert!(kem.validate_public_key(&bytes).is_err());
            assert!(kem.encap(&bytes, b"").is_err());
            assert!(kem.decap(&bytes, pair.private.expose()).is_err());
            assert!(suite.validate_signature_key(&bytes).is_err());
        }
    }
}

fn random(length: usize, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}
