//! What a byte string must satisfy to be an Ed448 key or signature, before a library looks at it.
//!
//! As for Ed25519 ([`ed25519_filter`](crate::ed25519_filter)), RFC 8032 leaves room for
//! disagreement. Here the rule is stricter, because the one library that there is for suites 4 and
//! 6 is: `A` and `R` are canonical, of the prime order and not the identity, `S` is below the order
//! and not zero, and then `[S]B = R + [k]A` without a cofactor. No honest signer makes anything else:
//! `A` and `R` are multiples of the base point, and neither `S` nor the scalar of `R` is ever zero.
//! This module checks what needs bytes only, which the library leaves out: lengths, the seven bits
//! that no coordinate has, `y` below p, and the points of small order.

/// Length of a public key and of half a signature, in bytes.
const LENGTH: usize = 57;

/// Whether the key is a canonical encoding of something that is not a point of small order. That it
/// is on the curve and of the prime order remains to be checked.
pub fn accepts_key(public: &[u8]) -> bool {
    <&[u8; LENGTH]>::try_from(public).is_ok_and(is_canonical_and_large)
}

/// Whether the key passes [`accepts_key`], the signature has 114 bytes, and so does its `R`.
pub fn accepts(public: &[u8], signature: &[u8]) -> bool {
    let r = signature.first_chunk::<LENGTH>();
    signature.len() == 2 * LENGTH && r.is_some_and(is_canonical_and_large) && accepts_key(public)
}

/// The y-coordinate is below p = 2^448 - 2^224 - 1 and none of 0, 1 and -1, which are those of the
/// four points of small order; of the last byte only the sign is used.
fn is_canonical_and_large(point: &[u8; LENGTH]) -> bool {
    let [y @ .., last] = point;
    last & 0x7f == 0 && is_below_p(y) && ![ZERO, ONE, MINUS_ONE].contains(y)
}

/// Little-endian comparison with p.
fn is_below_p(y: &[u8; LENGTH - 1]) -> bool {
    y.iter().rev().lt(near_p(0xff).iter().rev())
}

const ZERO: [u8; LENGTH - 1] = small(0);
const ONE: [u8; LENGTH - 1] = small(1);
const MINUS_ONE: [u8; LENGTH - 1] = near_p(0xfe);

/// p with another lowest byte: only byte 28 of the others is not 0xff.
const fn near_p(first: u8) -> [u8; LENGTH - 1] {
    let mut bytes = [0xff; LENGTH - 1];
    bytes[0] = first;
    bytes[28] = 0xfe;
    bytes
}

const fn small(first: u8) -> [u8; LENGTH - 1] {
    let mut bytes = [0; LENGTH - 1];
    bytes[0] = first;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(y: [u8; 56], last: u8) -> [u8; 57] {
        let mut bytes = [last; 57];
        bytes[..56].copy_from_slice(&y);
        bytes
    }

    #[test]
    fn coordinates_from_p_up_are_refused() {
        for (y, accepted) in [(near_p(0xfd), true), (near_p(0xff), false), ([0xff; 56], false), (small(2), true)] {
            assert_eq!(accepts_key(&point(y, 0)), accepted);
            assert_eq!(accepts_key(&point(y, 0x80)), accepted);
        }
    }

    #[test]
    fn bits_that_no_coordinate_has_are_refused() {
        for bit in 0..7 {
            assert!(!accepts_key(&point(small(2), 1 << bit)));
        }
    }

    #[test]
    fn points_of_small_order_are_refused_as_key_and_as_r() {
        let good = point(small(2), 0);
        for y in [ZERO, ONE, MINUS_ONE] {
            for last in [0, 0x80] {
                let mut signature = [0; 114];
                signature[..57].copy_from_slice(&good);
                assert!(accepts(&good, &signature));
                signature[..57].copy_from_slice(&point(y, last));
                assert!(!accepts_key(&point(y, last)) && !accepts(&good, &signature));
            }
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let good = point(small(2), 0);
        let signature = good.repeat(2);
        assert!(accepts(&good, &signature) && !accepts(&good, &signature[1..]) && !accepts(&good[1..], &signature));
        assert!(!accepts(&good, &[&signature[..], &[0]].concat()) && !accepts_key(&[&good[..], &[0]].concat()));
    }
}
