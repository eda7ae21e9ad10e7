use alloc::vec::Vec;

use keyroom_wire::HpkePublicKey;

use super::{Keccak, MESSAGE_LEN, MlKem, SECRET_LEN, SEED_LEN, derive_private};
use crate::dhkem::DiffieHellman;
use crate::{CryptoError, Kem, KeyPair, Secret};

/// Length of a private key of any hybrid: the seed of both halves.
const PRIVATE_LEN: usize = 32;

/// ML-KEM and a Diffie-Hellman group in one: who breaks one of them has nothing.
///
/// The keys and ciphertexts of both stand side by side, ML-KEM's first, and one hash makes one
/// secret of two. A group element of small order is refused, as DHKEM does (RFC 9180 §7.1.4) and
/// the draft leaves open, so that a hybrid never checks less than its classical half.
#[derive(Clone, Copy, Debug)]
pub struct HybridKem<M, G, X> {
    combination: Combination,
    ml_kem: M,
    group: G,
    keccak: X,
}

/// What tells one hybrid from another beside its halves.
#[derive(Clone, Copy, Debug)]
pub struct Combination {
    /// Code point of the HPKE registry.
    id: u16,
    /// What the hash ends with.
    label: &'static [u8],
    /// How many candidates for a private key of the group a seed gives; the first in range is taken.
    candidates: usize,
}

impl Combination {
    /// MLKEM768-X25519, also known as X-Wing.
    pub const ML_KEM_768_X25519: Self = Self { id: 0x647a, label: br"\.//^\", candidates: 1 };
    /// MLKEM768-P256.
    pub const ML_KEM_768_P256: Self = Self { id: 0x0050, label: b"MLKEM768-P256", candidates: 3 };
    /// MLKEM1024-P384.
    pub const ML_KEM_1024_P384: Self = Self { id: 0x0051, label: b"MLKEM1024-P384", candidates: 1 };
}

impl<M: MlKem, G: DiffieHellman, X: Keccak> HybridKem<M, G, X> {
    /// The KEM made of these halves.
    pub const fn new(combination: Combination, ml_kem: M, group: G, keccak: X) -> Self {
        Self { combination, ml_kem, group, keccak }
    }

    fn group_seed_len(&self) -> usize {
        self.combination.candidates * self.group.private_key_len()
    }

    /// The seeds of both halves in one allocation: ML-KEM's, then the group's.
    fn expand(&self, private: &[u8]) -> Result<Seeds, CryptoError> {
        if private.len() != PRIVATE_LEN {
            return Err(CryptoError::InvalidPrivateKey);
        }
        let mut seeds = Secret::zeros(SEED_LEN + self.group_seed_len());
        self.keccak.shake256(&[private], seeds.expose_mut());
        Ok(Seeds(seeds))
    }

    /// Does something with the private key of the group that follows from a seed.
    fn with_group_key<T>(&self, seed: &[u8], with: impl Fn(&[u8]) -> Result<T, CryptoError>) -> Result<T, CryptoError> {
        let mut made = seed.chunks_exact(self.group.private_key_len()).map(with);
        made.find(|made| !matches!(made, Err(CryptoError::InvalidPrivateKey)))
            .unwrap_or(Err(CryptoError::InvalidPrivateKey))
    }

    fn split<'a>(&self, bytes: &'a [u8], first: usize) -> Option<(&'a [u8], &'a [u8])> {
        let (first, second) = bytes.split_at_checked(first)?;
        (second.len() == self.group.public_key_len()).then_some((first, second))
    }

    fn split_public<'a>(&self, public: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), CryptoError> {
        self.split(public, self.ml_kem.public_key_len()).ok_or(CryptoError::InvalidPublicKey)
    }

    fn combine(&self, ml_kem: &Secret, dh: &Secret, encapsulated: &[u8], recipient: &[u8]) -> Secret {
        self.keccak.sha3_256(&[ml_kem.expose(), dh.expose(), encapsulated, recipient, self.combination.label])
    }
}

/// What a private key expands to.
struct Seeds(Secret);

impl Seeds {
    fn ml_kem(&self) -> &[u8] {
        self.0.expose().get(..SEED_LEN).unwrap_or_default()
    }

    fn group(&self) -> &[u8] {
        self.0.expose().get(SEED_LEN..).unwrap_or_default()
    }
}

impl<M: MlKem, G: DiffieHellman, X: Keccak> Kem for HybridKem<M, G, X> {
    fn id(&self) -> u16 {
        self.combination.id
    }

    fn secret_len(&self) -> usize {
        SECRET_LEN
    }

    fn encapsulation_len(&self) -> usize {
        self.ml_kem.ciphertext_len() + self.group.public_key_len()
    }

    fn public_key_len(&self) -> usize {
        self.ml_kem.public_key_len() + self.group.public_key_len()
    }

    fn private_key_len(&self) -> usize {
        PRIVATE_LEN
    }

    fn randomness_len(&self) -> usize {
        MESSAGE_LEN + self.group_seed_len()
    }

    fn derive_key_pair(&self, ikm: &[u8]) -> Result<KeyPair, CryptoError> {
        let private = derive_private(&self.keccak, self.combination.id, ikm, 32);
        let public = self.public_key(private.expose())?;
        Ok(KeyPair { private, public })
    }

    fn public_key(&self, private: &[u8]) -> Result<HpkePublicKey, CryptoError> {
        let seeds = self.expand(private)?;
        let mut public = self.ml_kem.public_key(seeds.ml_kem())?;
        public.extend(self.with_group_key(seeds.group(), |key| self.group.public_key(key))?);
        Ok(public.into())
    }

    fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        let (ml_kem, group) = self.split_public(public)?;
        self.ml_kem.validate(ml_kem)?;
        self.group.validate(group)
    }

    fn encap(&self, public: &[u8], randomness: &[u8]) -> Result<(Secret, Vec<u8>), CryptoError> {
        let (ml_kem_public, group_public) = self.split_public(public)?;
        let halves = randomness.split_at_checked(MESSAGE_LEN).filter(|(_, seed)| seed.len() == self.group_seed_len());
        let (message, group_seed) = halves.ok_or(CryptoError::WrongLength)?;
        let (ml_kem_secret, mut encapsulated) = self.ml_kem.encapsulate(ml_kem_public, message)?;
        let exchange = self.with_group_key(group_seed, |key| self.group.exchange(key, group_public))?;
        let secret = self.combine(&ml_kem_secret, &exchange.dh, &exchange.own_public, group_public);
        encapsulated.extend(exchange.own_public);
        Ok((secret, encapsulated))
    }

    fn decap(&self, encapsulated: &[u8], private: &[u8]) -> Result<Secret, CryptoError> {
        let halves = self.split(encapsulated, self.ml_kem.ciphertext_len());
        let (ciphertext, group_public) = halves.ok_or(CryptoError::InvalidEncapsulation)?;
        let seeds = self.expand(private)?;
        let exchange = self.with_group_key(seeds.group(), |key| self.group.exchange(key, group_public));
        let exchange = exchange.map_err(|error| match error {
            CryptoError::InvalidPublicKey => CryptoError::InvalidEncapsulation,
            other => other,
        })?;
        let ml_kem_secret = self.ml_kem.decapsulate(ciphertext, seeds.ml_kem())?;
        Ok(self.combine(&ml_kem_secret, &exchange.dh, group_public, &exchange.own_public))
    }
}
