//! The contract of a ledger: what is true about rooms, logs, mailboxes and key packages.

use std::future::Future;
use std::pin::Pin;

use keyroom_api::{
    Closure, Conflict, DeviceClaim, DeviceUri, EntryKind, IdempotencyKey, LogPage, MailboxPage, Receipt, RoomStatus,
    RoomUri, Stock, UserUri,
};

use crate::{CheckedKeyPackage, Place, RosterChange, Standing, StateChange, StateRecord};

/// What a method of a [`Ledger`] returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// Why a ledger gave no answer. Nothing was changed, except where the connection to the database was
/// lost during the commit: then an idempotency key tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The database is locked, full or gone. Later it may work.
    #[error("the ledger cannot answer now")]
    Unavailable,
    /// What the database holds is not what this version wrote.
    #[error("the ledger holds something unexpected")]
    Corrupt,
    /// The ledger has been shut down.
    #[error("the ledger is closed")]
    Closed,
    /// The address of a database cannot be read.
    #[error("the address of the database cannot be read")]
    Address,
    /// The database's certificate is not good: for its name, by the roots of this machine, or at this time.
    #[error("the certificate of the database is not good for its name by the roots of this machine")]
    Certificate,
    /// The database is set so that a loss of power may lose what it has acknowledged.
    #[error("the database may lose what it has acknowledged: fsync, full_page_writes or synchronous_commit is off")]
    NotDurable,
}

/// Whether what a ledger has answered survives a loss of power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// Whether each answer waits until what it says is on the disk.
    pub synchronous: bool,
    /// The settings that make it so, as the engine tells them.
    pub settings: String,
}

/// A ledger's own short name of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomId(pub i64);

/// Where a room is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// The ledger's name of it.
    pub id: RoomId,
    /// The MLS group id.
    pub group_id: Vec<u8>,
    /// Current epoch and head of the log.
    pub status: RoomStatus,
    /// How many members must report a commit to close it; 0 for more than half.
    pub reports_needed: u32,
    /// Whether its members are those who prove that they know the secrets of its epoch.
    pub keyed: bool,
    /// What the device that asks is to it.
    pub standing: Standing,
}

/// The public state of an epoch that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEpoch {
    /// The `MLSMessage` with the GroupInfo.
    pub group_info: Vec<u8>,
    /// The hash of its ratchet tree (RFC 9420 §7.8).
    pub tree_hash: Vec<u8>,
    /// What differs from the epoch before.
    pub change: StateChange,
}

/// The GroupInfo of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptInfo {
    /// An `MLSMessage`.
    pub group_info: Vec<u8>,
    /// The hash of its ratchet tree.
    pub tree_hash: Vec<u8>,
}

/// A Welcome on its way into mailboxes: stored once, and once more for each addressee what differs.
/// What an addressee gets is `head`, its own part, and `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWelcome {
    /// What comes before the secrets.
    pub head: Vec<u8>,
    /// What comes after them: the encrypted GroupInfo.
    pub tail: Vec<u8>,
    /// Each addressee with a vector that holds its own secrets alone.
    pub to: Vec<(DeviceUri, Vec<u8>)>,
}

/// A room that is to be.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Its name.
    pub room: RoomUri,
    /// The MLS group id.
    pub group_id: Vec<u8>,
    /// Its first epoch.
    pub epoch: u64,
    /// The public state of that epoch.
    pub first: NewEpoch,
    /// Who is in it, if a roster is to be kept.
    pub roster: Option<Vec<Place>>,
    /// In a room whose members prove that they are: how they do in that epoch.
    pub access: Option<NewAccess>,
    /// Welcomes into that epoch.
    pub welcomes: Vec<NewWelcome>,
    /// Most items that a mailbox may hold.
    pub mailbox: u64,
    /// The closed room that it continues, which has no successor yet.
    pub predecessor: Option<RoomUri>,
    /// How many members must report a commit to close it; 0 for more than half.
    pub reports_needed: u32,
}

/// How the members of a room prove in an epoch that they are: only they can derive the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccess {
    /// The public key: [`ACCESS_KEY_LENGTH`](keyroom_api::ACCESS_KEY_LENGTH) bytes.
    pub key: Vec<u8>,
    /// The device that has registered it, and has proved thereby that it is in.
    pub by: DeviceUri,
    /// Those whom it welcomes: they are in on its word.
    pub welcomed: Vec<DeviceUri>,
}

/// A member's report of a commit, which has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReport {
    /// The room.
    pub room: RoomId,
    /// The sequence number of the commit.
    pub sequence: u64,
    /// The epoch that the commit ended.
    pub epoch: u64,
    /// The reporter's leaf in that epoch.
    pub leaf: u32,
    /// [`ReportReason::code`](keyroom_api::ReportReason::code).
    pub reason: u8,
    /// The reporter's signature: whoever doubts that the room had to be closed can check it.
    pub signature: Vec<u8>,
    /// How many leaves must report the commit to close the room.
    pub needed: u64,
}

