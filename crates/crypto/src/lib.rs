//! What the protocol needs of cryptography, as object-safe traits, and everything that MLS builds
//! on top of the primitives: labels (RFC 9420 §5.1, §5.2), HPKE (RFC 9180) over a KEM trait, and
//! the types that hold secrets.
//!
//! A provider crate implements [`Suite`] once per cipher suite and hands out `&'static dyn Suite`.
//! Nothing here draws randomness: entropy is an argument ([`rand_core::CryptoRng`]). Nothing here
//! starts a thread: batches ([`Suite::seal_many`], [`Suite::verify_many`]) have a sequential
//! default that a provider may replace.
//!
//! Code takes a `&dyn Suite` and is done with the choice of algorithms and provider:
//!
//! ```
//! use keyroom_crypto::{CryptoError, CryptoRng, Suite, labels};
//! use keyroom_wire::HpkeCiphertext;
//!
//! fn encrypt_to(
//!     suite: &dyn Suite,
//!     recipient: &[u8],
//!     plaintext: &[u8],
//!     rng: &mut dyn CryptoRng,
//! ) -> Result<HpkeCiphertext, CryptoError> {
//!     suite.kem().validate_public_key(recipient)?;
//!     labels::encrypt_with_label(suite, recipient, "Example", b"context", plaintext, rng)
//! }
//! ```
//!
//! A provider hands over its [`Primitives`], with DHKEM over its groups ([`dhkem`]), and gets every
//! suite that can be made of them, under the numbers of a map ([`CodePoints`]). The vectors and the
//! checks that every provider must pass are the unpublished crate `keyroom-vectors`.
#![no_std]

extern crate alloc;

mod code_points;
pub mod dhkem;
pub mod ed25519_filter;
pub mod ed448_filter;
mod error;
mod hash;
pub mod hpke;
pub mod labels;
pub mod parts;
pub mod pq;
mod provider;
mod secret;
#[cfg(feature = "sha2")]
pub mod sha2;
mod suite;
mod suite_name;
mod table;
pub mod x25519_filter;
pub mod x448_filter;

pub use code_points::CodePoints;
pub use error::CryptoError;
pub use hash::Hash;
pub use provider::{Fallback, NoSuite, Provider};
pub use rand_core::CryptoRng;
pub use secret::Secret;
pub use suite::{Kdf, Kem, KeyPair, SealJob, Signer, Suite, VerifyJob};
pub use suite_name::SuiteName;
pub use table::{Hkdf, Kems, Primitives, Signatures, SuiteTable, Suites};
pub use zeroize::{Zeroize, Zeroizing};

/// Compares two byte strings in time that depends on their lengths only. Different lengths are
/// unequal.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}
