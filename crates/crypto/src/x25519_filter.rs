//! Which X25519 public keys give an all-zero result whatever the private key.

/// Whether the u-coordinate is of small order on the curve or its twist (RFC 7748 §6.1). The top
/// bit is ignored and values of 2^255 - 19 and more are reduced, as X25519 does.
pub fn is_small_order(public: &[u8; 32]) -> bool {
    let mut u = *public;
    let [.., last] = &mut u;
    *last &= 0x7f;
    SMALL_ORDER.contains(&u)
}

const fn near_p(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    let [low, .., high] = &mut bytes;
    *low = first;
    *high = 0x7f;
    bytes
}

const fn small(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    let [low, ..] = &mut bytes;
    *low = first;
    bytes
}

/// 0, 1, -1, the two u-coordinates of order 8, and the encodings p and p + 1 of 0 and 1.
const SMALL_ORDER: [[u8; 32]; 7] = [
    small(0),
    small(1),
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_order_is_seen_whatever_the_top_bit() {
        for mut u in SMALL_ORDER {
            assert!(is_small_order(&u));
            u[31] |= 0x80;
            assert!(is_small_order(&u));
        }
    }

    #[test]
    fn neighbours_and_the_base_point_pass() {
        for u in [small(2), small(9), near_p(0xeb), near_p(0xef)] {
            assert!(!is_small_order(&u));
        }
    }
}
