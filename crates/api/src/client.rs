//! A connection to a server.

mod live;
mod login;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use keyroom_wire::Limits;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use live::Live;
pub use login::Identity;
use login::Login;

use crate::{
    AccessProof, BUNDLE, Bundle, Challenge, ClaimRequest, Claimed, Code, CommitBundle, Conflict, DeviceClaim,
    DeviceUri, EpochInfo, IDEMPOTENCY_HEADER, IdempotencyKey, JSON, KeyPackages, LogPage, MESSAGE, MailboxPage,
    Malformed, Problem, Receipt, Report, ReportReceipt, RoomBundle, RoomStatus, RoomUri, ServerInfo, Session,
    SessionRequest, ShortName, Stock, Token, UserUri,
};

/// Longest time that a request may take on top of what it is asked to wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest time without a word on a live connection, by default: more than two intervals of the server's
/// pings, and more than the server lets one frame take.
const SILENCE: Duration = Duration::from_secs(75);

/// Why a request brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's address or a name in it cannot be used.
    #[error("the server's address cannot be used")]
    Address,
    /// The server refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server was not reached, or broke off. Whether it did what was asked is unknown: repeat the
    /// request with the same idempotency key.
    #[error("the server was not reached")]
    Unavailable,
    /// The device's key does not sign.
    #[error("the device's key does not sign")]
    Signer,
    /// The server's answer is not what this version understands.
    #[error("the server's answer cannot be read")]
    Malformed,
}

impl ClientError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable => true,
            Self::Problem(problem) => {
                matches!(problem.code, Code::Unavailable | Code::TooManyRequests | Code::MailboxFull | Code::Timeout)
            }
            Self::Address | Self::Signer | Self::Malformed => false,
        }
    }

    /// Whether the token was refused, so that a new session may help.
    fn is_session_over(&self) -> bool {
        matches!(self.code(), Some(Code::Unauthenticated | Code::SessionExpired))
    }

    /// The rule by which the server refused.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            Self::Address | Self::Unavailable | Self::Signer | Self::Malformed => None,
        }
    }

    /// Where the room is, if the message was made for another epoch.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Problem(problem) => problem.conflict.as_ref(),
            Self::Address | Self::Unavailable | Self::Signer | Self::Malformed => None,
        }
    }
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() { Self::Address } else { Self::Unavailable }
    }
}

impl From<Malformed> for ClientError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// One device's connection to its server. Cheap to clone; requests may run at the same time, and share
/// one session, which is opened with the first and renewed by itself.
#[derive(Clone, Debug)]
pub struct Connection {
    base: String,
    device: DeviceUri,
    http: reqwest::Client,
    limits: Limits,
    silence: Duration,
    login: Option<Arc<Login>>,
}

impl Connection {
    /// A connection for a device, which has these keys, to the server at `base`, such as
    /// `http://127.0.0.1:8440`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] if `base` is not an address of HTTP.
    pub fn new(base: &str, device: DeviceUri, identity: Identity) -> Result<Self, ClientError> {
        let login = Some(Arc::new(Login::new(identity)));
        Ok(Self { login, ..Self::unproved(base, device)? })
    }

