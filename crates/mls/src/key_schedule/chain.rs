use keyroom_crypto::labels::{derive_secret, expand_with_label};
use keyroom_crypto::{CryptoError, CryptoRng, Secret, Suite};

use super::keys::AeadKey;
use super::{EncryptionSecret, EpochSecrets, secret};
use crate::psk::PskSecret;

secret! {
    /// `init_secret` (RFC 9420 §8): what an epoch hands to the next one.
    InitSecret;
    /// `commit_secret` (§7.4): the fresh entropy of a commit's path.
    CommitSecret;
    /// `joiner_secret` (§8): what a Welcome gives to a new member.
    JoinerSecret;
    /// The value between `joiner_secret` and `epoch_secret` (§8), in which the PSKs are mixed. A
    /// joiner first opens the GroupInfo with it, then learns the GroupContext and goes on.
    MemberSecret;
    /// `epoch_secret` (§8): all secrets of an epoch follow from it.
    EpochSecret;
}

impl CommitSecret {
    /// The secret of a commit without a path: `Nh` zero bytes (§8).
    pub fn none(suite: &dyn Suite) -> Self {
        Self(Secret::zeros(suite.kdf().output_len()))
    }
}

impl JoinerSecret {
    /// The committer's and every member's way to the joiner secret. `group_context` is the encoded
    /// GroupContext of the new epoch.
    ///
    /// The init secret is borrowed: while a commit is only staged, the group still needs it.
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn derive(
        suite: &dyn Suite,
        init_secret: &InitSecret,
        commit_secret: CommitSecret,
        group_context: &[u8],
    ) -> Result<Self, CryptoError> {
        let mixed = suite.kdf().extract(init_secret.expose(), &[commit_secret.expose()]);
        expand_with_label(suite, mixed.expose(), "joiner", group_context, suite.kdf().output_len()).map(Self)
    }

    /// The `joiner_secret` of the GroupSecrets in a Welcome (§12.4.3.1).
    pub fn from_welcome(joiner_secret: &[u8]) -> Self {
        Self(Secret::copy_of(joiner_secret))
    }

    /// Mixes the PSKs of the commit in.
    pub fn into_member(self, suite: &dyn Suite, psk_secret: &PskSecret) -> MemberSecret {
        MemberSecret(suite.kdf().extract(self.expose(), &[psk_secret.expose()]))
    }
}

impl MemberSecret {
    /// `welcome_key` and `welcome_nonce`, which protect the GroupInfo of a Welcome (§12.4.3.1).
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn welcome_key_nonce(&self, suite: &dyn Suite) -> Result<AeadKey, CryptoError> {
        let welcome_secret = derive_secret(suite, self.expose(), "welcome")?;
        AeadKey::expand(suite, welcome_secret.expose(), b"")
    }

    /// Binds the epoch's GroupContext (its encoding) and gives the epoch secret.
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn into_epoch(self, suite: &dyn Suite, group_context: &[u8]) -> Result<EpochSecret, CryptoError> {
        expand_with_label(suite, self.expose(), "epoch", group_context, suite.kdf().output_len()).map(EpochSecret)
    }
}

impl EpochSecret {
    /// The secret of the first epoch of a new group (§11).
    pub fn random(suite: &dyn Suite, rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(suite.kdf().output_len(), rng))
    }

    /// All secrets of the epoch (§8, table 4). The encryption secret stands apart, because the
    /// secret tree takes it over at once and nothing else may keep it.
    ///
    /// # Errors
    /// None for secrets of the suite; the result type is that of the KDF.
    pub fn into_secrets(self, suite: &dyn Suite) -> Result<(EpochSecrets, EncryptionSecret), CryptoError> {
        let derive = |label| derive_secret(suite, self.expose(), label);
        let secrets = EpochSecrets {
            sender_data_secret: derive("sender data")?.into(),
            exporter_secret: derive("exporter")?.into(),
            external_secret: derive("external")?.into(),
            confirmation_key: derive("confirm")?.into(),
            membership_key: derive("membership")?.into(),
            resumption_psk: derive("resumption")?.into(),
            epoch_authenticator: derive("authentication")?.into(),
            init_secret: derive("init")?.into(),
        };
        Ok((secrets, derive("encryption")?.into()))
    }
}
