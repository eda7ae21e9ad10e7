use core::fmt;

use keyroom_crypto::{CryptoError, CryptoRng, Signer, Suite, labels};
use keyroom_wire::{
    Capabilities, Credential, CredentialType, ExtensionType, Extensions, KeyPackage, LeafNodeSource, Lifetime,
    ProtocolVersion, Signature,
};

use super::{KeyPackageBundle, LABEL, check_unsigned};
use crate::error::Rule;
use crate::extension::ExtensionTable;
use crate::leaf_node::{
    Grease, LeafExpectation, LeafNodeParts, LeafPlace, LifetimeCheck, capabilities_for, generate_key_pair,
    grease_capabilities, grease_extensions, sign_leaf,
};

/// How often a key package may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyPackageUse {
    /// Once; its init key is deleted with the first join (RFC 9420 §16.8).
    Once,
    /// Again and again, when no other is left: it carries `last_resort`.
    LastResort,
}

/// Why a key package could not be made. The caller is at fault, or the signer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Key generation or signing failed.
    Crypto(CryptoError),
    /// What was asked for breaks a rule that every receiver checks.
    Invalid(Rule),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crypto(error) => write!(f, "key package could not be made: {error}"),
            Self::Invalid(rule) => write!(f, "key package would be invalid: {rule}"),
        }
    }
}

impl core::error::Error for BuildError {}

/// Makes a key package with fresh keys.
#[derive(Clone, Debug)]
pub struct KeyPackageBuilder<'a> {
    suite: &'a dyn Suite,
    credential: Credential,
    lifetime: Lifetime,
    capabilities: Capabilities,
    leaf_extensions: Extensions,
    extensions: Extensions,
    key_package_use: KeyPackageUse,
    grease: Grease,
}

impl<'a> KeyPackageBuilder<'a> {
    /// A key package for one use, with GREASE, of a client that supports this suite, basic and X.509
    /// credentials and the type of its own.
    pub fn new(suite: &'a dyn Suite, credential: Credential, lifetime: Lifetime) -> Self {
        let own = credential.credential_type();
        let usual = [CredentialType::BASIC, CredentialType::X509];
        let other = Some(own).filter(|t| !usual.contains(t));
        let capabilities = capabilities_for([suite.cipher_suite()], usual.into_iter().chain(other));
        Self {
            suite,
            credential,
            lifetime,
            capabilities,
            leaf_extensions: Extensions::new(),
            extensions: Extensions::new(),
            key_package_use: KeyPackageUse::Once,
            grease: Grease::Add,
        }
    }

    /// What the client really supports, without reserved values.
    #[must_use]
    pub fn capabilities(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }

    /// Extensions of the leaf. The capabilities must list their types.
    #[must_use]
    pub fn leaf_extensions(self, leaf_extensions: Extensions) -> Self {
        Self { leaf_extensions, ..self }
    }

    /// Extensions of the key package. The capabilities must list their types.
    #[must_use]
    pub fn extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// How often the key package may be used. `last_resort` is listed in the capabilities too.
    #[must_use]
    pub fn usable(self, key_package_use: KeyPackageUse) -> Self {
        Self { key_package_use, ..self }
    }

    /// Whether reserved values are mixed in.
    #[must_use]
    pub fn grease(self, grease: Grease) -> Self {
        Self { grease, ..self }
    }

    /// Makes the key package and checks it as a receiver would, but for the length of its lifetime,
    /// on which receivers have policies of their own.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(mut self, signer: &dyn Signer, rng: &mut dyn CryptoRng) -> Result<KeyPackageBundle, BuildError> {
        self.complete_extensions(rng);
        let init = generate_key_pair(self.suite, rng).map_err(BuildError::Crypto)?;
        let leaf = generate_key_pair(self.suite, rng).map_err(BuildError::Crypto)?;
        let parts = LeafNodeParts {
            encryption_key: leaf.public,
            credential: self.credential,
            capabilities: self.capabilities,
            leaf_node_source: LeafNodeSource::KeyPackage(self.lifetime),
            extensions: self.leaf_extensions,
        };
        let mut key_package = KeyPackage {
            version: ProtocolVersion::MLS10,
            cipher_suite: self.suite.cipher_suite(),
            init_key: init.public,
            leaf_node: sign_leaf(parts, LeafPlace::KeyPackage, signer, rng).map_err(BuildError::Crypto)?,
            extensions: self.extensions,
            signature: Signature::default(),
        };
        key_package.signature =
            labels::sign_with_label(signer, LABEL, &key_package.tbs(), rng).map_err(BuildError::Crypto)?;
        check_own(self.suite, &key_package)?;
        Ok(KeyPackageBundle { key_package, init_private: init.private, leaf_private: leaf.private })
    }

    fn complete_extensions(&mut self, rng: &mut dyn CryptoRng) {
        if self.key_package_use == KeyPackageUse::LastResort {
            self.extensions.set(ExtensionType::LAST_RESORT, []);
            if !self.capabilities.extensions.contains(&ExtensionType::LAST_RESORT) {
                self.capabilities.extensions.push(ExtensionType::LAST_RESORT);
            }
        }
        if self.grease != Grease::Omit {
            grease_capabilities(&mut self.capabilities, rng);
        }
        if self.grease == Grease::Add {
            grease_extensions(&mut self.capabilities, &mut self.leaf_extensions, rng);
            grease_extensions(&mut self.capabilities, &mut self.extensions, rng);
        }
    }
}

/// What this client signs itself it need not verify.
fn check_own(suite: &dyn Suite, key_package: &KeyPackage) -> Result<(), BuildError> {
    let table = ExtensionTable::new();
    let mut expectation = LeafExpectation::new(suite, &table);
    expectation.lifetimes.check = LifetimeCheck::Order;
    check_unsigned(key_package, &expectation).map_err(BuildError::Invalid)
}
