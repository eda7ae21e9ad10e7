use keyroom_crypto::{CryptoError, CryptoRng, Secret, Suite, hpke};
use keyroom_wire::{HpkePublicKey, Opaque};

use super::InitSecret;

const LABEL: &[u8] = b"MLS 1.0 external init secret";

impl InitSecret {
    /// An external joiner's init secret, with the `kem_output` of its ExternalInit proposal
    /// (RFC 9420 §8.3). `external_pub` is the key in the GroupInfo.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`].
    pub fn encapsulate(
        suite: &dyn Suite,
        external_pub: &HpkePublicKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Opaque, Self), CryptoError> {
        let randomness = Secret::random(suite.kem().randomness_len(), rng);
        let info = hpke::Info::base(suite, b"");
        let (kem_output, context) = hpke::setup_sender(suite, &info, external_pub.as_slice(), &randomness)?;
        Ok((kem_output.into(), Self::export(suite, &context)?))
    }

    /// The members' way to the same secret (§8.3). `external_priv` is the private half of
    /// [`EpochSecrets::external_key_pair`](super::EpochSecrets::external_key_pair).
    ///
    /// # Errors
    /// [`CryptoError::InvalidEncapsulation`] or [`CryptoError::InvalidPrivateKey`].
    pub fn decapsulate(suite: &dyn Suite, external_priv: &Secret, kem_output: &Opaque) -> Result<Self, CryptoError> {
        let info = hpke::Info::base(suite, b"");
        Self::export(suite, &hpke::setup_receiver(suite, &info, external_priv.expose(), kem_output.as_slice())?)
    }

    fn export(suite: &dyn Suite, context: &hpke::Context) -> Result<Self, CryptoError> {
        context.export(suite, LABEL, suite.kdf().output_len()).map(Self::from)
    }
}
