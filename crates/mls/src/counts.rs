//! How many members support what, and which credential types are in use.
//!
//! "Every member supports X" is one comparison of a count with the number of members, however many
//! there are. Types that RFC 9420 defines need no count, and reserved GREASE values (§13.5) get
//! none, because nothing may ever ask for them. The counts equal a recount of all leaves.

mod record;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_wire::{
    Capabilities, CipherSuite, CredentialType, ExtensionType, LeafNode, LeafNodeRef, ProposalType, ProtocolVersion,
    is_grease,
};

pub use self::record::{CountsError, CountsSummary};
use crate::error::Rule;
use crate::extension::GroupExtensions;
use crate::leaf_node::ensure;

/// What of a leaf is counted: its capabilities without GREASE and the type of its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafClass {
    /// Sorted, each once.
    counted: Vec<Counted>,
}

impl LeafClass {
    /// The class of a leaf given by its parts.
    pub fn new(capabilities: &Capabilities, credential_type: CredentialType) -> Self {
        let versions = capabilities.versions.iter().map(|t| Counted::Version(t.0));
        let suites = capabilities.cipher_suites.iter().map(|t| Counted::CipherSuite(t.0));
        let extensions = capabilities.extensions.iter().map(|t| Counted::Extension(t.0));
        let proposals = capabilities.proposals.iter().map(|t| Counted::Proposal(t.0));
        let credentials = capabilities.credentials.iter().map(|t| Counted::Credential(t.0));
        let listed = versions.chain(suites).chain(extensions).chain(proposals).chain(credentials);
        let mut counted: Vec<Counted> = listed.filter(|counted| !is_grease(counted.value())).collect();
        counted.push(Counted::CredentialInUse(credential_type.0));
        counted.sort_unstable();
        counted.dedup();
        Self { counted }
    }

    fn has(&self, counted: Counted) -> bool {
        self.counted.binary_search(&counted).is_ok()
    }

    fn credential_types(&self) -> impl Iterator<Item = CredentialType> + '_ {
        self.counted.iter().filter_map(Counted::credential_in_use)
    }
}

impl From<&LeafNode> for LeafClass {
    fn from(leaf: &LeafNode) -> Self {
        Self::new(&leaf.capabilities, leaf.credential.credential_type())
    }
}

impl From<&LeafNodeRef<'_>> for LeafClass {
    fn from(leaf: &LeafNodeRef<'_>) -> Self {
        // Capabilities of a leaf that was read have been parsed once; they parse again.
        Self::new(&leaf.decode_capabilities().unwrap_or_default(), leaf.credential_type)
    }
}

/// The counts of one epoch. A clone is one pointer until it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    table: Arc<BTreeMap<Counted, u32>>,
}

/// What a count is of. The order and the numbers of the variants are part of the storage format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Version(u16),
    CipherSuite(u16),
    Extension(u16),
    Proposal(u16),
    Credential(u16),
    CredentialInUse(u16),
}

impl Counts {
    /// No members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a leaf that enters the tree.
    pub fn add(&mut self, leaf: impl Into<LeafClass>) {
        let table = Arc::make_mut(&mut self.table);
        for counted in leaf.into().counted {
            let count = table.entry(counted).or_insert(0);
            *count = count.saturating_add(1);
        }
    }

