//! Sessions: a challenge, a signature, a token.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use keyroom_api::{
    Challenge, Code, DeviceUri, Host, MOST_PROOFS, Problem, SESSION_LABEL, Session, SessionRequest, SessionTbs,
    TOKEN_PROTOCOL,
};
use keyroom_crypto::{Provider, Secret, labels};
use keyroom_delivery::{Accounts, Clock, Entered, Entrance, LedgerError, Refusal, SignatureKey};
use keyroom_wire::CipherSuite;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::seal::{SECRET, Seal, UNIQUE};
use super::{Admission, Authenticate, Authenticated, Candidate, Registrar, Unauthenticated};
use crate::refused::Refused;

/// How often it is decided anew when the keys of a device change in between.
const ROUNDS: usize = 4;

/// What sessions are made of.
pub(crate) struct Parties {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) registrar: Arc<dyn Registrar>,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) host: Host,
    /// How long a challenge is good.
    pub(crate) challenge: Duration,
    /// How long a session lasts.
    pub(crate) session: Duration,
}

/// Lets devices in that prove their keys.
pub(crate) struct Sessions {
    parties: Parties,
    seal: Seal,
}

impl Sessions {
    /// Reads the secret that all nodes share, or sets it.
    pub(crate) async fn open(parties: Parties) -> Result<Self, LedgerError> {
        let fresh = Secret::random(SECRET, &mut rng());
        let secret = parties.accounts.secret(fresh).await?;
        let seal = Seal::new(secret, parties.host.clone());
        Ok(Self { parties, seal })
    }

    /// Something to sign.
    pub(crate) fn challenge(&self) -> Challenge {
        let mut unique = [0; UNIQUE];
        rng().fill_bytes(&mut unique);
        self.seal.challenge(unique, self.seconds().saturating_add(self.parties.challenge.as_secs()))
    }

    /// Opens a session for whoever has signed a challenge with the device's keys. Nothing is stored
    /// before everything has been checked.
    pub(crate) async fn enter(&self, request: SessionRequest) -> Result<Session, Refused> {
        if *request.device.host() != self.parties.host {
            return Err(Refusal::ForeignHost.into());
        }
        let proved = proved(&request)?;
        let unique = self.unique(&request.challenge)?;
        let (device, expires) = (request.device.clone(), request.challenge.expires);
        self.check_signatures(request).await?;
        for _ in 0..ROUNDS {
            let known = self.parties.accounts.keys(&device).await.map_err(Refusal::from)?;
            let new = self.admit(&device, &known, &proved).await?;
            let challenge = unique.clone();
            let entrance = Entrance { device: device.clone(), known, new, challenge, expires, now: self.seconds() };
            match self.parties.accounts.enter(entrance).await.map_err(Refusal::from)? {
                Entered::Done => return Ok(self.session(&device)),
                Entered::Spent => return Err(Refused::new(Code::ChallengeUsed)),
                Entered::Changed => {}
            }
        }
        Err(Refused::new(Code::Unavailable))
    }

    fn session(&self, device: &DeviceUri) -> Session {
        let lifetime = self.parties.session.as_secs();
        Session { token: self.seal.token(device, self.seconds().saturating_add(lifetime)), lifetime }
    }

    /// What tells an own challenge, that is still good, from every other.
    fn unique(&self, challenge: &Challenge) -> Result<Vec<u8>, Refused> {
        let unique = self.seal.unique(challenge).ok_or_else(|| Refused::new(Code::ChallengeInvalid))?;
        if self.seconds() > challenge.expires {
            return Err(Refused::new(Code::ChallengeExpired));
        }
        Ok(unique.to_vec())
    }

    async fn check_signatures(&self, request: SessionRequest) -> Result<(), Refused> {
        let (provider, host) = (self.parties.provider, self.parties.host.clone());
        let checking = tokio::task::spawn_blocking(move || check_signatures(provider, &host, &request));
        checking.await.map_err(|_| Refused::from(Refusal::Interrupted))?
    }

    /// The keys that are to be registered.
    async fn admit(
        &self,
        device: &DeviceUri,
        known: &[SignatureKey],
        proved: &[SignatureKey],
    ) -> Result<Vec<SignatureKey>, Refused> {
        let other = |key: &SignatureKey| known.iter().any(|k| k.cipher_suite == key.cipher_suite && k != key);
        if let Some(index) = proved.iter().position(other) {
            return Err(Refused(Box::new(Problem::new(Code::KeyMismatch).at(index))));
        }
        let new: Vec<SignatureKey> = proved.iter().filter(|key| !known.contains(key)).cloned().collect();
        if new.is_empty() {
            return Ok(new);
        }
        match self.parties.registrar.admit(Candidate { device, known, proved }).await.map_err(Refusal::from)? {
            Admission::Admitted => Ok(new),
            Admission::Refused => Err(Refused::new(Code::KeyMismatch)),
        }
    }

    fn seconds(&self) -> u64 {
        self.parties.clock.now().as_secs()
    }
}

impl Authenticate for Sessions {
    fn device(&self, request: &Parts) -> Result<Authenticated, Unauthenticated> {
        let token = token(&request.headers)?.ok_or(Unauthenticated::Missing)?;
        let (device, expires) = self.seal.read(token)?;
        if self.seconds() >= expires {
            return Err(Unauthenticated::Expired);
        }
        Ok(Authenticated { device, until: Some(Duration::from_secs(expires)) })
    }
}

fn rng() -> StdRng {
    rand::make_rng()
}

/// The keys in a request, each for another suite.
fn proved(request: &SessionRequest) -> Result<Vec<SignatureKey>, Refused> {
    if !(1..=MOST_PROOFS).contains(&request.proofs.len()) {
        return Err(Refused::malformed(format!("a session takes 1 to {MOST_PROOFS} keys")));
    }
    let mut keys: Vec<SignatureKey> = Vec::new();
    for proof in &request.proofs {
        if keys.iter().any(|key| key.cipher_suite == proof.cipher_suite) {
            return Err(Refused::malformed("two keys for one cipher suite"));
        }
        keys.push(SignatureKey { cipher_suite: proof.cipher_suite, public: proof.signature_key.clone() });
    }
    Ok(keys)
}

fn check_signatures(provider: &dyn Provider, host: &Host, request: &SessionRequest) -> Result<(), Refused> {
    for (index, proof) in request.proofs.iter().enumerate() {
        let at = |code| Refused(Box::new(Problem::new(code).at(index)));
        let suite = provider.suite(CipherSuite(proof.cipher_suite)).map_err(|_| at(Code::UnknownCipherSuite))?;
        let (key, challenge) = (&proof.signature_key, &request.challenge);
        let tbs = SessionTbs::bytes(host, challenge, &request.device, proof.cipher_suite, key);
        labels::verify_with_label(suite, key, SESSION_LABEL, &tbs, &proof.signature)
            .map_err(|_| at(Code::SignatureInvalid))?;
    }
    Ok(())
}

/// The token of a request: in its own header or, where a browser cannot set that, among the
/// subprotocols of a WebSocket.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Unauthenticated> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, token) =
            value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Unauthenticated::Invalid)?;
        return if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Some(token.trim()))
        } else {
            Err(Unauthenticated::Invalid)
        };
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    Ok(offered.flat_map(|list| list.split(',')).find_map(|name| name.trim().strip_prefix(TOKEN_PROTOCOL)))
}
