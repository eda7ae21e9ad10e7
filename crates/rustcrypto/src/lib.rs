//! The cipher suites of Messaging Layer Security in pure Rust, for every platform that has an
//! allocator, the browser included.
//!
//! [`RUSTCRYPTO`] offers the suites 1, 2, 3 and 7. It starts no thread, draws no randomness of its
//! own, and gives the same output for the same input: ECDSA signs with the nonces of RFC 6979.
//!
//! It is not the fastest: on native platforms `keyroom-awslc` is several times as fast on the NIST
//! curves and about twice as fast on X25519.
//!
//! ```
//! use keyroom_crypto::{Provider, labels};
//! use keyroom_rustcrypto::RUSTCRYPTO;
//! use keyroom_wire::CipherSuite;
//!
//! let suite = RUSTCRYPTO.suite(CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519).unwrap();
//! let key_pair = suite.kem().derive_key_pair(&[7; 32])?;
//! let secret = labels::derive_secret(suite, key_pair.private.expose(), "example")?;
//! assert_eq!(secret.len(), suite.kdf().output_len());
//! # Ok::<(), keyroom_crypto::CryptoError>(())
//! ```
#![no_std]

extern crate alloc;

mod aead;
mod ecdsa;
mod eddsa;
mod group;
mod hash;
mod suites;

use keyroom_crypto::{Provider, Suite};

/// The pure-Rust provider.
pub static RUSTCRYPTO: RustCrypto = RustCrypto(());

/// Type of [`RUSTCRYPTO`].
#[derive(Debug)]
pub struct RustCrypto(());

impl Provider for RustCrypto {
    fn suites(&self) -> &[&'static dyn Suite] {
        &suites::ALL
    }
}
