//! The index in storage.
//!
//! A fold begins a generation: it writes the whole base under a new `major` and clears the old one.
//! Within a generation every record is written once and never changed: buckets by the fold, log
//! records with consecutive numbers. Every record carries a keyed digest of its name and content,
//! and the head says which records there are, so a record that is stale, swapped or damaged is
//! noticed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use keyroom_crypto::Zeroizing;
use keyroom_wire::{Decode, DecodeError, Encode, Limits, Reader};

use super::KeyIndex;
use super::runs::{Runs, merge, newest_per_slot};
use super::slot::SLOT_BITS;
use crate::fingerprint::{Seed, digest};
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind};

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"index record";
/// Most entries of a log record, so that it stays below 1,000 bytes.
const PER_LOG_RECORD: usize = 110;
/// Entries aimed at in a bucket. Fingerprints are uniform, so twice as many are out of sight.
const PER_BUCKET: usize = 64;
/// Small log records are put together when there are this many.
const MOST_SMALL_RECORDS: u32 = 64;
/// The log is folded beyond this many entries or a twelfth of the base, about a quarter of the
/// number of members, whichever is more.
const LEAST_FOLD: u64 = 4_096;
const BASE_PER_FOLD: u64 = 12;
/// Numbers of small log records start here; those put together are counted from zero.
const SMALL: u64 = 1 << 32;

/// A stored record of the index that was refused. The store is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexError(pub RecordKey);

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored key index is damaged or stale")
    }
}

impl core::error::Error for IndexError {}

/// The entries of the last fold.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// All in memory, sorted.
    Whole(Arc<[u64]>),
    /// In storage; these buckets have been read.
    Buckets(Arc<BTreeMap<u64, Arc<[u64]>>>),
}

/// A bucket that is not in memory.
#[derive(Debug)]
pub(super) struct NotLoaded;

/// Which records the store holds.
#[derive(Clone)]
pub(super) struct LogState {
    pub(super) shape: Shape,
    /// Whether the store holds this generation at all.
    stored: bool,
    /// Entries of the small records, by record, oldest first: what putting them together needs.
    small: Vec<Arc<[u64]>>,
    /// Records of the log read so far; `None` once all are in the runs.
    loading: Option<Arc<BTreeMap<u64, Arc<[u64]>>>>,
}

/// What the head says of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) generation: u64,
    bucket_bits: u8,
    base_entries: u64,
    log_entries: u64,
    /// Log records `0..full` hold what was put together.
    full: u32,
    /// Log records `SMALL + small_start .. SMALL + small_end` hold what came after.
    small_start: u32,
    small_end: u32,
}

impl Shape {
    fn bucket(&self, entry: u64) -> u64 {
        entry.checked_shr(u64::BITS - u32::from(self.bucket_bits)).unwrap_or(0)
    }

    fn base_key(&self, bucket: u64) -> RecordKey {
        RecordKey::new(RecordKind::IndexBase, self.generation, bucket)
    }

    fn log_key(&self, minor: u64) -> RecordKey {
        RecordKey::new(RecordKind::IndexLog, self.generation, minor)
    }

    fn log_minors(&self) -> impl Iterator<Item = u64> + use<> {
        let small = (u64::from(self.small_start)..u64::from(self.small_end)).map(|n| SMALL + n);
        (0..u64::from(self.full)).chain(small)
    }

    fn has_log(&self, minor: u64) -> bool {
        let small = u64::from(self.small_start)..u64::from(self.small_end);
        minor < u64::from(self.full) || minor.checked_sub(SMALL).is_some_and(|n| small.contains(&n))
    }

    /// For this many entries, buckets of at most [`PER_BUCKET`] on average.
    fn bucket_bits_for(entries: usize) -> u8 {
        let buckets = entries.div_ceil(PER_BUCKET).max(1).next_power_of_two();
        u8::try_from(buckets.trailing_zeros()).unwrap_or(0)
    }
}

