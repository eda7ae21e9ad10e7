use keyroom_crypto::{CryptoError, Suite, VerifyJob};

use super::kem::{wrong_lengths, wrong_points};

/// Sign, verify, and everything around it that must not verify.
///
/// # Panics
/// If a good signature is refused or a bad one accepted.
pub fn signatures_verify_for_their_key_and_message_only(suite: &dyn Suite) {
    let mut rng = crate::rng(3);
    let private = suite.generate_signature_key(&mut rng).unwrap();
    let signer = suite.signer(private.expose()).unwrap();
    let public = signer.public_key().as_slice();
    assert_eq!(suite.signer(private.expose()).unwrap().public_key(), signer.public_key());
    suite.validate_signature_key(public).unwrap();

    for message in [&b""[..], b"message", &[7; 5000]] {
        let signature = signer.sign(message, &mut rng).unwrap();
        let signature = signature.as_slice();
        suite.verify(public, message, signature).unwrap();
        let refuse = |public: &[u8], message: &[u8], signature: &[u8]| {
            assert_eq!(suite.verify(public, message, signature), Err(CryptoError::InvalidSignature));
            let jobs = [VerifyJob { public_key: public, message, signature }];
            assert_eq!(suite.verify_many(&jobs), Err(0));
        };
        refuse(public, b"other message", signature);
        wrong_lengths(signature).iter().for_each(|signature| refuse(public, message, signature));
        wrong_lengths(public).iter().for_each(|public| refuse(public, message, signature));
        for position in [0, signature.len() / 2 - 1, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.to_vec();
            changed[position] ^= 1;
            refuse(public, message, &changed);
        }
        let stranger = suite.signer(suite.generate_signature_key(&mut rng).unwrap().expose()).unwrap();
        refuse(stranger.public_key().as_slice(), message, signature);
        match Form::of(public) {
            Form::Edwards25519 => refuse(public, message, &with_s_plus_order(signature, ORDER_25519)),
            Form::Edwards448 => refuse(public, message, &with_s_plus_order(signature, ORDER_448)),
            Form::Point => wrong_points(public).iter().for_each(|public| refuse(public, message, signature)),
            Form::MlDsa => {}
        }
    }
}

/// Wrong lengths, wrong points, and for Ed25519 and Ed448 encodings that are not canonical and points of
/// small order; private keys of the wrong length or out of range.
///
/// # Panics
/// If one is accepted or refused with another error.
pub fn invalid_signature_keys_are_refused(suite: &dyn Suite) {
    let private = suite.generate_signature_key(&mut crate::rng(4)).unwrap();
    let signer = suite.signer(private.expose()).unwrap();
    let public = signer.public_key().as_slice();
    let mut invalid = wrong_lengths(public);
    invalid.extend(match Form::of(public) {
        Form::Edwards25519 => wrong_ed25519_keys(),
        Form::Edwards448 => wrong_ed448_keys(),
        Form::Point => wrong_points(public),
        Form::MlDsa => Vec::new(),
    });
    for public in &invalid {
        assert_eq!(suite.validate_signature_key(public), Err(CryptoError::InvalidPublicKey), "{public:02x?}");
        assert_eq!(suite.verify(public, b"", &[0; 64]), Err(CryptoError::InvalidSignature), "{public:02x?}");
    }

    let mut invalid = wrong_lengths(private.expose());
    if Form::of(public) == Form::Point {
        invalid.extend([vec![0; private.len()], vec![0xff; private.len()]]);
    }
    for private in &invalid {
        assert_eq!(suite.signer(private).err(), Some(CryptoError::InvalidPrivateKey), "{private:02x?}");
    }
}

/// The schemes by what their public keys look like, which their length tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Edwards25519,
    Edwards448,
    Point,
    MlDsa,
}

impl Form {
    fn of(public: &[u8]) -> Self {
        match public.len() {
            32 => Self::Edwards25519,
            57 => Self::Edwards448,
            65 | 97 | 133 => Self::Point,
            1312 | 1952 | 2592 => Self::MlDsa,
            length => panic!("a key of {length} bytes"),
        }
    }
}

/// y of small order, y from p up, x = 0 with a sign, and y = 2, which is not on the curve.
fn wrong_ed25519_keys() -> Vec<Vec<u8>> {
    let texts = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ];
    texts.map(|text| hex::decode(text).unwrap()).to_vec()
}

/// y of 0, 1 and -1, from p up, with bits that no coordinate has, and one that is not on the curve.
fn wrong_ed448_keys() -> Vec<Vec<u8>> {
    let [zeros, ones] = ["00", "ff"];
    let with = |y: String| [y.clone() + "00", y.clone() + "80", y + "01"];
    let coordinates = [
        zeros.repeat(56),
        "01".to_owned() + &zeros.repeat(55),
        "fe".to_owned() + &ones.repeat(27) + "fe" + &ones.repeat(27),
        ones.repeat(28) + "fe" + &ones.repeat(27),
        zeros.repeat(28) + &ones.repeat(28),
        ones.repeat(56),
        "02".to_owned() + &zeros.repeat(55),
    ];
    coordinates.into_iter().flat_map(with).map(|text| hex::decode(text).unwrap()).collect()
}

/// The orders of the base points, little-endian.
const ORDER_25519: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
const ORDER_448: &str = "f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7cffffffffffff\
                         ffffffffffffffffffffffffffffffffffffffffff3f00";

/// The same signature with S + L in place of S, which a check without `S < L` would accept.
fn with_s_plus_order(signature: &[u8], order: &str) -> Vec<u8> {
    let order = hex::decode(order).unwrap();
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (place, digit) in sum[signature.len() / 2..].iter_mut().zip(order) {
        let total = u16::from(*place) + u16::from(digit) + carry;
        *place = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    sum
}
