//! Extensions (RFC 9420 §13, §17.3): which type may stand where, and the checks of whole lists.
//!
//! [`ExtensionTable`] holds what is known of each type. Types that it does not know may stand
//! anywhere, subject to the rules on capabilities (§13.4).

use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::{
    Decode, Extension, ExtensionType, Extensions, ExternalPub, ExternalSender, Limits, Opaque, RequiredCapabilities,
};

use crate::error::Rule;
use crate::leaf_node::{MOST_LISTED, ensure};

/// Most external senders that a group may list. A group has a handful; the key of each is checked
/// whenever the group is opened.
pub const MOST_EXTERNAL_SENDERS: usize = 256;

/// A struct that holds extensions (§17.3, column "Message(s)").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionPlace {
    /// `KP`.
    KeyPackage,
    /// `LN`.
    LeafNode,
    /// `GC`.
    GroupContext,
    /// `GI`.
    GroupInfo,
}

/// Whether a key package that holds an extension must list its type in the capabilities of its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listing {
    /// It must (§10).
    Required,
    /// It need not: RFC 9420 defines the type, or deployed clients leave it out.
    Optional,
}

/// What is known of one extension type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionEntry {
    /// The type.
    pub extension_type: ExtensionType,
    /// Where it may stand.
    pub places: &'static [ExtensionPlace],
    /// What a key package with it must list. In leaf nodes and GroupContexts every type that
    /// RFC 9420 does not define must be listed in any case (§7.2, §13.4).
    pub listing: Listing,
}

/// The extension types of RFC 9420 and `last_resort`, and those that an application registers.
#[derive(Clone, Debug, Default)]
pub struct ExtensionTable {
    registered: Vec<ExtensionEntry>,
}

const KNOWN: [ExtensionEntry; 6] = [
    known(ExtensionType::APPLICATION_ID, &[ExtensionPlace::LeafNode]),
    known(ExtensionType::RATCHET_TREE, &[ExtensionPlace::GroupInfo]),
    known(ExtensionType::REQUIRED_CAPABILITIES, &[ExtensionPlace::GroupContext]),
    known(ExtensionType::EXTERNAL_PUB, &[ExtensionPlace::GroupInfo]),
    known(ExtensionType::EXTERNAL_SENDERS, &[ExtensionPlace::GroupContext]),
    known(ExtensionType::LAST_RESORT, &[ExtensionPlace::KeyPackage]),
];

const fn known(extension_type: ExtensionType, places: &'static [ExtensionPlace]) -> ExtensionEntry {
    ExtensionEntry { extension_type, places, listing: Listing::Optional }
}

impl ExtensionTable {
    /// The table without registered types.
    pub const fn new() -> Self {
        Self { registered: Vec::new() }
    }

    /// Adds a type. An entry for a type that is already known does not change it.
    #[must_use]
    pub fn with(mut self, entry: ExtensionEntry) -> Self {
        if self.entry(entry.extension_type).is_none() {
            self.registered.push(entry);
        }
        self
    }

    /// What is known of a type.
    pub fn entry(&self, extension_type: ExtensionType) -> Option<&ExtensionEntry> {
        KNOWN.iter().chain(&self.registered).find(|entry| entry.extension_type == extension_type)
    }

    /// Checks what holds for any list: no type twice (§13.4), each where it may stand (§17.3), and
    /// the data of small known extensions parse (§13.4).
    ///
    /// # Errors
    /// [`Rule::DuplicateExtension`], [`Rule::ExtensionNotAllowedHere`], [`Rule::MalformedExtension`].
    pub fn check(&self, extensions: &Extensions, place: ExtensionPlace) -> Result<(), Rule> {
        if extensions.duplicate().is_some() {
            return Err(Rule::DuplicateExtension);
        }
        extensions.list.iter().try_for_each(|extension| self.check_one(extension, place))
    }

    fn check_one(&self, extension: &Extension, place: ExtensionPlace) -> Result<(), Rule> {
        let Some(entry) = self.entry(extension.extension_type) else { return Ok(()) };
        if !entry.places.contains(&place) {
            return Err(Rule::ExtensionNotAllowedHere);
        }
        let data = extension.extension_data.as_slice();
        let parses = match extension.extension_type {
            ExtensionType::APPLICATION_ID => Opaque::from_bytes(data, &Limits::default()).is_ok(),
            ExtensionType::LAST_RESORT => data.is_empty(),
            _ => true,
        };
        if parses { Ok(()) } else { Err(Rule::MalformedExtension) }
    }
}

