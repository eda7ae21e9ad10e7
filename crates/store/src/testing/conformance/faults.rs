use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind};

use super::{Handle, group, key, value};
use crate::testing::{Effect, Fault, FaultStore, Moment};
use crate::{Namespace, RowKey, Scan, Store, StoreError, Transaction};

const STEPS: u64 = 4;
const OUTBOX: Namespace = Namespace::new("outbox");

/// A small application that brings a group to version [`STEPS`] and posts one message per version is
/// made to fail, and to die, at every call; then it is started again.
pub(super) fn a_failed_call_leaves_the_old_state_or_the_new<P, O>(place: &P)
where
    P: Fn() -> O,
    O: Fn() -> Handle,
{
    for moment in [Moment::Before, Moment::After] {
        for effect in [Effect::Fail, Effect::Crash] {
            let mut call = 0;
            while fails_at(&place(), Fault { call, moment, effect }) {
                call += 1;
            }
            assert_eq!(call, 2 * STEPS + 1);
        }
    }
}

/// Whether the fault came before the application was done.
fn fails_at(open: &impl Fn() -> Handle, fault: Fault) -> bool {
    let store = FaultStore::new(open(), fault);
    let mut acknowledged = 0;
    let result = advance(&store, &mut acknowledged);
    if result.is_ok() {
        assert!(store.calls() <= fault.call);
        return false;
    }
    let next = store.read(&group("a"), &[]);
    assert_eq!(next == Err(StoreError::Closed), fault.effect == Effect::Crash);

    let after_restart = open();
    let stored = stored_version(&after_restart);
    // Odd calls write.
    let unacknowledged = u64::from(fault.moment == Moment::After && fault.call % 2 == 1);
    assert_eq!(stored, acknowledged + unacknowledged);
    advance(&after_restart, &mut acknowledged).unwrap();
    assert_eq!(stored_version(&after_restart), STEPS);
    true
}

fn advance(store: &dyn Store, acknowledged: &mut u64) -> Result<(), StoreError> {
    loop {
        let base = store.read(&group("a"), &[])?.version;
        if base == STEPS {
            return Ok(());
        }
        let mut change_set = ChangeSet::new(group("a"), base);
        let next = change_set.version.to_be_bytes().to_vec();
        change_set.clear(RecordKind::Ratchet, base);
        change_set.put(RecordKey::HEAD, next.clone());
        change_set.put(key(RecordKind::Ratchet, base + 1, 0), next.clone());
        let message = RowKey::at(OUTBOX, "a", base + 1);
        store.apply(Transaction::new().change(change_set).insert(message, next))?;
        *acknowledged = base + 1;
    }
}

/// The version, after a look at whether everything belongs to it.
fn stored_version(store: &dyn Store) -> u64 {
    let ratchets = (1..=STEPS).map(|major| key(RecordKind::Ratchet, major, 0));
    let keys: Vec<_> = ratchets.chain([RecordKey::HEAD]).collect();
    let snapshot = store.read(&group("a"), &keys).unwrap();
    let version = snapshot.version;
    for (key, found) in snapshot.records {
        let there = version > 0 && (key == RecordKey::HEAD || key.major == version);
        assert_eq!(found, there.then(|| value(&version.to_be_bytes())));
    }
    let messages = store.rows(Scan::series(OUTBOX, b"a"), usize::MAX).unwrap();
    assert!(messages.iter().map(|row| row.key.order).eq(1..=version));
    version
}
