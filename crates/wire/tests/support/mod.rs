#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

//! Decoders by name, hand-made samples of every struct, and seeded randomness.

mod samples;

use keyroom_wire::{
    AuthenticatedContent, Capabilities, Commit, ContentType, Credential, Decode, DecodeError, Encode, Extensions,
    ExternalPub, ExternalSender, GroupContext, GroupInfo, GroupSecrets, KeyPackage, LeafIndex, LeafNode, Limits,
    MlsMessage, Opaque, PreSharedKeyId, PrivateMessageContent, Proposal, RatchetTree, ReInit, Reader,
    RequiredCapabilities, SenderData, UpdatePath, Welcome,
};

pub(crate) use samples::{leaf_nodes, samples};

/// Decodes a struct that takes up the whole input and encodes it again.
pub(crate) type RoundTrip = fn(&[u8], &Limits) -> Result<Vec<u8>, DecodeError>;

/// The decoder of a struct, by its name here or by its key in `messages.json`.
pub(crate) fn round_trip(name: &str) -> RoundTrip {
    match name {
        "mls_welcome" | "mls_group_info" | "mls_key_package" | "private_message" | "MlsMessage" => owned::<MlsMessage>,
        "public_message_application" | "public_message_proposal" | "public_message_commit" => owned::<MlsMessage>,
        "ratchet_tree" | "RatchetTree" => owned::<RatchetTree>,
        "group_secrets" | "GroupSecrets" => group_secrets,
        "add_proposal" | "KeyPackage" => owned::<KeyPackage>,
        "update_proposal" | "LeafNode" => owned::<LeafNode>,
        "remove_proposal" => owned::<LeafIndex>,
        "pre_shared_key_proposal" | "PreSharedKeyID" => owned::<PreSharedKeyId>,
        "re_init_proposal" => owned::<ReInit>,
        "external_init_proposal" => owned::<Opaque>,
        "group_context_extensions_proposal" | "Extensions" => owned::<Extensions>,
        "commit" | "Commit" => owned::<Commit>,
        "AuthenticatedContent" => owned::<AuthenticatedContent>,
        "Capabilities" => owned::<Capabilities>,
        "Credential" => owned::<Credential>,
        "ExternalPub" => owned::<ExternalPub>,
        "ExternalSenders" => owned::<Vec<ExternalSender>>,
        "GroupContext" => owned::<GroupContext>,
        "GroupInfo" => owned::<GroupInfo>,
        "Proposal" => owned::<Proposal>,
        "RequiredCapabilities" => owned::<RequiredCapabilities>,
        "SenderData" => owned::<SenderData>,
        "UpdatePath" => owned::<UpdatePath>,
        "Welcome" => owned::<Welcome>,
        "PrivateMessageContent(application)" => |bytes, limits| private(ContentType::Application, bytes, limits),
        "PrivateMessageContent(proposal)" => |bytes, limits| private(ContentType::Proposal, bytes, limits),
        "PrivateMessageContent(commit)" => |bytes, limits| private(ContentType::Commit, bytes, limits),
        other => panic!("no decoder for {other}"),
    }
}

fn owned<T: for<'a> Decode<'a> + Encode>(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    T::from_bytes(bytes, limits).map(|value| value.to_bytes())
}

fn group_secrets(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    GroupSecrets::from_bytes(bytes, limits).map(|value| value.to_bytes())
}

fn private(content_type: ContentType, bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(bytes, *limits);
    PrivateMessageContent::decode_for(content_type, &mut reader).map(|value| value.to_bytes())
}

/// SplitMix64: small, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}
