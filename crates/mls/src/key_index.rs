//! Which keys stand in a tree, so that no key stands in it twice (RFC 9420 §7.3, §12.4.2, §16.7).
//!
//! One index holds the encryption keys of all nodes and the signature keys of all leaves: a key
//! that stands anywhere may stand nowhere else. An entry is 38 bits of a keyed fingerprint and the
//! 26-bit [`Slot`] in which the key was put. A hit is only a suspicion: the slot is read and the
//! keys are compared, so entries of replaced nodes may stay, and nothing is ever deleted. What
//! always holds is that every key that stands in the tree has an entry.
//!
//! In memory the entries are a sorted base and a few sorted runs that clones share. In storage the
//! base lies in buckets by the leading bits of the fingerprint, and what came later in a log that
//! [`maintain`](KeyIndex::maintain) folds into the base now and then. An index opened from storage
//! reads its log and exactly the buckets of the keys that it is asked for.

mod runs;
mod slot;
mod stored;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use self::runs::{Runs, between};
use self::slot::SLOT_BITS;
pub use self::slot::{Place, Slot};
pub use self::stored::IndexError;
use self::stored::{Base, LogState};
use crate::fingerprint::{Seed, digest};
use crate::record::Missing;

/// Bits of a fingerprint; the rest of an entry is the slot.
const FINGERPRINT_BITS: u32 = u64::BITS - SLOT_BITS;
const DOMAIN: &[u8] = b"key";

/// The keys of one tree. A clone shares everything and costs a dozen pointers.
#[derive(Clone)]
pub struct KeyIndex {
    seed: Seed,
    /// Fewer than [`FINGERPRINT_BITS`] in tests only, so that fingerprints collide.
    bits: u32,
    base: Base,
    /// What came after the base; complete once the log is loaded.
    runs: Runs,
    log: LogState,
    /// Entries that no change set holds yet, oldest first.
    unsaved: Vec<u64>,
}

/// Why a key may not stand where it does, or why that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyConflict<E> {
    /// The same key stands in both slots.
    Duplicate(Slot, Slot),
    /// Records of the index that are not in memory.
    Missing(Missing),
    /// A slot could not be read.
    Read(E),
}

impl KeyIndex {
    /// The index of an empty tree, under a seed that nobody else may know.
    pub fn new(seed: Seed) -> Self {
        Self::with_bits(seed, FINGERPRINT_BITS)
    }

