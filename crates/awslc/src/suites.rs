//! The tables: which parts make which suite (RFC 9420 §17.1).

use keyroom_crypto::Suite;
use keyroom_crypto::dhkem::Dhkem;
use keyroom_crypto::parts::{SuiteParts, hpke_ids};
use keyroom_wire::CipherSuite;

use crate::aead::AeadOf;
use crate::ecdsa::Ecdsa;
use crate::eddsa::Ed25519;
use crate::group::Group;
use crate::hash::Sha;
use crate::threads::{Ed25519Threads, Threads};

/// All suites, in the order of preference: fastest first.
pub(crate) static ALL: [&dyn Suite; 5] = [
    &X25519_AES128GCM_SHA256_ED25519,
    &X25519_CHACHA20POLY1305_SHA256_ED25519,
    &P256_AES128GCM_SHA256_P256,
    &P384_AES256GCM_SHA384_P384,
    &P521_AES256GCM_SHA512_P521,
];

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

/// Suite 1.
static X25519_AES128GCM_SHA256_ED25519: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519,
    hash: &SHA256,
    kdf: &SHA256,
    hpke_kdf_id: hpke_ids::HKDF_SHA256,
    aead: &AES_128_GCM,
    kem: &DHKEM_X25519,
    signature: &Ed25519,
    batch: &Ed25519Threads,
};

/// Suite 2.
static P256_AES128GCM_SHA256_P256: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    hash: &SHA256,
    kdf: &SHA256,
    hpke_kdf_id: hpke_ids::HKDF_SHA256,
    aead: &AES_128_GCM,
    kem: &DHKEM_P256,
    signature: &ECDSA_P256,
    batch: &Threads,
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
    batch: &Ed25519Threads,
};

/// Suite 5.
static P521_AES256GCM_SHA512_P521: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
    hash: &SHA512,
    kdf: &SHA512,
    hpke_kdf_id: hpke_ids::HKDF_SHA512,
    aead: &AES_256_GCM,
    kem: &DHKEM_P521,
    signature: &ECDSA_P521,
    batch: &Threads,
};

/// Suite 7.
static P384_AES256GCM_SHA384_P384: SuiteParts = SuiteParts {
    cipher_suite: CipherSuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    hash: &SHA384,
    kdf: &SHA384,
    hpke_kdf_id: hpke_ids::HKDF_SHA384,
    aead: &AES_256_GCM,
    kem: &DHKEM_P384,
    signature: &ECDSA_P384,
    batch: &Threads,
};
