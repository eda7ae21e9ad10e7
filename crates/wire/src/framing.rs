use alloc::vec::Vec;
use core::fmt;

use crate::codec::{closed_enum, wire_struct};
use crate::{
    Commit, Decode, DecodeError, DecodeErrorKind, Encode, GroupId, GroupInfo, KeyPackage, LeafIndex, Mac, Opaque,
    Proposal, ProtocolVersion, Reader, Signature, Welcome, WireFormat,
};

closed_enum! {
    /// What a framed message carries (RFC 9420 §6).
    pub enum ContentType {
        /// Application data.
        Application = 1,
        /// A proposal.
        Proposal = 2,
        /// A commit.
        Commit = 3,
    }
}

/// Who sent a message (§6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A member, at this leaf.
    Member(LeafIndex),
    /// An entry of the `external_senders` extension, by its position.
    External(u32),
    /// A client that proposes its own addition.
    NewMemberProposal,
    /// A client that joins by external commit.
    NewMemberCommit,
}

impl Encode for Sender {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Member(leaf_index) => {
                out.push(1);
                leaf_index.encode(out);
            }
            Self::External(sender_index) => {
                out.push(2);
                sender_index.encode(out);
            }
            Self::NewMemberProposal => out.push(3),
            Self::NewMemberCommit => out.push(4),
        }
    }
}

impl Decode<'_> for Sender {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let sender_type = reader.selector::<u8>("Sender.sender_type")?;
        match sender_type.value {
            1 => Ok(Self::Member(reader.read("Sender.leaf_index")?)),
            2 => Ok(Self::External(reader.read("Sender.sender_index")?)),
            3 => Ok(Self::NewMemberProposal),
            4 => Ok(Self::NewMemberCommit),
            _ => Err(sender_type.unknown()),
        }
    }
}

/// The content of a framed message (§6).
///
/// `Debug` shows the length of application data and not the data: they may have been decrypted.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a message has one content; lists of them do not occur")]
pub enum Content {
    /// Application data.
    Application(Opaque),
    /// A proposal.
    Proposal(Proposal),
    /// A commit.
    Commit(Commit),
}

impl Content {
    /// The type that announces the content.
    pub fn content_type(&self) -> ContentType {
        match self {
            Self::Application(_) => ContentType::Application,
            Self::Proposal(_) => ContentType::Proposal,
            Self::Commit(_) => ContentType::Commit,
        }
    }

    /// Appends the content without its type, as a PrivateMessage encrypts it (§6.3.1).
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Application(data) => data.encode(out),
            Self::Proposal(proposal) => proposal.encode(out),
            Self::Commit(commit) => commit.encode(out),
        }
    }

    fn decode_body(content_type: ContentType, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match content_type {
            ContentType::Application => Self::Application(reader.read("FramedContent.application_data")?),
            ContentType::Proposal => Self::Proposal(reader.read("FramedContent.proposal")?),
            ContentType::Commit => Self::Commit(reader.read("FramedContent.commit")?),
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(data) => write!(f, "Application({} bytes)", data.len()),
            Self::Proposal(proposal) => proposal.fmt(f),
            Self::Commit(commit) => commit.fmt(f),
        }
    }
}

impl Encode for Content {
    fn encode(&self, out: &mut Vec<u8>) {
        self.content_type().encode(out);
        self.encode_body(out);
    }
}

impl Decode<'_> for Content {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let content_type = reader.read("FramedContent.content_type")?;
        Self::decode_body(content_type, reader)
    }
}

wire_struct! {
    /// A message before it is signed (§6).
    pub struct FramedContent {
        /// The group.
        pub group_id: GroupId,
        /// The epoch in which it was sent.
        pub epoch: u64,
        /// Who sent it.
        pub sender: Sender,
        /// Data that is authenticated and not encrypted.
        pub authenticated_data: Opaque,
        /// What it says.
        pub content: Content,
    }
}

impl FramedContent {
    /// `FramedContentTBS`: what the signature covers (§6.1). `group_context` is the encoded context
    /// of the message's epoch; it is included for members and external committers and left out for
    /// the others, whatever is passed.
    pub fn tbs(&self, wire_format: WireFormat, group_context: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_tbs(wire_format, group_context, &mut out);
        out
    }

    /// Appends [`tbs`](Self::tbs).
    pub fn write_tbs(&self, wire_format: WireFormat, group_context: &[u8], out: &mut Vec<u8>) {
        ProtocolVersion::MLS10.encode(out);
        wire_format.encode(out);
        self.encode(out);
        if matches!(self.sender, Sender::Member(_) | Sender::NewMemberCommit) {
            out.extend_from_slice(group_context);
        }
    }
}

