//! The secret tree (RFC 9420 §9): a key for each message of each sender of an epoch.
//!
//! Asking for a key changes nothing: it is derived on copies and comes with a [`Puncture`], which
//! says what must be forgotten. Once the message has been opened (or before it is sent), the
//! puncture is applied; it deletes everything from which the key follows, in memory and in the
//! change set. A message that does not open leaves no trace.
//!
//! The first message of a sender costs one derivation per level, each further one a ratchet step.
//! A tree opened from storage reads only what a message needs: see [`SecretTree::stored`].

mod derive;
mod error;
mod load;
mod punctured;
mod ratchet;
mod records;
mod skipped;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use keyroom_crypto::Suite;
use keyroom_wire::LeafIndex;

use crate::key_schedule::EncryptionSecret;
use crate::record::{ChangeSet, RecordKey, RecordKind, RecordValue};

pub use error::SecretTreeError;
pub use punctured::{Consumed, NodeName, Path, PunctureError, PuncturedTree, Side, TreePuncture};
pub use ratchet::{MessageKey, RatchetType};

use ratchet::{Ratchet, Run};
use records::{ChunkName, Geometry, LeafPath, RatchetName};
use skipped::{Chunk, SkippedChange, SkippedIndex};

/// How far out of order messages may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatchetLimits {
    /// Generations that one message may skip; bounds its cost. Default 1,024.
    pub max_forward: u32,
    /// Skipped keys kept for each ratchet of a sender. Default 1,024.
    pub max_skipped_per_sender: usize,
    /// Skipped keys kept in the epoch. Default 4,096, less than 200 kB.
    pub max_skipped_total: usize,
}

impl Default for RatchetLimits {
    fn default() -> Self {
        Self { max_forward: 1_024, max_skipped_per_sender: 1_024, max_skipped_total: 4_096 }
    }
}

/// The secret tree of one epoch with the ratchets of all senders seen so far.
#[derive(Debug)]
pub struct SecretTree {
    suite: &'static dyn Suite,
    geometry: Geometry,
    /// Counts applied punctures, so that a stale one is recognised.
    revision: u64,
    tree: PuncturedTree<LeafPath>,
    ratchets: BTreeMap<RatchetName, Ratchet>,
    chunks: BTreeMap<ChunkName, Chunk>,
    index: SkippedIndex,
    /// The records that are in memory, or known to be absent; `None` if that is all of them.
    loaded: Option<BTreeSet<RecordKey>>,
}

/// What must be forgotten once a key has been used. Dropping it forgets nothing.
#[derive(Debug)]
#[must_use = "a key that was used must be deleted"]
pub struct Puncture {
    epoch_id: u64,
    revision: u64,
    tree: Option<TreePuncture<LeafPath>>,
    ratchets: Vec<(RatchetName, Ratchet)>,
    skipped: Option<SkippedChange>,
}

impl Puncture {
    /// Whether the key was that of the very next message of its sender.
    pub(crate) fn is_in_order(&self) -> bool {
        self.skipped.is_none()
    }
}

/// What an applied puncture has taken away. Dropping it erases that for good.
#[derive(Debug)]
pub(crate) struct Spent {
    tree: Option<Consumed<LeafPath>>,
    ratchets: Vec<(RatchetName, Option<Ratchet>)>,
}

impl SecretTree {
    /// The whole tree of a new epoch of `2^depth` leaves (at most 2^32). Nothing is stored yet: see
    /// [`store_all`](Self::store_all). `epoch_id` is the `major` of its records.
    pub fn new(suite: &'static dyn Suite, encryption_secret: EncryptionSecret, depth: u8, epoch_id: u64) -> Self {
        let mut tree = Self::stored(suite, depth, epoch_id);
        tree.tree = PuncturedTree::new(encryption_secret.into_secret(), tree.geometry.depth, &0);
        tree.loaded = None;
        tree
    }

    /// A tree that lies in storage and of which nothing has been read. Operations that lack records
    /// return [`SecretTreeError::Missing`] with all that the message needs: the sender's ratchet,
    /// the ⌈depth/3⌉ pages for the case that it does not exist, and the records of skipped keys.
    /// Only a message that skips keys in the middle of a chunk can ask a second time.
    pub fn stored(suite: &'static dyn Suite, depth: u8, epoch_id: u64) -> Self {
        let geometry = Geometry::new(suite, depth, epoch_id);
        Self {
            suite,
            geometry,
            revision: 0,
            tree: PuncturedTree::empty(geometry.depth),
            ratchets: BTreeMap::new(),
            chunks: BTreeMap::new(),
            index: SkippedIndex::default(),
            loaded: Some(BTreeSet::new()),
        }
    }

    /// Levels below the root.
    pub fn depth(&self) -> u16 {
        self.geometry.depth
    }

    /// The `major` of the records.
    pub fn epoch_id(&self) -> u64 {
        self.geometry.epoch_id
    }

    /// The key of a received message. Nothing changes until the puncture is applied.
    ///
    /// # Errors
    /// [`SecretTreeError`]; the limit on generations is checked before anything is derived.
    pub fn open_key(
        &self,
        leaf: LeafIndex,
        ratchet_type: RatchetType,
        generation: u32,
        limits: &RatchetLimits,
    ) -> Result<(MessageKey, Puncture), SecretTreeError> {
        let name = self.ratchet_name(leaf, ratchet_type)?;
        if generation == u32::MAX {
            return Err(SecretTreeError::Exhausted);
        }
        self.require(self.first_needs(leaf, name, generation))?;
        let source = self.source(leaf, name, ratchet_type)?;
        let next = source.ratchet().next;
        match generation.checked_sub(next) {
            None => self.open_skipped(name, source.ratchet().floor, generation),
            Some(gap) if gap > limits.max_forward => Err(SecretTreeError::TooFarAhead),
            Some(0) => {
                let Run { key, after, .. } = source.ratchet().run(self.suite, generation, generation)?;
                Ok((key, self.puncture(name, source, after, None)))
            }
            Some(gap) => self.open_ahead(name, source, gap, limits),
        }
    }

