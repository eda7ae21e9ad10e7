//! Pre-shared keys (RFC 9420 §8.4): all of a commit's PSKs as one secret.

use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::labels::expand_with_label;
use keyroom_crypto::{CryptoError, Secret, Suite};
use keyroom_wire::{Encode, PreSharedKeyId};

use crate::key_schedule::secret;

secret! {
    /// `psk_secret` (§8.4): what the key schedule mixes in.
    PskSecret;
}

/// Why PSKs could not be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PskError {
    /// More PSKs than the limit in force, or more than the 65,535 that the RFC can count.
    TooMany,
    /// The KDF refused.
    Crypto(CryptoError),
}

impl PskSecret {
    /// The secret of a commit without PSKs: `Nh` zero bytes.
    pub fn none(suite: &dyn Suite) -> Self {
        Self::from(Secret::zeros(suite.kdf().output_len()))
    }
}

/// Combines PSKs in the order of their proposals in the commit. The count is compared with `limit`
/// before any work is done.
///
/// # Errors
/// [`PskError::TooMany`] for more than `limit`.
pub fn psk_secret(suite: &dyn Suite, psks: &[(&PreSharedKeyId, &Secret)], limit: u16) -> Result<PskSecret, PskError> {
    let count = u16::try_from(psks.len()).ok().filter(|count| *count <= limit).ok_or(PskError::TooMany)?;
    let zeros = Secret::zeros(suite.kdf().output_len());
    let mut combined = PskSecret::none(suite);
    for (index, (id, psk)) in (0..count).zip(psks) {
        let extracted = suite.kdf().extract(zeros.expose(), &[psk.expose()]);
        let label = psk_label(id, index, count);
        let input = expand_with_label(suite, extracted.expose(), "derived psk", &label, suite.kdf().output_len())?;
        combined = suite.kdf().extract(input.expose(), &[combined.expose()]).into();
    }
    Ok(combined)
}

/// `PSKLabel` (§8.4).
fn psk_label(id: &PreSharedKeyId, index: u16, count: u16) -> Vec<u8> {
    let mut label = id.to_bytes();
    index.encode(&mut label);
    count.encode(&mut label);
    label
}

impl From<CryptoError> for PskError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl fmt::Display for PskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("more pre-shared keys than allowed"),
            Self::Crypto(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PskError {}