/// Signature and, for a commit, confirmation tag (§6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramedContentAuthData {
    /// Signature over [`FramedContent::tbs`].
    pub signature: Signature,
    /// Proof that the committer knows the next epoch; present exactly for a commit.
    pub confirmation_tag: Option<Mac>,
}

impl FramedContentAuthData {
    fn decode_for(content_type: ContentType, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            signature: reader.read("FramedContentAuthData.signature")?,
            confirmation_tag: match content_type {
                ContentType::Commit => Some(reader.read("FramedContentAuthData.confirmation_tag")?),
                ContentType::Application | ContentType::Proposal => None,
            },
        })
    }
}

impl Encode for FramedContentAuthData {
    fn encode(&self, out: &mut Vec<u8>) {
        self.signature.encode(out);
        if let Some(tag) = &self.confirmation_tag {
            tag.encode(out);
        }
    }
}

/// A signed message, however it travels (§6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedContent {
    /// How it travels, as a PublicMessage or a PrivateMessage; the signature covers it.
    pub wire_format: WireFormat,
    /// The message.
    pub content: FramedContent,
    /// Its authentication.
    pub auth: FramedContentAuthData,
}

impl AuthenticatedContent {
    /// `ConfirmedTranscriptHashInput` (§8.2).
    pub fn confirmed_transcript_hash_input(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.wire_format.encode(&mut out);
        self.content.encode(&mut out);
        self.auth.signature.encode(&mut out);
        out
    }
}

impl Encode for AuthenticatedContent {
    fn encode(&self, out: &mut Vec<u8>) {
        self.wire_format.encode(out);
        self.content.encode(out);
        self.auth.encode(out);
    }
}

impl Decode<'_> for AuthenticatedContent {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let selector = reader.selector::<u16>("AuthenticatedContent.wire_format")?;
        let wire_format = WireFormat(selector.value);
        if !matches!(wire_format, WireFormat::PUBLIC_MESSAGE | WireFormat::PRIVATE_MESSAGE) {
            return Err(selector.unknown());
        }
        let content: FramedContent = reader.read("AuthenticatedContent.content")?;
        let auth = FramedContentAuthData::decode_for(content.content.content_type(), reader)?;
        Ok(Self { wire_format, content, auth })
    }
}

/// A message that is signed and not encrypted (§6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicMessage {
    /// The message.
    pub content: FramedContent,
    /// Its authentication.
    pub auth: FramedContentAuthData,
    /// Proof of membership; present exactly for a member.
    pub membership_tag: Option<Mac>,
}

impl PublicMessage {
    /// `AuthenticatedContentTBM`: what the membership tag covers (§6.2).
    pub fn tbm(&self, group_context: &[u8]) -> Vec<u8> {
        let mut out = self.content.tbs(WireFormat::PUBLIC_MESSAGE, group_context);
        self.auth.encode(&mut out);
        out
    }

    /// The signed message inside.
    pub fn into_authenticated_content(self) -> AuthenticatedContent {
        AuthenticatedContent { wire_format: WireFormat::PUBLIC_MESSAGE, content: self.content, auth: self.auth }
    }
}

impl Encode for PublicMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        self.content.encode(out);
        self.auth.encode(out);
        if let Some(tag) = &self.membership_tag {
            tag.encode(out);
        }
    }
}

impl Decode<'_> for PublicMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let content: FramedContent = reader.read("PublicMessage.content")?;
        let auth = FramedContentAuthData::decode_for(content.content.content_type(), reader)?;
        let membership_tag = match content.sender {
            Sender::Member(_) => Some(reader.read("PublicMessage.membership_tag")?),
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => None,
        };
        Ok(Self { content, auth, membership_tag })
    }
}

wire_struct! {
    /// A message that is signed and encrypted (§6.3).
    pub struct PrivateMessage {
        /// The group.
        pub group_id: GroupId,
        /// The epoch in which it was sent.
        pub epoch: u64,
        /// What it carries.
        pub content_type: ContentType,
        /// Data that is authenticated and not encrypted.
        pub authenticated_data: Opaque,
        /// An encrypted [`SenderData`].
        pub encrypted_sender_data: Opaque,
        /// An encrypted [`PrivateMessageContent`].
        pub ciphertext: Opaque,
    }
}

impl PrivateMessage {
    /// `PrivateContentAAD` (§6.3.1).
    pub fn content_aad(&self) -> Vec<u8> {
        let mut out = self.sender_data_aad();
        self.authenticated_data.encode(&mut out);
        out
    }

    /// `SenderDataAAD` (§6.3.2).
    pub fn sender_data_aad(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.group_id.encode(&mut out);
        self.epoch.encode(&mut out);
        self.content_type.encode(&mut out);
        out
    }
}

/// Which key of which sender opens a [`PrivateMessage`] (§6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderData {
    /// The sender's leaf.
    pub leaf_index: LeafIndex,
    /// Generation of the key.
    pub generation: u32,
    /// Mixed into the nonce.
    pub reuse_guard: [u8; 4],
}

