//! The structs that `--as` knows.

use clap::ValueEnum;
use keyroom_wire::{
    AuthenticatedContent, Commit, Credential, Decode, DecodeError, Extensions, GroupContext, GroupInfo, KeyPackage,
    LeafNode, Limits, MlsMessage, PrivateMessage, Proposal, PublicMessage, RatchetTree, Welcome,
};

use super::describe::{Describe, Notes};
use super::item::Item;

macro_rules! structs {
    ($($variant:ident, $decoded:ty, $name:literal;)*) => {
        /// A struct of RFC 9420 that can stand alone in a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(crate) enum Struct {
            $(#[doc = $name] $variant,)*
        }

        impl Struct {
            /// The RFC's name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Decodes the bytes and says what is in them.
            ///
            /// # Errors
            /// The bytes are not exactly one such struct.
            pub(crate) fn describe(self, bytes: &[u8], notes: &mut Notes) -> Result<Item, DecodeError> {
                match self {
                    $(Self::$variant => <$decoded>::from_bytes(bytes, notes.limits()).map(|value| value.describe(notes)),)*
                }
            }

            /// Whether the bytes are exactly one such struct.
            pub(crate) fn fits(self, bytes: &[u8], limits: &Limits) -> bool {
                match self { $(Self::$variant => <$decoded>::from_bytes(bytes, limits).is_ok(),)* }
            }
        }
    };
}

structs! {
    Message, MlsMessage, "MLSMessage";
    PublicMessage, PublicMessage, "PublicMessage";
    PrivateMessage, PrivateMessage, "PrivateMessage";
    Welcome, Welcome, "Welcome";
    GroupInfo, GroupInfo, "GroupInfo";
    KeyPackage, KeyPackage, "KeyPackage";
    LeafNode, LeafNode, "LeafNode";
    RatchetTree, RatchetTree, "RatchetTree";
    GroupContext, GroupContext, "GroupContext";
    AuthenticatedContent, AuthenticatedContent, "AuthenticatedContent";
    Commit, Commit, "Commit";
    Proposal, Proposal, "Proposal";
    Credential, Credential, "Credential";
    Extensions, Extensions, "Extensions";
}

impl Struct {
    /// How it is written after `--as`.
    pub(crate) fn argument(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
