//! PrivateMessage (RFC 9420 §6.3): signed and encrypted.
//!
//! Receiving takes three steps, because the key depends on what the first one shows:
//! [`open_sender_data`], then the key from the [secret tree](crate::secret_tree), then [`open`]. The
//! signature of what it returns has not been verified yet.

use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::{CryptoError, CryptoRng, Secret, Suite, Zeroizing};
use keyroom_wire::{
    AuthenticatedContent, Content, Decode, DecodeErrorKind, Encode, FramedContent, Limits, PrivateMessage,
    PrivateMessageContent, Reader, Sender, SenderData, WireFormat,
};

use crate::error::Rule;
use crate::key_schedule::SenderDataSecret;
use crate::padding::Padding;
use crate::secret_tree::MessageKey;

/// Why a message could not be encrypted. All but the last are misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// Only members send PrivateMessages (§6.3.2).
    SenderNotMember,
    /// The message was signed for another wire format.
    WireFormat,
    /// The AEAD refused, for instance because the message is too long.
    Crypto(CryptoError),
}

/// A fresh value to mix into a nonce, for the case that state was lost and a generation is used
/// twice (§6.3.1).
pub fn random_reuse_guard(rng: &mut dyn CryptoRng) -> [u8; 4] {
    let mut guard = [0; 4];
    rng.fill_bytes(&mut guard);
    guard
}

/// Encrypts a signed message. The key is used up; its puncture must have been applied and stored
/// before the result leaves.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    suite: &dyn Suite,
    sender_data_secret: &SenderDataSecret,
    key: MessageKey,
    reuse_guard: [u8; 4],
    message: &AuthenticatedContent,
    padding: Padding,
) -> Result<PrivateMessage, SealError> {
    let Sender::Member(leaf_index) = message.content.sender else {
        return Err(SealError::SenderNotMember);
    };
    if message.wire_format != WireFormat::PRIVATE_MESSAGE {
        return Err(SealError::WireFormat);
    }
    let mut sealed = PrivateMessage {
        group_id: message.content.group_id.clone(),
        epoch: message.content.epoch,
        content_type: message.content.content.content_type(),
        authenticated_data: message.content.authenticated_data.clone(),
        encrypted_sender_data: Vec::new().into(),
        ciphertext: Vec::new().into(),
    };
    let mut buffer = plaintext(message, padding, suite.aead_tag_len());
    let nonce = guarded_nonce(&key, reuse_guard);
    suite.aead_seal(key.key.expose(), nonce.expose(), &sealed.content_aad(), &mut buffer)?;

    let mut sender_data = SenderData { leaf_index, generation: key.generation, reuse_guard }.to_bytes();
    let keys = sender_data_secret.key_nonce(suite, &buffer)?;
    suite.aead_seal(keys.key.expose(), keys.nonce.expose(), &sealed.sender_data_aad(), &mut sender_data)?;
    sealed.encrypted_sender_data = sender_data.into();
    sealed.ciphertext = core::mem::take(&mut *buffer).into();
    Ok(sealed)
}

/// Finds out which key opens a message (§6.3.2).
///
/// # Errors
/// [`Rule::SenderData`]. Whether the leaf is a member's is for the caller to check.
pub fn open_sender_data(
    suite: &dyn Suite,
    sender_data_secret: &SenderDataSecret,
    message: &PrivateMessage,
) -> Result<SenderData, Rule> {
    let keys = sender_data_secret.key_nonce(suite, message.ciphertext.as_slice()).map_err(|_| Rule::SenderData)?;
    let mut buffer = message.encrypted_sender_data.as_slice().to_vec();
    suite
        .aead_open(keys.key.expose(), keys.nonce.expose(), &message.sender_data_aad(), &mut buffer)
        .map_err(|_| Rule::SenderData)?;
    // It has one length, and decoding takes no other.
    SenderData::from_bytes(&buffer, &Limits::default()).map_err(|_| Rule::SenderData)
}

/// Decrypts a message, in its own memory, and checks its padding (§6.3.1). The signature is not
/// verified. On an error, drop the key's puncture: the key stays good for the real message.
///
/// # Errors
/// [`Rule::ContentDecryption`], [`Rule::PrivateContent`] or [`Rule::PaddingNotZero`].
pub fn open(
    suite: &dyn Suite,
    mut message: PrivateMessage,
    key: &MessageKey,
    sender: &SenderData,
    limits: &Limits,
) -> Result<AuthenticatedContent, Rule> {
    let mut buffer = Zeroizing::new(core::mem::take(&mut message.ciphertext).into_vec());
    let nonce = guarded_nonce(key, sender.reuse_guard);
    suite
        .aead_open(key.key.expose(), nonce.expose(), &message.content_aad(), &mut buffer)
        .map_err(|_| Rule::ContentDecryption)?;
    let mut reader = Reader::new(&buffer, *limits);
    let opened =
        PrivateMessageContent::decode_for(message.content_type, &mut reader).map_err(|error| match error.kind {
            DecodeErrorKind::PaddingNotZero => Rule::PaddingNotZero,
            _ => Rule::PrivateContent,
        })?;
    Ok(AuthenticatedContent {
        wire_format: WireFormat::PRIVATE_MESSAGE,
        content: FramedContent {
            group_id: message.group_id,
            epoch: message.epoch,
            sender: Sender::Member(sender.leaf_index),
            authenticated_data: message.authenticated_data,
            content: opened.content,
        },
        auth: opened.auth,
    })
}

/// The nonce of the key schedule with the reuse guard mixed into its first four bytes (§6.3.1).
fn guarded_nonce(key: &MessageKey, reuse_guard: [u8; 4]) -> Secret {
    let mut nonce = key.nonce.duplicate();
    nonce.expose_mut().iter_mut().zip(reuse_guard).for_each(|(byte, guard)| *byte ^= guard);
    nonce
}

/// `PrivateMessageContent` with its padding, in a buffer with room for the tag, so that no copy of
/// the plaintext stays behind in memory that has been given back.
fn plaintext(message: &AuthenticatedContent, padding: Padding, tag_len: usize) -> Zeroizing<Vec<u8>> {
    let body = match &message.content.content {
        Content::Application(data) => data.len(),
        Content::Proposal(_) | Content::Commit(_) => 0,
    };
    let auth = message.auth.signature.len() + message.auth.confirmation_tag.as_ref().map_or(0, |tag| tag.len());
    let headers = 12;
    let mut out = Zeroizing::new(Vec::with_capacity(padding.padded_len(body + auth + headers) + tag_len));
    message.content.content.encode_body(&mut out);
    message.auth.encode(&mut out);
    let length = padding.padded_len(out.len());
    out.resize(length, 0);
    out
}

impl From<CryptoError> for SealError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SenderNotMember => f.write_str("only members send private messages"),
            Self::WireFormat => f.write_str("message was signed for another wire format"),
            Self::Crypto(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SealError {}
