use alloc::vec::Vec;

use keyroom_crypto::labels::{derive_tree_secret, expand_with_label};
use keyroom_crypto::{CryptoError, Secret, Suite};
use keyroom_wire::ContentType;

/// Key and nonce for one message (RFC 9420 §9.1).
#[derive(Debug)]
pub struct MessageKey {
    /// Place in the ratchet.
    pub generation: u32,
    /// `Nk` bytes.
    pub key: Secret,
    /// `Nn` bytes, before the reuse guard.
    pub nonce: Secret,
}

impl MessageKey {
    pub(super) fn duplicate(&self) -> Self {
        Self { generation: self.generation, key: self.key.duplicate(), nonce: self.nonce.duplicate() }
    }
}

/// Which ratchet of a sender (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RatchetType {
    /// For proposals and commits.
    Handshake,
    /// For application data.
    Application,
}

impl From<ContentType> for RatchetType {
    fn from(content_type: ContentType) -> Self {
        match content_type {
            ContentType::Application => Self::Application,
            ContentType::Proposal | ContentType::Commit => Self::Handshake,
        }
    }
}

impl RatchetType {
    /// The sender's other ratchet.
    pub const fn other(self) -> Self {
        match self {
            Self::Handshake => Self::Application,
            Self::Application => Self::Handshake,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Application => "application",
        }
    }
}

/// A hash ratchet at the generation that has not been derived yet.
#[derive(Debug)]
pub(super) struct Ratchet {
    /// The generation that `secret` belongs to.
    pub(super) next: u32,
    /// Generations below this one may have been dropped without being used.
    pub(super) floor: u32,
    /// `ratchet_secret_[N]_[next]`.
    pub(super) secret: Secret,
}

/// What it takes to reach a generation.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) skipped: Vec<MessageKey>,
    pub(super) key: MessageKey,
    pub(super) after: Ratchet,
}

impl Ratchet {
    /// The ratchet of a leaf at generation 0.
    pub(super) fn start(suite: &dyn Suite, leaf: &Secret, ratchet_type: RatchetType) -> Result<Self, CryptoError> {
        let secret = expand_with_label(suite, leaf.expose(), ratchet_type.label(), b"", suite.kdf().output_len())?;
        Ok(Self { next: 0, floor: 0, secret })
    }

    /// Steps, on copies, to `generation`, which is not below [`next`](Self::next), and keeps the
    /// keys of the generations from `keep_from` on.
    pub(super) fn run(&self, suite: &dyn Suite, generation: u32, keep_from: u32) -> Result<Run, CryptoError> {
        let mut skipped = Vec::new();
        let mut moved: Option<Self> = None;
        for _ in self.next..generation {
            let ratchet = moved.as_ref().unwrap_or(self);
            if ratchet.next >= keep_from {
                skipped.push(ratchet.key(suite)?);
            }
            moved = Some(ratchet.advanced(suite)?);
        }
        let ratchet = moved.as_ref().unwrap_or(self);
        Ok(Run { skipped, key: ratchet.key(suite)?, after: ratchet.advanced(suite)? })
    }

    fn key(&self, suite: &dyn Suite) -> Result<MessageKey, CryptoError> {
        let derive = |label, length| derive_tree_secret(suite, self.secret.expose(), label, self.next, length);
        Ok(MessageKey {
            generation: self.next,
            key: derive("key", suite.aead_key_len())?,
            nonce: derive("nonce", suite.aead_nonce_len())?,
        })
    }

    fn advanced(&self, suite: &dyn Suite) -> Result<Self, CryptoError> {
        let length = suite.kdf().output_len();
        let secret = derive_tree_secret(suite, self.secret.expose(), "secret", self.next, length)?;
        // The last generation is refused before it gets here.
        Ok(Self { next: self.next.saturating_add(1), floor: self.floor, secret })
    }
}
