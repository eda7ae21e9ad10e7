//! The engine for several machines: PostgreSQL 15 or later, any number of nodes on one database.
//!
//! Nodes hold no state of their own. What orders a room is the lock of its row: the point at which a
//! commit wins is one statement, `UPDATE rooms SET epoch = epoch + 1, head = head + 1 WHERE id = ?
//! AND epoch = ?`, and zero rows mean that another was first. The numbers of a log and of a mailbox
//! are columns under such locks, so they have no gaps and become visible in their order, which neither
//! a sequence of the database nor a maximum gives. A transaction takes the room first, then devices
//! in the order of their ids, so that two never wait for each other. READ COMMITTED is enough: every
//! decision is made in a statement that holds the lock, or on what the row under the lock vouches for.
//!
//! A message is one statement, and so one round trip and one transaction. `synchronous_commit` is on
//! in every session, and a server that does without `fsync` or `full_page_writes` is refused.
//!
//! What collides (serialisation failures, deadlocks, two requests under one idempotency key) is
//! repeated some times. When the connection is lost in the middle of a commit nobody knows how it
//! went: the caller gets [`LedgerError::Unavailable`] and repeats the request, and the idempotency key
//! tells.

mod accounts;
mod entries;
mod epochs;
mod failure;
mod inspect;
mod key_packages;
mod mailbox;
mod open;
mod rooms;
mod roster;
mod schema;
mod session;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use keyroom_api::{Conflict, DeviceUri, MailboxPage, RoomUri, Stock};
use keyroom_crypto::Secret;
use tokio::time::timeout;

use crate::{
    Accounts, Answer, Appended, CheckedKeyPackage, Claim, Claims, Created, Durability, Entered, Entrance, KeptInfo,
    Ledger, LedgerError, LogRead, NewCommit, NewEntry, NewReport, NewRoom, Once, Page, Publication, Published,
    Remembered, Reported, RoomId, RoomRecord, SignatureKey, StateRecord,
};
use failure::{Failure, Outcome};
pub use open::{Durable, PostgresOptions};
use session::Session;

/// How often an operation that collides is tried.
const ATTEMPTS: u32 = 8;

/// Longest time that one attempt may take; a connection that takes longer is closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ledger in a PostgreSQL database.
///
/// Several can be open on one database, in one process or on many machines. It connects when it is
/// used, and again when a connection is lost.
pub struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// What this engine does for one accepted message of 1 KiB, as a script for `pgbench -M prepared`, which
    /// says itself what it needs: one statement, which is one transaction.
    pub const MESSAGE_SCRIPT: &str = include_str!("message.pgbench.sql");

    /// Whether an address can be read, whatever is there.
    ///
    /// # Errors
    /// [`LedgerError::Address`].
    pub fn check_address(url: &str) -> Result<(), LedgerError> {
        url.parse::<tokio_postgres::Config>().map(|_| ()).map_err(|_| LedgerError::Address)
    }

    /// Connects to the database at `url`, such as `postgres://user:password@host/database`, checks that
    /// it is durable, and brings its tables up to date. With `sslmode=require` the connection uses TLS
    /// and the server's certificate must be good for its name by the roots of this machine (or those
    /// in the file that `SSL_CERT_FILE` names); otherwise it does not use TLS. A pooler in between must
    /// keep sessions, because statements are prepared.
    ///
    /// # Errors
    /// [`LedgerError::Address`] for a malformed `url`, [`LedgerError::NotDurable`],
    /// [`LedgerError::Corrupt`] if the tables are of a newer version or somebody else's,
    /// [`LedgerError::Unavailable`] if the database cannot be reached.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, LedgerError> {
        Ok(Self { pool: open::open(url, &options).await? })
    }

    /// Runs an operation on a connection, again when it collides with another one.
    async fn run<T, F>(&self, operation: impl Fn(Arc<Session>) -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Outcome<T>>,
    {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(&operation).await {
                Ok(value) => return Ok(value),
                Err(Some(failure)) if failure.is_collision() && attempts < ATTEMPTS => {}
                Err(Some(failure)) => return Err(failure.into()),
                Err(None) => return Err(LedgerError::Unavailable),
            }
        }
    }

    /// `None` when there was no connection, or no answer in time.
    async fn attempt<T, F>(&self, operation: &impl Fn(Arc<Session>) -> F) -> Result<T, Option<Failure>>
    where
        F: Future<Output = Outcome<T>>,
    {
        let connection = self.pool.get().await.map_err(|error| {
            tracing::warn!(error = open::what_failed(&error), "no connection to PostgreSQL");
            None
        })?;
        let session = Arc::new(Session::new(connection));
        let result = timeout(PATIENCE, operation(session.clone())).await.map_err(|_| None)?;
        session.settle().await;
        result.map_err(Some)
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("connections", &self.pool.status().size).finish()
    }
}

/// A number for the database, which has signed ones. Those of the ledger stay below 2^63; a cursor
/// above that is as good as the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that the ledger wrote.
fn unsigned(number: i64) -> Outcome<u64> {
    u64::try_from(number).map_err(|_| Failure::Corrupt)
}

