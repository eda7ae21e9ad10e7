use super::*;
use crate::error::Rule;

fn small() -> RatchetLimits {
    RatchetLimits { max_forward: 100, max_skipped_per_sender: 4, max_skipped_total: 6 }
}

fn error(tree: &mut SecretTree, take: Take, limits: &RatchetLimits) -> SecretTreeError {
    take.open(tree, limits).unwrap_err()
}

#[test]
fn row_111_a_replayed_generation_is_refused() {
    let (mut tree, limits) = (tree(4), RatchetLimits::default());
    for generation in [0, 5, 3] {
        let take = Take::application(2, generation);
        assert_eq!(take.open(&mut tree, &limits).unwrap().0, take.reference(4));
        assert_eq!(error(&mut tree, take, &limits), SecretTreeError::Consumed);
    }
    assert_eq!(error(&mut tree, Take::application(2, 5), &limits).rule(), Some(Rule::GenerationConsumed));
}

#[test]
fn row_112_generations_far_ahead_are_refused_and_the_limit_itself_is_not() {
    let (mut tree, limits) = (tree(4), small());
    assert_eq!(error(&mut tree, Take::application(0, 101), &limits), SecretTreeError::TooFarAhead);
    assert_eq!(error(&mut tree, Take::application(0, u32::MAX - 1), &limits), SecretTreeError::TooFarAhead);
    assert_eq!(error(&mut tree, Take::application(0, u32::MAX), &limits), SecretTreeError::Exhausted);
    assert!(Take::application(0, 100).open(&mut tree, &limits).is_ok());
    assert_eq!(error(&mut tree, Take::application(0, 202), &limits), SecretTreeError::TooFarAhead);
}

#[test]
fn row_106_a_leaf_outside_the_tree_is_refused() {
    let limits = small();
    for (depth, leaf) in [(0, 1), (4, 16), (4, u32::MAX), (31, 1 << 31)] {
        let refused = error(&mut tree(depth), Take::application(leaf, 0), &limits);
        assert_eq!(refused, SecretTreeError::LeafOutside);
        assert_eq!(refused.rule(), Some(Rule::SenderNotMember));
    }
    for (depth, leaf) in [(0, 0), (4, 15), (31, (1 << 31) - 1), (32, u32::MAX)] {
        assert!(Take::application(leaf, 0).open(&mut tree(depth), &limits).is_ok());
    }
}

#[test]
fn row_117_the_last_generation_is_never_used() {
    let mut tree = tree(1);
    let name = RatchetName::new(LeafIndex(0), RatchetType::Application);
    tree.ratchets.insert(name, Ratchet { next: u32::MAX - 1, floor: 0, secret: Secret::zeros(32) });
    let (key, puncture) = tree.next_key(LeafIndex(0), RatchetType::Application).unwrap();
    assert_eq!(key.generation, u32::MAX - 1);
    tree.apply(puncture, &mut changes()).unwrap();
    assert_eq!(tree.next_key(LeafIndex(0), RatchetType::Application).unwrap_err(), SecretTreeError::Exhausted);
}

#[test]
fn row_113_the_oldest_skipped_keys_of_a_sender_go_first() {
    let (mut tree, limits) = (tree(4), small());
    Take::application(1, 10).open(&mut tree, &limits).unwrap();
    for generation in 6..10 {
        assert!(Take::application(1, generation).derive(&tree, &limits).is_ok());
    }
    assert_eq!(error(&mut tree, Take::application(1, 5), &limits), SecretTreeError::TooOld);
    Take::application(1, 7).open(&mut tree, &limits).unwrap();
    Take::application(1, 13).open(&mut tree, &limits).unwrap();
    // 6, 8, 9 were left and 11, 12 came: one too many.
    let kept = (0..14).filter(|generation| Take::application(1, *generation).derive(&tree, &limits).is_ok());
    assert_eq!(kept.collect::<Vec<_>>(), [8, 9, 11, 12]);
    assert_eq!(error(&mut tree, Take::application(1, 6), &limits), SecretTreeError::TooOld);
    assert_eq!(error(&mut tree, Take::application(1, 10), &limits), SecretTreeError::Consumed);
}

