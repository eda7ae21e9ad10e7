//! Keys of generations that were skipped: which are kept, and which go first.
//!
//! They lie in chunks of consecutive generations of one ratchet, one record each, so that using one
//! rewrites little. A small index, one record, names all chunks of the epoch in the order in which
//! they were begun, with their counts: so the bounds hold without reading the chunks.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::RatchetLimits;
use super::ratchet::MessageKey;
use super::records::{ChunkName, Geometry, RatchetName};

/// The kept keys of one chunk by generation.
pub(super) type Chunk = BTreeMap<u32, MessageKey>;

/// All chunks of the epoch, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SkippedIndex(pub(super) Vec<IndexEntry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) chunk: ChunkName,
    pub(super) count: u8,
}

/// What a message does to the skipped keys, not done yet.
#[derive(Debug)]
pub(super) struct SkippedChange {
    /// Whose keys are added and removed.
    pub(super) ratchet: RatchetName,
    /// Keys that are kept from now on.
    pub(super) added: Vec<MessageKey>,
    /// Generations of the same ratchet whose keys go, used or dropped.
    pub(super) removed: BTreeSet<u32>,
    /// Chunks of any ratchet that go as a whole.
    pub(super) dropped: Vec<ChunkName>,
    /// The index afterwards.
    pub(super) index: SkippedIndex,
    /// The ratchet's [`floor`](super::ratchet::Ratchet::floor) afterwards.
    pub(super) floor: u32,
}

impl SkippedIndex {
    /// How many keys a chunk holds; 0 if it is not listed.
    pub(super) fn count(&self, chunk: ChunkName) -> usize {
        self.0.iter().find(|entry| entry.chunk == chunk).map_or(0, |entry| entry.count.into())
    }

    fn add(&mut self, chunk: ChunkName) {
        // A message adds to one ratchet in order, so its chunk is mostly the last entry.
        match self.0.iter_mut().rev().find(|entry| entry.chunk == chunk) {
            Some(entry) => entry.count = entry.count.saturating_add(1),
            None => self.0.push(IndexEntry { chunk, count: 1 }),
        }
    }

    fn subtract(&mut self, chunk: ChunkName, keys: usize) {
        let keys = u8::try_from(keys).unwrap_or(u8::MAX);
        let entries = self.0.iter_mut().filter(|entry| entry.chunk == chunk);
        entries.for_each(|entry| entry.count = entry.count.saturating_sub(keys));
        self.0.retain(|entry| entry.count > 0);
    }

    /// Forgets a chunk and says how many keys it held.
    fn remove(&mut self, chunk: ChunkName) -> usize {
        let count = self.count(chunk);
        self.0.retain(|entry| entry.chunk != chunk);
        count
    }

    fn total(&self) -> usize {
        self.0.iter().map(|entry| usize::from(entry.count)).sum()
    }

    fn of(&self, ratchet: RatchetName) -> impl Iterator<Item = &IndexEntry> {
        self.0.iter().filter(move |entry| entry.chunk.ratchet() == ratchet)
    }
}

impl SkippedChange {
    /// One kept key is used.
    pub(super) fn consume(index: &SkippedIndex, chunk: ChunkName, generation: u32, floor: u32) -> Self {
        let mut index = index.clone();
        index.subtract(chunk, 1);
        Self {
            ratchet: chunk.ratchet(),
            added: Vec::new(),
            removed: BTreeSet::from([generation]),
            dropped: Vec::new(),
            index,
            floor,
        }
    }

    /// Keys are added; whatever is over the limits goes, the oldest first: one by one in chunks
    /// that are rewritten anyway, otherwise whole chunks.
    pub(super) fn add(
        index: &SkippedIndex,
        chunks: &BTreeMap<ChunkName, Chunk>,
        geometry: Geometry,
        ratchet: RatchetName,
        added: Vec<MessageKey>,
        floor: u32,
        limits: &RatchetLimits,
    ) -> Self {
        let mut plan = Plan {
            geometry,
            ratchet,
            open: BTreeMap::new(),
            removed: BTreeSet::new(),
            dropped: Vec::new(),
            index: index.clone(),
            floor,
        };
        added.iter().for_each(|key| plan.keep(key.generation, chunks));
        plan.enforce(limits);
        let Plan { removed, dropped, index, floor, .. } = plan;
        let added = added.into_iter().filter(|key| !removed.contains(&key.generation)).collect();
        Self { ratchet, added, removed, dropped, index, floor }
    }
}

struct Plan {
    geometry: Geometry,
    ratchet: RatchetName,
    /// Generations in the chunks that are rewritten.
    open: BTreeMap<ChunkName, BTreeSet<u32>>,
    removed: BTreeSet<u32>,
    dropped: Vec<ChunkName>,
    index: SkippedIndex,
    floor: u32,
}

impl Plan {
    fn keep(&mut self, generation: u32, chunks: &BTreeMap<ChunkName, Chunk>) {
        let chunk = self.geometry.chunk(self.ratchet, generation);
        let stored = || chunks.get(&chunk).map(|keys| keys.keys().copied().collect()).unwrap_or_default();
        self.open.entry(chunk).or_insert_with(stored).insert(generation);
        self.index.add(chunk);
    }

    fn enforce(&mut self, limits: &RatchetLimits) {
        let own = self.index.of(self.ratchet).map(|entry| usize::from(entry.count)).sum::<usize>();
        let lowest = |index: &SkippedIndex, ratchet| index.of(ratchet).map(|entry| entry.chunk).min();
        self.drop_excess(own.saturating_sub(limits.max_skipped_per_sender), lowest);
        let oldest = |index: &SkippedIndex, _| index.0.first().map(|entry| entry.chunk);
        self.drop_excess(self.index.total().saturating_sub(limits.max_skipped_total), oldest);
    }

    /// Drops at least `excess` keys, each time from the chunk that `next` names.
    fn drop_excess(&mut self, mut excess: usize, next: impl Fn(&SkippedIndex, RatchetName) -> Option<ChunkName>) {
        while let Some(chunk) = next(&self.index, self.ratchet).filter(|_| excess > 0) {
            excess = excess.saturating_sub(self.drop_from(chunk, excess));
        }
    }

    /// Drops keys of a chunk and says how many: the lowest, at most `most`, if the chunk is rewritten
    /// anyway, otherwise all.
    fn drop_from(&mut self, chunk: ChunkName, most: usize) -> usize {
        let Some(open) = self.open.get_mut(&chunk) else {
            self.dropped.push(chunk);
            self.lift_floor(chunk.ratchet(), self.geometry.chunk_end(chunk));
            return self.index.remove(chunk);
        };
        let lowest: Vec<_> = open.iter().copied().take(most).collect();
        for generation in &lowest {
            open.remove(generation);
            self.removed.insert(*generation);
        }
        let floor = lowest.last().map_or(0, |generation| generation.saturating_add(1));
        self.lift_floor(chunk.ratchet(), floor);
        self.index.subtract(chunk, lowest.len());
        lowest.len()
    }

    fn lift_floor(&mut self, ratchet: RatchetName, floor: u32) {
        if ratchet == self.ratchet {
            self.floor = self.floor.max(floor);
        }
    }
}
