use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use keyroom_crypto::dhkem::{Derivation, DiffieHellman, Exchange};
use keyroom_crypto::{CryptoError, Secret};
use p256::elliptic_curve::array::typenum::Unsigned;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point, UncompressedPointSize};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey, ecdh};

/// A curve of NIST, its points uncompressed (SEC 1 §2.3.3).
pub(crate) struct Nist<C> {
    bitmask: u8,
    curve: PhantomData<fn() -> C>,
}

impl<C> Nist<C> {
    /// With the bits of a candidate's first byte that the field has.
    pub(crate) const fn new(bitmask: u8) -> Self {
        Self { bitmask, curve: PhantomData }
    }
}

impl<C> Nist<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn private(bytes: &[u8]) -> Result<SecretKey<C>, CryptoError> {
        // The library takes shorter keys and pads them.
        if bytes.len() != FieldBytesSize::<C>::USIZE {
            return Err(CryptoError::InvalidPrivateKey);
        }
        SecretKey::from_slice(bytes).map_err(|_| CryptoError::InvalidPrivateKey)
    }

    fn public(bytes: &[u8]) -> Result<PublicKey<C>, CryptoError> {
        // The library takes compressed points too; this length leaves the uncompressed form alone.
        if bytes.len() != UncompressedPointSize::<C>::USIZE {
            return Err(CryptoError::InvalidPublicKey);
        }
        PublicKey::from_sec1_bytes(bytes).map_err(|_| CryptoError::InvalidPublicKey)
    }
}

impl<C> DiffieHellman for Nist<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn public_key_len(&self) -> usize {
        UncompressedPointSize::<C>::USIZE
    }

    fn private_key_len(&self) -> usize {
        FieldBytesSize::<C>::USIZE
    }

    fn derivation(&self) -> Derivation {
        Derivation::Candidates { bitmask: self.bitmask }
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(Self::private(private)?.public_key().to_sec1_point(false).as_bytes().to_vec())
    }

    fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
        Self::public(public).map(drop)
    }

    fn exchange(&self, private: &[u8], public: &[u8]) -> Result<Exchange, CryptoError> {
        let public = Self::public(public)?;
        let private = Self::private(private)?;
        // A product of a point other than the identity and a scalar below the prime order is not
        // the identity, so its x-coordinate exists.
        let shared = ecdh::diffie_hellman(private.to_nonzero_scalar(), public.as_affine());
        let own_public = private.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Exchange { dh: Secret::copy_of(shared.raw_secret_bytes()), own_public })
    }
}

impl<C> fmt::Debug for Nist<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::any::type_name::<C>())
    }
}
