//! Every code point that the workspace names, RFC 9420 §17 and drafts, each with its source.

use alloc::vec::Vec;
use core::fmt;

use crate::{Decode, DecodeError, Encode, Reader};

macro_rules! code_points {
    ($($(#[$meta:meta])* $name:ident { $($(#[$cmeta:meta])* $constant:ident = $value:literal, $text:literal;)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl $name {
            $($(#[$cmeta])* pub const $constant: Self = Self($value);)*

            /// The registered name, if this crate knows one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "0x{:04x}", self.0),
                }
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode<'_> for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                u16::decode(reader).map(Self)
            }
        }
    )*};
}

code_points! {
    /// Version of the protocol (RFC 9420 §6).
    ProtocolVersion {
        /// MLS 1.0, RFC 9420.
        MLS10 = 1, "mls10";
    }
    /// Cipher suites (RFC 9420 §17.1).
    CipherSuite {
        /// Suite 1.
        MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519 = 1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
        /// Suite 2.
        MLS_128_DHKEMP256_AES128GCM_SHA256_P256 = 2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256";
        /// Suite 3.
        MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519 = 3, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519";
        /// Suite 4.
        MLS_256_DHKEMX448_AES256GCM_SHA512_ED448 = 4, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448";
        /// Suite 5.
        MLS_256_DHKEMP521_AES256GCM_SHA512_P521 = 5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521";
        /// Suite 6.
        MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_ED448 = 6, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448";
        /// Suite 7.
        MLS_256_DHKEMP384_AES256GCM_SHA384_P384 = 7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384";
    }
    /// How a message is wrapped (RFC 9420 §17.2).
    WireFormat {
        /// `mls_public_message`.
        PUBLIC_MESSAGE = 1, "mls_public_message";
        /// `mls_private_message`.
        PRIVATE_MESSAGE = 2, "mls_private_message";
        /// `mls_welcome`.
        WELCOME = 3, "mls_welcome";
        /// `mls_group_info`.
        GROUP_INFO = 4, "mls_group_info";
        /// `mls_key_package`.
        KEY_PACKAGE = 5, "mls_key_package";
    }
    /// Extension types (RFC 9420 §17.3).
    ExtensionType {
        /// `application_id`, in leaf nodes.
        APPLICATION_ID = 1, "application_id";
        /// `ratchet_tree`, in GroupInfo.
        RATCHET_TREE = 2, "ratchet_tree";
        /// `required_capabilities`, in GroupContext.
        REQUIRED_CAPABILITIES = 3, "required_capabilities";
        /// `external_pub`, in GroupInfo.
        EXTERNAL_PUB = 4, "external_pub";
        /// `external_senders`, in GroupContext.
        EXTERNAL_SENDERS = 5, "external_senders";
        /// `last_resort`, in key packages: early drafts of draft-ietf-mls-extensions, in use by
        /// OpenMLS and mls-rs (seen 2026-11).
        LAST_RESORT = 10, "last_resort";
    }
    /// Proposal types (RFC 9420 §17.4 and the draft named).
    ProposalType {
        /// `add`.
        ADD = 1, "add";
        /// `update`.
        UPDATE = 2, "update";
        /// `remove`.
        REMOVE = 3, "remove";
        /// `psk`.
        PSK = 4, "psk";
        /// `reinit`.
        REINIT = 5, "reinit";
        /// `external_init`.
        EXTERNAL_INIT = 6, "external_init";
        /// `group_context_extensions`.
        GROUP_CONTEXT_EXTENSIONS = 7, "group_context_extensions";
        /// `self_remove`: draft-ietf-mls-extensions (seen 2026-11).
        SELF_REMOVE = 10, "self_remove";
    }
    /// Credential types (RFC 9420 §17.5).
    CredentialType {
        /// `basic`.
        BASIC = 1, "basic";
        /// `x509`.
        X509 = 2, "x509";
    }
}

impl ExtensionType {
    /// Whether RFC 9420 itself defines the type, so that capabilities must not list it (§7.2).
    pub fn is_default(self) -> bool {
        (1..=5).contains(&self.0)
    }
}

impl ProposalType {
    /// Whether RFC 9420 itself defines the type, so that capabilities must not list it (§7.2).
    pub fn is_default(self) -> bool {
        (1..=7).contains(&self.0)
    }
}

/// Whether a value is one of the reserved GREASE values `0x0A0A`, `0x1A1A` … `0xEAEA` (§13.5).
pub fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && high & 0x0f == 0x0a && high != 0xfa
}
