use alloc::vec::Vec;

use crate::codec::wire_struct;
use crate::{
    Credential, CredentialType, Decode, DecodeError, ExtensionType, HpkePublicKey, Limits, Opaque, ProposalType,
    SignaturePublicKey,
};

wire_struct! {
    /// An extension with its data uninterpreted (RFC 9420 §13).
    pub struct Extension {
        /// Its code point.
        pub extension_type: ExtensionType,
        /// Its content; the type says how to read it.
        pub extension_data: Opaque,
    }
}

wire_struct! {
    /// Extensions in the order in which they were sent, unknown ones included.
    pub struct Extensions {
        /// The list. A valid one has no type twice (§13.4); the syntax does not forbid it.
        pub list: Vec<Extension>,
    }
}

impl Extensions {
    /// No extensions.
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// The data of the first extension of this type.
    pub fn get(&self, extension_type: ExtensionType) -> Option<&[u8]> {
        self.list.iter().find(|e| e.extension_type == extension_type).map(|e| e.extension_data.as_slice())
    }

    /// Whether an extension of this type is present.
    pub fn contains(&self, extension_type: ExtensionType) -> bool {
        self.get(extension_type).is_some()
    }

    /// Replaces the extension of this type in its place, or appends it.
    pub fn set(&mut self, extension_type: ExtensionType, extension_data: impl Into<Vec<u8>>) {
        let extension_data = Opaque::from(extension_data.into());
        match self.list.iter_mut().find(|e| e.extension_type == extension_type) {
            Some(extension) => extension.extension_data = extension_data,
            None => self.list.push(Extension { extension_type, extension_data }),
        }
    }

    /// Decodes the data of an extension, if it is present.
    ///
    /// # Errors
    /// The data does not parse as a `T` or has trailing bytes (§13.4). The offset in the error
    /// counts from the start of the data.
    pub fn read<'a, T: Decode<'a>>(
        &'a self,
        extension_type: ExtensionType,
        limits: &Limits,
    ) -> Result<Option<T>, DecodeError> {
        self.get(extension_type).map(|data| T::from_bytes(data, limits)).transpose()
    }

    /// The types in order.
    pub fn types(&self) -> impl Iterator<Item = ExtensionType> + '_ {
        self.list.iter().map(|e| e.extension_type)
    }

    /// The first type that occurs twice (§13.4).
    pub fn duplicate(&self) -> Option<ExtensionType> {
        let mut seen: Vec<ExtensionType> = self.types().collect();
        seen.sort_unstable();
        seen.windows(2).find_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        })
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self::new()
    }
}

wire_struct! {
    /// What every member must support (§11.1).
    #[derive(Default)]
    pub struct RequiredCapabilities {
        /// Extension types.
        pub extension_types: Vec<ExtensionType>,
        /// Proposal types.
        pub proposal_types: Vec<ProposalType>,
        /// Credential types.
        pub credential_types: Vec<CredentialType>,
    }
}

wire_struct! {
    /// A sender outside the group that may propose (§12.1.8.1). The extension holds a vector of them.
    pub struct ExternalSender {
        /// The key that verifies its proposals.
        pub signature_key: SignaturePublicKey,
        /// Who it is.
        pub credential: Credential,
    }
}

wire_struct! {
    /// The key to which an external joiner encapsulates (§12.4.3.2).
    pub struct ExternalPub {
        /// The KEM public key of the epoch's external key pair.
        pub external_pub: HpkePublicKey,
    }
}
