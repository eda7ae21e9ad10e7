use keyroom_crypto::{CryptoError, KeyPair, Secret, Suite};
use keyroom_wire::Mac;

use super::{
    AeadKey, ConfirmationKey, EpochAuthenticator, ExporterSecret, ExternalSecret, InitSecret, MembershipKey,
    ResumptionPsk, SenderDataSecret,
};
use crate::error::Rule;

/// The secrets of a current epoch (RFC 9420 §8, table 4), all but the encryption secret, which the
/// secret tree owns.
#[derive(Debug)]
pub struct EpochSecrets {
    pub(super) sender_data_secret: SenderDataSecret,
    pub(super) exporter_secret: ExporterSecret,
    pub(super) external_secret: ExternalSecret,
    pub(super) confirmation_key: ConfirmationKey,
    pub(super) membership_key: MembershipKey,
    pub(super) resumption_psk: ResumptionPsk,
    pub(super) epoch_authenticator: EpochAuthenticator,
    pub(super) init_secret: InitSecret,
}

/// What is kept of an epoch after the next one began: enough to read late messages. Everything else
/// is gone, but for the resumption PSK, which has a window of its own.
#[derive(Debug)]
pub struct PastEpochSecrets {
    /// Opens the sender data of late messages (§6.3.2).
    pub sender_data_secret: SenderDataSecret,
}

impl EpochSecrets {
    /// For the sender data of PrivateMessages (§6.3.2).
    pub fn sender_data_secret(&self) -> &SenderDataSecret {
        &self.sender_data_secret
    }

    /// For exported secrets (§8.5).
    pub fn exporter_secret(&self) -> &ExporterSecret {
        &self.exporter_secret
    }

    /// For external joiners (§8.3).
    pub fn external_secret(&self) -> &ExternalSecret {
        &self.external_secret
    }

    /// For confirmation tags (§8.1).
    pub fn confirmation_key(&self) -> &ConfirmationKey {
        &self.confirmation_key
    }

    /// For membership tags (§6.2).
    pub fn membership_key(&self) -> &MembershipKey {
        &self.membership_key
    }

    /// The resumption PSK of this epoch (§8.6).
    pub fn resumption_psk(&self) -> &ResumptionPsk {
        &self.resumption_psk
    }

    /// For a comparison out of band (§8.7).
    pub fn epoch_authenticator(&self) -> &EpochAuthenticator {
        &self.epoch_authenticator
    }

    /// From which the next epoch is derived, possibly several times: a commit that is staged may
    /// lose. It goes when this value is dropped or becomes [`PastEpochSecrets`].
    pub fn init_secret(&self) -> &InitSecret {
        &self.init_secret
    }

    /// The confirmation tag of the epoch (§8.1).
    pub fn confirmation_tag(&self, suite: &dyn Suite, confirmed_transcript_hash: &[u8]) -> Mac {
        self.confirmation_key.tag(suite, confirmed_transcript_hash)
    }

    /// Checks a confirmation tag, its length first, in constant time.
    ///
    /// # Errors
    /// [`Rule::ConfirmationTag`].
    pub fn verify_confirmation_tag(
        &self,
        suite: &dyn Suite,
        confirmed_transcript_hash: &[u8],
        tag: &Mac,
    ) -> Result<(), Rule> {
        self.confirmation_key.verify(suite, confirmed_transcript_hash, tag)
    }

    /// `MLS-Exporter(label, context, length)` (§8.5).
    ///
    /// # Errors
    /// [`CryptoError::OutputTooLong`] beyond 65,535 bytes or 255 · Nh.
    pub fn export(&self, suite: &dyn Suite, label: &str, context: &[u8], length: usize) -> Result<Secret, CryptoError> {
        self.exporter_secret.export(suite, label, context, length)
    }

    /// The key pair that external joiners encapsulate to (§8.3).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] with negligible probability.
    pub fn external_key_pair(&self, suite: &dyn Suite) -> Result<KeyPair, CryptoError> {
        self.external_secret.key_pair(suite)
    }

    /// Key and nonce for the sender data of a message with this ciphertext (§6.3.2).
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn sender_data_key_nonce(&self, suite: &dyn Suite, ciphertext: &[u8]) -> Result<AeadKey, CryptoError> {
        self.sender_data_secret.key_nonce(suite, ciphertext)
    }

    /// What a client that has been removed is left with: zeros.
    pub(crate) fn erased(suite: &dyn Suite) -> Self {
        let zeros = || Secret::zeros(suite.kdf().output_len());
        Self {
            sender_data_secret: zeros().into(),
            exporter_secret: zeros().into(),
            external_secret: zeros().into(),
            confirmation_key: zeros().into(),
            membership_key: zeros().into(),
            resumption_psk: zeros().into(),
            epoch_authenticator: zeros().into(),
            init_secret: zeros().into(),
        }
    }

    /// Keeps what outlives the epoch and deletes the rest.
    pub fn into_past(self) -> (PastEpochSecrets, ResumptionPsk) {
        (PastEpochSecrets { sender_data_secret: self.sender_data_secret }, self.resumption_psk)
    }
}
