//! Sending: application data, and the protection of handshake messages (RFC 9420 §6.2, §6.3).

use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Signer};
use keyroom_wire::{AuthenticatedContent, Content, Encode, MlsMessage, Opaque, WireFormat};

use super::Group;
use crate::error::{Error, Refusal, Usage};
use crate::framing;
use crate::private_message;
use crate::public_message;
use crate::record::ChangeSet;
use crate::secret_tree::RatchetType;

/// An application message on its way out. Its key is spent: the change set must be durable before
/// the message leaves, and whether it leaves or not the key is never used again.
#[derive(Debug)]
pub struct OutgoingMessage {
    /// The message, an encoded MLSMessage.
    pub message: Vec<u8>,
    /// Its number among the own application messages of this epoch.
    pub generation: u32,
    /// What changed.
    pub changes: ChangeSet,
}

impl Group {
    /// Encrypts application data to the group (§6.3). `authenticated_data` travels in the clear.
    ///
    /// # Errors
    /// [`Usage::ProposalsPending`] while proposals wait for a commit (§12.4); [`Usage::WrongSigner`];
    /// [`Refusal::MessageTooLong`]; [`Error::Missing`].
    pub fn encrypt(
        &mut self,
        data: &[u8],
        authenticated_data: &[u8],
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> Result<OutgoingMessage, Error> {
        self.check_active()?;
        if !self.proposals.is_empty() {
            return Err(Usage::ProposalsPending.into());
        }
        self.check_signer(signer)?;
        if data.len().saturating_add(authenticated_data.len()) > self.config.limits.message {
            return Err(Refusal::MessageTooLong.into());
        }
        let content = self.framed(Content::Application(Opaque::from(data)), authenticated_data);
        let content = framing::sign(signer, WireFormat::PRIVATE_MESSAGE, content, &self.public.context_bytes, rng)?;
        let mut changes = self.changes();
        let (message, generation) = self.seal(&content, RatchetType::Application, &mut changes, rng)?;
        Ok(OutgoingMessage { message, generation, changes: self.changed(changes) })
    }

    /// The generation that the next own application message of this epoch will have. Its signature does
    /// not cover it, so that a member can encrypt what somebody else has signed once more: data that
    /// name their generation can be read once only (RFC 9750 §8.3).
    ///
    /// # Errors
    /// [`Usage::NotMember`]; [`Refusal::RatchetExhausted`]; [`Error::Missing`].
    pub fn next_generation(&self) -> Result<u32, Error> {
        self.check_active()?;
        let (key, _) = self.secret_tree.next_key(self.own_leaf, RatchetType::Application)?;
        Ok(key.generation)
    }

    /// Wraps a signed handshake message as its wire format says and encodes it. A private one spends
    /// a key.
    pub(super) fn protect(
        &mut self,
        content: &AuthenticatedContent,
        changes: &mut ChangeSet,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        if content.wire_format == WireFormat::PRIVATE_MESSAGE {
            return Ok(self.seal(content, RatchetType::Handshake, changes, rng)?.0);
        }
        let (key, context) = (self.secrets.membership_key(), &self.public.context_bytes);
        let message = public_message::protect(self.suite(), key, content.clone(), context)?;
        self.encoded(&MlsMessage::PublicMessage(message))
    }

    fn seal(
        &mut self,
        content: &AuthenticatedContent,
        ratchet: RatchetType,
        changes: &mut ChangeSet,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, u32), Error> {
        let (key, puncture) = self.secret_tree.next_key(self.own_leaf, ratchet)?;
        let generation = key.generation;
        let guard = private_message::random_reuse_guard(rng);
        let sender_data_secret = self.secrets.sender_data_secret();
        let padding = self.config.padding;
        let message = private_message::seal(self.suite(), sender_data_secret, key, guard, content, padding)?;
        let message = self.encoded(&MlsMessage::PrivateMessage(message))?;
        self.secret_tree.apply(puncture, changes)?;
        Ok((message, generation))
    }

    /// The bytes of an own message, unless it is so long that nobody with our limits would read it.
    /// Each key seals one message, so this also bounds what is encrypted under a key (§6.3.1, §15.2).
    fn encoded(&self, message: &MlsMessage) -> Result<Vec<u8>, Error> {
        let bytes = message.to_bytes();
        if bytes.len() > self.config.limits.message { Err(Refusal::MessageTooLong.into()) } else { Ok(bytes) }
    }
}