impl Base {
    /// The entries among which those of a fingerprint are.
    pub(super) fn around(&self, bucket: impl FnOnce() -> u64) -> Result<&[u64], NotLoaded> {
        match self {
            Self::Whole(entries) => Ok(entries),
            Self::Buckets(read) => read.get(&bucket()).map(|entries| &**entries).ok_or(NotLoaded),
        }
    }
}

impl fmt::Debug for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.fmt(f)
    }
}

impl LogState {
    pub(super) fn new() -> Self {
        Self { shape: Shape::default(), stored: false, small: Vec::new(), loading: None }
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.loading.is_none()
    }

    pub(super) fn bucket(&self, fingerprint: u64) -> u64 {
        self.shape.bucket(fingerprint)
    }
}

impl KeyIndex {
    /// What the head must hold of the index, the seed included: a secret. Take it after
    /// [`write`](Self::write) and [`maintain`](Self::maintain).
    pub fn summary(&self) -> Zeroizing<Vec<u8>> {
        let shape = &self.log.shape;
        let mut out = Zeroizing::new(Vec::with_capacity(64));
        out.push(VERSION);
        out.extend_from_slice(self.seed.expose());
        shape.generation.encode(&mut out);
        shape.bucket_bits.encode(&mut out);
        shape.base_entries.encode(&mut out);
        shape.log_entries.encode(&mut out);
        shape.full.encode(&mut out);
        shape.small_start.encode(&mut out);
        shape.small_end.encode(&mut out);
        out
    }

    /// The index of a stored group, with none of its records in memory.
    ///
    /// # Errors
    /// Bytes that [`summary`](Self::summary) did not write.
    pub fn from_summary(bytes: &[u8]) -> Result<Self, IndexError> {
        let (seed, shape) =
            read_summary(bytes).map_err(|_| IndexError(RecordKey::HEAD))?.ok_or(IndexError(RecordKey::HEAD))?;
        let mut index = Self::new(seed);
        index.base = Base::Buckets(Arc::default());
        index.log = LogState { shape, stored: true, small: Vec::new(), loading: Some(Arc::default()) };
        index.finish_loading();
        Ok(index)
    }

    /// Succeeds if all that is needed to look up these keys is in memory.
    ///
    /// # Errors
    /// The records that are not: of the log all, of the base the buckets of these keys.
    pub fn require<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<(), Missing> {
        let missing = self.missing(keys);
        if missing.0.is_empty() { Ok(()) } else { Err(missing) }
    }

    pub(super) fn missing<K: AsRef<[u8]>>(&self, keys: &[K]) -> Missing {
        let mut missing = self.missing_log();
        if let Base::Buckets(read) = &self.base {
            let shape = &self.log.shape;
            let mut buckets: Vec<u64> = keys.iter().map(|key| shape.bucket(self.fingerprint(key.as_ref()))).collect();
            buckets.sort_unstable();
            buckets.dedup();
            missing.extend(buckets.into_iter().filter(|b| !read.contains_key(b)).map(|b| shape.base_key(b)));
        }
        Missing(missing)
    }

    fn missing_log(&self) -> Vec<RecordKey> {
        let shape = &self.log.shape;
        let Some(read) = &self.log.loading else { return Vec::new() };
        shape.log_minors().filter(|minor| !read.contains_key(minor)).map(|minor| shape.log_key(minor)).collect()
    }

    /// Takes a record that was missing. One that is in memory already changes nothing.
    ///
    /// # Errors
    /// A record that this index does not have, or whose content is not what was written under this
    /// name.
    pub fn supply(&mut self, key: RecordKey, value: &[u8]) -> Result<(), IndexError> {
        let shape = self.log.shape;
        let entries = decode_record(&self.seed, key, value).ok_or(IndexError(key))?;
        match key.kind {
            RecordKind::IndexBase if key == shape.base_key(key.minor) => self.supply_bucket(key, entries),
            RecordKind::IndexLog if key == shape.log_key(key.minor) && shape.has_log(key.minor) => {
                if let Some(read) = &mut self.log.loading {
                    Arc::make_mut(read).insert(key.minor, entries.into());
                    self.finish_loading();
                }
                Ok(())
            }
            _ => Err(IndexError(key)),
        }
    }

