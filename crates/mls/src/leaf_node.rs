//! Leaf nodes (RFC 9420 §7.2, §7.3): what makes one valid, and how own ones are made.
//!
//! Checked here is what a leaf says on its own and what the group asks of it. That its keys are
//! unique and its credential type fits the other members is asked of the key index and of
//! the counts of capabilities; that its credential is valid, of the application.

mod build;
mod lifetime;
mod signature;

use keyroom_crypto::Suite;
use keyroom_wire::{
    Capabilities, CredentialType, Extensions, GroupId, LeafIndex, LeafNode, LeafNodeRef, LeafNodeSource,
    ProtocolVersion,
};

pub use self::build::{Grease, LeafNodeParts, capabilities_for, generate_key_pair, sign_leaf};
pub(crate) use self::build::{grease_capabilities, grease_extensions};
pub use self::lifetime::{LifetimeCheck, LifetimePolicy, lifetime_from};
pub(crate) use self::signature::{GATHERED, Signed, fault as signature_fault, signed_message, verify_batch};
pub use self::signature::{InvalidLeaf, verify_leaf_signatures};
use crate::error::Rule;
use crate::extension::{ExtensionPlace, ExtensionTable, GroupExtensions};

/// Most values that one list of a leaf's capabilities may hold. Nobody supports nearly as many; a
/// longer list only makes others count.
pub const MOST_LISTED: usize = 1_024;

/// Where a leaf stands, which decides its source and what its signature covers (§7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafPlace<'a> {
    /// In a key package: source `key_package`.
    KeyPackage,
    /// In an Update: source `update`.
    Update {
        /// The group.
        group_id: &'a GroupId,
        /// The sender.
        leaf_index: LeafIndex,
    },
    /// In the path of a commit: source `commit`.
    Commit {
        /// The group.
        group_id: &'a GroupId,
        /// The committer; for an external commit the leaf that it gets.
        leaf_index: LeafIndex,
    },
    /// In a ratchet tree: any source.
    Tree {
        /// The group.
        group_id: &'a GroupId,
        /// The leaf.
        leaf_index: LeafIndex,
    },
}

impl<'a> LeafPlace<'a> {
    fn bound(self) -> Option<(&'a GroupId, LeafIndex)> {
        match self {
            Self::KeyPackage => None,
            Self::Update { group_id, leaf_index }
            | Self::Commit { group_id, leaf_index }
            | Self::Tree { group_id, leaf_index } => Some((group_id, leaf_index)),
        }
    }

    fn admits<P>(self, source: &LeafNodeSource<P>) -> bool {
        match self {
            Self::KeyPackage => matches!(source, LeafNodeSource::KeyPackage(_)),
            Self::Update { .. } => matches!(source, LeafNodeSource::Update),
            Self::Commit { .. } => matches!(source, LeafNodeSource::Commit { .. }),
            Self::Tree { .. } => true,
        }
    }
}

/// What leaves are judged by: the same for every leaf of a group.
#[derive(Clone, Copy, Debug)]
pub struct LeafExpectation<'a> {
    /// The cipher suite of the group or key package.
    pub suite: &'a dyn Suite,
    /// Its protocol version.
    pub version: ProtocolVersion,
    /// The extensions in force; with a GroupContextExtensions in the commit, the new ones (§12.3).
    /// `None` where no group is known yet.
    pub group: Option<&'a GroupExtensions>,
    /// Known extension types.
    pub extensions: &'a ExtensionTable,
    /// Acceptable lifetimes.
    pub lifetimes: LifetimePolicy,
    /// Seconds since 1970, if the time is known.
    pub now: Option<u64>,
}

impl<'a> LeafExpectation<'a> {
    /// An expectation for MLS 1.0 without a group, with the default lifetimes and no clock.
    pub fn new(suite: &'a dyn Suite, extensions: &'a ExtensionTable) -> Self {
        let lifetimes = LifetimePolicy::default();
        Self { suite, version: ProtocolVersion::MLS10, group: None, extensions, lifetimes, now: None }
    }

    /// Checks everything but the signature, and the signature key only by way of the signature.
    ///
    /// # Errors
    /// The rule that the leaf breaks.
    pub fn check(&self, place: LeafPlace<'_>, leaf: &LeafNode) -> Result<(), Rule> {
        if !place.admits(&leaf.leaf_node_source) {
            return Err(Rule::LeafSource);
        }
        self.check_lifetime(&leaf.leaf_node_source)?;
        self.check_parts(&Parts {
            encryption_key: leaf.encryption_key.as_slice(),
            signature_key: leaf.signature_key.as_slice(),
            credential_type: leaf.credential.credential_type(),
            capabilities: &leaf.capabilities,
            extensions: &leaf.extensions,
        })
    }