    /// The key of the next message to send. Apply the puncture, and make the change set durable,
    /// before the ciphertext leaves: a generation is never used twice.
    ///
    /// # Errors
    /// [`SecretTreeError`].
    pub fn next_key(
        &self,
        leaf: LeafIndex,
        ratchet_type: RatchetType,
    ) -> Result<(MessageKey, Puncture), SecretTreeError> {
        let name = self.ratchet_name(leaf, ratchet_type)?;
        self.require(self.first_needs(leaf, name, 0))?;
        let source = self.source(leaf, name, ratchet_type)?;
        let next = source.ratchet().next;
        if next == u32::MAX {
            return Err(SecretTreeError::Exhausted);
        }
        let Run { key, after, .. } = source.ratchet().run(self.suite, next, next)?;
        Ok((key, self.puncture(name, source, after, None)))
    }

    /// Forgets what a used key follows from, and writes the records that changed.
    ///
    /// # Errors
    /// [`SecretTreeError::Stale`] if another puncture was applied since this one was made; applying
    /// it would bring a deleted key back.
    pub fn apply(&mut self, puncture: Puncture, changes: &mut ChangeSet) -> Result<(), SecretTreeError> {
        self.apply_for_now(puncture, changes).map(drop)
    }

    /// As [`apply`](Self::apply), but what it forgets is kept until the result is dropped.
    pub(crate) fn apply_for_now(
        &mut self,
        puncture: Puncture,
        changes: &mut ChangeSet,
    ) -> Result<Spent, SecretTreeError> {
        if (puncture.epoch_id, puncture.revision) != (self.geometry.epoch_id, self.revision) {
            return Err(SecretTreeError::Stale);
        }
        self.revision = self.revision.saturating_add(1);
        let tree = puncture.tree.and_then(|tree| self.apply_tree(tree, changes));
        let geometry = self.geometry;
        let mut ratchets = Vec::with_capacity(puncture.ratchets.len());
        for (name, ratchet) in puncture.ratchets {
            self.write(geometry.ratchet_key(name), Some(geometry.write_ratchet(&ratchet)), changes);
            ratchets.push((name, self.ratchets.insert(name, ratchet)));
        }
        if let Some(skipped) = puncture.skipped {
            self.apply_skipped(skipped, changes);
        }
        Ok(Spent { tree, ratchets })
    }

    /// Takes punctures in order back, newest first. The change set that they wrote into is dropped by
    /// the caller. They must not have skipped keys: see [`Puncture::is_in_order`].
    pub(crate) fn take_back(&mut self, spent: Vec<Spent>) {
        self.revision = self.revision.saturating_add(1);
        for Spent { tree, ratchets } in spent.into_iter().rev() {
            for (name, ratchet) in ratchets {
                match ratchet {
                    Some(ratchet) => drop(self.ratchets.insert(name, ratchet)),
                    None => drop(self.ratchets.remove(&name)),
                }
            }
            if let Some(consumed) = tree {
                self.tree.restore(consumed);
            }
        }
    }

    /// Asks for the records that a message needs and whose names are known before anything is read.
    ///
    /// # Errors
    /// [`SecretTreeError::Missing`], [`SecretTreeError::LeafOutside`].
    pub(crate) fn require_key(
        &self,
        leaf: LeafIndex,
        ratchet_type: RatchetType,
        generation: u32,
    ) -> Result<(), SecretTreeError> {
        let name = self.ratchet_name(leaf, ratchet_type)?;
        self.require(self.first_needs(leaf, name, generation))
    }

    /// Attaches records that were read: `None` for one that does not exist. Records of other kinds
    /// and epochs, and those already in memory, are passed over.
    ///
    /// # Errors
    /// [`SecretTreeError::Record`] with nothing attached.
    pub fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), SecretTreeError> {
        let mut parsed = Vec::with_capacity(records.len());
        for (key, value) in records {
            if key.major == self.geometry.epoch_id && !self.is_loaded(key) {
                parsed.extend(self.parse(*key, value.as_ref())?.map(|record| (*key, record)));
            }
        }
        for (key, record) in parsed {
            self.attach(key, record);
        }
        Ok(())
    }

    /// Writes everything that is in memory: the records of an epoch that begins.
    pub fn store_all(&self, changes: &mut ChangeSet) {
        let geometry = self.geometry;
        let pages: BTreeSet<_> = self.tree.nodes().map(|node| geometry.page_of(node)).collect();
        for page in pages {
            geometry
                .write_page(&self.tree, page)
                .into_iter()
                .for_each(|value| changes.put(geometry.page_key(page), value));
        }
        self.ratchets.iter().for_each(|(name, ratchet)| {
            changes.put(geometry.ratchet_key(*name), geometry.write_ratchet(ratchet));
        });
        self.chunks
            .iter()
            .for_each(|(name, chunk)| changes.put(geometry.chunk_key(*name), geometry.write_chunk(chunk)));
        geometry.write_index(&self.index).into_iter().for_each(|value| changes.put(geometry.index_key(), value));
    }

    /// Deletes all records of an epoch: when it leaves the window of past epochs.
    pub fn clear(epoch_id: u64, changes: &mut ChangeSet) {
        [RecordKind::Secrets, RecordKind::Ratchet, RecordKind::Skipped]
            .into_iter()
            .for_each(|kind| changes.clear(kind, epoch_id));
    }
}
