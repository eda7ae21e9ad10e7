//! DHKEM (RFC 9180 §4.1) over any Diffie-Hellman group and KDF, for providers to instantiate.

use alloc::vec::Vec;
use core::fmt::Debug;

use keyroom_wire::HpkePublicKey;

use crate::{CryptoError, Kdf, Kem, KeyPair, Secret};

/// A Diffie-Hellman group with the serialisation of RFC 9180 §7.1.
pub trait DiffieHellman: Send + Sync + Debug {
    /// `Npk` and `Nenc`: public key in bytes.
    fn public_key_len(&self) -> usize;

    /// `Nsk`: private key in bytes.
    fn private_key_len(&self) -> usize;

    /// How `DeriveKeyPair` makes a private key.
    fn derivation(&self) -> Derivation;

    /// The public key of a private one.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] for a wrong length or a value out of range.
    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError>;

    /// Checks a public key without a private one (RFC 9180 §7.1.4).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    fn validate(&self, public: &[u8]) -> Result<(), CryptoError>;

    /// `DH(skX, pkY)` and `pk(skX)`: both are needed together, and a library that has to import
    /// the private key does it once. Checks the public key, its form included, and the result.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`], or [`CryptoError::InvalidPublicKey`], also for an
    /// all-zero result (RFC 9180 §7.1.4).
    fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError>;
}

/// What [`DiffieHellman::exchange`] gives.
#[derive(Debug)]
pub struct Exchange {
    /// The shared point.
    pub dh: Secret,
    /// The public key of the private key that was used.
    pub own_public: Vec<u8>,
}

/// How `DeriveKeyPair` makes a private key (RFC 9180 §7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// Every string is a key: one expansion (X25519, X448).
    Direct,
    /// Candidates are drawn until one is in range, the unused bits of the first byte masked away
    /// (NIST curves).
    Candidates {
        /// The bits to keep of a candidate's first byte.
        bitmask: u8,
    },
}

/// DHKEM(group, KDF).
#[derive(Clone, Copy, Debug)]
pub struct Dhkem<G, K> {
    id: u16,
    group: G,
    kdf: K,
}

/// Code points of the HPKE registry (RFC 9180 §7.1).
impl Dhkem<(), ()> {
    /// DHKEM(P-256, HKDF-SHA256).
    pub const P256_HKDF_SHA256: u16 = 0x0010;
    /// DHKEM(P-384, HKDF-SHA384).
    pub const P384_HKDF_SHA384: u16 = 0x0011;
    /// DHKEM(P-521, HKDF-SHA512).
    pub const P521_HKDF_SHA512: u16 = 0x0012;
    /// DHKEM(X25519, HKDF-SHA256).
    pub const X25519_HKDF_SHA256: u16 = 0x0020;
    /// DHKEM(X448, HKDF-SHA512).
    pub const X448_HKDF_SHA512: u16 = 0x0021;
}

impl<G: DiffieHellman, K: Kdf> Dhkem<G, K> {
    /// The KEM with this code point of the HPKE registry.
    pub const fn new(id: u16, group: G, kdf: K) -> Self {
        Self { id, group, kdf }
    }

    fn suite_id(&self) -> [u8; 5] {
        let [high, low] = self.id.to_be_bytes();
        [b'K', b'E', b'M', high, low]
    }

    fn labeled_extract(&self, label: &[u8], ikm: &[u8]) -> Secret {
        self.kdf.extract(b"", &[b"HPKE-v1", &self.suite_id(), label, ikm])
    }

    fn labeled_expand(
        &self,
        prk: &Secret,
        label: &[u8],
        info: &[&[u8]; 2],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let wide = u16::try_from(length).map_err(|_| CryptoError::OutputTooLong)?;
        let [first, second] = info;
        let mut out = Secret::zeros(length);
        let parts: [&[u8]; 6] = [&wide.to_be_bytes(), b"HPKE-v1", &self.suite_id(), label, first, second];
        self.kdf.expand(prk.expose(), &parts, out.expose_mut())?;
        Ok(out)
    }

    /// `ExtractAndExpand(dh, enc || pkR)` (RFC 9180 §4.1).
    fn shared_secret(&self, dh: &Secret, encapsulated: &[u8], recipient: &[u8]) -> Result<Secret, CryptoError> {
        let prk = self.labeled_extract(b"eae_prk", dh.expose());
        self.labeled_expand(&prk, b"shared_secret", &[encapsulated, recipient], self.secret_len())
    }

    /// `DeriveKeyPair(ikm)`: the private key, and what `with` makes of it. `with` refuses a candidate
    /// that is out of range, which is what the loop of RFC 9180 §7.1.3 asks for.
    fn derive<T>(
        &self,
        ikm: &[u8],
        with: impl Fn(&[u8]) -> Result<T, CryptoError>,
    ) -> Result<(Secret, T), CryptoError> {
        let prk = self.labeled_extract(b"dkp_prk", ikm);
        let length = self.group.private_key_len();
        let Derivation::Candidates { bitmask } = self.group.derivation() else {
            let private = self.labeled_expand(&prk, b"sk", &[b"", b""], length)?;
            let made = with(private.expose())?;
            return Ok((private, made));
        };
        for counter in 0..=u8::MAX {
            let mut private = self.labeled_expand(&prk, b"candidate", &[&[counter], b""], length)?;
            private.expose_mut().iter_mut().take(1).for_each(|first| *first &= bitmask);
            match with(private.expose()) {
                Err(CryptoError::InvalidPrivateKey) => {}
                made => return Ok((private, made?)),
            }
        }
        Err(CryptoError::InvalidPrivateKey)
    }
}

