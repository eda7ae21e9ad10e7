//! The client's end of sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyroom_crypto::{Signer, labels};
use rand::rngs::StdRng;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ClientError, Connection};
use crate::{Challenge, DeviceUri, KeyProof, SESSION_LABEL, Session, SessionRequest, SessionTbs, Token};

/// The keys with which a device proves who it is: those of its leaves. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    keys: Arc<[(u16, Arc<dyn Signer>)]>,
}

impl Identity {
    /// A device with one key, for the cipher suite with this code point.
    pub fn new(cipher_suite: u16, signer: Arc<dyn Signer>) -> Self {
        Self::of([(cipher_suite, signer)])
    }

    /// A device with several keys, each for another cipher suite. One of them must be known to the
    /// server, unless the device is new there.
    pub fn of(keys: impl IntoIterator<Item = (u16, Arc<dyn Signer>)>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    fn prove(&self, challenge: &Challenge, device: &DeviceUri) -> Result<Vec<KeyProof>, ClientError> {
        let mut rng: StdRng = rand::make_rng();
        let prove = |(cipher_suite, signer): &(u16, Arc<dyn Signer>)| {
            let key = signer.public_key().as_slice();
            let tbs = SessionTbs::bytes(device.host(), challenge, device, *cipher_suite, key);
            let signature = labels::sign_with_label(signer.as_ref(), SESSION_LABEL, &tbs, &mut rng)
                .map_err(|_| ClientError::Signer)?;
            let (signature_key, signature) = (key.to_vec(), signature.as_slice().to_vec());
            Ok(KeyProof { cipher_suite: *cipher_suite, signature_key, signature })
        };
        self.keys.iter().map(prove).collect()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(cipher_suite, _)| cipher_suite)).finish()
    }
}

/// Keeps one session open, however many requests run.
#[derive(Debug)]
pub(super) struct Login {
    identity: Identity,
    session: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: Token,
    renew: Instant,
}

impl Login {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, session: Mutex::new(None) }
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self, connection: &Connection) -> Result<Token, ClientError> {
        let mut session = self.session.lock().await;
        if let Some(held) = session.as_ref().filter(|held| Instant::now() < held.renew) {
            return Ok(held.token.clone());
        }
        self.open(connection, &mut session).await
    }

    /// Another token than this one, which the server does not take any more.
    pub(super) async fn renewed(&self, connection: &Connection, old: &Token) -> Result<Token, ClientError> {
        let mut session = self.session.lock().await;
        // Another request may have been here before.
        if let Some(held) = session.as_ref().filter(|held| held.token.expose() != old.expose()) {
            return Ok(held.token.clone());
        }
        self.open(connection, &mut session).await
    }

    async fn open(&self, connection: &Connection, session: &mut Option<Held>) -> Result<Token, ClientError> {
        *session = None;
        let challenge = connection.challenge().await?;
        let begin = Instant::now();
        let device = connection.device().clone();
        let proofs = self.identity.prove(&challenge, &device)?;
        let Session { token, lifetime } =
            connection.open_session(&SessionRequest { challenge, device, proofs }).await?;
        // Well before its end, so that no request comes too late.
        let renew = begin + Duration::from_secs(lifetime.saturating_mul(4) / 5);
        *session = Some(Held { token: token.clone(), renew });
        Ok(token)
    }
}