/// A name that the ledger wrote.
fn name<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse().map_err(|_| Failure::Corrupt)
}

impl Ledger for Postgres {
    fn durability(&self) -> Answer<'_, Durability> {
        Box::pin(self.run(|db| async move { open::durability(&db).await }))
    }

    fn publish<'a>(
        &'a self,
        device: &'a DeviceUri,
        packages: Vec<(CheckedKeyPackage, Vec<u8>)>,
        publication: Publication,
        most: u64,
        now: u64,
    ) -> Answer<'a, Published> {
        Box::pin(async move {
            let packages = &packages;
            self.run(|db| async move { key_packages::publish(&db, device, packages, publication, most, now).await })
                .await
        })
    }

    fn stock<'a>(&'a self, device: &'a DeviceUri, now: u64) -> Answer<'a, Stock> {
        Box::pin(self.run(move |db| async move { key_packages::stock(&db, device, now).await }))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claims> {
        Box::pin(async move {
            let claim = &claim;
            self.run(|db| async move { key_packages::claim(&db, claim).await }).await
        })
    }

    fn create(&self, room: NewRoom) -> Answer<'_, Created> {
        Box::pin(async move {
            let room = &room;
            self.run(|db| async move { rooms::create(&db, room).await }).await
        })
    }

    fn room<'a>(&'a self, room: &'a RoomUri, device: &'a DeviceUri) -> Answer<'a, Option<RoomRecord>> {
        Box::pin(self.run(move |db| async move { rooms::room(&db, room, device).await }))
    }

    fn group_info(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<KeptInfo>> {
        Box::pin(self.run(move |db| async move { epochs::group_info(&db, room, epoch).await }))
    }

    fn state(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<StateRecord>>> {
        Box::pin(self.run(move |db| async move { epochs::state(&db, room, epoch).await }))
    }

    fn epoch_of_tree<'a>(&'a self, room: RoomId, tree_hash: &'a [u8]) -> Answer<'a, Option<u64>> {
        Box::pin(self.run(move |db| async move { epochs::of_tree(&db, room, tree_hash).await }))
    }

    fn proposals(&self, room: RoomId, epoch: u64) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.run(move |db| async move { entries::proposals(&db, room, epoch).await }))
    }

    fn remembered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Remembered>> {
        Box::pin(self.run(move |db| async move { entries::remembered(&db, once).await }))
    }

    fn conflict(&self, room: RoomId, epoch: u64) -> Answer<'_, Conflict> {
        Box::pin(self.run(move |db| async move { entries::conflict(&db, room, epoch).await }))
    }

    fn append_commit(&self, commit: NewCommit) -> Answer<'_, Appended> {
        Box::pin(async move {
            let commit = &commit;
            self.run(|db| async move { entries::append_commit(&db, commit).await }).await
        })
    }

    fn append(&self, entry: NewEntry, late: u64) -> Answer<'_, Appended> {
        Box::pin(async move {
            let entry = &entry;
            self.run(|db| async move { entries::append(&db, entry, late).await }).await
        })
    }

    fn access_key(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(self.run(move |db| async move { roster::access_key(&db, room, epoch).await }))
    }

    fn admit<'a>(&'a self, room: RoomId, device: &'a DeviceUri, epoch: u64) -> Answer<'a, ()> {
        Box::pin(self.run(move |db| async move { roster::admit(&db, room, device, epoch).await }))
    }

    fn report(&self, report: NewReport) -> Answer<'_, Reported> {
        Box::pin(async move {
            let report = &report;
            self.run(|db| async move { rooms::report(&db, report).await }).await
        })
    }

    fn log<'a>(&'a self, room: RoomId, reader: Option<&'a DeviceUri>, page: Page) -> Answer<'a, LogRead> {
        Box::pin(self.run(move |db| async move { entries::log(&db, room, reader, page).await }))
    }

    fn mailbox<'a>(&'a self, device: &'a DeviceUri, page: Page) -> Answer<'a, MailboxPage> {
        Box::pin(self.run(move |db| async move { mailbox::page(&db, device, page).await }))
    }

    fn acknowledge<'a>(&'a self, device: &'a DeviceUri, sequence: u64) -> Answer<'a, ()> {
        Box::pin(self.run(move |db| async move { mailbox::acknowledge(&db, device, sequence).await }))
    }
}

impl Accounts for Postgres {
    fn secret(&self, fresh: Secret) -> Answer<'_, Secret> {
        Box::pin(async move {
            let fresh = &fresh;
            self.run(|db| async move { accounts::secret(&db, fresh).await }).await
        })
    }

    fn keys<'a>(&'a self, device: &'a DeviceUri) -> Answer<'a, Vec<SignatureKey>> {
        Box::pin(self.run(move |db| async move { accounts::keys(&db, device).await }))
    }

    fn enter(&self, entrance: Entrance) -> Answer<'_, Entered> {
        Box::pin(async move {
            let entrance = &entrance;
            self.run(|db| async move { accounts::enter(&db, entrance).await }).await
        })
    }
}
