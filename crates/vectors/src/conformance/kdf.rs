use keyroom_crypto::{CryptoError, Suite, labels};

/// 255 · Nh bytes come out and one more does not; 65,535 is the most that a label can ask for; a
/// prk below Nh is refused.
///
/// # Panics
/// If not.
pub fn kdf_stops_at_its_limits(suite: &dyn Suite) {
    let kdf = suite.kdf();
    let most = 255 * kdf.output_len();
    let prk = vec![9; kdf.output_len()];
    assert_eq!(kdf.expand(&prk, &[b"info"], &mut vec![0; most]), Ok(()));
    assert_eq!(kdf.expand(&prk, &[b"info"], &mut vec![0; most + 1]), Err(CryptoError::OutputTooLong));
    assert_eq!(kdf.expand(&prk[1..], &[b"info"], &mut [0; 8]), Err(CryptoError::WrongLength));
    assert_eq!(kdf.expand(&prk, &[], &mut []), Ok(()));
    for length in [most + 1, 65_536, 1 << 20] {
        let expanded = labels::expand_with_label(suite, &prk, "label", b"", length);
        assert_eq!(expanded.err(), Some(CryptoError::OutputTooLong));
    }
    prefixes_of_the_longest_output(suite, &prk);
}

fn prefixes_of_the_longest_output(suite: &dyn Suite, prk: &[u8]) {
    let kdf = suite.kdf();
    let mut long = vec![0; 255 * kdf.output_len()];
    kdf.expand(prk, &[b"info"], &mut long).unwrap();
    for length in [1, kdf.output_len() - 1, kdf.output_len(), kdf.output_len() + 1, 3 * kdf.output_len()] {
        let mut short = vec![0; length];
        kdf.expand(prk, &[b"info"], &mut short).unwrap();
        assert_eq!(short, long[..length]);
    }
}

/// Hash, MAC, Extract and Expand see the concatenation of the parts, however it is cut.
///
/// # Panics
/// If not.
pub fn inputs_in_parts_equal_their_concatenation(suite: &dyn Suite) {
    let kdf = suite.kdf();
    let whole: &[&[u8]] = &[b"one two three"];
    let expand = |parts: &[&[u8]]| {
        let mut out = [0; 100];
        kdf.expand(&[3; 64], parts, &mut out).unwrap();
        out
    };
    for parts in [&[b"one ".as_slice(), b"", b"two ", b"three"][..], &[b"", b"one two three"], &[b"one two three", b""]]
    {
        assert_eq!(suite.hash(parts), suite.hash(whole));
        assert_eq!(suite.mac(b"key", parts), suite.mac(b"key", whole));
        assert_eq!(kdf.extract(b"salt", parts).expose(), kdf.extract(b"salt", whole).expose());
        assert_eq!(expand(parts), expand(whole));
    }
    assert_eq!(suite.hash(whole).len(), kdf.output_len());
    assert_eq!(kdf.extract(b"salt", whole).expose(), &*suite.mac(b"salt", whole));
    let zeros = vec![0; kdf.output_len()];
    assert_eq!(kdf.extract(b"", whole).expose(), kdf.extract(&zeros, whole).expose());
}
