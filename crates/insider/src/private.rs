//! Private messages made by hand.

use keyroom_crypto::{CryptoRng, Signer};
use keyroom_mls::private_message::random_reuse_guard;
use keyroom_mls::secret_tree::{MessageKey, RatchetType};
use keyroom_wire::{
    AuthenticatedContent, Content, Encode, GroupContext, LeafIndex, Opaque, PrivateMessage, Sender, SenderData,
    WireFormat,
};

use crate::Insider;
use crate::insider::{Hook, alter};

/// What is done otherwise than an honest sender does it, step by step.
pub struct Private<'a> {
    pub content: Content,
    pub authenticated_data: Vec<u8>,
    /// As whom the content is signed, if not as the member at `leaf`.
    pub sender: Option<Sender>,
    /// Who signs, if not the insider.
    pub signer: Option<&'a dyn Signer>,
    /// What the signature is made for.
    pub wire_format: WireFormat,
    /// For which group and epoch the signature is made.
    pub context: Option<GroupContext>,
    /// The leaf that the sender data name; the insider's own by default.
    pub leaf: Option<LeafIndex>,
    /// Whose key is used; the insider's own by default.
    pub key_of: Option<LeafIndex>,
    /// From which ratchet, if not the one for the content.
    pub ratchet: Option<RatchetType>,
    /// The generation of the key.
    pub key_generation: u32,
    /// The generation that the sender data name, if another one.
    pub generation: Option<u32>,
    /// The header, as the recipient gets it.
    pub header: Hook<'a, PrivateMessage>,
    /// The plaintext, padding included.
    pub plaintext: Hook<'a, Vec<u8>>,
    /// The header that only the content is bound to.
    pub bound_to: Hook<'a, PrivateMessage>,
    /// The ciphertext, before the sender data are bound to it.
    pub ciphertext: Hook<'a, Vec<u8>>,
    /// The sender data before they are encrypted.
    pub sender_data: Hook<'a, Vec<u8>>,
}

impl Private<'_> {
    /// An honest message with the first key of the sender.
    pub fn new(content: Content) -> Self {
        Self {
            content,
            authenticated_data: Vec::new(),
            sender: None,
            signer: None,
            wire_format: WireFormat::PRIVATE_MESSAGE,
            context: None,
            leaf: None,
            key_of: None,
            ratchet: None,
            key_generation: 0,
            generation: None,
            header: None,
            plaintext: None,
            bound_to: None,
            ciphertext: None,
            sender_data: None,
        }
    }

    /// Application data.
    pub fn text(data: &[u8]) -> Self {
        Self::new(Content::Application(data.into()))
    }

    /// Signs and encrypts.
    pub fn make(&self, insider: &Insider<'_>, rng: &mut dyn CryptoRng) -> PrivateMessage {
        let leaf = self.leaf.unwrap_or(insider.group.own_leaf());
        let mut content = insider.framed(self.sender.unwrap_or(Sender::Member(leaf)), self.content.clone());
        content.authenticated_data = Opaque::from(self.authenticated_data.as_slice());
        let context = self.context.as_ref().unwrap_or(insider.group.context());
        let signer = self.signer.unwrap_or(insider.signer);
        let signed = insider.sign_in(content, self.wire_format, context, signer, rng);
        self.seal(&signed, insider, rng)
    }

    /// Encrypts what has been signed, such as a commit with its tag.
    pub fn seal(
        &self,
        signed: &AuthenticatedContent,
        insider: &Insider<'_>,
        rng: &mut dyn CryptoRng,
    ) -> PrivateMessage {
        let ratchet = self.ratchet.unwrap_or(signed.content.content.content_type().into());
        let key_of = self.key_of.unwrap_or(insider.group.own_leaf());
        self.seal_with(insider.key(key_of, ratchet, self.key_generation), signed, insider, rng)
    }

    /// The same with a key that is at hand.
    pub fn seal_with(
        &self,
        key: MessageKey,
        signed: &AuthenticatedContent,
        insider: &Insider<'_>,
        rng: &mut dyn CryptoRng,
    ) -> PrivateMessage {
        let suite = insider.group.suite();
        let leaf_index = self.leaf.unwrap_or(insider.group.own_leaf());
        let content_type = signed.content.content.content_type();
        let MessageKey { generation, key, nonce } = key;
        let mut buffer = Vec::new();
        signed.content.content.encode_body(&mut buffer);
        signed.auth.encode(&mut buffer);
        alter(&self.plaintext, &mut buffer);
        let mut message = PrivateMessage {
            group_id: signed.content.group_id.clone(),
            epoch: signed.content.epoch,
            content_type,
            authenticated_data: signed.content.authenticated_data.clone(),
            encrypted_sender_data: Opaque::default(),
            ciphertext: Opaque::default(),
        };
        alter(&self.header, &mut message);
        let mut bound_to = message.clone();
        alter(&self.bound_to, &mut bound_to);
        let reuse_guard = random_reuse_guard(rng);
        let mut nonce = nonce.expose().to_vec();
        nonce.iter_mut().zip(reuse_guard).for_each(|(byte, guard)| *byte ^= guard);
        suite.aead_seal(key.expose(), &nonce, &bound_to.content_aad(), &mut buffer).unwrap();
        alter(&self.ciphertext, &mut buffer);
        let sender_data = SenderData { leaf_index, generation: self.generation.unwrap_or(generation), reuse_guard };
        let mut sender_data = sender_data.to_bytes();
        alter(&self.sender_data, &mut sender_data);
        let keys = insider.secrets.sender_data_key_nonce(suite, &buffer).unwrap();
        let aad = message.sender_data_aad();
        suite.aead_seal(keys.key.expose(), keys.nonce.expose(), &aad, &mut sender_data).unwrap();
        message.encrypted_sender_data = sender_data.into();
        message.ciphertext = buffer.into();
        message
    }
}