    /// The seed of the fingerprints.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    fn with_bits(seed: Seed, bits: u32) -> Self {
        Self {
            seed,
            bits,
            base: Base::Whole(Arc::default()),
            runs: Runs::default(),
            log: LogState::new(),
            unsaved: Vec::new(),
        }
    }

    /// The index of a whole tree, as a joiner sees it: sorts the fingerprints and compares keys
    /// where neighbours are equal. `read` gives the key that stands in a slot.
    ///
    /// # Errors
    /// [`KeyConflict::Duplicate`] or what `read` says.
    pub fn build<K: AsRef<[u8]>, R: AsRef<[u8]>, E>(
        seed: Seed,
        keys: impl IntoIterator<Item = (K, Slot)>,
        read: impl FnMut(Slot) -> Result<Option<R>, E>,
    ) -> Result<Self, KeyConflict<E>> {
        Self::new(seed).filled(keys, read)
    }

    fn filled<K: AsRef<[u8]>, R: AsRef<[u8]>, E>(
        mut self,
        keys: impl IntoIterator<Item = (K, Slot)>,
        mut read: impl FnMut(Slot) -> Result<Option<R>, E>,
    ) -> Result<Self, KeyConflict<E>> {
        let mut entries: Vec<u64> = keys.into_iter().map(|(key, slot)| self.entry(key.as_ref(), slot)).collect();
        entries.sort_unstable();
        let alike = |a: &u64, b: &u64| a >> SLOT_BITS == b >> SLOT_BITS;
        for group in entries.chunk_by(alike).filter(|group| group.len() > 1) {
            check_group(group, &mut read)?;
        }
        self.base = Base::Whole(entries.into());
        self.log = LogState::new();
        Ok(self)
    }

    /// Notes that a key now stands in a slot.
    pub fn insert(&mut self, key: &[u8], slot: Slot) {
        self.insert_all([(key, slot)]);
    }

    /// As [`insert`](Self::insert) for many keys, in the order in which they were put; cheaper than
    /// one by one.
    pub fn insert_all<K: AsRef<[u8]>>(&mut self, keys: impl IntoIterator<Item = (K, Slot)>) {
        let entries: Vec<u64> = keys.into_iter().map(|(key, slot)| self.entry(key.as_ref(), slot)).collect();
        self.unsaved.extend_from_slice(&entries);
        self.runs.push(entries);
    }

    /// The slots in which a key may stand now, each to be read and compared. The slot in which it
    /// does stand is among them.
    ///
    /// # Errors
    /// The records to supply first.
    pub fn suspects(&self, key: &[u8]) -> Result<impl Iterator<Item = Slot> + use<>, Missing> {
        let first = self.fingerprint(key);
        let last = first | ((1 << SLOT_BITS) - 1);
        let base = self.base.around(|| self.log.bucket(first)).map_err(|_| self.missing(&[key]))?;
        if !self.log.is_loaded() {
            return Err(self.missing(&[key]));
        }
        let found = core::iter::once(base).chain(self.runs.iter()).flat_map(|run| between(run, first, last));
        let mut slots: Vec<Slot> = found.map(|entry| Slot::of(*entry)).collect();
        slots.sort_unstable();
        slots.dedup();
        Ok(slots.into_iter())
    }

    /// The slot in which a key stands, if any. `read` gives the key that stands in a slot.
    ///
    /// # Errors
    /// [`KeyConflict::Missing`] or what `read` says.
    pub fn holder<R: AsRef<[u8]>, E>(
        &self,
        key: &[u8],
        mut read: impl FnMut(Slot) -> Result<Option<R>, E>,
    ) -> Result<Option<Slot>, KeyConflict<E>> {
        for suspect in self.suspects(key).map_err(KeyConflict::Missing)? {
            if holds(&mut read, suspect, key)? {
                return Ok(Some(suspect));
            }
        }
        Ok(None)
    }

    /// Checks that a key stands in no other slot of the resulting tree. Insert all keys of a commit
    /// before: so two that it brings in are compared, and two that change places are not refused.
    ///
    /// # Errors
    /// [`KeyConflict`].
    pub fn check_unique<R: AsRef<[u8]>, E>(
        &self,
        key: &[u8],
        slot: Slot,
        mut read: impl FnMut(Slot) -> Result<Option<R>, E>,
    ) -> Result<(), KeyConflict<E>> {
        for suspect in self.suspects(key).map_err(KeyConflict::Missing)? {
            if suspect != slot && holds(&mut read, suspect, key)? {
                return Err(KeyConflict::Duplicate(slot, suspect));
            }
        }
        Ok(())
    }

    /// The fingerprint of a key in the upper bits, the slot bits zero.
    fn fingerprint(&self, key: &[u8]) -> u64 {
        let unused = u64::BITS - self.bits;
        digest(&self.seed, DOMAIN, &[key]) >> unused << unused
    }

    fn entry(&self, key: &[u8], slot: Slot) -> u64 {
        self.fingerprint(key) | u64::from(slot.bits())
    }
}

impl fmt::Debug for KeyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIndex").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Compares the keys of slots whose fingerprints are equal.
fn check_group<R: AsRef<[u8]>, E>(
    group: &[u64],
    read: &mut impl FnMut(Slot) -> Result<Option<R>, E>,
) -> Result<(), KeyConflict<E>> {
    let mut keys: Vec<(R, Slot)> = Vec::with_capacity(group.len());
    for slot in group.iter().map(|entry| Slot::of(*entry)) {
        if let Some(key) = read(slot).map_err(KeyConflict::Read)? {
            keys.push((key, slot));
        }
    }
    keys.sort_unstable_by(|(a, s), (b, t)| (a.as_ref(), s).cmp(&(b.as_ref(), t)));
    let twice = keys.windows(2).find_map(|pair| match pair {
        [(a, first), (b, second)] if a.as_ref() == b.as_ref() => Some((*first, *second)),
        _ => None,
    });
    twice.map_or(Ok(()), |(first, second)| Err(KeyConflict::Duplicate(first, second)))
}

fn holds<R: AsRef<[u8]>, E>(
    read: &mut impl FnMut(Slot) -> Result<Option<R>, E>,
    slot: Slot,
    key: &[u8],
) -> Result<bool, KeyConflict<E>> {
    let found = read(slot).map_err(KeyConflict::Read)?;
    Ok(found.is_some_and(|found| found.as_ref() == key))
}

#[cfg(test)]
mod tests;
