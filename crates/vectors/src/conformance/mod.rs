//! What every suite of every provider must do, in one set of checks.

mod aead;
mod batch;
mod cross;
mod hpke;
mod kdf;
mod kem;
mod robust;
mod secrecy;
mod signature;

pub use aead::{aead_refuses_wrong_lengths_and_changed_bytes, sealed_aead_opens_in_place};
pub use batch::{
    many_checks_report_the_first_bad_one, many_seals_equal_single_ones, many_seals_report_the_first_error,
};
pub use cross::each_opens_and_verifies_what_the_other_made;
pub use hpke::{hpke_exports_the_same_on_both_sides, hpke_opens_what_it_sealed_and_nothing_else};
pub use kdf::{inputs_in_parts_equal_their_concatenation, kdf_stops_at_its_limits};
pub use kem::{
    changed_ciphertexts_give_another_secret, invalid_encapsulations_are_refused, invalid_hpke_private_keys_are_refused,
    invalid_hpke_public_keys_are_refused, key_pairs_follow_from_their_ikm, randomness_of_another_length_is_refused,
};
use keyroom_crypto::{Provider, Suite};
pub use robust::random_bytes_are_refused;
pub use secrecy::debug_shows_no_secret;
pub use signature::{invalid_signature_keys_are_refused, signatures_verify_for_their_key_and_message_only};

use crate::one_of_each::{one_of_each, signature_scheme};

/// Runs a check on every suite of the provider.
///
/// # Panics
/// If the check does, or if the provider has no suite.
pub fn each_suite(provider: &dyn Provider, check: fn(&dyn Suite)) {
    assert!(!provider.suites().is_empty());
    provider.suites().into_iter().for_each(check);
}

/// Runs a check on one suite for each KEM of the provider.
///
/// # Panics
/// If the check does, or if the provider has no suite.
pub fn each_kem(provider: &dyn Provider, check: fn(&dyn Suite)) {
    let suites = one_of_each(provider, |suite| suite.kem().id());
    assert!(!suites.is_empty());
    suites.into_iter().for_each(check);
}

/// Runs a check on one suite for each signature scheme of the provider.
///
/// # Panics
/// If the check does, or if the provider has no suite.
pub fn each_signature_scheme(provider: &dyn Provider, check: fn(&dyn Suite)) {
    let suites = one_of_each(provider, signature_scheme);
    assert!(!suites.is_empty());
    suites.into_iter().for_each(check);
}