    /// As [`check`](Self::check), for a leaf read in place. Together with
    /// [`verify_leaf_signatures`] this is what a joiner does with each leaf of a tree.
    ///
    /// # Errors
    /// The rule that the leaf breaks.
    pub fn check_ref(&self, place: LeafPlace<'_>, leaf: &LeafNodeRef<'_>) -> Result<(), Rule> {
        if !place.admits(&leaf.leaf_node_source) {
            return Err(Rule::LeafSource);
        }
        self.check_lifetime(&leaf.leaf_node_source)?;
        let capabilities = leaf.decode_capabilities().map_err(|_| Rule::MalformedExtension)?;
        let extensions = leaf.decode_extensions().map_err(|_| Rule::MalformedExtension)?;
        self.check_parts(&Parts {
            encryption_key: leaf.encryption_key,
            signature_key: leaf.signature_key,
            credential_type: leaf.credential_type,
            capabilities: &capabilities,
            extensions: &extensions,
        })
    }

    /// Checks everything that a leaf says on its own, its signature last.
    ///
    /// # Errors
    /// The rule that the leaf breaks.
    pub fn validate(&self, place: LeafPlace<'_>, leaf: LeafNode) -> Result<ValidLeafNode, Rule> {
        self.check(place, &leaf)?;
        let message = signed_message(&leaf, place.bound());
        let key = leaf.signature_key.as_slice();
        match self.suite.verify(key, &message, leaf.signature.as_slice()) {
            Ok(()) => Ok(ValidLeafNode { leaf_node: leaf }),
            Err(_) => Err(signature_fault(self.suite, key, Rule::LeafSignature)),
        }
    }

    fn check_lifetime<P>(&self, source: &LeafNodeSource<P>) -> Result<(), Rule> {
        match source {
            LeafNodeSource::KeyPackage(lifetime) => self.lifetimes.check(*lifetime, self.now),
            LeafNodeSource::Update | LeafNodeSource::Commit { .. } => Ok(()),
        }
    }

    fn check_parts(&self, leaf: &Parts<'_>) -> Result<(), Rule> {
        self.suite.kem().validate_public_key(leaf.encryption_key).map_err(|_| Rule::InvalidPublicKey)?;
        ensure(leaf.encryption_key != leaf.signature_key, Rule::KeyInTwoRoles)?;
        self.check_capabilities(leaf)?;
        self.extensions.check(leaf.extensions, ExtensionPlace::LeafNode)?;
        let listed = |extension_type| leaf.capabilities.extensions.contains(&extension_type);
        let unlisted = leaf.extensions.types().any(|t| !t.is_default() && !listed(t));
        ensure(!unlisted, Rule::LeafExtensionNotListed)?;
        self.group.map_or(Ok(()), |group| check_group(leaf.capabilities, group))
    }

    fn check_capabilities(&self, leaf: &Parts<'_>) -> Result<(), Rule> {
        let capabilities = leaf.capabilities;
        ensure(longest_list(capabilities) <= MOST_LISTED, Rule::TooManyCapabilities)?;
        ensure(capabilities.versions.contains(&self.version), Rule::LeafLacksVersion)?;
        ensure(capabilities.cipher_suites.contains(&self.suite.cipher_suite()), Rule::LeafLacksCipherSuite)?;
        ensure(capabilities.credentials.contains(&leaf.credential_type), Rule::LeafLacksOwnCredential)?;
        let lists_default = capabilities.extensions.iter().any(|t| t.is_default())
            || capabilities.proposals.iter().any(|t| t.is_default());
        ensure(!lists_default, Rule::DefaultTypeListed)
    }
}

/// A leaf node that is valid on its own, with a signature that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidLeafNode {
    leaf_node: LeafNode,
}

impl ValidLeafNode {
    /// The leaf.
    pub fn leaf_node(&self) -> &LeafNode {
        &self.leaf_node
    }

    /// The leaf, owned.
    pub fn into_leaf_node(self) -> LeafNode {
        self.leaf_node
    }
}

/// What is checked of a leaf, whether it is owned or read in place.
struct Parts<'a> {
    encryption_key: &'a [u8],
    signature_key: &'a [u8],
    credential_type: CredentialType,
    capabilities: &'a Capabilities,
    extensions: &'a Extensions,
}

fn longest_list(capabilities: &Capabilities) -> usize {
    let Capabilities { versions, cipher_suites, extensions, proposals, credentials } = capabilities;
    let lengths = [versions.len(), cipher_suites.len(), extensions.len(), proposals.len(), credentials.len()];
    lengths.into_iter().max().unwrap_or(0)
}

/// Checks capabilities against what the group asks (§7.3, §11.1, §13.4). Types that RFC 9420
/// defines are supported by everybody.
fn check_group(capabilities: &Capabilities, group: &GroupExtensions) -> Result<(), Rule> {
    let required = group.required_capabilities();
    let has_extension = |t: &_| capabilities.extensions.contains(t);
    let extensions = required.extension_types.iter().all(|t| t.is_default() || has_extension(t));
    ensure(extensions, Rule::LeafLacksRequiredExtension)?;
    let proposals = required.proposal_types.iter().all(|t| t.is_default() || capabilities.proposals.contains(t));
    ensure(proposals, Rule::LeafLacksRequiredProposal)?;
    let credentials = required.credential_types.iter().all(|t| capabilities.credentials.contains(t));
    ensure(credentials, Rule::LeafLacksRequiredCredential)?;
    ensure(group.types_to_list().all(|t| has_extension(&t)), Rule::LeafLacksGroupExtension)
}

pub(crate) fn ensure(holds: bool, rule: Rule) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(rule) }
}

#[cfg(test)]
pub(crate) mod tests;
