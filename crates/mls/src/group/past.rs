//! Past epochs that are kept for late application messages (RFC 9420 §15.3).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Suite, Zeroizing};
use keyroom_wire::{Decode, DecodeError, LeafIndex, Limits, Reader};

use super::keys::{put, put_bytes};
use crate::error::Error;
use crate::key_schedule::PastEpochSecrets;
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind, RecordValue};
use crate::secret_tree::SecretTree;
use crate::tree::Leaf;

/// What is kept of an epoch after the next one began.
#[derive(Debug)]
pub(crate) struct PastEpoch {
    pub(crate) epoch: u64,
    /// When it ended, in seconds since 1970.
    pub(crate) ended: u64,
    pub(crate) kept: Option<Kept>,
    /// The leaves that the commit after this epoch changed, as they were in it.
    pub(crate) leaves: Option<BTreeMap<LeafIndex, Option<Leaf>>>,
}

/// The secrets of a past epoch, and what its messages are verified with.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) context_bytes: Arc<[u8]>,
    pub(crate) slots: u32,
    pub(crate) secrets: PastEpochSecrets,
    pub(crate) secret_tree: SecretTree,
}

/// The window of past epochs, oldest first.
#[derive(Debug, Default)]
pub(crate) struct PastEpochs(VecDeque<PastEpoch>);

impl PastEpochs {
    /// Adds the epoch that just ended; those that leave the window go, with all their records.
    pub(crate) fn push(&mut self, past: PastEpoch, window: usize, age: u64, changes: &mut ChangeSet) {
        let now = past.ended;
        self.0.push_back(past);
        self.expire(window, age, now, changes);
    }

