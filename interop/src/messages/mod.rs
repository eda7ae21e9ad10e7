//! The messages of package `mls_client` (proto3): one struct for each, with its field numbers.
//!
//! `bytes` fields hold an encoded MLSMessage where a message of the protocol is meant; trees,
//! external senders, identities, group ids, PSKs and keys stand bare. Empty bytes mean absent.

mod group;
mod join;
mod proposals;
mod successors;

pub use self::group::*;
pub use self::join::*;
pub use self::proposals::*;
pub use self::successors::*;

/// Keeps secrets out of `Debug`: the struct shows its name only.
macro_rules! hide {
    ($($name:ident),*) => {
        $(impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
use hide;

/// Asks for the name of the stack.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct NameRequest {}

/// The name of the stack.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NameResponse {
    /// Free text.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Asks for the cipher suites on offer.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SupportedCiphersuitesRequest {}

/// The cipher suites on offer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SupportedCiphersuitesResponse {
    /// Their code points.
    #[prost(uint32, repeated, tag = "1")]
    pub ciphersuites: Vec<u32>,
}

/// Gives up a state, or whatever else was given an id.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct FreeRequest {
    /// The id.
    #[prost(uint32, tag = "1")]
    pub state_id: u32,
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct FreeResponse {}

/// An extension.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Extension {
    /// Its code point.
    #[prost(uint32, tag = "1")]
    pub extension_type: u32,
    /// Its content.
    #[prost(bytes = "vec", tag = "2")]
    pub extension_data: Vec<u8>,
}
