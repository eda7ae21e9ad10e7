//! Test vectors and the checks that every provider must pass. For tests only; never published.
//!
//! The vector files live outside the repository. They are looked for in the folder that
//! `KEYROOM_VECTORS` names, else in `../shared/vectors` beside the workspace. When they are absent
//! a test says that it was skipped and passes, unless `KEYROOM_REQUIRE=1`, which makes it fail.
//!
//! ```no_run
//! #[derive(serde::Deserialize)]
//! struct Case {
//!     cipher_suite: u16,
//!     secret: keyroom_vectors::Hex,
//! }
//! let Some(cases) = keyroom_vectors::load::<Vec<Case>>("mls/psk_secret.json") else { return };
//! ```
//!
//! A provider runs everything with one line in `tests/`:
//! `keyroom_vectors::provider_tests!(keyroom_rustcrypto::RUSTCRYPTO);`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    reason = "test"
)]

pub mod conformance;
mod crypto_basics;
mod file;
mod hex_bytes;
mod hpke_pq;
mod mixed;
mod one_of_each;
mod rfc9180;
pub mod wycheproof;

pub use crypto_basics::crypto_basics;
pub use file::{load, locate};
pub use hex_bytes::Hex;
pub use hpke_pq::{hpke_pq, x_wing};
pub use rfc9180::rfc9180;

/// A random number generator that gives the same bytes for the same seed.
pub fn rng(seed: u64) -> chacha20::ChaCha20Rng {
    chacha20::rand_core::SeedableRng::seed_from_u64(seed)
}

/// One `#[test]` per vector file and per promise of the traits, for the provider in this static.
#[macro_export]
macro_rules! provider_tests {
    ($provider:path) => {
        $crate::provider_tests! { @vectors $provider:
            agrees_with_the_working_group_on_labels = crypto_basics,
            agrees_with_rfc_9180 = rfc9180,
            agrees_with_the_post_quantum_draft_of_hpke = hpke_pq,
            agrees_with_x_wing = x_wing,
            agrees_with_wycheproof_on_aes_gcm = wycheproof::aes_gcm,
            agrees_with_wycheproof_on_chacha20_poly1305 = wycheproof::chacha20_poly1305,
            agrees_with_wycheproof_on_diffie_hellman = wycheproof::agreement,
            agrees_with_wycheproof_on_hkdf = wycheproof::hkdf,
            agrees_with_wycheproof_on_hmac = wycheproof::hmac,
            agrees_with_wycheproof_on_signatures = wycheproof::signature,
            agrees_with_wycheproof_on_ml_dsa = wycheproof::ml_dsa,
            agrees_with_wycheproof_on_ml_kem = wycheproof::ml_kem,
        }
        $crate::provider_tests! { @each_suite $provider:
            sealed_aead_opens_in_place,
            aead_refuses_wrong_lengths_and_changed_bytes,
            kdf_stops_at_its_limits,
            inputs_in_parts_equal_their_concatenation,
            hpke_opens_what_it_sealed_and_nothing_else,
            hpke_exports_the_same_on_both_sides,
            random_bytes_are_refused,
            debug_shows_no_secret,
        }
        $crate::provider_tests! { @each_kem $provider:
            key_pairs_follow_from_their_ikm,
            invalid_hpke_public_keys_are_refused,
            invalid_hpke_private_keys_are_refused,
            invalid_encapsulations_are_refused,
            randomness_of_another_length_is_refused,
            changed_ciphertexts_give_another_secret,
            many_seals_equal_single_ones,
            many_seals_report_the_first_error,
        }
        $crate::provider_tests! { @each_signature_scheme $provider:
            signatures_verify_for_their_key_and_message_only,
            invalid_signature_keys_are_refused,
            many_checks_report_the_first_bad_one,
        }
    };
    (@vectors $provider:path: $($name:ident = $check:path,)*) => {
        $(#[test] fn $name() { use $crate::*; $check(&$provider); })*
    };
    (@$each:ident $provider:path: $($name:ident,)*) => {
        $(#[test] fn $name() { $crate::conformance::$each(&$provider, $crate::conformance::$name); })*
    };
}