impl Encode for SenderData {
    fn encode(&self, out: &mut Vec<u8>) {
        self.leaf_index.encode(out);
        self.generation.encode(out);
        out.extend_from_slice(&self.reuse_guard);
    }
}

impl Decode<'_> for SenderData {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            leaf_index: reader.read("SenderData.leaf_index")?,
            generation: reader.read("SenderData.generation")?,
            reuse_guard: reader.array().map_err(|e| e.inside("SenderData.reuse_guard"))?,
        })
    }
}

/// The plaintext of a [`PrivateMessage`] (§6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateMessageContent {
    /// What it says.
    pub content: Content,
    /// Its authentication.
    pub auth: FramedContentAuthData,
    /// Number of zero bytes that follow.
    pub padding: usize,
}

impl PrivateMessageContent {
    /// Reads the plaintext of a message of the given type; all that follows must be zero.
    ///
    /// # Errors
    /// Malformed content or [`PaddingNotZero`](DecodeErrorKind::PaddingNotZero).
    pub fn decode_for(content_type: ContentType, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let content = Content::decode_body(content_type, reader)?;
        let auth = FramedContentAuthData::decode_for(content_type, reader)?;
        let at = reader.offset();
        let padding = reader.take(reader.rest().len())?;
        match padding.iter().position(|byte| *byte != 0) {
            None => Ok(Self { content, auth, padding: padding.len() }),
            Some(place) => {
                let error = DecodeError::new(at + place, DecodeErrorKind::PaddingNotZero);
                Err(error.inside("PrivateMessageContent.padding"))
            }
        }
    }
}

impl Encode for PrivateMessageContent {
    fn encode(&self, out: &mut Vec<u8>) {
        self.content.encode_body(out);
        self.auth.encode(out);
        out.resize(out.len() + self.padding, 0);
    }
}

/// Any message of the protocol, version 1.0 (§6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlsMessage {
    /// `mls_public_message`.
    PublicMessage(PublicMessage),
    /// `mls_private_message`.
    PrivateMessage(PrivateMessage),
    /// `mls_welcome`.
    Welcome(Welcome),
    /// `mls_group_info`.
    GroupInfo(GroupInfo),
    /// `mls_key_package`.
    KeyPackage(KeyPackage),
}

impl MlsMessage {
    /// The code point that announces the body.
    pub fn wire_format(&self) -> WireFormat {
        match self {
            Self::PublicMessage(_) => WireFormat::PUBLIC_MESSAGE,
            Self::PrivateMessage(_) => WireFormat::PRIVATE_MESSAGE,
            Self::Welcome(_) => WireFormat::WELCOME,
            Self::GroupInfo(_) => WireFormat::GROUP_INFO,
            Self::KeyPackage(_) => WireFormat::KEY_PACKAGE,
        }
    }

    /// The group and epoch that a framed message names.
    pub fn group_and_epoch(&self) -> Option<(&GroupId, u64)> {
        match self {
            Self::PublicMessage(message) => Some((&message.content.group_id, message.content.epoch)),
            Self::PrivateMessage(message) => Some((&message.group_id, message.epoch)),
            Self::GroupInfo(info) => Some((&info.group_context.group_id, info.group_context.epoch)),
            Self::Welcome(_) | Self::KeyPackage(_) => None,
        }
    }
}

impl Encode for MlsMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        ProtocolVersion::MLS10.encode(out);
        self.wire_format().encode(out);
        match self {
            Self::PublicMessage(message) => message.encode(out),
            Self::PrivateMessage(message) => message.encode(out),
            Self::Welcome(welcome) => welcome.encode(out),
            Self::GroupInfo(info) => info.encode(out),
            Self::KeyPackage(package) => package.encode(out),
        }
    }
}

impl<'a> Decode<'a> for MlsMessage {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.selector::<u16>("MLSMessage.version")?;
        if ProtocolVersion(version.value) != ProtocolVersion::MLS10 {
            return Err(version.unknown());
        }
        let wire_format = reader.selector::<u16>("MLSMessage.wire_format")?;
        match WireFormat(wire_format.value) {
            WireFormat::PUBLIC_MESSAGE => reader.read("MLSMessage.public_message").map(Self::PublicMessage),
            WireFormat::PRIVATE_MESSAGE => reader.read("MLSMessage.private_message").map(Self::PrivateMessage),
            WireFormat::WELCOME => reader.read("MLSMessage.welcome").map(Self::Welcome),
            WireFormat::GROUP_INFO => reader.read("MLSMessage.group_info").map(Self::GroupInfo),
            WireFormat::KEY_PACKAGE => reader.read("MLSMessage.key_package").map(Self::KeyPackage),
            _ => Err(wire_format.unknown()),
        }
    }
}
