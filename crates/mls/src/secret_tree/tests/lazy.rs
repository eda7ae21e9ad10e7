use alloc::collections::BTreeSet;

use super::*;

const SMALL: RatchetLimits = RatchetLimits { max_forward: 60, max_skipped_per_sender: 40, max_skipped_total: 90 };

type Outcome = Result<(Vec<u8>, ChangeSet), SecretTreeError>;

/// Opens with records supplied as they are asked for, at most `at_once` at a time. Returns the
/// number of rounds as well.
fn open_lazily(tree: &mut SecretTree, disk: &Disk, take: Take, at_once: usize) -> (Outcome, usize) {
    let mut asked = BTreeSet::new();
    let mut rounds = 0;
    loop {
        match take.open(tree, &SMALL) {
            Err(SecretTreeError::Missing(missing)) => {
                let keys: Vec<_> = missing.0.into_iter().take(at_once).collect();
                assert!(keys.iter().all(|key| asked.insert(*key)), "asked twice");
                assert!(!keys.is_empty());
                tree.supply(&disk.read(&keys)).unwrap();
                rounds += 1;
            }
            outcome => return (outcome, rounds),
        }
    }
}

#[test]
fn a_tree_read_from_storage_does_what_a_loaded_one_does() {
    for depth in [0, 1, 3, 4, 7] {
        let (mut loaded, disk) = stored_tree(depth);
        let mut disk = disk;
        let mut kept = SecretTree::stored(suite(), depth, EPOCH);
        let mut rng = keyroom_vectors::rng(depth.into());
        for _ in 0..150 {
            let take = Take::draw(&mut rng, 1 << depth, 90);
            let expected = take.open(&mut loaded, &SMALL);
            let (at_once, rounds) = open_lazily(&mut SecretTree::stored(suite(), depth, EPOCH), &disk, take, 99);
            let (one_by_one, _) = open_lazily(&mut SecretTree::stored(suite(), depth, EPOCH), &disk, take, 1);
            let (in_use, _) = open_lazily(&mut kept, &disk, take, 99);
            assert!(rounds <= 2);
            assert_eq!(at_once, expected);
            assert_eq!(one_by_one, expected);
            assert_eq!(in_use, expected);
            if let Ok((_, written)) = expected {
                disk.apply(written);
            }
            let mut whole = Disk::default();
            whole.apply(snapshot(&loaded));
            assert_eq!(disk, whole);
        }
    }
}

#[test]
fn a_message_in_order_asks_once_for_the_ratchet_and_the_pages() {
    for (depth, pages) in [(0, 1), (1, 1), (3, 1), (4, 2), (14, 5), (17, 6)] {
        let tree = SecretTree::stored(suite(), depth, EPOCH);
        let Err(SecretTreeError::Missing(missing)) = Take::application(0, 0).derive(&tree, &SMALL) else { panic!() };
        let count = |kind| missing.0.iter().filter(|key| key.kind == kind).count();
        assert_eq!((count(RecordKind::Ratchet), count(RecordKind::Secrets)), (1, pages));
        assert_eq!(missing.0.len(), pages + 1);

        let (_, disk) = stored_tree(depth);
        let (outcome, rounds) =
            open_lazily(&mut SecretTree::stored(suite(), depth, EPOCH), &disk, Take::application(0, 1), 99);
        assert!(outcome.is_ok());
        assert_eq!(rounds, 1);
    }
}

#[test]
fn records_in_memory_are_not_replaced_by_older_ones() {
    let (_, disk) = stored_tree(4);
    let mut tree = SecretTree::stored(suite(), 4, EPOCH);
    open_lazily(&mut tree, &disk, Take::application(3, 2), 99).0.unwrap();
    let state = snapshot(&tree);
    let keys: Vec<_> = disk.0.keys().copied().chain(state.writes.keys().copied()).collect();
    tree.supply(&disk.read(&keys)).unwrap();
    assert_eq!(snapshot(&tree), state);
    assert_eq!(Take::application(3, 2).open(&mut tree, &SMALL), Err(SecretTreeError::Consumed));
}

#[test]
fn a_message_writes_only_what_it_changes() {
    let (mut tree, _) = stored_tree(14);
    let first = Take::application(77, 0).open(&mut tree, &SMALL).unwrap().1;
    assert_eq!(first.writes.len(), 5 + 2);
    let next = Take::application(77, 1).open(&mut tree, &SMALL).unwrap().1;
    assert_eq!((next.writes.len(), next.bytes()), (1, 41));
    let skipping = Take::application(77, 9).open(&mut tree, &SMALL).unwrap().1;
    assert_eq!(skipping.writes.len(), 3);
    let skipped = Take::application(77, 4).open(&mut tree, &SMALL).unwrap().1;
    assert_eq!(skipped.writes.len(), 2);
    let neighbour = Take::application(76, 0).open(&mut tree, &SMALL).unwrap().1;
    assert_eq!(neighbour.writes.len(), 1 + 2);
}

