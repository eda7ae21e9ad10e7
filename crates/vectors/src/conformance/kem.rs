use keyroom_crypto::{CryptoError, Kem, Suite};

/// The KEMs by what their keys look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    X25519,
    X448,
    Point,
    /// ML-KEM alone.
    MlKem,
    /// ML-KEM and a u-coordinate of X25519.
    MlKemX25519,
    /// ML-KEM and an uncompressed point.
    MlKemPoint,
}

impl Form {
    pub(super) fn of(kem: &dyn Kem) -> Self {
        match kem.id() {
            0x0010..=0x0012 => Self::Point,
            0x0020 => Self::X25519,
            0x0021 => Self::X448,
            0x0040..=0x0042 => Self::MlKem,
            0x0050 | 0x0051 => Self::MlKemPoint,
            0x647a => Self::MlKemX25519,
            id => panic!("KEM 0x{id:04x}"),
        }
    }

    fn is_post_quantum(self) -> bool {
        matches!(self, Self::MlKem | Self::MlKemX25519 | Self::MlKemPoint)
    }

    /// Where the group element begins in a public key or ciphertext of this length.
    fn group_at(self, length: usize) -> usize {
        match self {
            Self::X25519 | Self::X448 | Self::Point => 0,
            Self::MlKem => length,
            Self::MlKemX25519 => length - 32,
            Self::MlKemPoint => length - if length > 1500 { 97 } else { 65 },
        }
    }
}

/// Randomness of the right length for an encapsulation.
pub(super) fn randomness(kem: &dyn Kem, byte: u8) -> Vec<u8> {
    vec![byte; kem.randomness_len()]
}

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
        let (secret, encapsulated) = kem.encap(one.public.as_slice(), &randomness(kem, 7)).unwrap();
        assert_eq!((secret.len(), encapsulated.len()), (kem.secret_len(), kem.encapsulation_len()));
        assert_eq!(kem.decap(&encapsulated, one.private.expose()).unwrap().expose(), secret.expose());
        let (other, _) = kem.encap(one.public.as_slice(), &randomness(kem, 8)).unwrap();
        assert_ne!(secret.expose(), other.expose());
    }
}

/// Wrong lengths; points compressed, hybrid, at infinity and off the curve; points of small order;
/// coefficients that are not below the modulus.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_hpke_public_keys_are_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let public = pair.public.as_slice();
    let mut invalid = wrong_lengths(public);
    invalid.extend(wrong_elements(Form::of(kem), public));
    if Form::of(kem).is_post_quantum() {
        invalid.push([&[0xff; 3], &public[3..]].concat());
    }
    for public in &invalid {
        assert_eq!(kem.validate_public_key(public).err(), Some(CryptoError::InvalidPublicKey), "{public:02x?}");
        let encapsulated = kem.encap(public, &randomness(kem, 1));
        assert_eq!(encapsulated.err(), Some(CryptoError::InvalidPublicKey), "{public:02x?}");
    }
}

/// Wrong lengths, and what is no public key of the group.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_encapsulations_are_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let (_, encapsulated) = kem.encap(pair.public.as_slice(), &randomness(kem, 1)).unwrap();
    let mut invalid = wrong_lengths(&encapsulated);
    invalid.extend(wrong_elements(Form::of(kem), &encapsulated));
    for encapsulated in &invalid {
        let decapsulated = kem.decap(encapsulated, pair.private.expose());
        assert_eq!(decapsulated.err(), Some(CryptoError::InvalidEncapsulation), "{encapsulated:02x?}");
    }
}

/// Post-quantum KEMs take exactly the randomness that they announce.
///
/// # Panics
/// If another length is accepted.
pub fn randomness_of_another_length_is_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    for wrong in wrong_lengths(&randomness(kem, 1)) {
        let encapsulated = kem.encap(pair.public.as_slice(), &wrong).map(drop);
        let expected = if Form::of(kem).is_post_quantum() { Err(CryptoError::WrongLength) } else { Ok(()) };
        assert_eq!(encapsulated, expected);
    }
}

/// A post-quantum ciphertext that was changed gives another secret and no error, the same each time.
///
/// # Panics
/// If it gives the secret of the sender, or differs between two calls.
pub fn changed_ciphertexts_give_another_secret(suite: &dyn Suite) {
    let kem = suite.kem();
    if !Form::of(kem).is_post_quantum() {
        return;
    }
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let (secret, encapsulated) = kem.encap(pair.public.as_slice(), &randomness(kem, 1)).unwrap();
    for position in [0, 500, 1000] {
        let mut changed = encapsulated.clone();
        changed[position] ^= 1;
        let one = kem.decap(&changed, pair.private.expose()).unwrap();
        assert_ne!(one.expose(), secret.expose());
        assert_eq!(one.expose(), kem.decap(&changed, pair.private.expose()).unwrap().expose());
    }
}

/// Wrong lengths, and for the NIST curves zero and whatever is not below the order.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_hpke_private_keys_are_refused(suite: &dyn Suite) {
    let kem = suite.kem();
    let pair = kem.derive_key_pair(b"pair").unwrap();
    let (_, encapsulated) = kem.encap(pair.public.as_slice(), &randomness(kem, 1)).unwrap();
    let mut invalid = wrong_lengths(pair.private.expose());
    if Form::of(kem) == Form::Point {
        invalid.extend([vec![0; kem.private_key_len()], vec![0xff; kem.private_key_len()]]);
    }
    for private in &invalid {
        assert_eq!(kem.public_key(private).err(), Some(CryptoError::InvalidPrivateKey), "{private:02x?}");
        let decapsulated = kem.decap(&encapsulated, private);
        assert_eq!(decapsulated.err(), Some(CryptoError::InvalidPrivateKey), "{private:02x?}");
    }
}

/// The key cut, extended and absent.
pub(super) fn wrong_lengths(key: &[u8]) -> Vec<Vec<u8>> {
    vec![vec![], key[1..].to_vec(), key[..key.len() - 1].to_vec(), [key, &[0]].concat(), [&[0], key].concat()]
}

/// The key or ciphertext with everything wrong in place of its group element.
fn wrong_elements(form: Form, whole: &[u8]) -> Vec<Vec<u8>> {
    let (before, element) = whole.split_at(form.group_at(whole.len()));
    let wrong = match form {
        Form::X25519 | Form::MlKemX25519 => small_order_u(),
        Form::X448 => small_order_u_448(),
        Form::Point | Form::MlKemPoint => wrong_points(element),
        Form::MlKem => Vec::new(),
    };
    wrong.into_iter().map(|element| [before, &element].concat()).collect()
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

/// Every encoding of a u-coordinate of X448 that is of small order: 0, 1, -1, p and p + 1.
fn small_order_u_448() -> Vec<Vec<u8>> {
    let [zeros, ones] = ["00", "ff"];
    [
        zeros.repeat(56),
        "01".to_owned() + &zeros.repeat(55),
        "fe".to_owned() + &ones.repeat(27) + "fe" + &ones.repeat(27),
        ones.repeat(28) + "fe" + &ones.repeat(27),
        zeros.repeat(28) + &ones.repeat(28),
    ]
    .map(|text| hex::decode(text).unwrap())
    .to_vec()
}