    /// Uncounts a leaf that leaves the tree; it must have been added.
    pub fn remove(&mut self, leaf: impl Into<LeafClass>) {
        let table = Arc::make_mut(&mut self.table);
        for counted in leaf.into().counted {
            let Some(count) = table.get_mut(&counted) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.remove(&counted);
            }
        }
    }

    /// A leaf takes the place of another. Copies nothing if both count the same.
    pub fn replace(&mut self, old: impl Into<LeafClass>, new: impl Into<LeafClass>) {
        let (old, new) = (old.into(), new.into());
        if old != new {
            self.add(new);
            self.remove(old);
        }
    }

    /// Whether all `members` support an extension type (§13.4).
    pub fn every_member_supports_extension(&self, extension_type: ExtensionType, members: u32) -> bool {
        extension_type.is_default() || self.count(Counted::Extension(extension_type.0)) == members
    }

    /// Whether all `members` support a proposal type (§12.2).
    pub fn every_member_supports_proposal(&self, proposal_type: ProposalType, members: u32) -> bool {
        proposal_type.is_default() || self.count(Counted::Proposal(proposal_type.0)) == members
    }

    /// Whether all `members` support a credential type (§7.3).
    pub fn every_member_supports_credential(&self, credential_type: CredentialType, members: u32) -> bool {
        self.count(Counted::Credential(credential_type.0)) == members
    }

    /// Whether all `members` support a cipher suite, as a successor of the group may need.
    pub fn every_member_supports_cipher_suite(&self, cipher_suite: CipherSuite, members: u32) -> bool {
        self.count(Counted::CipherSuite(cipher_suite.0)) == members
    }

    /// Whether all `members` support a protocol version.
    pub fn every_member_supports_version(&self, version: ProtocolVersion, members: u32) -> bool {
        self.count(Counted::Version(version.0)) == members
    }

    /// The credential types of the members' own credentials.
    pub fn credentials_in_use(&self) -> impl Iterator<Item = CredentialType> + '_ {
        self.table.range(Counted::CredentialInUse(0)..).filter_map(|(counted, _)| counted.credential_in_use())
    }

    /// The cipher suites that all `members` support.
    pub fn cipher_suites_of_all(&self, members: u32) -> impl Iterator<Item = CipherSuite> + '_ {
        let suites = Counted::CipherSuite(0)..=Counted::CipherSuite(u16::MAX);
        let of_all = self.table.range(suites).filter(move |(_, count)| **count == members);
        of_all.map(|(counted, _)| CipherSuite(counted.value()))
    }

    /// Checks a leaf that these counts already include against the other members (§7.3).
    ///
    /// # Errors
    /// [`Rule::CredentialNotSupportedByMembers`], [`Rule::LeafLacksCredentialInUse`].
    pub fn check_leaf(&self, leaf: impl Into<LeafClass>, members: u32) -> Result<(), Rule> {
        let leaf = leaf.into();
        let understood = leaf.credential_types().all(|t| self.every_member_supports_credential(t, members));
        ensure(understood, Rule::CredentialNotSupportedByMembers)?;
        let understands = self.credentials_in_use().all(|t| leaf.has(Counted::Credential(t.0)));
        ensure(understands, Rule::LeafLacksCredentialInUse)
    }

    /// Checks that every member supports every credential type in use: the matrix of a whole tree
    /// (§7.3, rows of [`check_leaf`](Self::check_leaf) for all leaves at once).
    ///
    /// # Errors
    /// [`Rule::CredentialNotSupportedByMembers`].
    pub fn check_credentials(&self, members: u32) -> Result<(), Rule> {
        let understood = self.credentials_in_use().all(|t| self.every_member_supports_credential(t, members));
        ensure(understood, Rule::CredentialNotSupportedByMembers)
    }

    /// Checks new GroupContext extensions against the members of the resulting group: those added
    /// included, those removed excluded (§12.1.7, §13.4).
    ///
    /// # Errors
    /// [`Rule::GroupExtensionNotSupported`], [`Rule::RequiredCapabilityNotSupported`],
    /// [`Rule::ExternalSenderCredential`].
    pub fn check_group_extensions(&self, extensions: &GroupExtensions, members: u32) -> Result<(), Rule> {
        let required = extensions.required_capabilities();
        let supported = extensions.types_to_list().all(|t| self.every_member_supports_extension(t, members));
        ensure(supported, Rule::GroupExtensionNotSupported)?;
        let supported = required.extension_types.iter().all(|t| self.every_member_supports_extension(*t, members))
            && required.proposal_types.iter().all(|t| self.every_member_supports_proposal(*t, members))
            && required.credential_types.iter().all(|t| self.every_member_supports_credential(*t, members));
        ensure(supported, Rule::RequiredCapabilityNotSupported)?;
        self.check_external_senders(extensions, members)
    }

    /// Checks that every member understands the credentials of the external senders (§12.1.8.1).
    ///
    /// # Errors
    /// [`Rule::ExternalSenderCredential`].
    pub fn check_external_senders(&self, extensions: &GroupExtensions, members: u32) -> Result<(), Rule> {
        let mut senders = extensions.external_senders().iter();
        let understood =
            senders.all(|s| self.every_member_supports_credential(s.credential.credential_type(), members));
        ensure(understood, Rule::ExternalSenderCredential)
    }

    fn count(&self, counted: Counted) -> u32 {
        self.table.get(&counted).copied().unwrap_or(0)
    }
}

impl Counted {
    fn credential_in_use(&self) -> Option<CredentialType> {
        match self {
            Self::CredentialInUse(value) => Some(CredentialType(*value)),
            _ => None,
        }
    }

    fn value(self) -> u16 {
        match self {
            Self::Version(value)
            | Self::CipherSuite(value)
            | Self::Extension(value)
            | Self::Proposal(value)
            | Self::Credential(value)
            | Self::CredentialInUse(value) => value,
        }
    }
}

#[cfg(test)]
mod tests;