impl<G: DiffieHellman, K: Kdf> Kem for Dhkem<G, K> {
    fn id(&self) -> u16 {
        self.id
    }

    fn secret_len(&self) -> usize {
        self.kdf.output_len()
    }

    fn encapsulation_len(&self) -> usize {
        self.group.public_key_len()
    }

    fn public_key_len(&self) -> usize {
        self.group.public_key_len()
    }

    fn private_key_len(&self) -> usize {
        self.group.private_key_len()
    }

    fn randomness_len(&self) -> usize {
        self.group.private_key_len()
    }

    fn derive_key_pair(&self, ikm: &[u8]) -> Result<KeyPair, CryptoError> {
        let (private, public) = self.derive(ikm, |private| self.group.public_key(private))?;
        Ok(KeyPair { private, public: HpkePublicKey::from(public) })
    }

    fn public_key(&self, private: &[u8]) -> Result<HpkePublicKey, CryptoError> {
        self.group.public_key(private).map(HpkePublicKey::from)
    }

    fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.group.validate(public)
    }

    fn encap(&self, public: &[u8], randomness: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
        let (_, exchange) = self.derive(randomness, |ephemeral| self.group.exchange(ephemeral, public))?;
        let shared_secret = self.shared_secret(&exchange.dh, &exchange.own_public, public)?;
        Ok((shared_secret, exchange.own_public))
    }

    fn decap(&self, encapsulated: &[u8], private: &[u8]) -> Result<Secret, CryptoError> {
        let exchange = self.group.exchange(private, encapsulated).map_err(|error| match error {
            CryptoError::InvalidPublicKey => CryptoError::InvalidEncapsulation,
            other => other,
        })?;
        self.shared_secret(&exchange.dh, encapsulated, &exchange.own_public)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Private keys of one byte, of which only those up to a limit are in range.
    #[derive(Debug)]
    struct Toy {
        limit: u8,
    }

    impl DiffieHellman for Toy {
        fn public_key_len(&self) -> usize {
            1
        }

        fn private_key_len(&self) -> usize {
            1
        }

        fn derivation(&self) -> Derivation {
            Derivation::Candidates { bitmask: 0x7f }
        }

        fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
            match private {
                [key] if *key <= self.limit => Ok(vec![*key]),
                _ => Err(CryptoError::InvalidPrivateKey),
            }
        }

        fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
            if public.len() == 1 { Ok(()) } else { Err(CryptoError::InvalidPublicKey) }
        }

        fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError> {
            let own_public = self.public_key(private)?;
            self.validate(public)?;
            Ok(Exchange { dh: Secret::copy_of(public), own_public })
        }
    }

    /// Expands to 255 less the counter of the candidate, which is the byte before the empty part.
    #[derive(Debug)]
    struct Countdown;

    impl Kdf for Countdown {
        fn output_len(&self) -> usize {
            1
        }

        fn extract(&self, _salt: &[u8], _ikm: &[&[u8]]) -> Secret {
            Secret::zeros(1)
        }

        fn expand(&self, _prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
            out.fill(u8::MAX - info.concat().last().unwrap());
            Ok(())
        }
    }

    #[test]
    fn candidates_are_masked_and_tried_until_one_is_in_range() {
        let kem = Dhkem::new(0, Toy { limit: 100 }, Countdown);
        let pair = kem.derive_key_pair(b"").unwrap();
        assert_eq!((pair.private.expose(), pair.public.as_slice()), (&[100][..], &[100][..]));
        let (_, encapsulated) = kem.encap(&[9], b"").unwrap();
        assert_eq!(encapsulated, [100]);
    }

    #[test]
    fn the_last_candidate_counts_too() {
        let kem = Dhkem::new(0, Toy { limit: 0 }, Countdown);
        assert_eq!(kem.derive_key_pair(b"").unwrap().private.expose(), [0]);
    }

    #[test]
    fn a_bad_recipient_ends_the_loop_at_once() {
        let kem = Dhkem::new(0, Toy { limit: 100 }, Countdown);
        assert_eq!(kem.encap(b"long", b"").err(), Some(CryptoError::InvalidPublicKey));
        assert_eq!(kem.decap(b"long", &[1]).err(), Some(CryptoError::InvalidEncapsulation));
        assert_eq!(kem.decap(&[9], &[101]).err(), Some(CryptoError::InvalidPrivateKey));
    }

    #[test]
    fn without_a_candidate_there_is_no_key() {
        #[derive(Debug)]
        struct Never;

        impl DiffieHellman for Never {
            fn public_key_len(&self) -> usize {
                1
            }

            fn private_key_len(&self) -> usize {
                1
            }

            fn derivation(&self) -> Derivation {
                Derivation::Candidates { bitmask: 0xff }
            }

            fn public_key(&self, _: &[u8]) -> Result<Vec<u8>, CryptoError> {
                Err(CryptoError::InvalidPrivateKey)
            }

            fn validate(&self, _: &[u8]) -> Result<(), CryptoError> {
                Ok(())
            }

            fn exchange(&self, _: &[u8], _: &[u8]) -> Result<Exchange, CryptoError> {
                Err(CryptoError::InvalidPrivateKey)
            }
        }

        let kem = Dhkem::new(0, Never, Countdown);
        assert_eq!(kem.derive_key_pair(b"").err(), Some(CryptoError::InvalidPrivateKey));
    }
}
