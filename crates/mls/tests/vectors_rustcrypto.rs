//! The official vectors, for every suite of the pure-Rust provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

#[path = "vectors/key_schedule.rs"]
mod key_schedule;
#[path = "vectors/message_protection.rs"]
mod message_protection;
#[path = "vectors/passive_client.rs"]
mod passive_client;
#[path = "vectors/psk.rs"]
mod psk;
#[path = "vectors/secret_tree.rs"]
mod secret_tree;
#[path = "vectors/transcript.rs"]
mod transcript;
#[path = "vectors/tree.rs"]
mod tree;
#[path = "vectors/welcome.rs"]
mod welcome;

use keyroom_crypto::{Provider, Secret, Suite};
use keyroom_wire::CipherSuite;

static PROVIDER: &dyn Provider = &keyroom_rustcrypto::RUSTCRYPTO;

/// The suite of a case, if the provider has it.
fn suite(cipher_suite: u16) -> Option<&'static dyn Suite> {
    PROVIDER.suite(CipherSuite(cipher_suite)).ok()
}

fn secret<T: From<Secret>>(bytes: &[u8]) -> T {
    Secret::copy_of(bytes).into()
}

/// A private key of the vectors, which leave out leading zeros, at its full length.
fn private_key(suite: &dyn Suite, bytes: &[u8]) -> Vec<u8> {
    let zeros = suite.kem().private_key_len().saturating_sub(bytes.len());
    [vec![0; zeros], bytes.to_vec()].concat()
}
