//! From the state of the tree to the key of a message and what it punctures, all by reference.

use alloc::vec::Vec;

use keyroom_wire::LeafIndex;

use super::punctured::{PunctureError, TreePuncture};
use super::ratchet::{MessageKey, Ratchet, RatchetType};
use super::records::{ChunkName, LeafPath, RatchetName};
use super::skipped::{Chunk, SkippedChange};
use super::{Puncture, RatchetLimits, SecretTree, SecretTreeError};
use crate::record::{MalformedRecord, RecordKind};

/// Where the ratchet of a message comes from.
pub(super) enum Source<'a> {
    /// It has been derived before.
    Known(&'a Ratchet),
    /// It and the sender's other ratchet are derived now.
    Fresh { ratchet: Ratchet, sibling: Ratchet, tree: TreePuncture<LeafPath> },
}

impl Source<'_> {
    pub(super) fn ratchet(&self) -> &Ratchet {
        match self {
            Self::Known(ratchet) => ratchet,
            Self::Fresh { ratchet, .. } => ratchet,
        }
    }
}

impl SecretTree {
    pub(super) fn ratchet_name(
        &self,
        leaf: LeafIndex,
        ratchet_type: RatchetType,
    ) -> Result<RatchetName, SecretTreeError> {
        let inside = self.geometry.holds(leaf).then(|| RatchetName::new(leaf, ratchet_type));
        inside.ok_or(SecretTreeError::LeafOutside)
    }

    /// Both ratchets of a leaf come from its secret together, because it is gone afterwards (§9.2).
    pub(super) fn source(
        &self,
        leaf: LeafIndex,
        name: RatchetName,
        ratchet_type: RatchetType,
    ) -> Result<Source<'_>, SecretTreeError> {
        const DAMAGED: SecretTreeError = SecretTreeError::Record(MalformedRecord(RecordKind::Ratchet));
        if let Some(ratchet) = self.ratchets.get(&name) {
            return Ok(Source::Known(ratchet));
        }
        if self.ratchets.contains_key(&name.sibling()) {
            return Err(DAMAGED);
        }
        let evaluated = self.tree.evaluate(self.suite, &self.geometry.path(leaf));
        let (secret, tree) = evaluated.map_err(|error| match error {
            PunctureError::Consumed => DAMAGED,
            PunctureError::Crypto(error) => error.into(),
        })?;
        let ratchet = Ratchet::start(self.suite, &secret, ratchet_type)?;
        let sibling = Ratchet::start(self.suite, &secret, ratchet_type.other())?;
        Ok(Source::Fresh { ratchet, sibling, tree })
    }

    /// A generation that the ratchet has passed.
    pub(super) fn open_skipped(
        &self,
        name: RatchetName,
        floor: u32,
        generation: u32,
    ) -> Result<(MessageKey, Puncture), SecretTreeError> {
        let gone = if generation < floor { SecretTreeError::TooOld } else { SecretTreeError::Consumed };
        let chunk = self.geometry.chunk(name, generation);
        let key = self.chunk(chunk)?.and_then(|keys| keys.get(&generation)).ok_or(gone)?.duplicate();
        let change = SkippedChange::consume(&self.index, chunk, generation, floor);
        Ok((key, self.puncture_of(None, Vec::new(), Some(change))))
    }

    /// A generation that leaves `gap` others behind it.
    pub(super) fn open_ahead(
        &self,
        name: RatchetName,
        source: Source<'_>,
        gap: u32,
        limits: &RatchetLimits,
    ) -> Result<(MessageKey, Puncture), SecretTreeError> {
        let ratchet = source.ratchet();
        let generation = ratchet.next.saturating_add(gap);
        let most = limits.max_skipped_per_sender.min(limits.max_skipped_total);
        let keep_from = generation.saturating_sub(u32::try_from(most).unwrap_or(u32::MAX)).max(ratchet.next);
        // Only the first chunk can hold keys already: the ratchet has not been further.
        self.chunk(self.geometry.chunk(name, keep_from))?;
        let mut run = ratchet.run(self.suite, generation, keep_from)?;
        let floor = if keep_from > ratchet.next { keep_from } else { ratchet.floor };
        let change = SkippedChange::add(&self.index, &self.chunks, self.geometry, name, run.skipped, floor, limits);
        run.after.floor = change.floor;
        Ok((run.key, self.puncture(name, source, run.after, Some(change))))
    }

    /// The skipped keys of a chunk, if it is listed. That the index and the chunk agree is what
    /// keeps the bounds, and the work of enforcing them, right.
    fn chunk(&self, name: ChunkName) -> Result<Option<&Chunk>, SecretTreeError> {
        self.require([self.geometry.index_key()])?;
        let listed = self.index.count(name);
        if listed > 0 {
            self.require([self.geometry.chunk_key(name)])?;
        }
        let chunk = self.chunks.get(&name);
        if chunk.map_or(0, Chunk::len) != listed {
            return Err(MalformedRecord(RecordKind::Skipped).into());
        }
        Ok(chunk)
    }

    /// The puncture of a message that moves its ratchet.
    pub(super) fn puncture(
        &self,
        name: RatchetName,
        source: Source<'_>,
        after: Ratchet,
        skipped: Option<SkippedChange>,
    ) -> Puncture {
        match source {
            Source::Known(_) => self.puncture_of(None, Vec::from([(name, after)]), skipped),
            Source::Fresh { sibling, tree, .. } => {
                self.puncture_of(Some(tree), Vec::from([(name, after), (name.sibling(), sibling)]), skipped)
            }
        }
    }

    fn puncture_of(
        &self,
        tree: Option<TreePuncture<LeafPath>>,
        ratchets: Vec<(RatchetName, Ratchet)>,
        skipped: Option<SkippedChange>,
    ) -> Puncture {
        Puncture { epoch_id: self.geometry.epoch_id, revision: self.revision, tree, ratchets, skipped }
    }
}
