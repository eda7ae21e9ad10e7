use keyroom_crypto::{CryptoError, Suite};

struct Sample {
    key: Vec<u8>,
    nonce: Vec<u8>,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
}

const AAD: &[u8] = b"associated data";

fn sample(suite: &dyn Suite, length: usize) -> Sample {
    let key: Vec<u8> = (0u8..).take(suite.aead_key_len()).collect();
    let nonce: Vec<u8> = (100u8..).take(suite.aead_nonce_len()).collect();
    let plaintext = b"plaintext".iter().copied().cycle().take(length).collect::<Vec<_>>();
    let mut sealed = plaintext.clone();
    suite.aead_seal(&key, &nonce, AAD, &mut sealed).unwrap();
    Sample { key, nonce, plaintext, sealed }
}

/// [`Suite::aead_seal`] appends exactly a tag, and [`Suite::aead_open`] undoes it.
///
/// # Panics
/// If not.
pub fn sealed_aead_opens_in_place(suite: &dyn Suite) {
    for length in [0, 1, 15, 16, 17, 1000] {
        let sample = sample(suite, length);
        assert_eq!(sample.sealed.len(), length + suite.aead_tag_len());
        let mut buffer = sample.sealed.clone();
        suite.aead_open(&sample.key, &sample.nonce, AAD, &mut buffer).unwrap();
        assert_eq!(buffer, sample.plaintext);
    }
}

/// Wrong key, nonce, associated data or ciphertext, each also by its length.
///
/// # Panics
/// If something is accepted, refused with another error, or leaves plaintext in the buffer.
pub fn aead_refuses_wrong_lengths_and_changed_bytes(suite: &dyn Suite) {
    let Sample { key, nonce, plaintext, sealed } = sample(suite, 40);
    let refuse = |key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]| {
        let mut buffer = sealed.to_vec();
        assert_eq!(suite.aead_open(key, nonce, aad, &mut buffer), Err(CryptoError::Open));
        assert!(!buffer.windows(9).any(|window| plaintext.starts_with(window)));
    };
    refuse(&key, &nonce, b"other", &sealed);
    refuse(&flipped(&key, 0), &nonce, AAD, &sealed);
    refuse(&key, &flipped(&nonce, 0), AAD, &sealed);
    (0..sealed.len()).for_each(|position| refuse(&key, &nonce, AAD, &flipped(&sealed, position)));
    (0..sealed.len()).for_each(|length| refuse(&key, &nonce, AAD, &sealed[..length]));
    refuse(&key, &nonce, AAD, &longer(&sealed));
    for (key, nonce) in [
        (&key[1..], &nonce[..]),
        (&longer(&key)[..], &nonce[..]),
        (&[][..], &nonce[..]),
        (&key[..], &nonce[1..]),
        (&key[..], &longer(&nonce)[..]),
        (&key[..], &[][..]),
    ] {
        refuse(key, nonce, AAD, &sealed);
        assert_eq!(suite.aead_seal(key, nonce, AAD, &mut plaintext.clone()), Err(CryptoError::WrongLength));
    }
}

fn flipped(bytes: &[u8], position: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[position] ^= 1;
    bytes
}

fn longer(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}
