//! What all kinds share: randomness and the key packages of the others.

use std::thread;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use keyroom_wire::{Decode, KeyPackage, Limits, MlsMessage};

use crate::subject::{Kind, Storage};

/// A generator with a fixed start: runs are repeatable, and nothing here is secret.
pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The KeyPackage in an MLSMessage.
pub fn parse_key_package(message: &[u8]) -> KeyPackage {
    match MlsMessage::from_bytes(message, &Limits::default()).unwrap() {
        MlsMessage::KeyPackage(key_package) => key_package,
        other => panic!("a key package was expected, not {other:?}"),
    }
}

/// Key packages of so many clients whom nobody measures.
pub fn key_packages(count: u32) -> Vec<Vec<u8>> {
    let one = |index: u32| Kind::KeyroomAwsLc.client(&format!("added {index}"), Storage::Memory).key_package().0;
    let middle = count / 2;
    thread::scope(|scope| {
        let second = scope.spawn(|| (middle..count).map(one).collect::<Vec<_>>());
        let mut packages: Vec<_> = (0..middle).map(one).collect();
        packages.extend(second.join().expect("no panic"));
        packages
    })
}