#[test]
fn records_stay_below_a_thousand_bytes_in_every_suite() {
    for suite in RUSTCRYPTO.suites() {
        let root = Secret::zeros(suite.kdf().output_len());
        let mut tree = SecretTree::new(suite, root.into(), 9, EPOCH);
        let mut disk = Disk::default();
        for (leaf, generation) in [(0, 300), (511, 40), (256, 3)] {
            let (_, written) = Take::application(leaf, generation).open(&mut tree, &RatchetLimits::default()).unwrap();
            disk.apply(written);
        }
        assert!(disk.0.values().all(|value| value.len() < 1_000));
    }
}

#[test]
fn damaged_records_are_refused_and_nothing_is_attached() {
    let (mut tree, mut disk) = stored_tree(4);
    disk.apply(Take::application(3, 5).open(&mut tree, &SMALL).unwrap().1);
    let kinds: BTreeSet<_> = disk.0.keys().map(|key| key.kind).collect();
    assert_eq!(kinds.len(), 3);
    for (key, value) in &disk.0 {
        let longer = [&value[..], &[0]].concat();
        let version = [&[2], &value[1..]].concat();
        let cut = (0..value.len()).map(|length| value[..length].to_vec());
        // A cut at an entry of the index gives a shorter index, which only the seal can tell.
        let parses = |bytes: &[u8]| key.minor == u64::MAX && bytes.len() % 9 == 1 && bytes.len() > 1;
        for bad in cut.chain([longer, version]).filter(|bad| !parses(bad) || bad[0] == 2) {
            let mut lazy = SecretTree::stored(suite(), 4, EPOCH);
            let good = disk.0.iter().next().map(|(key, value)| (*key, Some(RecordValue::new(value.clone())))).unwrap();
            let records = [good, (*key, Some(RecordValue::new(bad)))];
            let error = lazy.supply(&records[usize::from(*key == records[0].0)..]).unwrap_err();
            assert_eq!(error, SecretTreeError::Record(crate::record::MalformedRecord(key.kind)));
            assert!(snapshot(&lazy).writes.is_empty());
        }
    }
}

#[test]
fn a_lost_ratchet_record_is_damage_and_never_a_second_start() {
    let (mut tree, mut disk) = stored_tree(4);
    disk.apply(Take::application(3, 5).open(&mut tree, &SMALL).unwrap().1);
    disk.0.retain(|key, _| key.kind != RecordKind::Ratchet);
    let (outcome, _) = open_lazily(&mut SecretTree::stored(suite(), 4, EPOCH), &disk, Take::application(3, 5), 99);
    assert_eq!(outcome, Err(crate::record::MalformedRecord(RecordKind::Ratchet).into()));
}

#[test]
fn records_of_other_epochs_and_kinds_are_passed_over() {
    let mut tree = SecretTree::stored(suite(), 4, EPOCH);
    let junk = || Some(RecordValue::new([1].into()));
    let records = [
        (RecordKey::HEAD, junk()),
        (RecordKey::new(RecordKind::Leaf, EPOCH, 3), junk()),
        (RecordKey::new(RecordKind::Secrets, EPOCH + 1, 0), junk()),
    ];
    tree.supply(&records).unwrap();
    assert!(snapshot(&tree).writes.is_empty());
}

#[test]
fn an_index_that_contradicts_its_chunks_is_damage() {
    let (mut tree, mut disk) = stored_tree(4);
    disk.apply(Take::application(3, 5).open(&mut tree, &SMALL).unwrap().1);
    let geometry = Geometry::new(suite(), 4, EPOCH);
    let damaged = SecretTreeError::Record(crate::record::MalformedRecord(RecordKind::Skipped));
    let attempt = |disk: &Disk, generation| {
        open_lazily(&mut SecretTree::stored(suite(), 4, EPOCH), disk, Take::application(3, generation), 99).0
    };
    let mut more = disk.clone();
    *more.0.get_mut(&geometry.index_key()).unwrap().last_mut().unwrap() += 20;
    let mut none = disk.clone();
    none.0.retain(|key, _| key.kind != RecordKind::Skipped || *key == geometry.index_key());
    let mut unlisted = disk;
    unlisted.0.remove(&geometry.index_key());
    for disk in [more, none, unlisted] {
        assert_eq!(attempt(&disk, 3), Err(damaged.clone()));
        assert_eq!(attempt(&disk, 9), Err(damaged.clone()));
        assert!(attempt(&disk, 6).is_ok());
    }
}
