//! Thousands of damaged messages: every one ends in an error and changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Bench, INFO, below, config, count, now, seed, suite};
use keyroom_mls::error::{Error, Retry};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::public::PublicGroup;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{LeafIndex, Proposal};

/// A message with a bit flipped, bytes replaced, cut out, put in, or exchanged.
fn mutated(message: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = message.to_vec();
    let at = below(rng, bytes.len());
    match below(rng, 6) {
        0 | 1 => bytes[at] ^= 1 << below(rng, 8),
        2 => bytes[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff][below(rng, 8)],
        3 => drop(bytes.drain(at..(at + 1 + below(rng, 8)).min(message.len()))),
        4 => bytes.insert(at, u8::try_from(below(rng, 256)).unwrap()),
        _ => {
            let other = below(rng, message.len());
            bytes.swap(at, other);
        }
    }
    bytes
}

/// Bob's messages in both formats: application, proposal, commit, external commit.
fn messages(bench: &mut Bench) -> Vec<Vec<u8>> {
    let (_, bundle) = bench.newcomer("gina");
    let (eve, eve_bundle) = bench.newcomer("eve");
    let Bench { members, rng, .. } = bench;
    let rng = &mut **rng;
    let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), rng).unwrap();
    let join = Group::join_external(suite(1), &eve_bundle, config());
    let external = join.build(&info, eve.signer.as_ref(), &now(), rng).unwrap().message;
    let bob = &mut members[1];
    let signer = bob.client.signer.as_ref();
    let said = bob.group.encrypt(b"a message of some length", b"data", signer, rng).unwrap().message;
    let builder = bob.group.commit().add(bundle.key_package.clone()).remove(LeafIndex(3));
    let commit = builder.build(signer, &now(), rng).unwrap().0.message;
    let proposal =
        bob.group.propose(Proposal::Remove { removed: LeafIndex(3) }, b"", signer, &now(), rng).unwrap().message;
    let update = bob.group.propose_update(b"", signer, None, &now(), rng).unwrap().message;
    vec![said, commit, proposal, update, external]
}

fn survives(handshakes: keyroom_mls::config::HandshakePolicy) {
    let config = keyroom_mls::config::Config { handshakes, ..keyroom_mls::config::Config::default() };
    let mut bench = Bench::new(60, std::sync::Arc::new(config));
    let messages = messages(&mut bench);
    let rng = &mut keyroom_vectors::rng(seed());
    let alice = &mut bench.members[0].group;
    let before = alice.snapshot().unwrap();
    let mut check = |bytes: &[u8], what: &str| {
        if messages.iter().any(|message| message == bytes) {
            return;
        }
        match alice.process(bytes, &now()) {
            Err(Error::Missing(_) | Error::Corrupt(_) | Error::Crypto(_)) => panic!("{what}: not the peer's fault"),
            Err(error) => assert!(matches!(error.retry(), Retry::Never | Retry::AfterSupply)),
            Ok(processed) => panic!("{what}: {processed:?}"),
        }
        assert!(alice.snapshot().unwrap() == before, "{what}: the group has changed");
    };
    for (kind, message) in messages.iter().enumerate() {
        for cut in 0..message.len() {
            check(&message[..cut], &format!("{kind} cut at {cut}"));
        }
        for round in 0..count(2_000) {
            check(&mutated(message, rng), &format!("{kind} round {round}"));
        }
        let longer = [message.as_slice(), &[0]].concat();
        check(&longer, "trailing byte");
    }
    for message in &messages {
        bench.members[0].group.process(message, &now()).unwrap();
    }
}

#[test]
fn damaged_public_messages_change_nothing() {
    survives(keyroom_mls::config::HandshakePolicy::Public);
}

#[test]
fn damaged_private_messages_change_nothing() {
    survives(keyroom_mls::config::HandshakePolicy::Private);
}

#[test]
fn damaged_welcomes_and_group_infos_let_nobody_in() {
    let mut bench = Bench::open();
    let (_, bundle) = bench.newcomer("gina");
    let (eve, eve_bundle) = bench.newcomer("eve");
    let bundles = [bundle];
    let Bench { members, rng, .. } = &mut bench;
    let info = members[0].group.group_info(INFO, members[0].client.signer.as_ref(), &mut **rng).unwrap();
    let bob = &mut members[1];
    let builder = bob.group.commit().add(bundles[0].key_package.clone());
    let welcome = builder.build(bob.client.signer.as_ref(), &now(), &mut **rng).unwrap().0.welcome.unwrap();
    let join = |bytes: &[u8]| {
        let rng = &mut keyroom_vectors::rng(1);
        Group::join(suite(1), bytes, &JoinOptions::new(&bundles), config(), &now(), rng).map(drop)
    };
    let enter = |bytes: &[u8]| {
        let rng = &mut keyroom_vectors::rng(1);
        let builder = Group::join_external(suite(1), &eve_bundle, config());
        let observed = PublicGroup::observe(&RUSTCRYPTO, bytes, None, config(), &now(), rng).map(drop);
        let joined = builder.build(bytes, eve.signer.as_ref(), &now(), rng).map(drop);
        assert_eq!(observed.is_ok(), joined.is_ok());
        joined
    };
    let rng = &mut keyroom_vectors::rng(seed());
    join(&welcome).unwrap();
    enter(&info).unwrap();
    for step in [1, 7] {
        for cut in (0..welcome.len()).step_by(step) {
            join(&welcome[..cut]).unwrap_err();
        }
        for cut in (0..info.len()).step_by(step) {
            enter(&info[..cut]).unwrap_err();
        }
    }
    for round in 0..count(2_000) {
        let damaged = mutated(&welcome, rng);
        assert!(damaged == welcome || join(&damaged).is_err(), "Welcome, round {round}");
        let damaged = mutated(&info, rng);
        assert!(damaged == info || enter(&damaged).is_err(), "GroupInfo, round {round}");
    }
}