    /// Drops what is beyond the window or too old.
    pub(crate) fn expire(&mut self, window: usize, age: u64, now: u64, changes: &mut ChangeSet) -> usize {
        let before = self.0.len();
        while let Some(oldest) = self.0.front() {
            if self.0.len() <= window && now.saturating_sub(oldest.ended) <= age {
                break;
            }
            let epoch = oldest.epoch;
            for kind in EPOCH_KINDS {
                changes.clear(kind, epoch);
            }
            self.0.pop_front();
        }
        before - self.0.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &PastEpoch> {
        self.0.iter()
    }

    /// Whether an epoch is in the window and not too old at `now`.
    pub(crate) fn is_kept(&self, epoch: u64, age: u64, now: u64) -> bool {
        self.0.iter().any(|past| past.epoch == epoch && now.saturating_sub(past.ended) <= age)
    }

    /// Writes the whole window.
    pub(crate) fn store_all(&self, changes: &mut ChangeSet) -> Result<(), Missing> {
        for past in &self.0 {
            let kept = self.kept(past.epoch)?.into_iter();
            for kept in kept {
                changes.put(RecordKey::new(RecordKind::Epoch, past.epoch, 0), kept.encode());
                kept.secret_tree.store_all(changes);
            }
            let leaves = past.leaves.as_ref().ok_or_else(|| Missing([leaves_key(past.epoch)].into()))?;
            changes.put(leaves_key(past.epoch), encode_leaves(leaves));
        }
        Ok(())
    }

    /// The secrets of a kept epoch.
    pub(crate) fn kept(&self, epoch: u64) -> Result<Option<&Kept>, Missing> {
        match self.0.iter().find(|past| past.epoch == epoch) {
            None => Ok(None),
            Some(PastEpoch { kept: Some(kept), .. }) => Ok(Some(kept)),
            Some(_) => Err(Missing(Vec::from([RecordKey::new(RecordKind::Epoch, epoch, 0)]))),
        }
    }

    /// Asks at once for all records that tell how things were in a kept epoch.
    pub(crate) fn require(&self, epoch: u64) -> Result<(), Missing> {
        let since = self.0.iter().filter(|past| past.epoch >= epoch);
        let leaves = since.clone().filter(|past| past.leaves.is_none()).map(|past| leaves_key(past.epoch));
        let secrets = since.filter(|past| past.epoch == epoch && past.kept.is_none());
        let secrets = secrets.map(|past| RecordKey::new(RecordKind::Epoch, past.epoch, 0));
        let missing: Vec<RecordKey> = secrets.chain(leaves).collect();
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
    }

    pub(crate) fn kept_mut(&mut self, epoch: u64) -> Option<&mut Kept> {
        self.0.iter_mut().find(|past| past.epoch == epoch).and_then(|past| past.kept.as_mut())
    }

    /// The leaf as it was in a past epoch, if a later commit has changed it: the first version that
    /// was replaced in or after that epoch. `None` means that the current leaf is still the same.
    pub(crate) fn leaf(&self, epoch: u64, leaf_index: LeafIndex) -> Result<Option<Option<&Leaf>>, Missing> {
        let since = || self.0.iter().filter(|past| past.epoch >= epoch);
        let missing: Vec<RecordKey> =
            since().filter(|past| past.leaves.is_none()).map(|past| leaves_key(past.epoch)).collect();
        if !missing.is_empty() {
            return Err(Missing(missing));
        }
        Ok(since().find_map(|past| past.leaves.as_ref()?.get(&leaf_index)).map(Option::as_ref))
    }

    /// Takes in a record that was asked for.
    pub(crate) fn supply(
        &mut self,
        suite: &'static dyn Suite,
        key: RecordKey,
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        let corrupt = Error::Corrupt(key);
        let Some(past) = self.0.iter_mut().find(|past| past.epoch == key.major) else { return Ok(()) };
        let bytes = value.ok_or(corrupt.clone())?;
        // What is loaded is newer than any record read before: it is never replaced.
        match key.kind {
            RecordKind::PastLeaves if past.leaves.is_none() => {
                past.leaves = Some(decode_leaves(bytes).map_err(|_| corrupt)?);
            }
            RecordKind::Epoch if past.kept.is_none() => {
                past.kept = Some(Kept::decode(suite, past.epoch, bytes).ok_or(corrupt)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in records of the secret trees of past epochs.
    pub(crate) fn supply_secrets(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        for kept in self.0.iter_mut().filter_map(|past| past.kept.as_mut()) {
            kept.secret_tree.supply(records)?;
        }
        Ok(())
    }

    /// A window whose epochs are still in storage.
    pub(crate) fn stored(epochs: impl Iterator<Item = (u64, u64)>) -> Self {
        Self(epochs.map(|(epoch, ended)| PastEpoch { epoch, ended, kept: None, leaves: None }).collect())
    }
}

/// The kinds of records that belong to one epoch.
pub(crate) const EPOCH_KINDS: [RecordKind; 6] = [
    RecordKind::Epoch,
    RecordKind::Secrets,
    RecordKind::Ratchet,
    RecordKind::Skipped,
    RecordKind::Proposal,
    RecordKind::PastLeaves,
];

pub(crate) fn leaves_key(epoch: u64) -> RecordKey {
    RecordKey::new(RecordKind::PastLeaves, epoch, 0)
}

impl Kept {
    pub(crate) fn encode(&self) -> RecordValue {
        let secrets = self.secrets.to_record();
        let mut out = Zeroizing::new(Vec::with_capacity(secrets.len() + self.context_bytes.len() + 16));
        put(&mut out, self.slots);
        put_bytes(&mut out, &self.context_bytes);
        put_bytes(&mut out, &secrets);
        out
    }

    fn decode(suite: &'static dyn Suite, epoch: u64, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes, Limits::default());
        let slots = u32::decode(&mut reader).ok().filter(|slots| slots.is_power_of_two())?;
        let context_bytes = reader.opaque().ok()?.into();
        let secrets = PastEpochSecrets::from_record(suite, reader.opaque().ok()?).ok()?;
        reader.finish().ok()?;
        let depth = u8::try_from(slots.trailing_zeros()).ok()?;
        Some(Self { context_bytes, slots, secrets, secret_tree: SecretTree::stored(suite, depth, epoch) })
    }
}

pub(crate) fn encode_leaves(leaves: &BTreeMap<LeafIndex, Option<Leaf>>) -> RecordValue {
    let mut out = Vec::new();
    for (leaf_index, leaf) in leaves {
        put(&mut out, *leaf_index);
        put_bytes(&mut out, leaf.as_ref().map(Leaf::bytes).unwrap_or_default());
    }
    out.into()
}

fn decode_leaves(bytes: &[u8]) -> Result<BTreeMap<LeafIndex, Option<Leaf>>, DecodeError> {
    let limits = Limits::default();
    let mut reader = Reader::new(bytes, limits);
    let mut leaves = BTreeMap::new();
    while !reader.is_empty() {
        let leaf_index = LeafIndex::decode(&mut reader)?;
        let leaf = match reader.opaque()? {
            [] => None,
            bytes => Some(Leaf::parse(bytes, &limits)?),
        };
        leaves.insert(leaf_index, leaf);
    }
    Ok(leaves)
}
