//! What a Keyroom server and its clients say to each other.
//!
//! Names ([`UserUri`], [`DeviceUri`], [`RoomUri`]), the structs of requests and answers, the
//! [`Problem`] of a refusal, and, behind the feature `client`, a `Connection` that speaks to a server.
//! Nothing here encrypts, stores or decides.
//!
//! # The interface
//! Paths hold short names; the host is the server's own. `message/mls` is one `MLSMessage` of RFC
//! 9420; a *bundle* is a struct of this crate in the presentation language of RFC 9420 §2.1
//! (`application/vnd.keyroom.bundle`), read as strictly as MLS itself; the rest is JSON. A refusal is a
//! [`Problem`] (`application/problem+json`, RFC 9457) with a stable [`Code`].
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /healthz` | | 200, JSON |
//! | `GET /readyz` | | 200, JSON, or 503 |
//! | `GET /v1/server` | | [`ServerInfo`], JSON |
//! | `POST /v1/session/challenge` | | [`Challenge`], a bundle |
//! | `POST /v1/session` | [`SessionRequest`], a bundle | [`Session`], JSON |
//! | `POST /v1/users/{u}/devices/{d}/key-packages` | [`KeyPackages`], a bundle | [`Stock`], JSON |
//! | `PUT` the same: replaces what has not been claimed | [`KeyPackages`], a bundle | [`Stock`], JSON |
//! | `GET` the same | | [`Stock`], JSON |
//! | `POST /v1/users/{u}/key-packages/claim` | [`ClaimRequest`], JSON | [`Claimed`], a bundle |
//! | `PUT /v1/rooms/{r}` | [`RoomBundle`], a bundle | 201 or, repeated, 200: [`RoomStatus`], JSON |
//! | `GET /v1/rooms/{r}` | | [`RoomStatus`], JSON |
//! | `GET /v1/rooms/{r}/group-info[?epoch=N]` | | [`EpochInfo`], a bundle |
//! | `GET /v1/rooms/{r}/trees/{hash}`, with `Range` | | a ratchet tree, `application/gzip` |
//! | `POST /v1/rooms/{r}/commits` | [`CommitBundle`], a bundle | 201 or, repeated, 200: [`Receipt`], JSON |
//! | `POST /v1/rooms/{r}/messages` | application message or proposal, `message/mls` | 201 or, repeated, 200: [`Receipt`], JSON |
//! | `POST /v1/rooms/{r}/reports` | [`Report`], a bundle | [`ReportReceipt`], JSON |
//! | `GET /v1/rooms/{r}/log?after=N[&limit=N][&wait=S]` | | [`LogPage`], a bundle |
//! | `GET /v1/users/{u}/devices/{d}/mailbox?after=N[&limit=N]` | | [`MailboxPage`], a bundle |
//! | `DELETE /v1/users/{u}/devices/{d}/mailbox/{n}` | | 204 |
//! | `GET /v1/live` (WebSocket) | [`LiveRequest`], JSON in text frames | [`LiveEvent`], bundles in binary frames |
//!
//! Of all commits for one epoch of a room exactly one is accepted. The others get 409 with
//! [`Code::WrongEpoch`] and a [`Conflict`] that holds the winner, so that a loser can go on at once.
//!
//! # Who sends a request
//! Every request but those of the first five rows carries the token of a [`Session`], in the header
//! `Authorization: Bearer …`. A device gets one by signing a [`Challenge`] with its credential keys
//! ([`session`]); it is good for some minutes, on every node of the server. A browser, which cannot set
//! headers on a WebSocket, offers two subprotocols: [`LIVE_PROTOCOL`], which is selected, and
//! [`TOKEN_PROTOCOL`] followed by the token. A token never stands in a URL, for these are logged. A live
//! connection ends with its session; open another one and go on from the cursors.
//!
//! ```
//! use keyroom_api::{Bundle, CommitBundle, Host, UserUri, WelcomeTo};
//! let host: Host = "example.org".parse()?;
//! let phone = UserUri::new(host, "bob".parse()?).device("phone".parse()?);
//! let bundle = CommitBundle {
//!     commit: vec![1],
//!     group_info: vec![2],
//!     welcomes: vec![WelcomeTo { devices: vec![phone], welcome: vec![3] }],
//!     access_key: None,
//! };
//! assert_eq!(CommitBundle::from_bytes(&bundle.to_bytes(), &Default::default()), Ok(bundle));
//! # Ok::<(), keyroom_api::NameError>(())
//! ```

mod bytes;
#[cfg(feature = "client")]
mod client;
pub mod name;
mod problem;
pub mod session;
mod types;

pub use bytes::{Bundle, Malformed};
#[cfg(feature = "client")]
pub use client::{ClientError, Connection, Identity, Live};
pub use name::{DeviceUri, Host, NameError, RoomUri, ShortName, UserUri};
pub use problem::{Code, Conflict, PROBLEM, Problem};
pub use session::{
    Challenge, KeyProof, LIVE_PROTOCOL, MOST_PROOFS, SESSION_LABEL, Session, SessionRequest, SessionTbs,
    TOKEN_PROTOCOL, Token,
};
pub use types::{
    ACCESS_KEY_LENGTH, ACCESS_LABEL, AccessContent, AccessProof, BUNDLE, ClaimRequest, Claimed, Closure, CommitBundle,
    DEVICE_HEADER, DeviceClaim, EntryKind, EpochInfo, IDEMPOTENCY_HEADER, IdempotencyKey, IdempotencyKeyError, JSON,
    KeyPackages, LONGEST_IDEMPOTENCY_KEY, LiveEvent, LiveRequest, LogEntry, LogPage, MESSAGE, MailboxItem, MailboxPage,
    Offer, REPORT_LABEL, Receipt, Report, ReportContent, ReportReason, ReportReceipt, RoomBundle, RoomStatus,
    ServerInfo, Stock, SuiteStock, TREE, WelcomeTo,
};