/// The extensions of a GroupContext that have been checked on their own. Whether the members
/// support them is asked of the counts of capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupExtensions {
    extensions: Extensions,
    required_capabilities: RequiredCapabilities,
    external_senders: Vec<ExternalSender>,
}

impl GroupExtensions {
    /// Checks a list for a GroupContext or a GroupContextExtensions proposal (§12.1.7, §13.4).
    ///
    /// # Errors
    /// Those of [`ExtensionTable::check`]; [`Rule::MalformedExtension`] for `required_capabilities`
    /// and `external_senders`; [`Rule::TooManyRequiredCapabilities`] for more than [`MOST_LISTED`] of a
    /// kind; [`Rule::TooManyExternalSenders`] for more than [`MOST_EXTERNAL_SENDERS`];
    /// [`Rule::InvalidPublicKey`] for the key of an external sender.
    pub fn validate(extensions: Extensions, suite: &dyn Suite, table: &ExtensionTable) -> Result<Self, Rule> {
        table.check(&extensions, ExtensionPlace::GroupContext)?;
        let required_capabilities: RequiredCapabilities =
            read(&extensions, ExtensionType::REQUIRED_CAPABILITIES)?.unwrap_or_default();
        let RequiredCapabilities { extension_types, proposal_types, credential_types } = &required_capabilities;
        let longest = extension_types.len().max(proposal_types.len()).max(credential_types.len());
        ensure(longest <= MOST_LISTED, Rule::TooManyRequiredCapabilities)?;
        let external_senders: Vec<ExternalSender> =
            read(&extensions, ExtensionType::EXTERNAL_SENDERS)?.unwrap_or_default();
        ensure(external_senders.len() <= MOST_EXTERNAL_SENDERS, Rule::TooManyExternalSenders)?;
        for sender in &external_senders {
            let key = sender.signature_key.as_slice();
            suite.validate_signature_key(key).map_err(|_| Rule::InvalidPublicKey)?;
        }
        Ok(Self { extensions, required_capabilities, external_senders })
    }

    /// A list whose keys no suite has looked at.
    #[cfg(test)]
    pub(crate) fn unchecked(extensions: Extensions) -> Self {
        Self {
            required_capabilities: read(&extensions, ExtensionType::REQUIRED_CAPABILITIES).unwrap().unwrap_or_default(),
            external_senders: read(&extensions, ExtensionType::EXTERNAL_SENDERS).unwrap().unwrap_or_default(),
            extensions,
        }
    }

    /// The list, as it was sent.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What every member must support; empty if the extension is absent (§11.1).
    pub fn required_capabilities(&self) -> &RequiredCapabilities {
        &self.required_capabilities
    }

    /// Who may propose from outside; empty if the extension is absent (§12.1.8.1).
    pub fn external_senders(&self) -> &[ExternalSender] {
        &self.external_senders
    }

    /// The types that a member must list to stand in this group: those that RFC 9420 does not
    /// define (§13.4).
    pub fn types_to_list(&self) -> impl Iterator<Item = ExtensionType> + '_ {
        self.extensions.types().filter(|extension_type| !extension_type.is_default())
    }

    /// The list, owned.
    pub fn into_extensions(self) -> Extensions {
        self.extensions
    }
}

/// Checks the extensions of a GroupInfo (§12.4.3, §17.3). The content of `ratchet_tree` is left to
/// whoever reads the tree.
///
/// # Errors
/// Those of [`ExtensionTable::check`]; [`Rule::MalformedExtension`] or [`Rule::InvalidPublicKey`]
/// for `external_pub`.
pub fn check_group_info_extensions(
    extensions: &Extensions,
    suite: &dyn Suite,
    table: &ExtensionTable,
) -> Result<(), Rule> {
    table.check(extensions, ExtensionPlace::GroupInfo)?;
    let Some(external) = read::<ExternalPub>(extensions, ExtensionType::EXTERNAL_PUB)? else { return Ok(()) };
    suite.kem().validate_public_key(external.external_pub.as_slice()).map_err(|_| Rule::InvalidPublicKey)
}

fn read<'a, T: Decode<'a>>(extensions: &'a Extensions, extension_type: ExtensionType) -> Result<Option<T>, Rule> {
    extensions.read(extension_type, &Limits::default()).map_err(|_| Rule::MalformedExtension)
}

#[cfg(test)]
mod tests;