/// How reporting went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// So many leaves have reported the commit, this one included, and the room goes on.
    Counted(u64),
    /// So many have, and the room is closed.
    Closed(u64, Closure),
}

/// How the creation of a room went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New(RoomStatus),
    /// It was there before with this very group id: a repetition.
    Repeated(RoomStatus),
    /// A room of this name has another group.
    NameTaken,
    /// The group belongs to a room of another name.
    GroupTaken,
    /// The predecessor is not there or not closed.
    NotClosed,
    /// The predecessor has another successor.
    Succeeded(Closure),
    /// An addressee, counted over all Welcomes, has never published a key package.
    UnknownDevice(usize),
    /// The mailbox of an addressee, counted over all Welcomes, is full.
    MailboxFull(usize),
}

/// A device and the key under which it may repeat a request.
#[derive(Clone, Debug)]
pub struct Once {
    /// The device.
    pub device: DeviceUri,
    /// Its key.
    pub key: IdempotencyKey,
}

/// The outcome of a request that was accepted under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The room that it was sent to.
    pub room: RoomId,
    /// What was answered.
    pub receipt: Receipt,
    /// The message, to tell a repetition from another use of the key.
    pub message: Vec<u8>,
}

/// A message that is to be appended to a log.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The room.
    pub room: RoomId,
    /// The epoch for which the message was made.
    pub epoch: u64,
    /// What it is.
    pub kind: EntryKind,
    /// The `MLSMessage`.
    pub message: Vec<u8>,
    /// When it was taken, in milliseconds since 1970-01-01T00:00Z.
    pub accepted_at: u64,
    /// Makes it safe to repeat.
    pub once: Option<Once>,
    /// The device that must be in the room when the entry is appended, if the room has a roster; `None` for
    /// what somebody who is not in it may send.
    pub member: Option<DeviceUri>,
}

/// What becomes visible with a commit, or not at all.
#[derive(Clone, Debug)]
pub struct NewCommit {
    /// The commit; its kind is [`EntryKind::Commit`].
    pub entry: NewEntry,
    /// The public state of the epoch that it starts.
    pub next: NewEpoch,
    /// Who comes and who goes; nothing happens to a room without roster.
    pub roster: RosterChange,
    /// In a room whose members prove that they are: how they do in that epoch. All others are out with the
    /// commit until they have.
    pub access: Option<NewAccess>,
    /// Welcomes into that epoch.
    pub welcomes: Vec<NewWelcome>,
    /// Most items that a mailbox may hold.
    pub mailbox: u64,
    /// How many epochs keep their public state, the new one included.
    pub epochs_kept: u64,
    /// How many do as long as a Welcome into the oldest of them waits.
    pub epochs_for_welcomes: u64,
    /// Whether the commit ends the group, so that the room takes nothing more.
    pub closes: bool,
}

/// How appending went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log.
    Accepted(Receipt),
    /// It was in the log before: the answer of then.
    Repeated(Receipt),
    /// The idempotency key stands for another message.
    KeyReused,
    /// The device is not in the room, or not any more.
    NotMember,
    /// The room is in another epoch.
    WrongEpoch(Conflict),
    /// The room takes nothing more.
    Closed(Closure),
    /// An addressee, counted over all Welcomes, has never published a key package.
    UnknownDevice(usize),
    /// The mailbox of an addressee, counted over all Welcomes, is full.
    MailboxFull(usize),
}

/// Whether new key packages join those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// They join them.
    Add,
    /// They take the place of all that have not been claimed.
    Replace,
}

/// Asks for one key package of every device of a user.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The device that asks.
    pub by: DeviceUri,
    /// The user.
    pub user: UserUri,
    /// Code point of the suite.
    pub cipher_suite: u16,
    /// How often this device may ask for this user within an hour, counted from full hours.
    pub most: u64,
    /// This second, since 1970-01-01T00:00Z.
    pub now: u64,
}

/// How a claim went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claims {
    /// What each device of the user has to offer; empty for an unknown user.
    Given(Vec<DeviceClaim>),
    /// The device has asked too often for this user; nothing was taken.
    TooMany,
}

/// How publishing went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// What the device has now.
    Stock(Stock),
    /// The device would have too many; nothing was changed.
    TooMany,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The cursor: the last sequence number that the reader has; 0 for none.
    pub after: u64,
    /// Most entries.
    pub entries: usize,
    /// Stop before an entry that would exceed this many bytes of messages, except for the first.
    pub bytes: usize,
}

/// A run of a log as a device may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// Entries, and where they end for a device that is out of the room: epoch and head of the page are
    /// those of the entry then, so that they tell nothing of what came after.
    Page {
        /// The entries.
        page: LogPage,
        /// The last entry that the device may ever read from there on.
        until: Option<u64>,
    },
    /// The device may not read from there.
    Outside,
}