    fn supply_bucket(&mut self, key: RecordKey, entries: Vec<u64>) -> Result<(), IndexError> {
        if entries.iter().any(|entry| self.log.shape.bucket(*entry) != key.minor) {
            return Err(IndexError(key));
        }
        if let Base::Buckets(read) = &mut self.base {
            Arc::make_mut(read).entry(key.minor).or_insert_with(|| entries.into());
        }
        Ok(())
    }

    /// Once all log records are there, makes runs of them, older than what has been inserted since.
    fn finish_loading(&mut self) {
        if !self.missing_log().is_empty() {
            return;
        }
        let Some(read) = self.log.loading.take() else { return };
        let mut runs = Runs::default();
        for (_, entries) in read.range(..SMALL) {
            runs.push(entries.to_vec());
        }
        for (_, entries) in read.range(SMALL..) {
            runs.push(entries.to_vec());
            self.log.small.push(entries.clone());
        }
        runs.push(self.unsaved.clone());
        self.runs = runs;
    }

    /// Puts what the store does not hold yet into a change set: after a commit, one small log record.
    pub fn write(&mut self, changes: &mut ChangeSet) {
        if !self.log.stored {
            self.write_base(changes);
        }
        if self.unsaved.is_empty() {
            return;
        }
        let entries = newest_per_slot(core::mem::take(&mut self.unsaved));
        let shape = &mut self.log.shape;
        for part in entries.chunks(PER_LOG_RECORD) {
            let key = shape.log_key(SMALL + u64::from(shape.small_end));
            changes.put(key, encode_record(&self.seed, key, part));
            shape.small_end = shape.small_end.saturating_add(1);
            shape.log_entries += length(part);
            match &mut self.log.loading {
                Some(read) => drop(Arc::make_mut(read).insert(key.minor, part.into())),
                None => self.log.small.push(part.into()),
            }
        }
    }

    /// As [`maintain`](Self::maintain), with what is in memory: a fold that lacks records is put off,
    /// and small log records are put together instead.
    pub fn maintain_loaded(&mut self, changes: &mut ChangeSet) {
        let shape = self.log.shape;
        let many = shape.small_end - shape.small_start >= MOST_SMALL_RECORDS;
        if self.maintain(changes).is_err() && many && self.require_log().is_ok() {
            self.put_together(changes);
        }
    }

    /// A maintenance step: puts small log records together, or folds the log into the base, when it
    /// is time; otherwise does nothing. Keeps the number of records low, and what it writes is
    /// 1 to 2 kB per commit on average.
    ///
    /// # Errors
    /// A fold needs the whole index: the records that are not in memory.
    pub fn maintain(&mut self, changes: &mut ChangeSet) -> Result<(), Missing> {
        let shape = self.log.shape;
        if shape.log_entries > LEAST_FOLD.max(shape.base_entries / BASE_PER_FOLD) {
            self.require_all()?;
            self.fold(changes);
        } else if shape.small_end - shape.small_start >= MOST_SMALL_RECORDS {
            self.require_log()?;
            self.put_together(changes);
        }
        Ok(())
    }

    fn require_log(&self) -> Result<(), Missing> {
        let missing = self.missing_log();
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
    }

    pub(super) fn require_all(&self) -> Result<(), Missing> {
        let mut missing = self.missing_log();
        if let Base::Buckets(read) = &self.base {
            let shape = &self.log.shape;
            let all = 0..1_u64 << shape.bucket_bits;
            missing.extend(all.filter(|bucket| !read.contains_key(bucket)).map(|bucket| shape.base_key(bucket)));
        }
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
    }

