//! Storage as the documentation of records describes it, and groups that live in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyroom_mls::config::Config;
use keyroom_mls::error::Error;
use keyroom_mls::group::Group;
use keyroom_mls::public::PublicGroup;
use keyroom_mls::record::{ChangeSet, Missing, RecordKey, RecordKind, RecordValue};
use keyroom_rustcrypto::RUSTCRYPTO;

/// Records of one group, as a store holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    pub records: BTreeMap<RecordKey, RecordValue>,
    pub version: u64,
}

/// What a group needs of a store to be brought back.
pub trait Stored: Sized {
    fn open(config: Arc<Config>, version: u64, records: &BTreeMap<RecordKey, RecordValue>) -> Result<Self, Error>;
    fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error>;
}

impl Stored for Group {
    fn open(config: Arc<Config>, version: u64, records: &BTreeMap<RecordKey, RecordValue>) -> Result<Self, Error> {
        Self::open(&RUSTCRYPTO, config, version, records)
    }

    fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        self.supply(records)
    }
}

impl Stored for PublicGroup {
    fn open(config: Arc<Config>, version: u64, records: &BTreeMap<RecordKey, RecordValue>) -> Result<Self, Error> {
        Self::open(&RUSTCRYPTO, config, version, records)
    }

    fn supply(&mut self, records: &[(RecordKey, Option<RecordValue>)]) -> Result<(), Error> {
        self.supply(records)
    }
}

impl Disk {
    pub fn of(changes: ChangeSet) -> Self {
        let mut disk = Self::default();
        disk.apply(changes);
        disk
    }

    /// First `cleared`, then `writes`, in one transaction, on top of the version it was made from.
    pub fn apply(&mut self, changes: ChangeSet) {
        assert_eq!(changes.base, self.version, "a change set fits one version only");
        assert!(changes.version > changes.base);
        self.version = changes.version;
        if changes.deleted {
            self.records.clear();
            return;
        }
        self.records.retain(|key, _| !changes.cleared.contains(&(key.kind, key.major)));
        for (key, value) in changes.writes {
            match value {
                Some(value) => drop(self.records.insert(key, value)),
                None => drop(self.records.remove(&key)),
            }
        }
    }

    /// Opens the group and says in how many rounds of reading.
    pub fn open<G: Stored>(&self, config: &Arc<Config>) -> Result<(G, usize), Error> {
        let mut read = BTreeMap::new();
        for round in 0..4 {
            match G::open(config.clone(), self.version, &read) {
                Err(Error::Missing(Missing(keys))) => {
                    assert!(!keys.is_empty(), "nothing is missing, but it does not open");
                    for key in keys {
                        let Some(value) = self.records.get(&key) else {
                            return Err(Error::Missing(Missing(vec![key])));
                        };
                        assert!(read.insert(key, value.clone()).is_none(), "{key:?} was asked for twice");
                    }
                }
                other => return other.map(|group| (group, round)),
            }
        }
        panic!("opening takes too many rounds");
    }

    /// What the store answers when asked for these records.
    pub fn read(&self, keys: &[RecordKey]) -> Vec<(RecordKey, Option<RecordValue>)> {
        keys.iter().map(|key| (*key, self.records.get(key).cloned())).collect()
    }

    /// Calls an operation again and again, with what it asks for, and counts the rounds.
    pub fn attempt<G: Stored, T>(
        &self,
        group: &mut G,
        mut operation: impl FnMut(&mut G) -> Result<T, Error>,
    ) -> (Result<T, Error>, usize) {
        let mut asked = std::collections::BTreeSet::new();
        for round in 0..64 {
            match operation(group) {
                Err(Error::Missing(Missing(keys))) => {
                    assert!(!keys.is_empty(), "nothing is missing, but it does not go on");
                    let new = keys.iter().filter(|key| asked.insert(**key)).count();
                    assert!(new > 0, "only records that were supplied are asked for again: {keys:?}");
                    if let Err(error) = group.supply(&self.read(&keys)) {
                        return (Err(error), round);
                    }
                }
                other => return (other, round),
            }
        }
        panic!("an operation takes too many rounds");
    }

    /// All records but those of the key index.
    pub fn snapshot(&self) -> BTreeMap<RecordKey, RecordValue> {
        let index = |key: &RecordKey| matches!(key.kind, RecordKind::IndexBase | RecordKind::IndexLog);
        self.records.iter().filter(|(key, _)| !index(key)).map(|(key, value)| (*key, value.clone())).collect()
    }
}
