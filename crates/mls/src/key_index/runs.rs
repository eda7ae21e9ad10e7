//! Sorted runs of entries, merged like a binary counter (Bentley and Saxe), newest last.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::slot::Slot;

/// The entries that are not in the base. A clone copies one pointer per run: at most about as many
/// as the length has bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Arc<[u64]>>,
}

impl Runs {
    /// Adds entries that are newer than all others. Of two for one slot the later wins.
    pub(super) fn push(&mut self, entries: Vec<u64>) {
        let mut newest: Arc<[u64]> = newest_per_slot(entries).into();
        while let Some(last) = self.runs.pop_if(|last| last.len() <= newest.len()) {
            newest = merge(&last, &newest).into();
        }
        if !newest.is_empty() {
            self.runs.push(newest);
        }
    }

    /// All runs, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u64]> {
        self.runs.iter().map(|run| &**run)
    }
}

/// Sorted, with the last entry of each slot only.
pub(super) fn newest_per_slot(entries: Vec<u64>) -> Vec<u64> {
    let mut aged: Vec<(Slot, usize, u64)> =
        entries.into_iter().enumerate().map(|(age, entry)| (Slot::of(entry), age, entry)).collect();
    aged.sort_unstable();
    let mut newest: Vec<u64> = Vec::with_capacity(aged.len());
    for (place, (slot, _, entry)) in aged.iter().enumerate() {
        if aged.get(place + 1).is_none_or(|(next, ..)| next != slot) {
            newest.push(*entry);
        }
    }
    newest.sort_unstable();
    newest
}

/// Merges two sorted runs; of two entries for one slot that of `new` stays.
pub(super) fn merge(old: &[u64], new: &[u64]) -> Vec<u64> {
    let mut replaced: Vec<Slot> = new.iter().map(|entry| Slot::of(*entry)).collect();
    replaced.sort_unstable();
    let kept = old.iter().copied().filter(|entry| replaced.binary_search(&Slot::of(*entry)).is_err());
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut new = new.iter().copied().peekable();
    for entry in kept {
        while let Some(smaller) = new.next_if(|n| *n < entry) {
            merged.push(smaller);
        }
        merged.push(entry);
    }
    merged.extend(new);
    merged
}

/// The entries of a sorted slice from `first` to `last`, both included.
pub(super) fn between(entries: &[u64], first: u64, last: u64) -> &[u64] {
    let start = entries.partition_point(|entry| *entry < first);
    let rest = entries.get(start..).unwrap_or_default();
    rest.get(..rest.partition_point(|entry| *entry <= last)).unwrap_or_default()
}