    /// A connection that proves nothing: for [`server`](Self::server), and for a server behind
    /// something that authenticates.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn unproved(base: &str, device: DeviceUri) -> Result<Self, ClientError> {
        let base = base.trim_end_matches('/').to_owned();
        reqwest::Url::parse(&base).ok().filter(|url| url.has_host()).ok_or(ClientError::Address)?;
        let http = reqwest::Client::builder().connect_timeout(PATIENCE).build()?;
        Ok(Self { base, device, http, limits: Limits::default(), silence: SILENCE, login: None })
    }

    /// How long a live connection may be silent before it counts as broken; also how long it may take to open
    /// one. Default 75 seconds; the server says something every 30.
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// The token of the present session, which is opened if there is none; `None` on a connection that
    /// proves nothing.
    ///
    /// # Errors
    /// [`Code::KeyMismatch`] if the server knows the device by another key, [`ClientError`].
    pub async fn token(&self) -> Result<Option<Token>, ClientError> {
        match &self.login {
            Some(login) => login.token(self).await.map(Some),
            None => Ok(None),
        }
    }

    /// The device.
    pub fn device(&self) -> &DeviceUri {
        &self.device
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn server(&self) -> Result<ServerInfo, ClientError> {
        json_of(answer(self.get("/v1/server")).await?).await
    }

    /// Adds key packages of the device; each is an `MLSMessage`.
    ///
    /// # Errors
    /// [`Code::Invalid`] with the index of the one refused, [`Code::TooManyKeyPackages`].
    pub async fn publish_key_packages(&self, key_packages: Vec<Vec<u8>>) -> Result<Stock, ClientError> {
        self.json(self.send_bundle(Method::POST, &self.own("key-packages"), &KeyPackages { key_packages })).await
    }

    /// Puts key packages of the device in the place of all that have not been claimed.
    ///
    /// # Errors
    /// As [`publish_key_packages`](Self::publish_key_packages).
    pub async fn replace_key_packages(&self, key_packages: Vec<Vec<u8>>) -> Result<Stock, ClientError> {
        self.json(self.send_bundle(Method::PUT, &self.own("key-packages"), &KeyPackages { key_packages })).await
    }

    /// What is left of the device's key packages.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stock(&self) -> Result<Stock, ClientError> {
        self.json(self.get(&self.own("key-packages"))).await
    }

    /// Claims one key package of every device of a user, for this cipher suite.
    ///
    /// # Errors
    /// [`Code::UnknownUser`], [`Code::TooManyClaims`].
    pub async fn claim_key_packages(&self, user: &UserUri, cipher_suite: u16) -> Result<Vec<DeviceClaim>, ClientError> {
        let path = format!("/v1/users/{}/key-packages/claim", user.name());
        let body = to_json(&ClaimRequest { cipher_suite })?;
        let claimed: Claimed = self.bundle(self.send(Method::POST, &path, JSON, body)).await?;
        Ok(claimed.devices)
    }

    /// Creates a room. Repeating it is safe.
    ///
    /// # Errors
    /// [`Code::NameTaken`], [`Code::GroupTaken`], [`Code::Invalid`]; [`Code::Closed`] with the
    /// [`closure`](Problem::closed) of a predecessor that has another successor.
    pub async fn create_room(&self, room: &RoomUri, bundle: &RoomBundle) -> Result<RoomStatus, ClientError> {
        self.json(self.send_bundle(Method::PUT, &path_of(room, ""), bundle)).await
    }

    /// Where a room is.
    ///
    /// # Errors
    /// [`Code::UnknownRoom`].
    pub async fn room(&self, room: &RoomUri) -> Result<RoomStatus, ClientError> {
        self.json(self.get(&path_of(room, ""))).await
    }

    /// The public state of the room's current epoch.
    ///
    /// # Errors
    /// [`Code::UnknownRoom`].
    pub async fn epoch_info(&self, room: &RoomUri) -> Result<EpochInfo, ClientError> {
        self.bundle(self.get(&path_of(room, "/group-info"))).await
    }

    /// The public state of an epoch that the server still keeps.
    ///
    /// # Errors
    /// [`Code::UnknownRoom`], [`Code::UnknownEpoch`].
    pub async fn epoch_info_of(&self, room: &RoomUri, epoch: u64) -> Result<EpochInfo, ClientError> {
        self.bundle(self.get(&path_of(room, &format!("/group-info?epoch={epoch}")))).await
    }

    /// Sends a commit with all that belongs to it.
    ///
    /// # Errors
    /// [`Code::WrongEpoch`] with a [`conflict`](ClientError::conflict) that holds the winner;
    /// [`Code::Invalid`], [`Code::UnknownDevice`], [`Code::MailboxFull`], [`Code::UnknownRoom`].
    pub async fn commit(
        &self,
        room: &RoomUri,
        bundle: &CommitBundle,
        key: &IdempotencyKey,
    ) -> Result<Receipt, ClientError> {
        let request = self.send_bundle(Method::POST, &path_of(room, "/commits"), bundle);
        self.json(request.header(IDEMPOTENCY_HEADER, key.as_str())).await
    }

    /// Sends an application message or a proposal, an `MLSMessage`.
    ///
    /// # Errors
    /// [`Code::WrongEpoch`], [`Code::Invalid`], [`Code::TooLarge`], [`Code::UnknownRoom`].
    pub async fn send_message(
        &self,
        room: &RoomUri,
        message: Vec<u8>,
        key: &IdempotencyKey,
    ) -> Result<Receipt, ClientError> {
        let request = self.send(Method::POST, &path_of(room, "/messages"), MESSAGE, message);
        self.json(request.header(IDEMPOTENCY_HEADER, key.as_str())).await
    }

    /// Proves in a room with private handshakes that this device knows the secrets of an epoch; from then on
    /// it may read what was sent in it, and send while it lasts. Repeating it is safe.
    ///
    /// # Errors
    /// [`Code::NotMember`], or [`Code::UnknownRoom`] for a device that has never proved it, if the proof is
    /// none; [`Code::Invalid`] if the room asks for none.
    pub async fn prove(&self, room: &RoomUri, proof: &AccessProof) -> Result<(), ClientError> {
        self.ask(self.send_bundle(Method::POST, &path_of(room, "/access"), proof)).await.map(drop)
    }

    /// Reports a commit that this device cannot follow. Repeating it is safe.
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::UnknownEpoch`] if the server does not keep its epoch any more;
    /// [`Code::Closed`] with the [`closure`](Problem::closed), if the room is closed already.
    pub async fn report(&self, room: &RoomUri, report: &Report) -> Result<ReportReceipt, ClientError> {
        self.json(self.send_bundle(Method::POST, &path_of(room, "/reports"), report)).await
    }

    /// The log of a room after a cursor. With nothing to show the server waits for news up to `wait`
    /// (whole seconds), as far as it allows that.
    ///
    /// # Errors
    /// [`Code::UnknownRoom`].
    pub async fn log(&self, room: &RoomUri, after: u64, wait: Duration) -> Result<LogPage, ClientError> {
        let path = path_of(room, &format!("/log?after={after}&wait={}", wait.as_secs()));
        self.bundle(self.get(&path).timeout(wait.saturating_add(PATIENCE))).await
    }

    /// The device's mailbox after a cursor.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn mailbox(&self, after: u64) -> Result<MailboxPage, ClientError> {
        self.bundle(self.get(&self.own(&format!("mailbox?after={after}")))).await
    }

    /// Removes an item from the device's mailbox. Do so once what it said is stored.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn acknowledge(&self, sequence: u64) -> Result<(), ClientError> {
        let path = self.own(&format!("mailbox/{sequence}"));
        self.ask(self.request(Method::DELETE, &path)).await.map(|_| ())
    }

    /// Opens live delivery, with nothing subscribed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn live(&self) -> Result<Live, ClientError> {
        let token = self.token().await?;
        let opened = Live::open(&self.base, token.as_ref(), self.limits, self.silence).await;
        match (&self.login, token, opened) {
            (Some(login), Some(old), Err(error)) if error.is_session_over() => {
                let token = login.renewed(self, &old).await?;
                Live::open(&self.base, Some(&token), self.limits, self.silence).await
            }
            (_, _, opened) => opened,
        }
    }

    /// Something to sign, for a session.
    async fn challenge(&self) -> Result<Challenge, ClientError> {
        let body = answer(self.request(Method::POST, "/v1/session/challenge")).await?.bytes().await?;
        Ok(Challenge::from_bytes(&body, &self.limits)?)
    }

    async fn open_session(&self, request: &SessionRequest) -> Result<Session, ClientError> {
        json_of(answer(self.send_bundle(Method::POST, "/v1/session", request)).await?).await
    }

    /// A path below the device's own.
    fn own(&self, rest: &str) -> String {
        let (user, device): (&ShortName, &ShortName) = (self.device.user_name(), self.device.name());
        format!("/v1/users/{user}/devices/{device}/{rest}")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).timeout(PATIENCE)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn send(&self, method: Method, path: &str, media: &'static str, body: Vec<u8>) -> RequestBuilder {
        self.request(method, path).header(CONTENT_TYPE, media).body(body)
    }

    fn send_bundle(&self, method: Method, path: &str, bundle: &impl Bundle) -> RequestBuilder {
        self.send(method, path, BUNDLE, bundle.to_bytes())
    }

    async fn bundle<T: Bundle>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let body = self.ask(request).await?.bytes().await?;
        Ok(T::from_bytes(&body, &self.limits)?)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        json_of(self.ask(request).await?).await
    }

    /// Sends a request in the device's name. If the session is over before its time (the server has a
    /// new secret, say), it is sent once more in a new one.
    async fn ask(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let Some(login) = &self.login else { return answer(request).await };
        let token = login.token(self).await?;
        let again = request.try_clone();
        match (answer(authorised(request, &token)).await, again) {
            (Err(error), Some(again)) if error.is_session_over() => {
                let token = login.renewed(self, &token).await?;
                answer(authorised(again, &token)).await
            }
            (answered, _) => answered,
        }
    }
}

fn authorised(request: RequestBuilder, token: &Token) -> RequestBuilder {
    // The client marks the header as sensitive, so that it is not shown.
    request.bearer_auth(token.expose())
}

async fn json_of<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|_| ClientError::Malformed)
}

/// Sends a request; a refusal becomes an error.
async fn answer(request: RequestBuilder) -> Result<Response, ClientError> {
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(ClientError::Problem(Box::new(problem))),
        // Something between us and the server spoke.
        Err(_) if status.is_server_error() => Err(ClientError::Unavailable),
        Err(_) => Err(ClientError::Malformed),
    }
}

fn path_of(room: &RoomUri, rest: &str) -> String {
    format!("/v1/rooms/{}{rest}", room.name())
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|_| ClientError::Malformed)
}
