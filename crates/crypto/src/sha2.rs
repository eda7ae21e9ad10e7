//! SHA-2 with HMAC and HKDF in pure Rust, for providers (feature `sha2`). It uses the instructions that
//! the processor has for it, and for the short inputs of a key schedule it is faster than libraries
//! that set up a context for each.

use core::fmt;
use core::marker::PhantomData;

use hmac::digest::Digest;
use hmac::{EagerHash, Hmac, Mac};
pub use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroize;

use crate::parts::HashFunction;
use crate::{CryptoError, Hash, Kdf, Secret};

/// A hash function of `sha2`, with its HMAC and HKDF.
pub struct Sha<D>(PhantomData<fn() -> D>);

impl<D> Sha<D> {
    /// There is nothing to choose but the type.
    pub const NEW: Self = Self(PhantomData);
}

impl<D: EagerHash> Sha<D> {
    fn hmac(key: &[u8], parts: &[&[u8]]) -> hmac::digest::Output<Hmac<D>> {
        // HMAC takes keys of every length; hkdf's constructor says so in its type.
        let mut mac = <Hmac<D> as hkdf::HmacImpl>::new_from_slice(key);
        parts.iter().for_each(|part| Mac::update(&mut mac, part));
        mac.finalize().into_bytes()
    }
}

impl<D: EagerHash + Digest> HashFunction for Sha<D> {
    fn hash(&self, parts: &[&[u8]]) -> Hash {
        let mut digest = D::new();
        parts.iter().for_each(|part| Digest::update(&mut digest, part));
        inline(&digest.finalize())
    }

    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
        inline(&Self::hmac(key, parts))
    }
}

impl<D: EagerHash + Digest> Kdf for Sha<D> {
    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn extract(&self, salt: &[u8], ikm: &[&[u8]]) -> Secret {
        let mut prk = Self::hmac(salt, ikm);
        let secret = Secret::copy_of(&prk);
        prk.as_mut_slice().zeroize();
        secret
    }

    fn expand(&self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        let hkdf = hkdf::Hkdf::<D>::from_prk(prk).map_err(|_| CryptoError::WrongLength)?;
        hkdf.expand_multi_info(info, out).map_err(|_| CryptoError::OutputTooLong)
    }
}

impl<D: EagerHash + Digest> fmt::Debug for Sha<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA-{}", 8 * self.output_len())
    }
}

fn inline(output: &[u8]) -> Hash {
    // The longest is SHA-512, which fits exactly.
    Hash::from_slice(output).unwrap_or(Hash::from([0; Hash::MAX]))
}
