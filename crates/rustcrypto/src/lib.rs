//! The cipher suites of Messaging Layer Security in pure Rust, for every platform that has an
//! allocator, the browser included.
//!
//! [`RUSTCRYPTO`] offers all suites that [`SuiteName`](keyroom_crypto::SuiteName) lists: the seven of
//! RFC 9420 and the eleven post-quantum ones of draft-ietf-mls-pq-ciphersuites. It starts no thread, draws no randomness of
//! its own, and gives the same output for the same input: ECDSA signs with the nonces of RFC 6979, ML-DSA
//! is hedged with the randomness that it is given.
//!
//! It is not the fastest: on native platforms `keyroom-awslc` is several times as fast on the NIST
//! curves and about twice as fast on X25519. X448 and Ed448 (suites 4 and 6) come from a library
//! before its first release, which like most of its kind has not been audited.
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
mod ed25519;
mod ed448;
mod keccak;
mod ml_dsa;
mod ml_kem;
mod nist;
mod suites;
mod x25519;
mod x448;

use keyroom_crypto::{CodePoints, SuiteTable, Suites};

/// The pure-Rust provider, with the numbers of [`CodePoints::DEFAULT`].
pub static RUSTCRYPTO: Suites = Suites::new(&DEFAULT);

static DEFAULT: SuiteTable = suites(&CodePoints::DEFAULT);

/// The suites under other numbers, for a provider of one's own.
///
/// ```
/// use keyroom_crypto::{CodePoints, SuiteTable, Suites};
///
/// static SUITES: SuiteTable = keyroom_rustcrypto::suites(&CodePoints::OPENMLS);
/// static PROVIDER: Suites = Suites::new(&SUITES);
/// ```
pub const fn suites(code_points: &CodePoints) -> SuiteTable {
    suites::PRIMITIVES.suites(code_points)
}
