//! Between memory and records: what a message needs, what was read, what is written.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use keyroom_crypto::Secret;
use keyroom_wire::LeafIndex;

use super::punctured::{Consumed, NodeName, TreePuncture};
use super::ratchet::Ratchet;
use super::records::{LeafPath, RatchetName};
use super::skipped::{Chunk, SkippedChange, SkippedIndex};
use super::{SecretTree, SecretTreeError};
use crate::record::{ChangeSet, MalformedRecord, Missing, RecordKey, RecordKind, RecordValue};

/// A record that was read.
pub(super) enum Record {
    Absent,
    Page(Vec<(NodeName<LeafPath>, Secret)>),
    Ratchet(Ratchet),
    Chunk(Chunk),
    Index(SkippedIndex),
}

impl SecretTree {
    pub(super) fn is_loaded(&self, key: &RecordKey) -> bool {
        self.loaded.as_ref().is_none_or(|loaded| loaded.contains(key))
    }

    /// Fails with those of the records that are not in memory, all at once.
    pub(super) fn require(&self, keys: impl IntoIterator<Item = RecordKey>) -> Result<(), SecretTreeError> {
        let missing: Vec<_> = keys.into_iter().filter(|key| !self.is_loaded(key)).collect();
        if missing.is_empty() { Ok(()) } else { Err(SecretTreeError::Missing(Missing(missing))) }
    }

    /// Everything that a message may need and whose name is known before anything is read.
    pub(super) fn first_needs(&self, leaf: LeafIndex, name: RatchetName, generation: u32) -> Vec<RecordKey> {
        let geometry = self.geometry;
        let ratchet = geometry.ratchet_key(name);
        if self.ratchets.contains_key(&name) || self.loaded.is_none() {
            return Vec::new();
        }
        let mut keys: Vec<_> = geometry.pages_above(leaf).map(|page| geometry.page_key(page)).collect();
        if !self.is_loaded(&ratchet) {
            keys.push(ratchet);
            if generation > 0 {
                keys.push(geometry.index_key());
                keys.push(geometry.chunk_key(geometry.chunk(name, generation)));
            }
        }
        keys
    }

    pub(super) fn parse(&self, key: RecordKey, value: Option<&RecordValue>) -> Result<Option<Record>, MalformedRecord> {
        let geometry = self.geometry;
        let Some(bytes) = value else {
            let ours = matches!(key.kind, RecordKind::Secrets | RecordKind::Ratchet | RecordKind::Skipped);
            return Ok(ours.then_some(Record::Absent));
        };
        Ok(match key.kind {
            RecordKind::Secrets => Some(Record::Page(geometry.read_page(key.minor.into(), bytes)?)),
            RecordKind::Ratchet => Some(Record::Ratchet(geometry.read_ratchet(bytes)?)),
            RecordKind::Skipped if key == geometry.index_key() => Some(Record::Index(geometry.read_index(bytes)?)),
            RecordKind::Skipped => Some(Record::Chunk(geometry.read_chunk(key.minor.into(), bytes)?)),
            _ => None,
        })
    }

    pub(super) fn attach(&mut self, key: RecordKey, record: Record) {
        if !self.loaded.as_mut().is_some_and(|loaded| loaded.insert(key)) {
            return;
        }
        match record {
            Record::Absent => (),
            Record::Page(nodes) => nodes.into_iter().for_each(|(node, secret)| self.tree.insert(node, secret)),
            Record::Ratchet(ratchet) => drop(self.ratchets.insert(key.minor.into(), ratchet)),
            Record::Chunk(chunk) => drop(self.chunks.insert(key.minor.into(), chunk)),
            Record::Index(index) => self.index = index,
        }
    }

    pub(super) fn apply_tree(
        &mut self,
        puncture: TreePuncture<LeafPath>,
        changes: &mut ChangeSet,
    ) -> Option<Consumed<LeafPath>> {
        let pages: BTreeSet<_> = puncture.touched().map(|node| self.geometry.page_of(node)).collect();
        let consumed = self.tree.apply(puncture);
        for page in pages {
            let value = self.geometry.write_page(&self.tree, page);
            self.write(self.geometry.page_key(page), value, changes);
        }
        consumed
    }

    pub(super) fn apply_skipped(&mut self, change: SkippedChange, changes: &mut ChangeSet) {
        let SkippedChange { ratchet, added, removed, dropped, index, .. } = change;
        let geometry = self.geometry;
        for chunk in dropped {
            self.chunks.remove(&chunk);
            self.write(geometry.chunk_key(chunk), None, changes);
        }
        let mut touched = BTreeSet::new();
        for generation in removed {
            let chunk = geometry.chunk(ratchet, generation);
            self.chunks.entry(chunk).or_default().remove(&generation);
            touched.insert(chunk);
        }
        for key in added {
            let chunk = geometry.chunk(ratchet, key.generation);
            self.chunks.entry(chunk).or_default().insert(key.generation, key);
            touched.insert(chunk);
        }
        for chunk in touched {
            if self.chunks.get(&chunk).is_some_and(Chunk::is_empty) {
                self.chunks.remove(&chunk);
            }
            let value = self.chunks.get(&chunk).map(|keys| geometry.write_chunk(keys));
            self.write(geometry.chunk_key(chunk), value, changes);
        }
        self.write_index(index, changes);
    }

    fn write_index(&mut self, index: SkippedIndex, changes: &mut ChangeSet) {
        if self.index != index {
            self.index = index;
            self.write(self.geometry.index_key(), self.geometry.write_index(&self.index), changes);
        }
    }

    /// Puts a record into the change set; from now on memory is what counts.
    pub(super) fn write(&mut self, key: RecordKey, value: Option<RecordValue>, changes: &mut ChangeSet) {
        match value {
            Some(value) => changes.put(key, value),
            None => changes.delete(key),
        }
        self.loaded.as_mut().map(|loaded| loaded.insert(key));
    }
}
