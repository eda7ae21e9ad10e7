use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyroom_mls::record::{RecordKey, RecordValue};
use keyroom_wire::GroupId;

use crate::{Row, RowKey, Scan, Snapshot, Store, StoreError, Transaction};

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the store did anything.
    Before,
    /// After the store did all of it; the caller never learns.
    After,
}

/// What becomes of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One call fails with [`StoreError::Io`]; later ones work.
    Fail,
    /// The process dies: this call and all later ones of this handle fail with [`StoreError::Closed`].
    Crash,
}

/// A failure to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call fails, counted from 0 over all methods.
    pub call: u64,
    /// When it fails.
    pub moment: Moment,
    /// What becomes of the caller.
    pub effect: Effect,
}

/// A handle on a store that fails once, at a call chosen beforehand. Run an operation against it once for
/// each call that it makes, then look through another handle: the old state must be there or the new.
#[derive(Debug)]
pub struct FaultStore<S> {
    store: S,
    fault: Fault,
    calls: AtomicU64,
    dead: AtomicBool,
}

impl<S: Store> FaultStore<S> {
    /// A handle that fails as `fault` says.
    pub fn new(store: S, fault: Fault) -> Self {
        Self { store, fault, calls: AtomicU64::new(0), dead: AtomicBool::new(false) }
    }

    /// How many calls there were so far. If it is not greater than the fault's, the fault has not come.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn call<T>(&self, call: impl FnOnce(&S) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        if number != self.fault.call {
            return call(&self.store);
        }
        if self.fault.moment == Moment::After {
            // What came of it is lost with the caller.
            let _ = call(&self.store);
        }
        match self.fault.effect {
            Effect::Fail => Err(StoreError::Io(std::io::ErrorKind::Other)),
            Effect::Crash => {
                self.dead.store(true, Ordering::SeqCst);
                Err(StoreError::Closed)
            }
        }
    }
}

impl<S: Store> Store for FaultStore<S> {
    fn read(&self, group: &GroupId, keys: &[RecordKey]) -> Result<Snapshot, StoreError> {
        self.call(|store| store.read(group, keys))
    }

    fn apply(&self, transaction: Transaction) -> Result<(), StoreError> {
        self.call(|store| store.apply(transaction))
    }

    fn groups(&self) -> Result<Vec<(GroupId, u64)>, StoreError> {
        self.call(Store::groups)
    }

    fn row(&self, key: &RowKey) -> Result<Option<RecordValue>, StoreError> {
        self.call(|store| store.row(key))
    }

    fn rows(&self, scan: Scan<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.call(|store| store.rows(scan, limit))
    }

    fn scrub(&self) -> Result<(), StoreError> {
        self.call(Store::scrub)
    }
}
