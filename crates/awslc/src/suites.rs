//! What this provider brings to each suite.

use keyroom_crypto::dhkem::Dhkem;
use keyroom_crypto::sha2::{Sha, Sha256, Sha384, Sha512};
use keyroom_crypto::{Hkdf, Kems, Primitives, Signatures};

use crate::aead::AeadOf;
use crate::ecdsa::Ecdsa;
use crate::eddsa::Ed25519;
use crate::group::Group;
use crate::threads::Threads;

/// All that there are. The library has neither X448 nor Ed448. It has ML-KEM, but takes no seeds, and
/// without a KEM there is no use for its ML-DSA.
pub(crate) const PRIMITIVES: Primitives = Primitives {
    sha256: Hkdf::of(&Sha::<Sha256>::NEW),
    sha384: Hkdf::of(&Sha::<Sha384>::NEW),
    sha512: Hkdf::of(&Sha::<Sha512>::NEW),
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

static AES_128_GCM: AeadOf = AeadOf::AES_128_GCM;
static AES_256_GCM: AeadOf = AeadOf::AES_256_GCM;
static CHACHA20_POLY1305: AeadOf = AeadOf::CHACHA20_POLY1305;

static DHKEM_X25519: Dhkem<Group, Sha<Sha256>> = Dhkem::new(Dhkem::X25519_HKDF_SHA256, Group::X25519, Sha::NEW);
static DHKEM_P256: Dhkem<Group, Sha<Sha256>> = Dhkem::new(Dhkem::P256_HKDF_SHA256, Group::P256, Sha::NEW);
static DHKEM_P384: Dhkem<Group, Sha<Sha384>> = Dhkem::new(Dhkem::P384_HKDF_SHA384, Group::P384, Sha::NEW);
static DHKEM_P521: Dhkem<Group, Sha<Sha512>> = Dhkem::new(Dhkem::P521_HKDF_SHA512, Group::P521, Sha::NEW);

static ECDSA_P256: Ecdsa = Ecdsa::P256;
static ECDSA_P384: Ecdsa = Ecdsa::P384;
static ECDSA_P521: Ecdsa = Ecdsa::P521;
