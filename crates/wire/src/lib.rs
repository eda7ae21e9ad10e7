//! The structs of RFC 9420 (Messaging Layer Security) as Rust values and as bytes.
//!
//! One struct here is one struct of the RFC, with the RFC's field names. A value says exactly what
//! the bytes said: nothing is checked beyond syntax, nothing is normalised, and whatever decodes
//! encodes to the same bytes again, unknown extensions, capabilities, credentials and proposals
//! included. No cryptography, no I/O, no unsafe code; `no_std` with an allocator.
//!
//! Decoding is strict: minimal length headers (§2.1.2), presence bytes of 0 or 1, known enum
//! values, no trailing bytes. A declared length is compared with the input before anything is
//! allocated, and no list element takes more than a few dozen bytes of memory for each byte that
//! encodes it; [`Limits`] caps the input. Nothing recurses: the deepest struct is a fixed number of
//! fields deep.
//!
//! ```
//! use keyroom_wire::{Decode, Encode, GroupContext, GroupId, Limits, CipherSuite};
//! let context = GroupContext::new(CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519, GroupId::from(&b"room"[..]));
//! let bytes = context.to_bytes();
//! assert_eq!(GroupContext::from_bytes(&bytes, &Limits::default())?, context);
//! # Ok::<(), keyroom_wire::DecodeError>(())
//! ```
#![no_std]

extern crate alloc;

mod code_points;
mod codec;
mod commit;
mod credential;
mod error;
mod extension;
mod framing;
mod group_info;
mod key_package;
mod leaf_node;
mod limits;
mod opaque;
mod proposal;
mod ratchet_tree;

pub use code_points::{
    CipherSuite, CredentialType, ExtensionType, ProposalType, ProtocolVersion, WireFormat, is_grease,
};
pub use codec::{Decode, Encode, Reader, length_header, write_vector};
pub use commit::{Commit, HpkeCiphertext, ProposalOrRef, UpdatePath, UpdatePathNode};
pub use credential::Credential;
pub use error::{DecodeError, DecodeErrorKind};
pub use extension::{Extension, Extensions, ExternalPub, ExternalSender, RequiredCapabilities};
pub use framing::{
    AuthenticatedContent, Content, ContentType, FramedContent, FramedContentAuthData, MlsMessage, PrivateMessage,
    PrivateMessageContent, PublicMessage, Sender, SenderData,
};
pub use group_info::{EncryptedGroupSecrets, GroupContext, GroupInfo, GroupSecrets, Welcome};
pub use key_package::KeyPackage;
pub use leaf_node::{Capabilities, LeafNode, LeafNodeRef, LeafNodeSource, Lifetime};
pub use limits::Limits;
pub use opaque::{
    GroupId, HpkePublicKey, KeyPackageRef, LeafIndex, Mac, Opaque, ProposalRef, Signature, SignaturePublicKey,
};
pub use proposal::{PreSharedKeyId, Proposal, Psk, ReInit, ResumptionPskUsage};
pub use ratchet_tree::{Node, NodeRef, ParentNode, ParentNodeRef, RatchetTree, RatchetTreeNodes};
