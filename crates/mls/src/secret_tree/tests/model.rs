use alloc::collections::BTreeSet;

use super::*;

const DEPTH: u8 = 3;
const LEAVES: u32 = 1 << DEPTH;
const GENERATIONS: u32 = 6;

/// Every key that can be derived from stored bytes, up to [`GENERATIONS`].
fn derivable(disk: &Disk) -> BTreeSet<Vec<u8>> {
    let geometry = Geometry::new(suite(), DEPTH, EPOCH);
    let mut keys = BTreeSet::new();
    for (key, value) in &disk.0 {
        match key.kind {
            RecordKind::Secrets => {
                let mut tree = SecretTree::stored(suite(), DEPTH, EPOCH);
                for (node, secret) in geometry.read_page(key.minor.into(), value).unwrap() {
                    tree.tree.insert(node, secret);
                }
                tree.loaded = None;
                keys.extend(
                    all()
                        .filter_map(|take| take.derive(&tree, &RatchetLimits::default()).ok())
                        .map(|(key, _)| bytes(&key)),
                );
            }
            RecordKind::Ratchet => {
                let ratchet = geometry.read_ratchet(value).unwrap();
                for generation in ratchet.next..GENERATIONS {
                    keys.insert(bytes(&ratchet.run(suite(), generation, generation).unwrap().key));
                }
            }
            RecordKind::Skipped if *key != geometry.index_key() => {
                keys.extend(geometry.read_chunk(key.minor.into(), value).unwrap().values().map(bytes));
            }
            _ => (),
        }
    }
    keys
}

fn all() -> impl Iterator<Item = Take> {
    let types = [RatchetType::Handshake, RatchetType::Application];
    (0..LEAVES).flat_map(move |leaf| {
        types.into_iter().flat_map(move |ratchet_type| {
            (0..GENERATIONS).map(move |generation| Take { leaf, ratchet_type, generation })
        })
    })
}

#[test]
fn row_115_exactly_the_keys_that_were_not_used_follow_from_what_is_stored() {
    for seed in 0..3 {
        let (mut tree, mut disk) = stored_tree(DEPTH);
        let mut expected: BTreeSet<_> = all().map(|take| take.reference(DEPTH)).collect();
        assert_eq!(expected.len(), all().count());
        assert_eq!(derivable(&disk), expected);
        let mut rng = keyroom_vectors::rng(seed);
        for _ in 0..60 {
            let take = Take::draw(&mut rng, LEAVES, GENERATIONS);
            match take.open(&mut tree, &RatchetLimits::default()) {
                Ok((key, written)) => {
                    assert!(expected.remove(&key));
                    disk.apply(written);
                    assert_eq!(derivable(&disk), expected);
                }
                Err(error) => {
                    assert_eq!(error, SecretTreeError::Consumed);
                    assert!(!expected.contains(&take.reference(DEPTH)));
                }
            }
        }
    }
}

#[test]
fn dropped_keys_do_not_follow_from_what_is_stored_either() {
    let limits = RatchetLimits { max_forward: 10, max_skipped_per_sender: 2, max_skipped_total: 3 };
    let (mut tree, mut disk) = stored_tree(DEPTH);
    let mut rng = keyroom_vectors::rng(7);
    for _ in 0..120 {
        if let Ok((_, written)) = Take::draw(&mut rng, LEAVES, GENERATIONS).open(&mut tree, &limits) {
            disk.apply(written);
            let open = all().filter_map(|take| take.derive(&tree, &limits).ok()).map(|(key, _)| bytes(&key)).collect();
            assert_eq!(derivable(&disk), open);
        }
    }
}

#[test]
fn row_237_clearing_an_epoch_leaves_nothing_of_it() {
    let mut written = snapshot(&tree(DEPTH));
    SecretTree::clear(EPOCH, &mut written);
    assert!(written.writes.is_empty());
    assert_eq!(written.cleared.len(), 3);
}
