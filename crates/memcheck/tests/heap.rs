//! Bad input takes no more memory than the limits allow, whatever lengths it claims: the decoder stays
//! below a multiple of `Limits::message`, and a group below that and what honest messages cost it.
//!
//! A long run: `KEYROOM_SEED=7 KEYROOM_COUNT=10000000 cargo test --release -p keyroom-memcheck --test heap`
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::sync::Arc;

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Bench, INFO, admission, below, count, now, seed, sent};
use keyroom_memcheck::{Measuring, peak};
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::group::Group;
use keyroom_wire::{Decode, DecodeErrorKind, Limits, MlsMessage, Proposal, RatchetTree, RatchetTreeNodes};

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

const USUAL: usize = 20_000;
/// The longest message in these tests; honest ones are shorter.
const LONGEST: usize = 8_000;
const LIMITS: Limits = Limits { message: LONGEST, vector: LONGEST, field: 1_000 };
/// Bytes of memory for each byte of the longest message: what a decoded list of the smallest elements takes,
/// and the copy that a growing list makes.
const FACTOR: usize = 100;

/// Bob's messages in the format of the group, and what is read outside of it.
fn honest(bench: &mut Bench) -> Vec<Vec<u8>> {
    let (_, bundle) = bench.newcomer("gina");
    let Bench { members, rng, .. } = bench;
    let rng = &mut **rng;
    let bob = &mut members[1];
    let signer = bob.client.signer.as_ref();
    let said = bob.group.encrypt(&[7; 500], b"data", signer, rng).unwrap().message;
    let builder = bob.group.commit().add(bundle.key_package.clone());
    let (pending, _) = builder.build(signer, &now(), rng).unwrap();
    let removed = keyroom_wire::LeafIndex(3);
    let proposal = bob.group.propose(Proposal::Remove { removed }, b"", signer, &now(), rng).unwrap().message;
    let info = bob.group.group_info(INFO, signer, rng).unwrap();
    vec![said, sent(&pending), admission(&pending).welcome.unwrap(), proposal, info]
}

/// Bytes exchanged for those that begin long vectors, claims of great length, or anything.
fn damaged(message: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = message.to_vec();
    let at = below(rng, bytes.len());
    match below(rng, 6) {
        0 => bytes[at] ^= 1 << below(rng, 8),
        1 => bytes[at] = u8::try_from(below(rng, 256)).unwrap(),
        2 => drop(bytes.splice(at..at, [0xbf, 0xff, 0xff, 0xff])),
        3 => drop(bytes.splice(at..(at + 4).min(message.len()), [0x80, 0x00, 0x1f, 0x00])),
        // Many of the smallest elements.
        4 => drop(bytes.splice(at..at, std::iter::repeat_n(u8::try_from(below(rng, 3)).unwrap(), 6_000))),
        _ => bytes.truncate(at),
    }
    bytes
}

fn bench(handshakes: HandshakePolicy) -> Bench {
    let mut bench = Bench::new(60, Arc::new(Config { handshakes, limits: LIMITS, ..Config::default() }));
    bench.observer = None;
    bench
}

#[test]
fn a_decoder_takes_memory_within_its_limits() {
    let honest = honest(&mut bench(HandshakePolicy::Public));
    let mut highest = 0;
    for round in 0..count(USUAL) as u64 {
        let rng = &mut keyroom_vectors::rng(seed().wrapping_add(round));
        let message = damaged(&honest[below(rng, honest.len())], rng);
        let (_, message_bytes) = peak(|| MlsMessage::from_bytes(&message, &LIMITS).map(drop));
        let (_, tree_bytes) = peak(|| RatchetTree::from_bytes(&message, &LIMITS).map(drop));
        let (_, lazy_bytes) = peak(|| RatchetTreeNodes::new(&message, &LIMITS).map(|nodes| nodes.count()));
        highest = highest.max(message_bytes).max(tree_bytes).max(lazy_bytes);
        assert!(highest <= FACTOR * LONGEST, "KEYROOM_SEED={}: {highest} bytes", seed().wrapping_add(round));
    }
    assert!(highest > 1_000, "nothing was decoded: {highest}");
}

#[test]
fn a_claim_of_great_length_costs_nothing() {
    let honest = honest(&mut bench(HandshakePolicy::Public));
    for message in &honest {
        // Every byte as the beginning of a vector of 2^30 − 1 bytes.
        for at in 4..message.len() {
            let mut claims = message.clone();
            claims.splice(at..(at + 4).min(message.len()), [0xbf, 0xff, 0xff, 0xff]);
            let (_, bytes) = peak(|| MlsMessage::from_bytes(&claims, &Limits::default()).map(drop));
            assert!(bytes <= FACTOR * message.len(), "at {at}: {bytes} bytes for {} of input", message.len());
        }
    }
    let long = vec![0; 50 * LONGEST];
    let (outcome, bytes) = peak(|| MlsMessage::from_bytes(&long, &LIMITS));
    assert!(matches!(outcome.unwrap_err().kind, DecodeErrorKind::TooLong { .. }));
    assert!(bytes < 200, "{bytes} bytes to refuse what is too long");
}

/// The memory that a group takes to refuse bad messages.
fn group_stays_within_its_limits(handshakes: HandshakePolicy) {
    let mut bench = bench(handshakes);
    let honest = honest(&mut bench);
    let alice: &mut Group = &mut bench.members[0].group;
    let before = alice.snapshot().unwrap();
    // What a valid commit takes, which is staged and not applied.
    let (staged, usual) = peak(|| alice.process(&honest[1], &now()).map(drop));
    staged.unwrap();
    let most = usual + FACTOR * LONGEST;
    for round in 0..count(USUAL) as u64 {
        let rng = &mut keyroom_vectors::rng(seed().wrapping_add(round));
        let message = damaged(&honest[below(rng, honest.len())], rng);
        if honest.contains(&message) {
            continue;
        }
        let (outcome, bytes) = peak(|| alice.process(&message, &now()).map(drop));
        outcome.unwrap_err();
        assert!(bytes <= most, "KEYROOM_SEED={}: {bytes} bytes", seed().wrapping_add(round));
    }
    assert!(alice.snapshot().unwrap() == before);
}

#[test]
fn a_group_takes_memory_within_its_limits_for_public_messages() {
    group_stays_within_its_limits(HandshakePolicy::Public);
}

#[test]
fn a_group_takes_memory_within_its_limits_for_private_messages() {
    group_stays_within_its_limits(HandshakePolicy::Private);
}
