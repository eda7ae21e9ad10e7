//! Names and bytes of the secret tree's records.
//!
//! Secrets lie in pages: page (row, place) holds the nodes of heights 3·row … 3·row + 2 below one
//! node of height 3·row + 3, counted from the leaves, so that a path of depth d touches ⌈d/3⌉
//! pages. The root has a place of its own in the top page. A page holds at most eight secrets,
//! because only the highest unconsumed nodes are kept.
//!
//! | record | bytes |
//! |---|---|
//! | page | version, `u16` mask of the slots, the secrets in the order of the slots |
//! | ratchet | version, `u32` next generation, `u32` floor, secret |
//! | chunk | version, `u32` mask of the generations, key and nonce of each |
//! | index | version, for each chunk its `u64` name and `u8` count, oldest first |

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use keyroom_crypto::{Secret, Suite, Zeroizing};
use keyroom_wire::LeafIndex;

use super::punctured::{NodeName, PuncturedTree};
use super::ratchet::{MessageKey, Ratchet, RatchetType};
use super::skipped::{Chunk, IndexEntry, SkippedIndex};
use crate::record::{MalformedRecord, RecordKey, RecordKind, RecordValue};

const VERSION: u8 = 1;
const ROW_HEIGHT: u16 = 3;
const SLOTS: u16 = 16;
/// No chunk has this name: a chunk name takes 61 bits.
const INDEX: u64 = u64::MAX;
/// Longest value that stays inside a page of the embedded database.
const RECORD_TARGET: usize = 1_000;

/// The way from the root to a leaf as the highest bits of a `u32`.
pub(super) type LeafPath = u32;

/// One ratchet of one sender: leaf << 1 | type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RatchetName(u64);

/// Up to 32 consecutive generations of a ratchet: ratchet << 28 | chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChunkName(u64);

/// A page: row << 32 | place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PageName(u64);

/// Everything about the records that follows from suite, depth and epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) epoch_id: u64,
    pub(super) depth: u16,
    secret_len: usize,
    key_len: usize,
    nonce_len: usize,
    /// Generations in a chunk, as a power of two.
    chunk_bits: u32,
}

impl RatchetName {
    pub(super) fn new(leaf: LeafIndex, ratchet_type: RatchetType) -> Self {
        let bit = match ratchet_type {
            RatchetType::Handshake => 0,
            RatchetType::Application => 1,
        };
        Self(u64::from(leaf.0) << 1 | bit)
    }

    pub(super) fn sibling(self) -> Self {
        Self(self.0 ^ 1)
    }
}

impl ChunkName {
    pub(super) fn ratchet(self) -> RatchetName {
        RatchetName(self.0 >> 28)
    }

    fn number(self) -> u32 {
        u32::try_from(self.0 & 0x0fff_ffff).unwrap_or_default()
    }
}

impl Geometry {
    pub(super) fn new(suite: &dyn Suite, depth: u8, epoch_id: u64) -> Self {
        let (key_len, nonce_len) = (suite.aead_key_len(), suite.aead_nonce_len());
        // Numbers of chunks have 28 bits, so a chunk has at least 16 generations.
        let chunk_bits = if 5 + 32 * (key_len + nonce_len) <= RECORD_TARGET { 5 } else { 4 };
        let depth = u16::from(depth.min(32));
        Self { epoch_id, depth, secret_len: suite.kdf().output_len(), key_len, nonce_len, chunk_bits }
    }

    pub(super) fn path(self, leaf: LeafIndex) -> LeafPath {
        leaf.0.checked_shl(u32::from(32 - self.depth.min(32))).unwrap_or(0)
    }

    pub(super) fn holds(self, leaf: LeafIndex) -> bool {
        u64::from(leaf.0) >> self.depth == 0
    }

    pub(super) fn chunk(self, ratchet: RatchetName, generation: u32) -> ChunkName {
        ChunkName(ratchet.0 << 28 | u64::from(generation >> self.chunk_bits))
    }

    /// The first generation after a chunk.
    pub(super) fn chunk_end(self, chunk: ChunkName) -> u32 {
        let end = (u64::from(chunk.number()) + 1) << self.chunk_bits;
        u32::try_from(end).unwrap_or(u32::MAX)
    }

    pub(super) fn page_key(self, page: PageName) -> RecordKey {
        RecordKey::new(RecordKind::Secrets, self.epoch_id, page.0)
    }

    pub(super) fn ratchet_key(self, ratchet: RatchetName) -> RecordKey {
        RecordKey::new(RecordKind::Ratchet, self.epoch_id, ratchet.0)
    }