#[test]
fn row_113_the_oldest_skipped_keys_of_all_go_first() {
    let (mut tree, limits) = (tree(4), small());
    for leaf in 0..3 {
        Take::application(leaf, 2).open(&mut tree, &limits).unwrap();
    }
    Take::application(3, 1).open(&mut tree, &limits).unwrap();
    assert_eq!(error(&mut tree, Take::application(0, 1), &limits), SecretTreeError::Consumed);
    for take in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)] {
        assert!(Take::application(take.0, take.1).derive(&tree, &limits).is_ok());
    }
}

#[test]
fn limits_of_zero_keep_nothing() {
    let limits = RatchetLimits { max_forward: 10, max_skipped_per_sender: 0, max_skipped_total: 0 };
    let (mut tree, mut disk) = stored_tree(3);
    disk.apply(Take::application(0, 7).open(&mut tree, &limits).unwrap().1);
    assert!(disk.0.keys().all(|key| key.kind != RecordKind::Skipped));
    assert_eq!(error(&mut tree, Take::application(0, 6), &limits), SecretTreeError::TooOld);
}

#[test]
fn row_113_the_bounds_hold_under_any_traffic() {
    let (mut tree, mut disk, limits) = (tree(3), Disk::default(), small());
    let mut rng = keyroom_vectors::rng(1);
    for _ in 0..600 {
        if let Ok((_, written)) = Take::draw(&mut rng, 8, 80).open(&mut tree, &limits) {
            disk.apply(written);
        }
        let mut counts = BTreeMap::<_, usize>::new();
        for (name, chunk) in &tree.chunks {
            *counts.entry(name.ratchet()).or_default() += chunk.len();
            let entry = tree.index.0.iter().find(|entry| entry.chunk == *name).unwrap();
            assert_eq!(usize::from(entry.count), chunk.len());
        }
        assert_eq!(tree.index.0.len(), tree.chunks.len());
        assert!(counts.values().all(|count| *count <= limits.max_skipped_per_sender));
        assert!(counts.values().sum::<usize>() <= limits.max_skipped_total);
    }
}

#[test]
fn a_puncture_from_another_state_or_epoch_is_refused() {
    let (mut tree, limits) = (tree(3), RatchetLimits::default());
    let (_, first) = Take::application(0, 0).derive(&tree, &limits).unwrap();
    let (_, second) = Take::application(0, 0).derive(&tree, &limits).unwrap();
    let mut other = SecretTree::new(suite(), Secret::zeros(32).into(), 3, EPOCH + 1);
    tree.apply(first, &mut changes()).unwrap();
    let mut written = changes();
    assert_eq!(tree.apply(second, &mut written), Err(SecretTreeError::Stale));
    let (_, third) = Take::application(0, 1).derive(&tree, &limits).unwrap();
    assert_eq!(other.apply(third, &mut written), Err(SecretTreeError::Stale));
    assert!(written.writes.is_empty());
}

#[test]
fn row_116_a_message_that_does_not_open_leaves_the_state_bit_for_bit() {
    let limits = RatchetLimits::default();
    for before in [&[][..], &[0], &[7], &[7, 3]] {
        let mut tree = tree(4);
        before.iter().for_each(|generation| drop(Take::application(5, *generation).open(&mut tree, &limits).unwrap()));
        let state = snapshot(&tree);
        for generation in 0..20 {
            drop(Take::application(5, generation).derive(&tree, &limits));
            drop(Take::application(6, generation).derive(&tree, &limits));
            drop(tree.next_key(LeafIndex(5), RatchetType::Application));
        }
        assert_eq!(snapshot(&tree), state);
    }
}

#[test]
fn row_118_sending_takes_each_generation_once_and_in_order() {
    let mut tree = tree(5);
    for ratchet_type in [RatchetType::Application, RatchetType::Handshake] {
        for generation in 0..5 {
            let (key, puncture) = tree.next_key(LeafIndex(9), ratchet_type).unwrap();
            tree.apply(puncture, &mut changes()).unwrap();
            assert_eq!(bytes(&key), Take { leaf: 9, ratchet_type, generation }.reference(5));
        }
    }
}