    /// Everything is in memory: one sorted base under the next generation.
    fn fold(&mut self, changes: &mut ChangeSet) {
        let mut entries: Vec<u64> = match &self.base {
            Base::Whole(entries) => entries.to_vec(),
            Base::Buckets(read) => read.values().flat_map(|bucket| bucket.iter().copied()).collect(),
        };
        let later = self.runs.iter().fold(Vec::new(), |older, newer| merge(&older, newer));
        entries = merge(&entries, &later);
        let old = self.log.shape.generation;
        changes.clear(RecordKind::IndexBase, old);
        changes.clear(RecordKind::IndexLog, old);
        self.base = Base::Whole(entries.into());
        self.runs = Runs::default();
        self.unsaved.clear();
        let shape = Shape { generation: old.saturating_add(1), ..Shape::default() };
        self.log = LogState { shape, ..LogState::new() };
        self.write_base(changes);
    }

    fn write_base(&mut self, changes: &mut ChangeSet) {
        let Base::Whole(entries) = &self.base else { return };
        let shape = &mut self.log.shape;
        shape.bucket_bits = Shape::bucket_bits_for(entries.len());
        shape.base_entries = length(entries);
        self.log.stored = true;
        let mut rest: &[u64] = entries;
        for bucket in 0..1_u64 << shape.bucket_bits {
            let (here, after) = rest.split_at(rest.partition_point(|entry| shape.bucket(*entry) <= bucket));
            let key = shape.base_key(bucket);
            changes.put(key, encode_record(&self.seed, key, here));
            rest = after;
        }
    }

    fn put_together(&mut self, changes: &mut ChangeSet) {
        let shape = &mut self.log.shape;
        for small in shape.small_start..shape.small_end {
            changes.delete(shape.log_key(SMALL + u64::from(small)));
        }
        let small = core::mem::take(&mut self.log.small);
        shape.small_start = shape.small_end;
        shape.log_entries -= small.iter().map(|part| length(part)).sum::<u64>();
        let entries = newest_per_slot(small.iter().flat_map(|part| part.iter().copied()).collect());
        for part in entries.chunks(PER_LOG_RECORD) {
            let key = shape.log_key(shape.full.into());
            changes.put(key, encode_record(&self.seed, key, part));
            shape.full = shape.full.saturating_add(1);
            shape.log_entries += length(part);
        }
    }
}

fn length(entries: &[u64]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}

fn read_summary(bytes: &[u8]) -> Result<Option<(Seed, Shape)>, DecodeError> {
    let mut reader = Reader::new(bytes, Limits::default());
    if u8::decode(&mut reader)? != VERSION {
        return Ok(None);
    }
    let seed = Seed::from_bytes(reader.array()?);
    let shape = Shape {
        generation: u64::decode(&mut reader)?,
        bucket_bits: u8::decode(&mut reader)?,
        base_entries: u64::decode(&mut reader)?,
        log_entries: u64::decode(&mut reader)?,
        full: u32::decode(&mut reader)?,
        small_start: u32::decode(&mut reader)?,
        small_end: u32::decode(&mut reader)?,
    };
    reader.finish()?;
    let plausible = u32::from(shape.bucket_bits) <= SLOT_BITS && shape.small_start <= shape.small_end;
    Ok(plausible.then_some((seed, shape)))
}

/// Digest of name and content, then the entries.
fn encode_record(seed: &Seed, key: RecordKey, entries: &[u64]) -> Vec<u8> {
    let mut content = Vec::with_capacity(entries.len() * 8);
    entries.iter().for_each(|entry| entry.encode(&mut content));
    let mut out = Vec::with_capacity(content.len() + 9);
    out.push(VERSION);
    record_digest(seed, key, &content).encode(&mut out);
    out.extend_from_slice(&content);
    out
}

fn decode_record(seed: &Seed, key: RecordKey, value: &[u8]) -> Option<Vec<u64>> {
    let (header, content) = value.split_first_chunk::<9>()?;
    let [version, stored @ ..] = *header;
    if version != VERSION || u64::from_be_bytes(stored) != record_digest(seed, key, content) {
        return None;
    }
    let (entries, rest) = content.as_chunks::<8>();
    rest.is_empty().then(|| entries.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect())
}

fn record_digest(seed: &Seed, key: RecordKey, content: &[u8]) -> u64 {
    let kind = [key.kind as u8];
    digest(seed, DOMAIN, &[&kind, &key.major.to_be_bytes(), &key.minor.to_be_bytes(), content])
}
