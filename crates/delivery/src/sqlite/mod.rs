//! The embedded engine: one file, one writer, many readers.
//!
//! SQLite in WAL mode with `synchronous=FULL`: what was answered survives a loss of power. All writes
//! go through one thread that takes what has queued up and commits it as one transaction, so that a
//! busy server pays one synchronisation for many requests; each request has its own savepoint, so one
//! that is refused undoes only itself. Reads run beside it on a small pool of connections and see
//! everything that has been answered.
//!
//! The point at which a commit of a room wins is one statement,
//! `UPDATE rooms SET epoch = epoch + 1, head = head + 1 WHERE id = ? AND epoch = ?`: zero rows mean that
//! another was first. A unique index on (room, epoch) of commits backs it up. It holds also between
//! processes that share the file.

mod accounts;
mod backup;
mod entries;
mod epochs;
mod inspect;
mod key_packages;
mod mailbox;
mod rooms;
mod roster;
mod schema;
mod threads;

use std::path::Path;

use keyroom_api::{Conflict, DeviceUri, MailboxPage, Stock};
use keyroom_crypto::Secret;
use rusqlite::Connection;

use crate::{
    Accounts, Answer, Appended, CheckedKeyPackage, Claim, Claims, Created, Durability, Entered, Entrance, KeptInfo,
    Ledger, LedgerError, LogRead, NewCommit, NewEntry, NewReport, NewRoom, Once, Page, Publication, Published,
    Remembered, Reported, RoomId, RoomRecord, SignatureKey, StateRecord,
};
pub use backup::BackupError;
use threads::{Readers, Writer};

/// How many connections read beside the writer.
const READERS: usize = 4;

/// What an operation in a transaction returns; rusqlite's errors stay inside this module.
type Outcome<T> = Result<T, rusqlite::Error>;

/// Whether what an operation did is to stay.
enum Verdict<T> {
    /// It stays.
    Keep(T),
    /// It is undone; the answer says why.
    Undo(T),
}

/// A ledger in one SQLite file.
///
/// Dropping it ends the writer after what has been queued; a runtime of tokio must be there while it
/// is used.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file, or creates it with empty tables.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if the file cannot be opened or is locked,
    /// [`LedgerError::Corrupt`] if it is something else or from a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = path.as_ref();
        let writer = schema::open(path)?;
        let readers = (0..READERS).map(|_| schema::open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { writer: Writer::start(writer)?, readers: Readers::new(readers) })
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Outcome<Verdict<T>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.writer.run(operation).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.readers.run(operation).await
    }
}

impl Ledger for Sqlite {
    fn durability(&self) -> Answer<'_, Durability> {
        // Both settings are of a connection: the writer's counts.
        Box::pin(self.write(|db| schema::durability(db).map(Verdict::Keep)))
    }

    fn publish<'a>(
        &'a self,
        device: &'a DeviceUri,
        packages: Vec<(CheckedKeyPackage, Vec<u8>)>,
        publication: Publication,
        most: u64,
        now: u64,
    ) -> Answer<'a, Published> {
        let device = device.clone();
        Box::pin(self.write(move |db| key_packages::publish(db, &device, packages, publication, most, now)))
    }

    fn stock<'a>(&'a self, device: &'a DeviceUri, now: u64) -> Answer<'a, Stock> {
        let device = device.clone();
        Box::pin(self.read(move |db| key_packages::stock(db, &device, now)))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claims> {
        Box::pin(self.write(move |db| key_packages::claim(db, &claim)))
    }

    fn create(&self, room: NewRoom) -> Answer<'_, Created> {
        Box::pin(self.write(move |db| rooms::create(db, &room)))
    }

    fn room<'a>(&'a self, room: &'a keyroom_api::RoomUri, device: &'a DeviceUri) -> Answer<'a, Option<RoomRecord>> {
        let (room, device) = (room.clone(), device.clone());
        Box::pin(self.read(move |db| rooms::room(db, &room, &device)))
    }

    fn group_info(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<KeptInfo>> {
        Box::pin(self.read(move |db| epochs::group_info(db, room, epoch)))
    }

    fn state(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<StateRecord>>> {
        Box::pin(self.read(move |db| epochs::state(db, room, epoch)))
    }

    fn epoch_of_tree<'a>(&'a self, room: RoomId, tree_hash: &'a [u8]) -> Answer<'a, Option<u64>> {
        let tree_hash = tree_hash.to_vec();
        Box::pin(self.read(move |db| epochs::of_tree(db, room, &tree_hash)))
    }

    fn proposals(&self, room: RoomId, epoch: u64) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.read(move |db| entries::proposals(db, room, epoch)))
    }

    fn remembered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Remembered>> {
        let once = once.clone();
        Box::pin(self.read(move |db| entries::remembered(db, &once)))
    }

    fn conflict(&self, room: RoomId, epoch: u64) -> Answer<'_, Conflict> {
        Box::pin(self.read(move |db| entries::conflict(db, room, epoch)))
    }

    fn append_commit(&self, commit: NewCommit) -> Answer<'_, Appended> {
        Box::pin(self.write(move |db| entries::append_commit(db, &commit)))
    }

    fn append(&self, entry: NewEntry, late: u64) -> Answer<'_, Appended> {
        Box::pin(self.write(move |db| entries::append(db, &entry, late)))
    }

    fn access_key(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(self.read(move |db| roster::access_key(db, room, epoch)))
    }

    fn admit<'a>(&'a self, room: RoomId, device: &'a DeviceUri, epoch: u64) -> Answer<'a, ()> {
        let device = device.clone();
        Box::pin(self.write(move |db| roster::admit(db, room, &device, epoch).map(Verdict::Keep)))
    }

    fn report(&self, report: NewReport) -> Answer<'_, Reported> {
        Box::pin(self.write(move |db| rooms::report(db, &report).map(Verdict::Keep)))
    }

    fn log<'a>(&'a self, room: RoomId, reader: Option<&'a DeviceUri>, page: Page) -> Answer<'a, LogRead> {
        let reader = reader.cloned();
        Box::pin(self.read(move |db| entries::log(db, room, reader.as_ref(), page)))
    }

    fn mailbox<'a>(&'a self, device: &'a DeviceUri, page: Page) -> Answer<'a, MailboxPage> {
        let device = device.clone();
        Box::pin(self.read(move |db| mailbox::page(db, &device, page)))
    }

    fn acknowledge<'a>(&'a self, device: &'a DeviceUri, sequence: u64) -> Answer<'a, ()> {
        let device = device.clone();
        Box::pin(self.write(move |db| mailbox::acknowledge(db, &device, sequence).map(Verdict::Keep)))
    }
}

impl Accounts for Sqlite {
    fn secret(&self, fresh: Secret) -> Answer<'_, Secret> {
        Box::pin(self.write(move |db| accounts::secret(db, &fresh).map(Verdict::Keep)))
    }

    fn keys<'a>(&'a self, device: &'a DeviceUri) -> Answer<'a, Vec<SignatureKey>> {
        let device = device.clone();
        Box::pin(self.read(move |db| accounts::keys(db, &device)))
    }

    fn enter(&self, entrance: Entrance) -> Answer<'_, Entered> {
        Box::pin(self.write(move |db| accounts::enter(db, &entrance)))
    }
}
