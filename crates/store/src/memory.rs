use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use keyroom_mls::record::{ChangeSet, RecordKey, RecordValue};
use keyroom_wire::GroupId;

use crate::{Direction, Expect, Namespace, Row, RowChange, RowKey, Scan, Snapshot, Store, StoreError, Transaction};

/// A store in memory, for tests, simulations and rooms that are not to outlive the process. A clone is
/// another handle on the same store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.state.lock().map_err(|_| StoreError::Closed)
    }
}

impl Store for MemoryStore {
    fn read(&self, group: &GroupId, keys: &[RecordKey]) -> Result<Snapshot, StoreError> {
        let state = self.state()?;
        let stored = state.groups.get(group);
        Ok(Snapshot {
            version: stored.map_or(0, |stored| stored.version),
            records: keys
                .iter()
                .map(|key| (*key, stored.and_then(|stored| stored.records.get(key)).cloned()))
                .collect(),
        })
    }

    fn apply(&self, transaction: Transaction) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.check_versions(&transaction.changes)?;
        state.check_rows(&transaction.rows)?;
        for change_set in transaction.changes {
            state.write(change_set);
        }
        for RowChange { key, value, .. } in transaction.rows {
            match value {
                Some(value) => drop(state.rows.insert(key, value)),
                None => drop(state.rows.remove(&key)),
            }
        }
        Ok(())
    }

    fn groups(&self) -> Result<Vec<(GroupId, u64)>, StoreError> {
        Ok(self.state()?.groups.iter().map(|(group, stored)| (group.clone(), stored.version)).collect())
    }

    fn row(&self, key: &RowKey) -> Result<Option<RecordValue>, StoreError> {
        Ok(self.state()?.rows.get(key).cloned())
    }

    fn rows(&self, scan: Scan<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let state = self.state()?;
        let row = |(key, value): (&RowKey, &RecordValue)| Row { key: key.clone(), value: value.clone() };
        Ok(match scan {
            Scan::Series { within, .. } if within.is_empty() => Vec::new(),
            Scan::Series { namespace, name, within, direction } => {
                let series = state
                    .rows
                    .range(RowKey::at(namespace, name, *within.start())..=RowKey::at(namespace, name, *within.end()));
                match direction {
                    Direction::Ascending => series.take(limit).map(row).collect(),
                    Direction::Descending => series.rev().take(limit).map(row).collect(),
                }
            }
            Scan::Namespace { namespace, after } => {
                let from = start(namespace, after);
                let rows = state.rows.range((from, Bound::Unbounded));
                rows.take_while(|(key, _)| key.namespace == namespace).take(limit).map(row).collect()
            }
        })
    }

    fn scrub(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    groups: BTreeMap<GroupId, Stored>,
    rows: BTreeMap<RowKey, RecordValue>,
}

#[derive(Default)]
struct Stored {
    version: u64,
    records: BTreeMap<RecordKey, RecordValue>,
}

impl State {
    /// Follows the versions that the change sets lead through, without changing anything.
    fn check_versions(&self, changes: &[ChangeSet]) -> Result<(), StoreError> {
        let mut versions: HashMap<&GroupId, u64> = HashMap::new();
        for ChangeSet { group_id, base, version, deleted, .. } in changes {
            if version <= base {
                return Err(StoreError::VersionOrder { group: group_id.clone() });
            }
            let current = versions
                .entry(group_id)
                .or_insert_with(|| self.groups.get(group_id).map_or(0, |stored| stored.version));
            if current != base {
                return Err(StoreError::Conflict { group: group_id.clone(), stored: *current, base: *base });
            }
            *current = if *deleted { 0 } else { *version };
        }
        Ok(())
    }

    fn check_rows(&self, changes: &[RowChange]) -> Result<(), StoreError> {
        let mut present: HashMap<&RowKey, bool> = HashMap::new();
        for (index, RowChange { key, expect, value }) in changes.iter().enumerate() {
            let present = present.entry(key).or_insert_with(|| self.rows.contains_key(key));
            if matches!((expect, *present), (Expect::Absent, true) | (Expect::Present, false)) {
                return Err(StoreError::RowConflict { index });
            }
            *present = value.is_some();
        }
        Ok(())
    }

    fn write(&mut self, change_set: ChangeSet) {
        let ChangeSet { group_id, version, deleted, cleared, writes, .. } = change_set;
        if deleted {
            self.groups.remove(&group_id);
            return;
        }
        let stored = self.groups.entry(group_id).or_default();
        stored.version = version;
        for (kind, major) in cleared {
            let all = RecordKey::new(kind, major, 0)..=RecordKey::new(kind, major, u64::MAX);
            let keys: Vec<RecordKey> = stored.records.range(all).map(|(key, _)| *key).collect();
            keys.iter().for_each(|key| drop(stored.records.remove(key)));
        }
        for (key, value) in writes {
            match value {
                Some(value) => drop(stored.records.insert(key, value)),
                None => drop(stored.records.remove(&key)),
            }
        }
    }
}

fn start(namespace: Namespace, after: Option<&RowKey>) -> Bound<RowKey> {
    match after {
        Some(RowKey { name, order, .. }) => Bound::Excluded(RowKey::at(namespace, name.as_slice(), *order)),
        None => Bound::Included(RowKey::at(namespace, Vec::new(), 0)),
    }
}
