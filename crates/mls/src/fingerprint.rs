//! Keyed fingerprints of a group's bookkeeping: short, and nobody without the seed can aim at one.

use core::fmt;
use core::hash::Hasher;

use alloc::sync::Arc;

use keyroom_crypto::{CryptoRng, Zeroizing};
use siphasher::sip::SipHasher13;

/// The random key of a group's fingerprints, 16 bytes. Whoever knows it can make keys collide on
/// purpose, so it is kept like a secret. A clone is one pointer.
#[derive(Clone)]
pub struct Seed(Arc<Zeroizing<[u8; Self::LEN]>>);

impl Seed {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// A fresh seed.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(Arc::new(bytes))
    }

    /// A seed that was stored.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, to be stored.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(16 bytes)")
    }
}

/// SipHash-1-3 of the parts, with their number and lengths, for one domain.
pub(crate) fn digest(seed: &Seed, domain: &[u8], parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(seed.expose());
    for part in core::iter::once(&domain).chain(parts) {
        hasher.write(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.write(part);
    }
    hasher.finish()
}
