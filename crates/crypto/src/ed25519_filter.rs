//! What a byte string must satisfy to be an Ed25519 key or signature, before any library looks at
//! it.
//!
//! RFC 8032 leaves room for disagreement: encodings that are not canonical, and keys of small
//! order for which one signature fits every message. Libraries fill the room differently. Both
//! providers therefore refuse the same bytes first, and then make the same cofactorless check
//! `[S]B = R + [k]A`, so that they agree with each other and with the peers on every signature.
//! `S < L` is left to the libraries, which all check it.

/// Length of a public key and of half a signature, in bytes.
const LENGTH: usize = 32;

/// Whether the key is a canonical encoding of something that is not a point of small order. That it
/// is on the curve remains to be checked.
pub fn accepts_key(public: &[u8]) -> bool {
    <&[u8; LENGTH]>::try_from(public).is_ok_and(|public| is_canonical(public) && !is_small_order(public))
}

/// Whether the key passes [`accepts_key`], the signature has 64 bytes, and its `R` is canonical.
pub fn accepts(public: &[u8], signature: &[u8]) -> bool {
    let r = signature.first_chunk::<LENGTH>();
    signature.len() == 2 * LENGTH && r.is_some_and(is_canonical) && accepts_key(public)
}

/// The y-coordinate is below p = 2^255 - 19, and x = 0 carries no sign.
fn is_canonical(point: &[u8; LENGTH]) -> bool {
    let y = without_sign(point);
    let x_is_zero = y == ONE || y == MINUS_ONE;
    is_below_p(&y) && !(x_is_zero && y != *point)
}

/// Of order 1, 2, 4 or 8. Compares canonical encodings only.
fn is_small_order(point: &[u8; LENGTH]) -> bool {
    let y = without_sign(point);
    [ZERO, ONE, MINUS_ONE, ORDER_8, ORDER_8_NEGATED].contains(&y)
}

fn without_sign(point: &[u8; LENGTH]) -> [u8; LENGTH] {
    let mut y = *point;
    let [.., last] = &mut y;
    *last &= 0x7f;
    y
}

/// Little-endian comparison with p; the top bit is clear.
fn is_below_p(y: &[u8; LENGTH]) -> bool {
    y.iter().rev().lt(P.iter().rev())
}

const fn near_p(first: u8) -> [u8; LENGTH] {
    let mut bytes = [0xff; LENGTH];
    let [low, .., high] = &mut bytes;
    *low = first;
    *high = 0x7f;
    bytes
}

const fn small(first: u8) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let [low, ..] = &mut bytes;
    *low = first;
    bytes
}

const P: [u8; LENGTH] = near_p(0xed);
const ZERO: [u8; LENGTH] = small(0);
const ONE: [u8; LENGTH] = small(1);
const MINUS_ONE: [u8; LENGTH] = near_p(0xec);
/// The two y-coordinates whose points have order 8: they solve 2y² = 1 - dy⁴.
const ORDER_8: [u8; LENGTH] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac,
    0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];
const ORDER_8_NEGATED: [u8; LENGTH] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53,
    0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

#[cfg(test)]
mod tests {
    use super::*;

    const BASE_POINT: [u8; 32] = {
        let mut bytes = [0x66; 32];
        bytes[0] = 0x58;
        bytes
    };

    fn signed(mut y: [u8; 32]) -> [u8; 32] {
        y[31] |= 0x80;
        y
    }

    #[test]
    fn the_base_point_passes_with_either_sign() {
        assert!(accepts_key(&BASE_POINT) && accepts_key(&signed(BASE_POINT)));
    }

    #[test]
    fn the_largest_field_element_but_one_passes_and_p_does_not() {
        assert!(is_canonical(&near_p(0xeb)) && !is_canonical(&P) && !is_canonical(&near_p(0xff)));
    }

    #[test]
    fn zero_x_with_a_sign_is_not_canonical() {
        for y in [ONE, MINUS_ONE] {
            assert!(is_canonical(&y) && !is_canonical(&signed(y)));
        }
    }

    #[test]
    fn keys_of_small_order_are_refused_but_such_an_r_is_not() {
        for y in [ZERO, ONE, MINUS_ONE, ORDER_8, ORDER_8_NEGATED] {
            assert!(!accepts_key(&y) && !accepts_key(&signed(y)));
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&y);
            assert!(accepts(&BASE_POINT, &signature));
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        assert!(!accepts_key(&BASE_POINT[..31]) && !accepts(&BASE_POINT, &[0; 63]) && !accepts(&BASE_POINT, &[0; 65]));
    }
}
