use keyroom_crypto::labels::expand_with_label;

use super::*;

/// The leaf's secret by the definition of §9, from the root.
fn by_definition(index: u16) -> Vec<u8> {
    let mut secret = ROOT.to_vec();
    for bit in (0..16).rev() {
        let side: &[u8] = if index >> bit & 1 == 0 { b"left" } else { b"right" };
        secret = expand_with_label(suite(), &secret, "tree", side, 32).unwrap().expose().to_vec();
    }
    secret
}

#[test]
fn a_tree_over_sixteen_bits_gives_each_leaf_once() {
    let mut tree = PuncturedTree::new(Secret::copy_of(&ROOT), 16, &[0; 2]);
    for index in [0x0000, 0x0001, 0x8000, 0xffff, 0x1234, 0x1235] {
        let path = u16::to_be_bytes(index);
        let (secret, puncture) = tree.evaluate(suite(), &path).unwrap();
        assert_eq!(secret.expose(), by_definition(index));
        tree.apply(puncture);
        assert_eq!(tree.evaluate(suite(), &path).unwrap_err(), PunctureError::Consumed);
    }
}

#[test]
fn two_kinds_of_path_walk_the_same_way() {
    let mut rng = keyroom_vectors::rng(2);
    for _ in 0..50 {
        let number = below(&mut rng, u32::MAX);
        let bytes = number.to_be_bytes();
        for level in 0..32 {
            assert_eq!(number.side(level), bytes.side(level));
            assert_eq!(number.prefix(level).to_be_bytes(), bytes.prefix(level));
            for side in [Side::Left, Side::Right] {
                assert_eq!(number.toward(level, side).to_be_bytes(), bytes.toward(level, side));
            }
        }
        assert_eq!((number.prefix(32), bytes.prefix(32)), (number, bytes));
    }
}

#[test]
fn a_tree_as_deep_as_a_hash_is_long_can_be_punctured() {
    let mut tree = PuncturedTree::new(Secret::copy_of(&ROOT), 256, &[0; 32]);
    let (first, puncture) = tree.evaluate(suite(), &[0xa5; 32]).unwrap();
    tree.apply(puncture);
    assert_eq!(tree.nodes().count(), 256);
    assert!(tree.evaluate(suite(), &[0xa5; 32]).is_err());
    let mut neighbour = [0xa5; 32];
    neighbour[31] ^= 1;
    assert_ne!(tree.evaluate(suite(), &neighbour).unwrap().0.expose(), first.expose());
}