    pub(super) fn chunk_key(self, chunk: ChunkName) -> RecordKey {
        RecordKey::new(RecordKind::Skipped, self.epoch_id, chunk.0)
    }

    pub(super) fn index_key(self) -> RecordKey {
        RecordKey::new(RecordKind::Skipped, self.epoch_id, INDEX)
    }

    /// The pages that hold the ancestors of a leaf, their siblings and the leaf.
    pub(super) fn pages_above(self, leaf: LeafIndex) -> impl Iterator<Item = PageName> {
        (0..=self.top_row()).map(move |row| {
            let place = u64::from(leaf.0).checked_shr(u32::from(ROW_HEIGHT * (row + 1))).unwrap_or(0);
            PageName(u64::from(row) << 32 | place)
        })
    }

    fn top_row(self) -> u16 {
        self.depth.div_ceil(ROW_HEIGHT).saturating_sub(1)
    }

    /// The page of a node.
    pub(super) fn page_of(self, node: &NodeName<LeafPath>) -> PageName {
        let height = self.depth - node.level.min(self.depth);
        let row = (height / ROW_HEIGHT).min(self.top_row());
        let place = index_of(node).checked_shr(u32::from(ROW_HEIGHT * (row + 1) - height)).unwrap_or(0);
        PageName(u64::from(row) << 32 | u64::from(place))
    }

    /// The node in a slot of a page; slots are numbered as in a heap, the page's top node is 1.
    /// `None` for a slot of another page or outside the tree.
    pub(super) fn node_in(self, page: PageName, slot: u16) -> Option<NodeName<LeafPath>> {
        let row = u16::try_from(page.0 >> 32).ok().filter(|row| *row <= self.top_row())?;
        let below = u16::try_from(slot.checked_ilog2()?).ok()?;
        let height = ROW_HEIGHT * (row + 1) - below;
        let level = self.depth.checked_sub(height)?;
        let place = page.0 & 0xffff_ffff;
        let index = place << below | u64::from(slot ^ 1 << below);
        if below == 0 && level != 0 || index >> level != 0 {
            return None;
        }
        let path = u32::try_from(index).ok()?.checked_shl(u32::from(32 - level)).unwrap_or(0);
        Some(NodeName { level, path })
    }

    pub(super) fn write_page(self, tree: &PuncturedTree<LeafPath>, page: PageName) -> Option<RecordValue> {
        let secret = |slot: u16| tree.secret(&self.node_in(page, slot)?);
        let mask = (1..SLOTS).filter(|slot| secret(*slot).is_some()).fold(0_u16, |mask, slot| mask | 1 << slot);
        if mask == 0 {
            return None;
        }
        let mut out = buffer(3 + (1..SLOTS).filter_map(secret).map(Secret::len).sum::<usize>());
        out.push(VERSION);
        out.extend_from_slice(&mask.to_be_bytes());
        (1..SLOTS).filter_map(secret).for_each(|secret| out.extend_from_slice(secret.expose()));
        Some(out)
    }

    pub(super) fn read_page(
        self,
        page: PageName,
        bytes: &[u8],
    ) -> Result<Vec<(NodeName<LeafPath>, Secret)>, MalformedRecord> {
        let mut fields = Fields { kind: RecordKind::Secrets, rest: bytes };
        fields.version()?;
        let mask = u16::from_be_bytes(fields.array()?);
        let slots = (0..SLOTS).filter(|slot| mask & 1 << slot != 0);
        let mut nodes = Vec::new();
        for slot in slots {
            // A node and its ancestor are never kept together.
            let nested = (1..=ROW_HEIGHT).map(|up| slot >> up).any(|above| above > 0 && mask & 1 << above != 0);
            let node = self.node_in(page, slot).filter(|_| !nested).ok_or(fields.malformed())?;
            nodes.push((node, fields.secret(self.secret_len)?));
        }
        if nodes.is_empty() { Err(fields.malformed()) } else { fields.finish(nodes) }
    }

    pub(super) fn write_ratchet(self, ratchet: &Ratchet) -> RecordValue {
        let mut out = buffer(9 + self.secret_len);
        out.push(VERSION);
        out.extend_from_slice(&ratchet.next.to_be_bytes());
        out.extend_from_slice(&ratchet.floor.to_be_bytes());
        out.extend_from_slice(ratchet.secret.expose());
        out
    }

