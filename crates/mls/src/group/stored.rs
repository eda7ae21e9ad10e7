//! How a group lies in storage, and how it comes back (see [`record`](crate::record)).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{Provider, Suite, Zeroizing};
use keyroom_wire::{
    CipherSuite, Decode, DecodeError, DecodeErrorKind, Encode, GroupContext, GroupId, LeafIndex, Limits, Mac, ReInit,
    Reader,
};

use super::keys::{PathKeys, put, put_bytes};
use super::past::PastEpochs;
use super::pending::{PendingCommits, PendingId};
use super::propose::ProposalCache;
use super::psks::ResumptionPsks;
use super::{Group, Status};
use crate::config::Config;
use crate::counts::CountsSummary;
use crate::error::{Error, Usage};
use crate::extension::GroupExtensions;
use crate::key_index::KeyIndex;
use crate::key_schedule::EpochSecrets;
use crate::public::PublicState;
use crate::record::{ChangeSet, Missing, RecordKey, RecordKind, RecordValue};
use crate::secret_tree::SecretTree;
use crate::transcript;
use crate::tree::Tree;

/// Version of the format of the head record.
const VERSION: u8 = 1;

impl Group {
    /// Opens a stored group from the records read so far. The first call needs none and asks for
    /// the head; each further one asks for what is still missing, at most twice in all. `version` is
    /// the version that the store holds.
    ///
    /// Pages and leaves of the tree, ratchets and the key index stay in storage until an operation
    /// asks for them ([`Error::Missing`], [`Group::supply`]).
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Corrupt`] for a record that does not parse or fit;
    /// [`Usage::UnknownCipherSuite`] if the provider lacks the suite.
    pub fn open(
        provider: &dyn Provider,
        config: Arc<Config>,
        version: u64,
        records: &BTreeMap<RecordKey, RecordValue>,
    ) -> Result<Self, Error> {
        let head = records.get(&RecordKey::HEAD).ok_or_else(|| Missing([RecordKey::HEAD].into()))?;
        let head = Head::decode(head).map_err(|_| Error::Corrupt(RecordKey::HEAD))?;
        let wanted = head.records()?;
        let missing: Vec<RecordKey> = wanted.iter().copied().filter(|key| !records.contains_key(key)).collect();
        if !missing.is_empty() {
            return Err(Missing(missing).into());
        }
        head.open(provider, config, version, records)
    }

    /// Takes in records that an operation asked for. A record that does not exist is passed as
    /// `None`. What is loaded changes; what the group means does not.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a record that does not fit what the head commits to.
    pub fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        let suite = self.suite();
        self.public.supply(records)?;
        for (key, value) in records {
            if matches!(key.kind, RecordKind::PastLeaves | RecordKind::Epoch) {
                self.past.supply(suite, *key, value.as_ref().map(|value| value.as_slice()))?;
            }
        }
        self.secret_tree.supply(records)?;
        self.past.supply_secrets(records)
    }

    /// Folds the log of the key index into its base when it is time; `None` if there is nothing to
    /// do. Worth a call now and then for a group that is opened from storage: applying a commit
    /// folds only what is in memory.
    ///
    /// # Errors
    /// [`Error::Missing`] names the records of the whole index.
    pub fn maintain(&mut self) -> Result<Option<ChangeSet>, Error> {
        let mut changes = self.changes();
        self.public.index.maintain(&mut changes)?;
        if changes.writes.is_empty() && changes.cleared.is_empty() {
            return Ok(None);
        }
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(Some(self.changed(changes)))
    }

    /// A change set that writes the whole group: for one that is new to the store.
    pub(super) fn store_whole(&mut self) -> Result<ChangeSet, Error> {
        let mut changes = self.changes();
        self.public.store_whole(&mut changes)?;
        self.store_epoch(&mut changes)?;
        Ok(self.changed(changes))
    }

    /// All records of a loaded group but those of the key index, whose content follows from the
    /// tree: two groups with equal snapshots are in the same state.
    ///
    /// # Errors
    /// [`Error::Missing`] for a group that is not loaded.
    pub fn snapshot(&self) -> Result<BTreeMap<RecordKey, RecordValue>, Error> {
        let mut changes = self.changes();
        self.public.tree.changes(&Tree::new(self.suite()), &mut changes)?;
        self.public.counts.write(None, &mut changes);
        self.proposals.store_all(self.epoch(), &mut changes);
        self.pending.store_all(&mut changes);
        self.past.store_all(&mut changes)?;
        self.store_epoch(&mut changes)?;
        Ok(changes.writes.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// Writes what every epoch writes: its secrets, the own private keys and the head.
    pub(super) fn store_epoch(&self, changes: &mut ChangeSet) -> Result<(), Error> {
        changes.put(RecordKey::new(RecordKind::Epoch, self.epoch(), 0), self.secrets.to_record());
        changes.put(PathKeys::RECORD, self.keys.encode());
        changes.put(ResumptionPsks::RECORD, self.resumption.encode());
        self.secret_tree.store_all(changes);
        changes.put(RecordKey::HEAD, self.head()?);
        Ok(())
    }

    /// The head record.
    pub(super) fn head(&self) -> Result<RecordValue, Error> {
        // Sized beforehand: a buffer that grows leaves the seed of the index behind.
        let numbers = self.proposals.numbers().len() + self.pending.ids().count() + 2 * self.past.iter().len();
        let reinit = match &self.status {
            Status::Reinitialised(reinit) => reinit.to_bytes().len(),
            Status::Active | Status::Removed => 0,
        };
        let room = self.public.head_len() + 8 * numbers + reinit + 128;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.push(VERSION);
        self.public.encode_head(&mut out)?;
        put(&mut out, self.own_leaf);
        match &self.status {
            Status::Reinitialised(reinit) => put_bytes(&mut out, &reinit.to_bytes()),
            Status::Active | Status::Removed => put_bytes(&mut out, b""),
        }
        put(&mut out, self.proposals.next());
        put(&mut out, self.proposals.numbers());
        put(&mut out, self.pending.next());
        put(&mut out, self.pending.ids().map(|id| id.0).collect::<Vec<u64>>());
        let past: Vec<u64> = self.past.iter().flat_map(|past| [past.epoch, past.ended]).collect();
        put(&mut out, past);
        Ok(out)
    }
}

/// The head record, decoded.
struct Head {
    public: PublicHead,
    own_leaf: LeafIndex,
    reinit: Option<ReInit>,
    next_proposal: u64,
    proposals: Vec<u64>,
    next_pending: u64,
    pending: Vec<u64>,
    past: Vec<u64>,
}

impl Head {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let limits = Limits::default();
        let mut reader = Reader::new(bytes, limits);
        check_version(&mut reader)?;
        let public = PublicHead::decode(&mut reader)?;
        let own_leaf = LeafIndex::decode(&mut reader)?;
        let reinit = match reader.opaque()? {
            [] => None,
            bytes => Some(ReInit::from_bytes(bytes, &limits)?),
        };
        let head = Self {
            public,
            own_leaf,
            reinit,
            next_proposal: u64::decode(&mut reader)?,
            proposals: Vec::decode(&mut reader)?,
            next_pending: u64::decode(&mut reader)?,
            pending: Vec::decode(&mut reader)?,
            past: Vec::decode(&mut reader)?,
        };
        reader.finish()?;
        Ok(head)
    }

    /// The records that belong to an open group at once.
    fn records(&self) -> Result<Vec<RecordKey>, Error> {
        let epoch = self.public.context.epoch;
        let mut keys =
            Vec::from([RecordKey::new(RecordKind::Epoch, epoch, 0), PathKeys::RECORD, ResumptionPsks::RECORD]);
        keys.extend(self.public.counts.records().0);
        keys.extend(self.proposals.iter().map(|number| RecordKey::new(RecordKind::Proposal, epoch, *number)));
        keys.extend(self.pending.iter().map(|id| PendingId(*id).key()));
        Ok(keys)
    }

    fn open(
        self,
        provider: &dyn Provider,
        config: Arc<Config>,
        version: u64,
        records: &BTreeMap<RecordKey, RecordValue>,
    ) -> Result<Group, Error> {
        let suite = provider.suite(self.public.context.cipher_suite).map_err(|_| Usage::UnknownCipherSuite)?;
        let epoch = self.public.context.epoch;
        let record = |key: RecordKey| {
            records.get(&key).map(|value| value.as_slice()).ok_or(Error::Missing(Missing([key].into())))
        };
        let public = self.public.open(suite, &config, records)?;
        let epoch_key = RecordKey::new(RecordKind::Epoch, epoch, 0);
        let secrets = EpochSecrets::from_record(suite, record(epoch_key)?).map_err(|_| Error::Corrupt(epoch_key))?;
        let mut proposals = ProposalCache::with_next(self.next_proposal);
        for number in self.proposals {
            let key = RecordKey::new(RecordKind::Proposal, epoch, number);
            proposals.restore(key, record(key)?)?;
        }
        let mut pending = PendingCommits::with_next(self.next_pending);
        for id in self.pending.into_iter().map(PendingId) {
            pending.restore(id, record(id.key())?)?;
        }
        if self.own_leaf.0 >= public.tree.slots() || !self.past.len().is_multiple_of(2) {
            return Err(Error::Corrupt(RecordKey::HEAD));
        }
        let past = self.past.as_chunks::<2>().0.iter().map(|[epoch, ended]| (*epoch, *ended));
        Ok(Group {
            version,
            status: self.reinit.map_or(Status::Active, Status::Reinitialised),
            own_leaf: self.own_leaf,
            secret_tree: SecretTree::stored(suite, public.tree.depth(), epoch),
            secrets,
            keys: PathKeys::decode(record(PathKeys::RECORD)?)?,
            resumption: ResumptionPsks::decode(record(ResumptionPsks::RECORD)?)?,
            proposals,
            pending,
            past: PastEpochs::stored(past),
            public,
            config,
        })
    }
}

/// The part of a head record that an observer has too.
pub(crate) struct PublicHead {
    pub(crate) context: GroupContext,
    confirmation_tag: Mac,
    tree: Vec<u8>,
    index: Zeroizing<Vec<u8>>,
    pub(crate) counts: CountsSummary,
}

impl PublicState {
    /// At least as many bytes as [`encode_head`](Self::encode_head) appends.
    pub(crate) fn head_len(&self) -> usize {
        self.context_bytes.len() + 512
    }

    /// Appends what a head record holds of the public state.
    pub(crate) fn encode_head(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        put_bytes(out, &self.context_bytes);
        self.confirmation_tag.encode(out);
        put_bytes(out, &self.tree.summary()?);
        put_bytes(out, &self.index.summary());
        self.counts.summary(self.index.seed()).encode(out);
        Ok(())
    }

    /// Writes tree, index and counts in full.
    pub(crate) fn store_whole(&mut self, changes: &mut ChangeSet) -> Result<(), Error> {
        self.tree.changes(&Tree::new(self.suite), changes)?;
        self.index.write(changes);
        self.counts.write(None, changes);
        Ok(())
    }

    /// Takes in records of tree and index.
    pub(crate) fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        self.tree.supply(records)?;
        for (key, value) in records {
            if let (RecordKind::IndexBase | RecordKind::IndexLog, value) = (key.kind, value) {
                let value = value.as_ref().ok_or(Error::Corrupt(*key))?;
                self.index.supply(*key, value).map_err(|error| Error::Corrupt(error.0))?;
            }
        }
        Ok(())
    }
}

impl PublicHead {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let limits = *reader.limits();
        Ok(Self {
            context: GroupContext::from_bytes(reader.opaque()?, &limits)?,
            confirmation_tag: Mac::decode(reader)?,
            tree: reader.opaque()?.to_vec(),
            index: Zeroizing::new(reader.opaque()?.to_vec()),
            counts: CountsSummary::decode(reader)?,
        })
    }

    /// The public state with its tree and index still in storage.
    pub(crate) fn open(
        self,
        suite: &'static dyn Suite,
        config: &Config,
        records: &BTreeMap<RecordKey, RecordValue>,
    ) -> Result<PublicState, Error> {
        let corrupt = |_| Error::Corrupt(RecordKey::HEAD);
        let index = KeyIndex::from_summary(&self.index).map_err(|error| Error::Corrupt(error.0))?;
        let keys = self.counts.records().0;
        let values = keys.iter().filter_map(|key| records.get(key)).map(|value| value.as_slice());
        let counts = self.counts.load(index.seed(), values);
        let counts = counts.map_err(|_| Error::Corrupt(RecordKey::new(RecordKind::Counts, 0, 0)))?;
        let mut tree = Tree::from_summary(suite, &self.tree)?;
        let context = self.context;
        // All other records of the tree are compared with this hash.
        if tree.tree_hash()?.as_slice() != context.tree_hash.as_slice() {
            return Err(Error::Corrupt(RecordKey::HEAD));
        }
        let extensions = GroupExtensions::validate(context.extensions.clone(), suite, &config.extensions);
        let confirmed = context.confirmed_transcript_hash.as_slice();
        Ok(PublicState {
            suite,
            interim_transcript_hash: transcript::interim_transcript_hash(suite, confirmed, &self.confirmation_tag),
            confirmation_tag: self.confirmation_tag,
            context_bytes: context.to_bytes().into(),
            extensions: Arc::new(extensions.map_err(corrupt)?),
            context: Arc::new(context),
            tree,
            index,
            counts,
        })
    }
}

/// Reads the version byte of a head record.
pub(crate) fn check_version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.error(DecodeErrorKind::UnknownValue { value: 0 });
    if u8::decode(reader)? == VERSION { Ok(()) } else { Err(at) }
}

/// The group and suite that a head record names, for a list of groups.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn peek(head: &[u8]) -> Result<(GroupId, CipherSuite, u64), Error> {
    let head = Head::decode(head).map_err(|_| Error::Corrupt(RecordKey::HEAD))?;
    let context = head.public.context;
    Ok((context.group_id, context.cipher_suite, context.epoch))
}
