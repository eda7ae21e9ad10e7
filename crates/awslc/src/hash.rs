use core::fmt;

use aws_lc_rs::{digest, hmac};
use keyroom_crypto::parts::HashFunction;
use keyroom_crypto::{CryptoError, Hash, Kdf, Secret};

/// A hash function of aws-lc, with its HMAC and HKDF.
pub(crate) struct Sha {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
}

impl Sha {
    pub(crate) const SHA256: Self = Self { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256 };
    pub(crate) const SHA384: Self = Self { digest: &digest::SHA384, hmac: hmac::HMAC_SHA384 };
    pub(crate) const SHA512: Self = Self { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512 };

    fn key(&self, bytes: &[u8]) -> hmac::Key {
        hmac::Key::new(self.hmac, bytes)
    }
}

fn sign(key: &hmac::Key, parts: &[&[&[u8]]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().copied().flatten().for_each(|part| context.update(part));
    context.sign()
}

impl HashFunction for Sha {
    fn hash(&self, parts: &[&[u8]]) -> Hash {
        let mut context = digest::Context::new(self.digest);
        parts.iter().for_each(|part| context.update(part));
        inline(context.finish().as_ref())
    }

    fn mac(&self, key: &[u8], parts: &[&[u8]]) -> Hash {
        inline(sign(&self.key(key), &[parts]).as_ref())
    }
}

impl Kdf for Sha {
    fn output_len(&self) -> usize {
        self.digest.output_len()
    }

    fn extract(&self, salt: &[u8], ikm: &[&[u8]]) -> Secret {
        Secret::copy_of(sign(&self.key(salt), &[ikm]).as_ref())
    }

    /// RFC 5869 §2.3 over HMAC, since the library's own joins the parts of the info in a buffer.
    fn expand(&self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        if prk.len() < self.output_len() {
            return Err(CryptoError::WrongLength);
        }
        if out.len() > 255 * self.output_len() {
            return Err(CryptoError::OutputTooLong);
        }
        let key = self.key(prk);
        let mut previous: Option<hmac::Tag> = None;
        for (block, counter) in out.chunks_mut(self.output_len()).zip(1..=u8::MAX) {
            let chained: &[u8] = previous.as_ref().map_or(&[], |tag| tag.as_ref());
            let tag = sign(&key, &[&[chained], info, &[&[counter]]]);
            block.iter_mut().zip(tag.as_ref()).for_each(|(place, byte)| *place = *byte);
            previous = Some(tag);
        }
        Ok(())
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA-{}", 8 * self.digest.output_len())
    }
}

fn inline(output: &[u8]) -> Hash {
    // The longest is SHA-512, which fits exactly.
    Hash::from_slice(output).unwrap_or(Hash::from([0; Hash::MAX]))
}
