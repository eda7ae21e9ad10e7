//! The way to the server.
//!
//! The client asks through [`Transport`], a trait, so that tests and demonstrations can stand between
//! the two; [`HttpTransport`] is the one for real servers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use keyroom_api::{
    AccessProof, ClientError, CommitBundle, Connection, DeviceClaim, DeviceUri, EpochInfo, Host, IdempotencyKey,
    Identity, Live, LiveEvent, LogPage, Receipt, Report, ReportReceipt, RoomBundle, RoomStatus, RoomUri, Stock,
    UserUri,
};

/// A future that can be kept in a list of futures.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the client asks of the server. Each can be repeated without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Create a room.
    CreateRoom {
        /// The room.
        room: RoomUri,
        /// Its first epoch.
        bundle: RoomBundle,
    },
    /// What an external joiner needs.
    EpochInfo {
        /// The room.
        room: RoomUri,
    },
    /// A ratchet tree.
    Tree {
        /// The room.
        room: RoomUri,
        /// Its hash.
        tree_hash: Vec<u8>,
    },
    /// One key package of every device of a user.
    Claim {
        /// The user.
        user: UserUri,
        /// Code point of the suite.
        cipher_suite: u16,
    },
    /// A commit with all that belongs to it.
    Commit {
        /// The room.
        room: RoomUri,
        /// What is sent.
        bundle: CommitBundle,
        /// The same for each repetition.
        key: IdempotencyKey,
    },
    /// An application message.
    Send {
        /// The room.
        room: RoomUri,
        /// An `MLSMessage`.
        message: Vec<u8>,
        /// The same for each repetition.
        key: IdempotencyKey,
    },
    /// How many key packages the server has of this device.
    Stock,
    /// Add key packages of this device.
    Publish {
        /// One `MLSMessage` each.
        key_packages: Vec<Vec<u8>>,
    },
    /// Put key packages in the place of all that the server has of this device.
    Replace {
        /// One `MLSMessage` each.
        key_packages: Vec<Vec<u8>>,
    },
    /// Remove an item from the mailbox.
    Acknowledge {
        /// Its place.
        sequence: u64,
    },
    /// Prove that this device knows the secrets of an epoch.
    Prove {
        /// The room.
        room: RoomUri,
        /// The proof.
        proof: AccessProof,
    },
    /// Report a commit that this device cannot follow.
    Report {
        /// The room.
        room: RoomUri,
        /// What is reported, signed.
        report: Report,
    },
    /// The log of a room after a cursor.
    Log {
        /// The room.
        room: RoomUri,
        /// The cursor.
        after: u64,
    },
}

/// What the server answers, one for each kind of [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::CreateRoom`].
    Room(RoomStatus),
    /// To [`Request::EpochInfo`].
    EpochInfo(EpochInfo),
    /// To [`Request::Tree`]: the content of a `ratchet_tree` extension.
    Tree(Vec<u8>),
    /// To [`Request::Claim`].
    Claimed(Vec<DeviceClaim>),
    /// To [`Request::Commit`] and [`Request::Send`].
    Accepted(Receipt),
    /// To [`Request::Stock`], [`Request::Publish`] and [`Request::Replace`].
    Stock(Stock),
    /// To [`Request::Acknowledge`].
    Acknowledged,
    /// To [`Request::Prove`].
    Proved,
    /// To [`Request::Report`].
    Reported(ReportReceipt),
    /// To [`Request::Log`].
    Log(LogPage),
}

/// A way to the server.
pub trait Transport: Send + Sync {
    /// Asks and waits for the answer.
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>>;

    /// Opens live delivery.
    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>>;
}

/// Live delivery.
pub trait Feed: Send {
    /// Asks for a room's log after a cursor.
    fn subscribe<'a>(&'a mut self, room: &'a RoomUri, after: u64) -> Later<'a, Result<(), ClientError>>;

    /// Asks for the device's mailbox after a cursor.
    fn mailbox(&mut self, after: u64) -> Later<'_, Result<(), ClientError>>;

    /// The next event; `None` at the end. Cancelling loses nothing.
    fn next(&mut self) -> Later<'_, Result<Option<LiveEvent>, ClientError>>;
}

/// HTTP and WebSocket.
#[derive(Clone, Debug)]
pub struct HttpTransport(Connection);

impl HttpTransport {
    /// The way of a device, which proves who it is with these keys, to the server at `base`, such as
    /// `http://127.0.0.1:8440`.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn new(base: &str, device: DeviceUri, identity: Identity) -> Result<Self, ClientError> {
        Ok(Self(Connection::new(base, device, identity)?))
    }

    /// The same with another bound on how long live delivery may be silent, as in [`Connection::silence`].
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self(self.0.silence(silence))
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// The host of the names that the server at `base` serves.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn host(base: &str, device: DeviceUri) -> Result<Host, ClientError> {
        Ok(Connection::unproved(base, device)?.server().await?.host)
    }
}

impl Transport for HttpTransport {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        Box::pin(ask(&self.0, request))
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        Box::pin(async move { Ok(Box::new(LiveFeed(self.0.live().await?)) as Box<dyn Feed>) })
    }
}

async fn ask(to: &Connection, request: Request) -> Result<Answer, ClientError> {
    Ok(match request {
        Request::CreateRoom { room, bundle } => Answer::Room(to.create_room(&room, &bundle).await?),
        Request::Tree { room, tree_hash } => Answer::Tree(to.tree(&room, &tree_hash).await?),
        Request::EpochInfo { room } => Answer::EpochInfo(to.epoch_info(&room).await?),
        Request::Claim { user, cipher_suite } => Answer::Claimed(to.claim_key_packages(&user, cipher_suite).await?),
        Request::Commit { room, bundle, key } => Answer::Accepted(to.commit(&room, &bundle, &key).await?),
        Request::Send { room, message, key } => Answer::Accepted(to.send_message(&room, message, &key).await?),
        Request::Stock => Answer::Stock(to.stock().await?),
        Request::Publish { key_packages } => Answer::Stock(to.publish_key_packages(key_packages).await?),
        Request::Replace { key_packages } => Answer::Stock(to.replace_key_packages(key_packages).await?),
        Request::Acknowledge { sequence } => {
            to.acknowledge(sequence).await?;
            Answer::Acknowledged
        }
        Request::Prove { room, proof } => {
            to.prove(&room, &proof).await?;
            Answer::Proved
        }
        Request::Report { room, report } => Answer::Reported(to.report(&room, &report).await?),
        Request::Log { room, after } => Answer::Log(to.log(&room, after, Duration::ZERO).await?),
    })
}

struct LiveFeed(Live);

impl Feed for LiveFeed {
    fn subscribe<'a>(&'a mut self, room: &'a RoomUri, after: u64) -> Later<'a, Result<(), ClientError>> {
        Box::pin(self.0.subscribe(room, after))
    }

    fn mailbox(&mut self, after: u64) -> Later<'_, Result<(), ClientError>> {
        Box::pin(self.0.mailbox(after))
    }

    fn next(&mut self) -> Later<'_, Result<Option<LiveEvent>, ClientError>> {
        Box::pin(self.0.next())
    }
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