/// Stores and orders. One call is one transaction; when it has returned `Ok`, what it did survives
/// the loss of the process and of power, and every later call, on any node, sees it.
///
/// Every implementation keeps these promises, and the tests of this crate hold it to them:
/// * of all commits for one epoch of a room exactly one is ever accepted;
/// * sequence numbers of a log start at 1, have no gaps, and grow in the order of visibility: a
///   reader that sees one sees all before it;
/// * a one-time key package is claimed at most once, ever, also when it is published again;
/// * the same message under the same idempotency key is appended once;
/// * in a room with a roster, what a device sends is appended only, and read by it only, as its place in the
///   room allows at that entry of the log, also when a commit that removes it comes at the same time.
///
/// A ledger judges no message; that is done before, on the state of an epoch, which never changes.
pub trait Ledger: Send + Sync {
    /// What the engine itself says of how it writes now.
    fn durability(&self) -> Answer<'_, Durability>;

    /// Adds or replaces key packages of a device, which becomes known by it. A key package whose
    /// reference was there before is skipped; one of last resort replaces that of its suite. Expired
    /// ones are dropped. `now` is in seconds since 1970-01-01T00:00Z; `most` bounds what is unclaimed.
    fn publish<'a>(
        &'a self,
        device: &'a DeviceUri,
        packages: Vec<(CheckedKeyPackage, Vec<u8>)>,
        publication: Publication,
        most: u64,
        now: u64,
    ) -> Answer<'a, Published>;

    /// What a device has left; empty for an unknown one.
    fn stock<'a>(&'a self, device: &'a DeviceUri, now: u64) -> Answer<'a, Stock>;

    /// Takes one key package of every device of the user: the oldest one-time one that has not
    /// expired, else that of last resort, which stays.
    fn claim(&self, claim: Claim) -> Answer<'_, Claims>;

    /// Creates a room with its first epoch and an empty log, and makes it the successor of its
    /// predecessor.
    fn create(&self, room: NewRoom) -> Answer<'_, Created>;

    /// Where a room is, and what this device is to it.
    fn room<'a>(&'a self, room: &'a RoomUri, device: &'a DeviceUri) -> Answer<'a, Option<RoomRecord>>;

    /// The GroupInfo of an epoch while it is kept.
    fn group_info(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<KeptInfo>>;

    /// All records of the public state of an epoch, in the order of their keys, while it is kept.
    fn state(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<StateRecord>>>;

    /// The newest epoch that has a tree with this hash, of those that are kept.
    fn epoch_of_tree<'a>(&'a self, room: RoomId, tree_hash: &'a [u8]) -> Answer<'a, Option<u64>>;

    /// The proposals in an epoch, in the order of the log.
    fn proposals(&self, room: RoomId, epoch: u64) -> Answer<'_, Vec<Vec<u8>>>;

    /// The outcome that is stored under an idempotency key.
    fn remembered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Remembered>>;

    /// Why a message of this epoch comes too early or too late, if it does.
    fn conflict(&self, room: RoomId, epoch: u64) -> Answer<'_, Conflict>;

    /// Appends a commit and moves the room to the next epoch, if the room is in the commit's epoch.
    fn append_commit(&self, commit: NewCommit) -> Answer<'_, Appended>;

    /// Appends an application message or a proposal, if the room is in its epoch or at most `late`
    /// epochs further.
    fn append(&self, entry: NewEntry, late: u64) -> Answer<'_, Appended>;

    /// The key by which devices prove that they are in an epoch of a room.
    fn access_key(&self, room: RoomId, epoch: u64) -> Answer<'_, Option<Vec<u8>>>;

    /// Lets a device in that has proved to know the secrets of an epoch: it reads what was sent in it, the
    /// commit that ended it included, and is a member if that is the present one. Without a commit by
    /// which the epoch began, it reads from the beginning of the log.
    fn admit<'a>(&'a self, room: RoomId, device: &'a DeviceUri, epoch: u64) -> Answer<'a, ()>;

    /// Counts a report, once for each leaf, and closes the room at the commit when they are enough. The
    /// public state of a reported epoch is kept, however many commits follow.
    fn report(&self, report: NewReport) -> Answer<'_, Reported>;

    /// A run of a room's log, as far as this device may read it; all of it for `None`, which is nobody's
    /// request.
    fn log<'a>(&'a self, room: RoomId, reader: Option<&'a DeviceUri>, page: Page) -> Answer<'a, LogRead>;

    /// A run of a device's mailbox; empty for an unknown one.
    fn mailbox<'a>(&'a self, device: &'a DeviceUri, page: Page) -> Answer<'a, MailboxPage>;

    /// Removes an item from a device's mailbox, if it is there.
    fn acknowledge<'a>(&'a self, device: &'a DeviceUri, sequence: u64) -> Answer<'a, ()>;
}
