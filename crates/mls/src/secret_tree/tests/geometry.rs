use alloc::collections::BTreeSet;

use super::super::records::PageName;
use super::*;

#[test]
fn every_node_has_one_place_and_pages_are_few() {
    for depth in 0..=10_u8 {
        let geometry = Geometry::new(suite(), depth, EPOCH);
        let mut places = BTreeSet::new();
        for level in 0..=u16::from(depth) {
            for index in 0..1_u32 << level {
                let node = NodeName { level, path: index.checked_shl(32 - u32::from(level)).unwrap_or(0) };
                let page = geometry.page_of(&node);
                let slots: Vec<_> =
                    (0..16).filter(|slot| geometry.node_in(page, *slot).as_ref() == Some(&node)).collect();
                assert_eq!(slots.len(), 1, "{node:?} at depth {depth}");
                assert!(places.insert((page, slots[0])));
            }
        }
        assert_eq!(places.len(), (1 << (depth + 1)) - 1);
    }
}

#[test]
fn the_pages_above_a_leaf_hold_its_ancestors_and_their_siblings() {
    for depth in [0, 1, 2, 3, 4, 6, 9, 17, 31, 32] {
        let geometry = Geometry::new(suite(), depth, EPOCH);
        let inside = |leaf: u32| leaf & u32::try_from((1_u64 << depth) - 1).unwrap();
        for leaf in [0, 1, 0b1011_0110_1011, u32::MAX].map(inside) {
            let path = geometry.path(LeafIndex(leaf));
            let pages: BTreeSet<PageName> = geometry.pages_above(LeafIndex(leaf)).collect();
            assert_eq!(pages.len(), usize::from(depth).div_ceil(3).max(1));
            for level in 0..=u16::from(depth) {
                let node = NodeName { level, path: path.prefix(level) };
                assert!(pages.contains(&geometry.page_of(&node)));
                if level > 0 {
                    let other = path.side(level - 1).other();
                    let sibling = NodeName { level, path: path.prefix(level).toward(level - 1, other) };
                    assert!(pages.contains(&geometry.page_of(&sibling)));
                }
            }
        }
    }
}

#[test]
fn chunks_of_neighbouring_ratchets_and_the_index_have_names_of_their_own() {
    let geometry = Geometry::new(suite(), 32, EPOCH);
    let names = [(0, RatchetType::Handshake), (0, RatchetType::Application), (u32::MAX, RatchetType::Application)]
        .map(|(leaf, ratchet_type)| RatchetName::new(LeafIndex(leaf), ratchet_type));
    let mut keys = BTreeSet::from([geometry.index_key()]);
    for name in names {
        for generation in [0, 31, 32, u32::MAX] {
            let chunk = geometry.chunk(name, generation);
            assert_eq!(chunk.ratchet(), name);
            assert!(geometry.chunk_end(chunk) > generation || generation == u32::MAX);
            keys.insert(geometry.chunk_key(chunk));
        }
    }
    assert_eq!(keys.len(), 1 + 3 * 3);
}
