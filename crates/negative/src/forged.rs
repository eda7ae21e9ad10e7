//! Private messages of the insider, with what is wrong in them as plain values.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Insider, Private};
use keyroom_mls::secret_tree::RatchetType;
use keyroom_wire::{Content, Encode, LeafIndex, MlsMessage, PrivateMessage, Sender, WireFormat};

/// As which leaf, with which key, signed and padded how.
#[derive(Clone)]
pub(crate) struct Forged {
    /// Whom the sender data name.
    pub(crate) leaf: LeafIndex,
    /// Whose key encrypts.
    pub(crate) key_of: LeafIndex,
    pub(crate) ratchet: RatchetType,
    /// With the key of which generation.
    pub(crate) key_generation: u32,
    /// The generation that the sender data name, if it is another one.
    pub(crate) generation: Option<u32>,
    pub(crate) content: Content,
    /// What is signed for.
    pub(crate) wire_format: WireFormat,
    /// The plaintext before it is encrypted.
    pub(crate) spoil: fn(&mut Vec<u8>),
    /// The sender data before they are encrypted.
    pub(crate) spoil_sender: fn(&mut Vec<u8>),
    pub(crate) spoil_signature: fn(&mut Vec<u8>),
}

impl Forged {
    /// An honest message of this leaf.
    pub(crate) fn by(leaf: LeafIndex, text: &[u8]) -> Self {
        Self {
            leaf,
            key_of: leaf,
            ratchet: RatchetType::Application,
            key_generation: 0,
            generation: None,
            content: Content::Application(text.into()),
            wire_format: WireFormat::PRIVATE_MESSAGE,
            spoil: |_| {},
            spoil_sender: |_| {},
            spoil_signature: |_| {},
        }
    }

    /// Signed with the insider's key, whomever it names.
    pub(crate) fn make(&self, insider: &Insider<'_>, rng: &mut dyn CryptoRng) -> PrivateMessage {
        let content = insider.framed(Sender::Member(self.leaf), self.content.clone());
        let mut signed = insider.sign(content, self.wire_format, insider.signer, rng);
        let mut signature = signed.auth.signature.as_slice().to_vec();
        (self.spoil_signature)(&mut signature);
        signed.auth.signature = signature.into();
        let private = Private {
            leaf: Some(self.leaf),
            key_of: Some(self.key_of),
            ratchet: Some(self.ratchet),
            key_generation: self.key_generation,
            generation: self.generation,
            plaintext: Some(Box::new(self.spoil)),
            sender_data: Some(Box::new(self.spoil_sender)),
            ..Private::new(self.content.clone())
        };
        private.seal(&signed, insider, rng)
    }

    /// The encoded MLSMessage.
    pub(crate) fn bytes(&self, insider: &Insider<'_>, rng: &mut dyn CryptoRng) -> Vec<u8> {
        MlsMessage::PrivateMessage(self.make(insider, rng)).to_bytes()
    }
}
