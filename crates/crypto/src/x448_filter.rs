//! Which X448 public keys give an all-zero result whatever the private key.

/// Whether the u-coordinate is of small order on the curve or its twist (RFC 7748 §6.2). Values of
/// p = 2^448 - 2^224 - 1 and more are reduced, as X448 does.
pub fn is_small_order(public: &[u8; 56]) -> bool {
    SMALL_ORDER.contains(public)
}

const fn near_p(first: u8) -> [u8; 56] {
    let mut bytes = [0xff; 56];
    bytes[0] = first;
    bytes[28] = 0xfe;
    bytes
}

const fn small(first: u8) -> [u8; 56] {
    let mut bytes = [0; 56];
    bytes[0] = first;
    bytes
}

/// p + 1: the lower half of p is all ones.
const P_PLUS_ONE: [u8; 56] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff,
];

/// 0, 1, -1, and the encodings p and p + 1 of 0 and 1.
const SMALL_ORDER: [[u8; 56]; 5] = [small(0), small(1), near_p(0xfe), near_p(0xff), P_PLUS_ONE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_order_is_seen_and_neighbours_pass() {
        assert!(SMALL_ORDER.iter().all(is_small_order));
        let mut p_plus_two = P_PLUS_ONE;
        p_plus_two[0] = 1;
        for u in [small(2), small(5), near_p(0xfd), p_plus_two, [0xff; 56]] {
            assert!(!is_small_order(&u));
        }
    }
}
