use keyroom_crypto::{CryptoError, Suite};

/// `DeriveKeyPair` is a function, its keys have the announced lengths and belong together.
///
/// # Panics
/// If not.
pub fn key_pairs_follow_from_their_ikm(suite: &dyn Suite) {
    let kem = suite.kem();
    for ikm in [&b""[..], b"short", &[7; 32], &[7; 66], &[7; 1000]] {
        let (one, two) = (kem.derive_key_pair(ikm).unwrap(), kem.derive_key_pair(ikm).unwrap());
        assert_eq!((one.private.expose(), &one.public), (two.private.expose(), &two.public));
        assert_eq!((one.private.len(), one.public.len()), (kem.private_key_len(), kem.public_key_len()));
        assert_eq!(kem.public_key(one.private.expose()).unwrap(), one.public);
        kem.validate_public_key(one.public.as_slice()).unwrap();
        assert_ne!(kem.derive_key_pair(b"other").unwrap().public, one.public);
        let (secret, encapsulated) = kem.encap(one.public.as_slice(), ikm).unwrap();
        assert_eq!((secret.len(), encapsulated.len()), (kem.secret_len(), kem.encapsulation_len()));
        assert_eq!(kem.decap(&encapsulated, one.private.expose()).unwrap().expose(), secret.expose());
    }
}

/// Wrong lengths; points compressed, hybrid, at infinity and off the curve; points of small order.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_hpke_public_keys_are_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let mut invalid = wrong_lengths(pair.public.as_slice());
    invalid.extend(if kem.id() == 0x0020 { small_order_u() } else { wrong_points(pair.public.as_slice()) });
    for public in &invalid {
        assert_eq!(kem.validate_public_key(public).err(), Some(CryptoError::InvalidPublicKey), "{public:02x?}");
        assert_eq!(kem.encap(public, &[1; 32]).err(), Some(CryptoError::InvalidPublicKey), "{public:02x?}");
        let decapsulated = kem.decap(public, pair.private.expose());
        assert_eq!(decapsulated.err(), Some(CryptoError::InvalidEncapsulation), "{public:02x?}");
    }
}

/// Wrong lengths, and for the NIST curves zero and whatever is not below the order.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_hpke_private_keys_are_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let mut invalid = wrong_lengths(pair.private.expose());
    if kem.id() != 0x0020 {
        invalid.extend([vec![0; kem.private_key_len()], vec![0xff; kem.private_key_len()]]);
    }
    for private in &invalid {
        assert_eq!(kem.public_key(private).err(), Some(CryptoError::InvalidPrivateKey), "{private:02x?}");
        let decapsulated = kem.decap(pair.public.as_slice(), private);
        assert_eq!(decapsulated.err(), Some(CryptoError::InvalidPrivateKey), "{private:02x?}");
    }
}

/// The key cut, extended and absent.
pub(super) fn wrong_lengths(key: &[u8]) -> Vec<Vec<u8>> {
    vec![vec![], key[1..].to_vec(), key[..key.len() - 1].to_vec(), [key, &[0]].concat(), [&[0], key].concat()]
}

/// What SEC 1 knows beside an uncompressed point on the curve.
pub(super) fn wrong_points(uncompressed: &[u8]) -> Vec<Vec<u8>> {
    let (x, y) = uncompressed[1..].split_at(uncompressed.len() / 2);
    let parity = y[y.len() - 1] & 1;
    let with = |tag: u8, parts: &[&[u8]]| [&[tag], parts.concat().as_slice()].concat();
    let mut off_curve = uncompressed.to_vec();
    *off_curve.last_mut().unwrap() ^= 1;
    vec![
        vec![0],
        with(0, &[x, y]),
        with(2 + parity, &[x]),
        with(2 + parity, &[x, y]),
        with(6 + parity, &[x, y]),
        with(4, &[&vec![0; x.len()], &vec![0; x.len()]]),
        with(4, &[&vec![0xff; x.len()], y]),
        off_curve,
    ]
}

/// Every encoding of a u-coordinate of small order, the ignored top bit clear and set.
fn small_order_u() -> Vec<Vec<u8>> {
    let texts = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let plain = texts.map(|text| hex::decode(text).unwrap()).to_vec();
    let mut all = plain.clone();
    all.extend(plain.into_iter().map(|mut u| {
        u[31] |= 0x80;
        u
    }));
    all
}
