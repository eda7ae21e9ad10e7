//! What this provider brings to each suite.

use keyroom_crypto::dhkem::Dhkem;
use keyroom_crypto::{Hkdf, Kems, Primitives, Signatures};

use crate::aead::AeadOf;
use crate::ecdsa::Ecdsa;
use crate::eddsa::Ed25519;
use crate::group::Group;
use crate::hash::Sha;
use crate::threads::Threads;

/// All that there are. The library has neither X448 nor Ed448. It has ML-KEM, but takes no seeds, and
/// without a KEM there is no use for its ML-DSA.
pub(crate) const PRIMITIVES: Primitives = Primitives {
    sha256: Hkdf::of(&SHA256),
    sha384: Hkdf::of(&SHA384),
    sha512: Hkdf::of(&SHA512),
    aes_128_gcm: &AES_128_GCM,
    aes_256_gcm: &AES_256_GCM,
    chacha20_poly1305: &CHACHA20_POLY1305,
    kems: Kems {
        x25519: Some(&DHKEM_X25519),
        x448: None,
        p256: Some(&DHKEM_P256),
        p384: Some(&DHKEM_P384),
        p521: Some(&DHKEM_P521),
        ml_kem_768: None,
        ml_kem_1024: None,
        ml_kem_768_x25519: None,
        ml_kem_768_p256: None,
        ml_kem_1024_p384: None,
    },
    signatures: Signatures {
        ed25519: Some(&Ed25519),
        ed448: None,
        p256: Some(&ECDSA_P256),
        p384: Some(&ECDSA_P384),
        p521: Some(&ECDSA_P521),
        ml_dsa_44: None,
        ml_dsa_65: None,
        ml_dsa_87: None,
    },
    batch: &Threads,
};

static SHA256: Sha = Sha::SHA256;
static SHA384: Sha = Sha::SHA384;
static SHA512: Sha = Sha::SHA512;

static AES_128_GCM: AeadOf = AeadOf::AES_128_GCM;
static AES_256_GCM: AeadOf = AeadOf::AES_256_GCM;
static CHACHA20_POLY1305: AeadOf = AeadOf::CHACHA20_POLY1305;

static DHKEM_X25519: Dhkem<Group, Sha> = Dhkem::new(Dhkem::X25519_HKDF_SHA256, Group::X25519, Sha::SHA256);
static DHKEM_P256: Dhkem<Group, Sha> = Dhkem::new(Dhkem::P256_HKDF_SHA256, Group::P256, Sha::SHA256);
static DHKEM_P384: Dhkem<Group, Sha> = Dhkem::new(Dhkem::P384_HKDF_SHA384, Group::P384, Sha::SHA384);
static DHKEM_P521: Dhkem<Group, Sha> = Dhkem::new(Dhkem::P521_HKDF_SHA512, Group::P521, Sha::SHA512);

static ECDSA_P256: Ecdsa = Ecdsa::P256;
static ECDSA_P384: Ecdsa = Ecdsa::P384;
static ECDSA_P521: Ecdsa = Ecdsa::P521;
