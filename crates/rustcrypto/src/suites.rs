//! The tables: which parts make which suite (RFC 9420 §17.1).

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use keyroom_crypto::Suite;
use keyroom_crypto::dhkem::Dhkem;
use keyroom_crypto::parts::{Sequential, SuiteParts, hpke_ids};
use keyroom_wire::CipherSuite;
use p256::NistP256;
use p384::NistP384;
use sha2::{Sha256, Sha384};

use crate::aead::AeadOf;
use crate::ecdsa::{EcdsaP256, EcdsaP384};
use crate::eddsa::{Ed25519, Ed25519Batch};
use crate::group::{Nist, X25519};
use crate::hash::Sha;

/// All suites, in the order of preference: fastest first.
pub(crate) static ALL: [&dyn Suite; 4] = [
    &X25519_AES128GCM_SHA256_ED25519,
    &X25519_CHACHA20POLY1305_SHA256_ED25519,
    &P256_AES128GCM_SHA256_P256,
    &P384_AES256GCM_SHA384_P384,
];

static SHA256: Sha<Sha256> = Sha::NEW;
static SHA384: Sha<Sha384> = Sha::NEW;

static AES_128_GCM: AeadOf<Aes128Gcm> = AeadOf::new(hpke_ids::AES_128_GCM);
static AES_256_GCM: AeadOf<Aes256Gcm> = AeadOf::new(hpke_ids::AES_256_GCM);
static CHACHA20_POLY1305: AeadOf<ChaCha20Poly1305> = AeadOf::new(hpke_ids::CHACHA20_POLY1305);

static DHKEM_X25519: Dhkem<X25519, Sha<Sha256>> = Dhkem::new(Dhkem::X25519_HKDF_SHA256, X25519, Sha::NEW);
static DHKEM_P256: Dhkem<Nist<NistP256>, Sha<Sha256>> = Dhkem::new(Dhkem::P256_HKDF_SHA256, Nist::new(0xff), Sha::NEW);
static DHKEM_P384: Dhkem<Nist<NistP384>, Sha<Sha384>> = Dhkem::new(Dhkem::P384_HKDF_SHA384, Nist::new(0xff), Sha::NEW);

/// Suite 1.
static X25519_AES128GCM_SHA256_ED25519: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519,
    hash: &SHA256,
    kdf: &SHA256,
    hpke_kdf_id: hpke_ids::HKDF_SHA256,
    aead: &AES_128_GCM,
    kem: &DHKEM_X25519,
    signature: &Ed25519,
    batch: &Ed25519Batch,
};

/// Suite 2.
static P256_AES128GCM_SHA256_P256: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    hash: &SHA256,
    kdf: &SHA256,
    hpke_kdf_id: hpke_ids::HKDF_SHA256,
    aead: &AES_128_GCM,
    kem: &DHKEM_P256,
    signature: &EcdsaP256,
    batch: &Sequential,
};

/// Suite 3.
static X25519_CHACHA20POLY1305_SHA256_ED25519: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519,
    hash: &SHA256,
    kdf: &SHA256,
    hpke_kdf_id: hpke_ids::HKDF_SHA256,
    aead: &CHACHA20_POLY1305,
    kem: &DHKEM_X25519,
    signature: &Ed25519,
    batch: &Ed25519Batch,
};

/// Suite 7.
static P384_AES256GCM_SHA384_P384: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    hash: &SHA384,
    kdf: &SHA384,
    hpke_kdf_id: hpke_ids::HKDF_SHA384,
    aead: &AES_256_GCM,
    kem: &DHKEM_P384,
    signature: &EcdsaP384,
    batch: &Sequential,
};
