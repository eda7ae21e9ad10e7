//! What all actors take from outside: algorithms, time, entropy, and how they behave.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyroom_crypto::{CryptoRng, Provider, Secret, Signer, Suite};
use keyroom_mls::config::{Config, HandshakePolicy};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{Grease, LifetimePolicy, capabilities_for, lifetime_from};
use keyroom_wire::{CipherSuite, Credential, CredentialType, Lifetime};
use rand::rngs::StdRng;

use super::decode;
use crate::Failure;

/// How long own key packages are good, in seconds.
const LIFETIME: u64 = 90 * 24 * 3_600;

/// Late messages may come out of this many past epochs.
const PAST_EPOCHS: usize = 64;

/// What all actors take from outside.
pub struct Setup {
    provider: &'static dyn Provider,
    grease: Grease,
    clock: fn() -> u64,
    rng: Box<dyn CryptoRng + Send>,
}

impl Setup {
    /// The algorithms of a provider, the machine's clock and entropy, and reserved values in the
    /// capabilities of leaves only.
    pub fn new(provider: &'static dyn Provider) -> Self {
        let rng = Box::new(rand::make_rng::<StdRng>());
        Self { provider, grease: Grease::Capabilities, clock: seconds, rng }
    }

    /// Where own key packages hold reserved values.
    #[must_use]
    pub fn grease(self, grease: Grease) -> Self {
        Self { grease, ..self }
    }

    /// Other entropy, for tests that must happen again the same way.
    #[must_use]
    pub fn entropy(self, rng: impl CryptoRng + Send + 'static) -> Self {
        Self { rng: Box::new(rng), ..self }
    }

    pub(super) fn cipher_suites(&self) -> impl Iterator<Item = CipherSuite> {
        self.provider.suites().into_iter().map(|suite| suite.cipher_suite())
    }

    pub(super) fn suite(&self, code_point: u32) -> Result<&'static dyn Suite, Failure> {
        let cipher_suite = CipherSuite(decode::code_point(code_point)?);
        self.provider.suite(cipher_suite).map_err(|_| Failure::UnsupportedSuite(code_point))
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn rng(&mut self) -> &mut dyn CryptoRng {
        self.rng.as_mut()
    }

    /// The configuration of a group. Scripts name resumption PSKs of any epoch, and there are peers
    /// whose key packages never expire: now must still lie inside, but no length is too long.
    pub(super) fn config(handshakes: HandshakePolicy) -> Arc<Config> {
        Arc::new(Config {
            handshakes,
            past_epochs: PAST_EPOCHS,
            resumption_epochs: usize::MAX,
            lifetime: LifetimePolicy { max_seconds: u64::MAX, ..LifetimePolicy::default() },
            ..Config::default()
        })
    }

    /// A client with fresh keys.
    pub(super) fn client(&mut self, suite: &'static dyn Suite, identity: &[u8]) -> Result<Client, Failure> {
        let signature_private = suite.generate_signature_key(self.rng())?;
        let signer = suite.signer(signature_private.expose())?;
        let lifetime: Lifetime = lifetime_from(self.now(), LIFETIME);
        let capabilities = capabilities_for(self.cipher_suites(), [CredentialType::BASIC]);
        let bundle = KeyPackageBuilder::new(suite, Credential::basic(identity), lifetime)
            .capabilities(capabilities)
            .grease(self.grease)
            .build(signer.as_ref(), self.rng())?;
        Ok(Client { signer, signature_private, bundle })
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("provider", &self.provider).field("grease", &self.grease).finish_non_exhaustive()
    }
}

/// A client that is in no group yet.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) signer: Box<dyn Signer>,
    pub(super) signature_private: Secret,
    pub(super) bundle: KeyPackageBundle,
}

/// How a member sends its handshake messages; it accepts both forms in any case.
pub(super) fn handshakes(encrypt: bool) -> HandshakePolicy {
    if encrypt { HandshakePolicy::Private } else { HandshakePolicy::Public }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
