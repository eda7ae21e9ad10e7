//! Records: how a group lies in storage, and the change sets that keep it there.
//!
//! A group is a small head plus keyed records. An operation that lacks a record returns
//! [`Missing`] before it does any expensive work and with nothing moved; the caller reads the
//! records its own way and supplies them. Every operation that changes something yields one
//! [`ChangeSet`], which a store applies in one transaction.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::Zeroizing;
use keyroom_wire::GroupId;

/// What a record holds. The numbers are part of the storage format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// GroupContext, transcript, own leaf, root summary, what else there is. One per group.
    Head = 0,
    /// Secrets of an epoch that survive; `major` is the epoch id.
    Epoch = 1,
    /// Own private keys by height.
    PathKeys = 2,
    /// The bytes of a leaf; `minor` is its index.
    Leaf = 3,
    /// Parents and summaries of a page; `major` is its row counted from the leaves, `minor` its
    /// place in the row.
    Page = 4,
    /// Secret-tree nodes of one page; `major` is the epoch id, `minor` is row << 32 | place.
    Secrets = 5,
    /// The ratchet of one sender; `major` is the epoch id, `minor` is leaf << 1 | ratchet type.
    Ratchet = 6,
    /// Keys of skipped generations; `major` is the epoch id, `minor` is (leaf << 1 | type) << 28 | chunk.
    Skipped = 7,
    /// A bucket of the key index; `minor` is the bucket.
    IndexBase = 8,
    /// Entries of the key index that are not in a bucket yet.
    IndexLog = 9,
    /// Counts of supported capabilities and of credential types in use.
    Counts = 10,
    /// A proposal of the current epoch; `major` is the epoch id, `minor` its number.
    Proposal = 11,
    /// An own commit that has been made and not applied; `minor` is its number.
    Pending = 12,
    /// Resumption PSKs of past epochs.
    Resumption = 13,
    /// Earlier versions of the leaves that the commit after this epoch changed; `major` is the epoch id.
    PastLeaves = 14,
}

impl RecordKind {
    const ALL: [Self; 15] = [
        Self::Head,
        Self::Epoch,
        Self::PathKeys,
        Self::Leaf,
        Self::Page,
        Self::Secrets,
        Self::Ratchet,
        Self::Skipped,
        Self::IndexBase,
        Self::IndexLog,
        Self::Counts,
        Self::Proposal,
        Self::Pending,
        Self::Resumption,
        Self::PastLeaves,
    ];

    /// The number of the kind in storage.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Names a record within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What it holds.
    pub kind: RecordKind,
    /// First part of the name; see [`RecordKind`].
    pub major: u64,
    /// Second part of the name.
    pub minor: u64,
}

impl RecordKey {
    /// A key.
    pub const fn new(kind: RecordKind, major: u64, minor: u64) -> Self {
        Self { kind, major, minor }
    }

    /// The head record of a group.
    pub const HEAD: Self = Self::new(RecordKind::Head, 0, 0);
}

/// Records that an operation needs and that are not in memory. Not a failure of the message: read
/// them, supply them, call again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Vec<RecordKey>);

/// The value of a record. It may hold secrets and is overwritten when dropped.
pub type RecordValue = Zeroizing<Vec<u8>>;

/// What one operation changed, to be applied by a store in one transaction: first
/// [`cleared`](Self::cleared), then [`writes`](Self::writes).
///
/// It names the version of the group that it was made from; a store that holds another version
/// refuses it, because another handle, tab or process was first.
#[derive(Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The group.
    pub group_id: GroupId,
    /// Version of the group that this was made from; 0 for a group that is not stored yet.
    pub base: u64,
    /// Version after it; always greater than `base`.
    pub version: u64,
    /// Whether the group ends here: the store deletes all that it has of it.
    pub deleted: bool,
    /// All records of a kind and a `major` go (an epoch that leaves the window).
    pub cleared: Vec<(RecordKind, u64)>,
    /// Records set (`Some`) or deleted (`None`).
    pub writes: BTreeMap<RecordKey, Option<RecordValue>>,
}

impl ChangeSet {
    /// An empty change set from one version to the next.
    pub fn new(group_id: GroupId, base: u64) -> Self {
        Self {
            group_id,
            base,
            version: base.saturating_add(1),
            deleted: false,
            cleared: Vec::new(),
            writes: BTreeMap::new(),
        }
    }

    /// Sets a record.
    pub fn put(&mut self, key: RecordKey, value: impl Into<RecordValue>) {
        self.writes.insert(key, Some(value.into()));
    }

    /// Deletes a record.
    pub fn delete(&mut self, key: RecordKey) {
        self.writes.insert(key, None);
    }

    /// Deletes all records of a kind with this `major`, also those set earlier in this change set.
    pub fn clear(&mut self, kind: RecordKind, major: u64) {
        self.writes.retain(|key, _| (key.kind, key.major) != (kind, major));
        self.cleared.push((kind, major));
    }

    /// This one and the one after it as one.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        next.cleared.into_iter().for_each(|(kind, major)| self.clear(kind, major));
        self.writes.extend(next.writes);
        Self { version: next.version, deleted: self.deleted || next.deleted, ..self }
    }

    /// Sum of the lengths of all values that are written, in bytes.
    pub fn bytes(&self) -> usize {
        self.writes.values().flatten().map(|value| value.len()).sum()
    }
}

/// A record whose bytes are not what its kind calls for: storage is damaged, or written by a later
/// version. Trying again with the same bytes cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MalformedRecord(pub RecordKind);

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored record of kind {:?} is malformed", self.0)
    }
}

impl core::error::Error for MalformedRecord {}