    pub(super) fn read_ratchet(self, bytes: &[u8]) -> Result<Ratchet, MalformedRecord> {
        let mut fields = Fields { kind: RecordKind::Ratchet, rest: bytes };
        fields.version()?;
        let (next, floor) = (u32::from_be_bytes(fields.array()?), u32::from_be_bytes(fields.array()?));
        let secret = fields.secret(self.secret_len)?;
        if floor > next { Err(fields.malformed()) } else { fields.finish(Ratchet { next, floor, secret }) }
    }

    pub(super) fn write_chunk(self, chunk: &Chunk) -> RecordValue {
        let mut out = buffer(5 + chunk.len() * (self.key_len + self.nonce_len));
        let width = (1_u32 << self.chunk_bits) - 1;
        let mask = chunk.keys().fold(0_u32, |mask, generation| mask | 1 << (generation & width));
        out.push(VERSION);
        out.extend_from_slice(&mask.to_be_bytes());
        for key in chunk.values() {
            out.extend_from_slice(key.key.expose());
            out.extend_from_slice(key.nonce.expose());
        }
        out
    }

    pub(super) fn read_chunk(self, name: ChunkName, bytes: &[u8]) -> Result<Chunk, MalformedRecord> {
        let mut fields = Fields { kind: RecordKind::Skipped, rest: bytes };
        fields.version()?;
        let mask = u32::from_be_bytes(fields.array()?);
        let mut chunk = Chunk::new();
        for bit in (0..32).filter(|bit| mask & 1 << bit != 0) {
            let generation = u64::from(name.number()) << self.chunk_bits | bit;
            if bit >> self.chunk_bits != 0 {
                return Err(fields.malformed());
            }
            let generation = u32::try_from(generation).map_err(|_| fields.malformed())?;
            let (key, nonce) = (fields.secret(self.key_len)?, fields.secret(self.nonce_len)?);
            chunk.insert(generation, MessageKey { generation, key, nonce });
        }
        if chunk.is_empty() { Err(fields.malformed()) } else { fields.finish(chunk) }
    }

    pub(super) fn write_index(self, index: &SkippedIndex) -> Option<RecordValue> {
        if index.0.is_empty() {
            return None;
        }
        let mut out = buffer(1 + 9 * index.0.len());
        out.push(VERSION);
        for entry in &index.0 {
            out.extend_from_slice(&entry.chunk.0.to_be_bytes());
            out.push(entry.count);
        }
        Some(out)
    }

    pub(super) fn read_index(self, bytes: &[u8]) -> Result<SkippedIndex, MalformedRecord> {
        let mut fields = Fields { kind: RecordKind::Skipped, rest: bytes };
        fields.version()?;
        let mut index = SkippedIndex::default();
        let mut seen = BTreeSet::new();
        while !fields.rest.is_empty() {
            let chunk = ChunkName(u64::from_be_bytes(fields.array()?));
            let [count] = fields.array()?;
            if count == 0 || u32::from(count) > 1 << self.chunk_bits || !seen.insert(chunk) {
                return Err(fields.malformed());
            }
            index.0.push(IndexEntry { chunk, count });
        }
        if index.0.is_empty() { Err(fields.malformed()) } else { fields.finish(index) }
    }
}

/// The place of a node in its level.
fn index_of(node: &NodeName<LeafPath>) -> u32 {
    node.path.checked_shr(32_u32.saturating_sub(node.level.into())).unwrap_or(0)
}

fn buffer(capacity: usize) -> RecordValue {
    Zeroizing::new(Vec::with_capacity(capacity))
}

impl From<u64> for PageName {
    fn from(minor: u64) -> Self {
        Self(minor)
    }
}

impl From<u64> for RatchetName {
    fn from(minor: u64) -> Self {
        Self(minor)
    }
}

impl From<u64> for ChunkName {
    fn from(minor: u64) -> Self {
        Self(minor)
    }
}

/// A cursor over the bytes of a record.
struct Fields<'a> {
    kind: RecordKind,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn malformed(&self) -> MalformedRecord {
        MalformedRecord(self.kind)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(*head)
    }

    fn version(&mut self) -> Result<(), MalformedRecord> {
        let [version] = self.array()?;
        if version == VERSION { Ok(()) } else { Err(self.malformed()) }
    }

    fn secret(&mut self, length: usize) -> Result<Secret, MalformedRecord> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(Secret::copy_of(head))
    }

    fn finish<T>(&self, value: T) -> Result<T, MalformedRecord> {
        if self.rest.is_empty() { Ok(value) } else { Err(self.malformed()) }
    }
}
