//! The Wycheproof files for every primitive that a provider's suites use, through the suites.

mod aead;
mod agreement;
mod kdf;
mod ml_dsa;
mod ml_kem;
mod signature;

pub use aead::{aes_gcm, chacha20_poly1305};
pub use agreement::agreement;
pub use kdf::{hkdf, hmac};
pub use ml_dsa::ml_dsa;
pub use ml_kem::ml_kem;
pub use signature::signature;

use serde::Deserialize;

/// A file.
#[derive(Deserialize)]
struct File<G> {
    #[serde(rename = "testGroups")]
    groups: Vec<G>,
}

/// Verdict of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Invalid,
    Acceptable,
}
