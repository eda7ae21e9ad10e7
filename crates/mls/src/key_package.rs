//! Key packages (RFC 9420 §10): what a client publishes so that others can add it.
//!
//! [`KeyPackageBuilder`] makes one together with its private keys, a [`KeyPackageBundle`];
//! [`ValidKeyPackage`] is one that has been checked.

mod build;
mod bundle;

use alloc::vec::Vec;

use keyroom_crypto::labels;
use keyroom_wire::{Encode, ExtensionType, Extensions, KeyPackage, KeyPackageRef};

pub use self::build::{BuildError, KeyPackageBuilder, KeyPackageUse};
pub use self::bundle::{BundleError, KeyPackageBundle};
use crate::error::Rule;
use crate::extension::{ExtensionPlace, Listing};
use crate::leaf_node::{GATHERED, LeafExpectation, LeafPlace, Signed, ensure, signed_message, verify_batch};

const LABEL: &str = "KeyPackageTBS";

/// A key package that is valid on its own, both signatures verified (§10.1). Its credential has not
/// been judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidKeyPackage {
    key_package: KeyPackage,
    reference: KeyPackageRef,
}

impl ValidKeyPackage {
    /// Checks a key package for a group, or, with an expectation that names none, for storing it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn validate(key_package: KeyPackage, expectation: &LeafExpectation<'_>) -> Result<Self, Rule> {
        check_unsigned(&key_package, expectation)?;
        check_signatures(core::slice::from_ref(&key_package), expectation)?;
        Ok(Self::of(key_package, expectation))
    }

    /// Checks many key packages as [`validate`](Self::validate) does, all signatures last and together:
    /// a provider verifies many at once in a fraction of the time.
    ///
    /// # Errors
    /// A rule that one of them breaks.
    pub fn validate_all(key_packages: Vec<KeyPackage>, expectation: &LeafExpectation<'_>) -> Result<Vec<Self>, Rule> {
        key_packages.iter().try_for_each(|key_package| check_unsigned(key_package, expectation))?;
        key_packages.chunks(GATHERED / 2).try_for_each(|chunk| check_signatures(chunk, expectation))?;
        Ok(key_packages.into_iter().map(|key_package| Self::of(key_package, expectation)).collect())
    }

    fn of(key_package: KeyPackage, expectation: &LeafExpectation<'_>) -> Self {
        let reference = labels::key_package_ref(expectation.suite, &key_package.to_bytes());
        Self { key_package, reference }
    }

    /// The key package.
    pub fn key_package(&self) -> &KeyPackage {
        &self.key_package
    }

    /// The key package, owned.
    pub fn into_key_package(self) -> KeyPackage {
        self.key_package
    }

    /// `KeyPackageRef` (§5.2). Decoding is strict, so the encoding hashed here is the one received.
    pub fn reference(&self) -> &KeyPackageRef {
        &self.reference
    }

    /// Whether it may be used more than once, when no other is left.
    pub fn is_last_resort(&self) -> bool {
        is_last_resort(&self.key_package.extensions)
    }
}

fn is_last_resort(extensions: &Extensions) -> bool {
    extensions.contains(ExtensionType::LAST_RESORT)
}

/// Types that nobody here knows pass, listed or not: deployed clients send unlisted ones.
fn check_extensions(key_package: &KeyPackage, expectation: &LeafExpectation<'_>) -> Result<(), Rule> {
    let table = expectation.extensions;
    table.check(&key_package.extensions, ExtensionPlace::KeyPackage)?;
    let listed = &key_package.leaf_node.capabilities.extensions;
    let must_be_listed = |t: &ExtensionType| table.entry(*t).is_some_and(|entry| entry.listing == Listing::Required);
    let all_listed = key_package.extensions.types().filter(must_be_listed).all(|t| listed.contains(&t));
    ensure(all_listed, Rule::KeyPackageExtensionNotListed)
}

/// Everything but the signatures.
pub(crate) fn check_unsigned(key_package: &KeyPackage, expectation: &LeafExpectation<'_>) -> Result<(), Rule> {
    let suite = expectation.suite;
    ensure(key_package.version == expectation.version, Rule::KeyPackageVersion)?;
    ensure(key_package.cipher_suite == suite.cipher_suite(), Rule::KeyPackageCipherSuite)?;
    let init_key = key_package.init_key.as_slice();
    suite.kem().validate_public_key(init_key).map_err(|_| Rule::InvalidPublicKey)?;
    ensure(key_package.init_key != key_package.leaf_node.encryption_key, Rule::InitKeyIsEncryptionKey)?;
    expectation.check(LeafPlace::KeyPackage, &key_package.leaf_node)?;
    check_extensions(key_package, expectation)
}

/// Both signatures are by the key in the leaf (§10.1 says "in `leaf_node.credential`", which holds none).
fn check_signatures(key_packages: &[KeyPackage], expectation: &LeafExpectation<'_>) -> Result<(), Rule> {
    let signed: Vec<Signed<'_>> = key_packages.iter().flat_map(signatures).collect();
    verify_batch(expectation.suite, &signed, |signed| signed).map_err(|(_, rule)| rule)
}

fn signatures(key_package: &KeyPackage) -> [Signed<'_>; 2] {
    let leaf = &key_package.leaf_node;
    let public_key = leaf.signature_key.as_slice();
    [
        Signed {
            public_key,
            message: signed_message(leaf, None),
            signature: leaf.signature.as_slice(),
            otherwise: Rule::LeafSignature,
        },
        Signed {
            public_key,
            message: labels::sign_content(LABEL, &key_package.tbs()),
            signature: key_package.signature.as_slice(),
            otherwise: Rule::KeyPackageSignature,
        },
    ]
}

#[cfg(test)]
mod tests;
