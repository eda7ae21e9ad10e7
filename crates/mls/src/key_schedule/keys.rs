use keyroom_crypto::labels::{derive_secret, expand_with_label};
use keyroom_crypto::{CryptoError, KeyPair, Secret, Suite, constant_time_eq};
use keyroom_wire::Mac;

use super::secret;
use crate::error::Rule;

secret! {
    /// `sender_data_secret` (RFC 9420 §6.3.2): hides who sent a PrivateMessage.
    SenderDataSecret;
    /// `encryption_secret` (§9): the root of the secret tree.
    EncryptionSecret;
    /// `exporter_secret` (§8.5): secrets for the application.
    ExporterSecret;
    /// `external_secret` (§8.3): the key pair that external joiners encapsulate to.
    ExternalSecret;
    /// `confirmation_key` (§8.1): proves that a committer knows the epoch.
    ConfirmationKey;
    /// `membership_key` (§6.2): proves that a PublicMessage is from a member.
    MembershipKey;
    /// `resumption_psk` (§8.6): a PSK that proves membership in this epoch.
    ResumptionPsk;
    /// `epoch_authenticator` (§8.7): equal for all members who agree on the epoch.
    EpochAuthenticator;
}

/// An AEAD key and its nonce.
#[derive(Debug)]
pub struct AeadKey {
    /// `Nk` bytes.
    pub key: Secret,
    /// `Nn` bytes.
    pub nonce: Secret,
}

impl AeadKey {
    /// `ExpandWithLabel(secret, "key" and "nonce", context, Nk and Nn)`.
    pub(crate) fn expand(suite: &dyn Suite, secret: &[u8], context: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self {
            key: expand_with_label(suite, secret, "key", context, suite.aead_key_len())?,
            nonce: expand_with_label(suite, secret, "nonce", context, suite.aead_nonce_len())?,
        })
    }
}

impl SenderDataSecret {
    /// Key and nonce for the sender data of a message with this ciphertext (§6.3.2). The first
    /// `Nh` bytes of the ciphertext count, or all of it if it is shorter.
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn key_nonce(&self, suite: &dyn Suite, ciphertext: &[u8]) -> Result<AeadKey, CryptoError> {
        let sample = ciphertext.get(..suite.kdf().output_len()).unwrap_or(ciphertext);
        AeadKey::expand(suite, self.expose(), sample)
    }
}

impl ExporterSecret {
    /// `MLS-Exporter(label, context, length)` (§8.5).
    ///
    /// # Errors
    /// [`CryptoError::OutputTooLong`] beyond 65,535 bytes or 255 · Nh.
    pub fn export(&self, suite: &dyn Suite, label: &str, context: &[u8], length: usize) -> Result<Secret, CryptoError> {
        let derived = derive_secret(suite, self.expose(), label)?;
        expand_with_label(suite, derived.expose(), "exported", suite.hash(&[context]).as_slice(), length)
    }
}

impl ExternalSecret {
    /// `external_priv` and `external_pub` (§8.3).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] with negligible probability.
    pub fn key_pair(&self, suite: &dyn Suite) -> Result<KeyPair, CryptoError> {
        suite.kem().derive_key_pair(self.expose())
    }
}

impl ConfirmationKey {
    /// The confirmation tag of an epoch with this confirmed transcript hash (§8.1).
    pub fn tag(&self, suite: &dyn Suite, confirmed_transcript_hash: &[u8]) -> Mac {
        suite.mac(self.expose(), &[confirmed_transcript_hash]).as_slice().into()
    }

    /// Checks a confirmation tag, in constant time.
    ///
    /// # Errors
    /// [`Rule::ConfirmationTag`], also for a tag of the wrong length.
    pub fn verify(&self, suite: &dyn Suite, confirmed_transcript_hash: &[u8], tag: &Mac) -> Result<(), Rule> {
        same_tag(&self.tag(suite, confirmed_transcript_hash), tag).then_some(()).ok_or(Rule::ConfirmationTag)
    }
}

impl MembershipKey {
    /// The membership tag over an `AuthenticatedContentTBM` (§6.2).
    pub fn tag(&self, suite: &dyn Suite, tbm: &[u8]) -> Mac {
        suite.mac(self.expose(), &[tbm]).as_slice().into()
    }

    /// Checks a membership tag, in constant time.
    ///
    /// # Errors
    /// [`Rule::MembershipTag`], also for a tag of the wrong length.
    pub fn verify(&self, suite: &dyn Suite, tbm: &[u8], tag: &Mac) -> Result<(), Rule> {
        same_tag(&self.tag(suite, tbm), tag).then_some(()).ok_or(Rule::MembershipTag)
    }
}

/// Lengths are public and compared first: a tag cut to a prefix, or to nothing, is never equal.
fn same_tag(ours: &Mac, theirs: &Mac) -> bool {
    ours.len() == theirs.len() && constant_time_eq(ours.as_slice(), theirs.as_slice())
}
