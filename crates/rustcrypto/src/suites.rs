//! What this provider brings to each suite.

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use keyroom_crypto::dhkem::Dhkem;
use keyroom_crypto::parts::{Sequential, hpke_ids};
use keyroom_crypto::pq::{Combination, HybridKem, PlainKem};
use keyroom_crypto::sha2::{Sha, Sha256, Sha384, Sha512};
use keyroom_crypto::{Hkdf, Kems, Primitives, Signatures};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;

use crate::aead::AeadOf;
use crate::ecdsa::{EcdsaP256, EcdsaP384, EcdsaP521};
use crate::ed448::Ed448;
use crate::ed25519::Ed25519;
use crate::keccak::Keccak;
use crate::ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use crate::ml_kem::{MlKem768, MlKem1024};
use crate::nist::Nist;
use crate::x448::X448;
use crate::x25519::X25519;

/// All that there are.
pub(crate) const PRIMITIVES: Primitives = Primitives {
    sha256: Hkdf::of(&Sha::<Sha256>::NEW),
    sha384: Hkdf::of(&Sha::<Sha384>::NEW),
    sha512: Hkdf::of(&Sha::<Sha512>::NEW),
    aes_128_gcm: &AeadOf::<Aes128Gcm>::new(hpke_ids::AES_128_GCM),
    aes_256_gcm: &AeadOf::<Aes256Gcm>::new(hpke_ids::AES_256_GCM),
    chacha20_poly1305: &AeadOf::<ChaCha20Poly1305>::new(hpke_ids::CHACHA20_POLY1305),
    kems: Kems {
        x25519: Some(&DHKEM_X25519),
        x448: Some(&DHKEM_X448),
        p256: Some(&DHKEM_P256),
        p384: Some(&DHKEM_P384),
        p521: Some(&DHKEM_P521),
        ml_kem_768: Some(&ML_KEM_768),
        ml_kem_1024: Some(&ML_KEM_1024),
        ml_kem_768_x25519: Some(&ML_KEM_768_X25519),
        ml_kem_768_p256: Some(&ML_KEM_768_P256),
        ml_kem_1024_p384: Some(&ML_KEM_1024_P384),
    },
    signatures: Signatures {
        ed25519: Some(&Ed25519),
        ed448: Some(&Ed448),
        p256: Some(&EcdsaP256),
        p384: Some(&EcdsaP384),
        p521: Some(&EcdsaP521),
        ml_dsa_44: Some(&MlDsa44),
        ml_dsa_65: Some(&MlDsa65),
        ml_dsa_87: Some(&MlDsa87),
    },
    batch: &Sequential,
};

const P256: Nist<NistP256> = Nist::new(0xff);
const P384: Nist<NistP384> = Nist::new(0xff);
const P521: Nist<NistP521> = Nist::new(0x01);

static DHKEM_X25519: Dhkem<X25519, Sha<Sha256>> = Dhkem::new(Dhkem::X25519_HKDF_SHA256, X25519, Sha::NEW);
static DHKEM_X448: Dhkem<X448, Sha<Sha512>> = Dhkem::new(Dhkem::X448_HKDF_SHA512, X448, Sha::NEW);
static DHKEM_P256: Dhkem<Nist<NistP256>, Sha<Sha256>> = Dhkem::new(Dhkem::P256_HKDF_SHA256, P256, Sha::NEW);
static DHKEM_P384: Dhkem<Nist<NistP384>, Sha<Sha384>> = Dhkem::new(Dhkem::P384_HKDF_SHA384, P384, Sha::NEW);
static DHKEM_P521: Dhkem<Nist<NistP521>, Sha<Sha512>> = Dhkem::new(Dhkem::P521_HKDF_SHA512, P521, Sha::NEW);

static ML_KEM_768: PlainKem<MlKem768, Keccak> = PlainKem::new(PlainKem::ML_KEM_768, MlKem768, Keccak);
static ML_KEM_1024: PlainKem<MlKem1024, Keccak> = PlainKem::new(PlainKem::ML_KEM_1024, MlKem1024, Keccak);
static ML_KEM_768_X25519: HybridKem<MlKem768, X25519, Keccak> =
    HybridKem::new(Combination::ML_KEM_768_X25519, MlKem768, X25519, Keccak);
static ML_KEM_768_P256: HybridKem<MlKem768, Nist<NistP256>, Keccak> =
    HybridKem::new(Combination::ML_KEM_768_P256, MlKem768, P256, Keccak);
static ML_KEM_1024_P384: HybridKem<MlKem1024, Nist<NistP384>, Keccak> =
    HybridKem::new(Combination::ML_KEM_1024_P384, MlKem1024, P384, Keccak);
