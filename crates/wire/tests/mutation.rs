#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
#![allow(clippy::disallowed_methods, reason = "seed and count come from the environment")]

//! Mutated messages: whatever decodes must encode to the same bytes, and nothing may panic.
//!
//! A long run, from a seed of your own:
//! `KEYROOM_SEED=7 KEYROOM_COUNT=50000000 cargo test --release -p keyroom-wire --test mutation`

mod support;

use std::collections::BTreeMap;
use std::env;

use keyroom_vectors::{Hex, load};
use keyroom_wire::{Decode, Limits, RatchetTree, RatchetTreeNodes};
use support::{Random, round_trip, samples};

const DEFAULT_COUNT: u64 = 200_000;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Every sample, and every struct of the first official cases.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut corpus: Vec<_> = samples().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let cases = load::<Vec<BTreeMap<String, Hex>>>("mls/messages.json").unwrap_or_default();
    corpus.extend(cases.into_iter().take(20).flatten().map(|(name, bytes)| (name, bytes.0)));
    corpus
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 => bytes.insert(at, random.byte()),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => {
                bytes[at] = [0, 1, 2, 3, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff][random.below(11)]
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            // The next value of an enum, a presence octet or a length.
            5 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            _ if at < bytes.len() => bytes[at] = random.byte(),
            _ => bytes.push(random.byte()),
        }
    }
}

#[test]
fn a_mutated_message_is_refused_or_encodes_to_the_same_bytes() {
    let (seed, count) = (setting("KEYROOM_SEED", 9420), setting("KEYROOM_COUNT", DEFAULT_COUNT));
    let (corpus, limits) = (corpus(), Limits::default());
    let mut accepted = 0_u64;
    for round in 0..count {
        // Each round has its own seed, so that one can be replayed with KEYROOM_COUNT=1.
        let mut random = Random(seed.wrapping_add(round));
        let (name, original) = &corpus[random.below(corpus.len())];
        let mut bytes = original.clone();
        mutate(&mut bytes, &mut random);
        let replay = || format!("KEYROOM_SEED={} KEYROOM_COUNT=1: {name}", seed.wrapping_add(round));
        match round_trip(name)(&bytes, &limits) {
            Ok(again) => {
                assert_eq!(again, bytes, "{}", replay());
                accepted += 1;
            }
            Err(error) => assert!(error.offset <= bytes.len(), "{}: {error}", replay()),
        }
        if name.eq_ignore_ascii_case("ratchettree") || name == "ratchet_tree" {
            assert_tree_forms_agree(&bytes, &limits, &replay());
        }
    }
    assert!(count < 1000 || accepted > count / 20, "only {accepted} of {count} decoded: the mutations are too coarse");
}

fn assert_tree_forms_agree(bytes: &[u8], limits: &Limits, replay: &str) {
    let owned = RatchetTree::from_bytes(bytes, limits).map(|tree| tree.nodes);
    let in_place = RatchetTreeNodes::new(bytes, limits).and_then(|nodes| {
        nodes.map(|node| node?.map(|node| node.to_owned()).transpose()).collect::<Result<Vec<_>, _>>()
    });
    // Reading in place meets bytes after the tree before an error inside it.
    assert_eq!(owned.is_ok(), in_place.is_ok(), "{replay}");
    if let (Ok(owned), Ok(in_place)) = (owned, in_place) {
        assert_eq!(owned, in_place, "{replay}");
    }
}

#[test]
fn random_bytes_are_refused_or_encode_to_the_same_bytes() {
    let (seed, count) = (setting("KEYROOM_SEED", 9420), setting("KEYROOM_COUNT", DEFAULT_COUNT));
    let (names, limits) = (samples(), Limits::default());
    for round in 0..count {
        let mut random = Random(seed.wrapping_add(round));
        let (name, _) = &names[random.below(names.len())];
        let length = random.below(64);
        let bytes: Vec<u8> = (0..length).map(|_| if random.below(2) == 0 { 0 } else { random.byte() }).collect();
        if let Ok(again) = round_trip(name)(&bytes, &limits) {
            assert_eq!(again, bytes, "KEYROOM_SEED={} KEYROOM_COUNT=1: {name}", seed.wrapping_add(round));
        }
    }
}
