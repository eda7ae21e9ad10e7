//! One suite for all stores.
//!
//! ```
//! use keyroom_store::testing::conformance;
//! use keyroom_store::{MemoryStore, Store};
//!
//! conformance::check(|| {
//!     let store = MemoryStore::new();
//!     move || Box::new(store.clone()) as Box<dyn Store>
//! });
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failed check is a panic, as in any test"
)]

mod faults;
mod groups;
mod handles;
mod model;
mod rows;

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};
use keyroom_wire::GroupId;

use crate::Store;

/// A handle on a store.
type Handle = Box<dyn Store>;

/// Runs all checks. `place` makes an empty store and returns what opens handles on it; every handle
/// sees what the others of that store wrote.
///
/// # Panics
/// If the store breaks the contract.
pub fn check<P, O>(place: P)
where
    P: Fn() -> O,
    O: Fn() -> Handle + Sync,
{
    for check in groups::CHECKS.iter().chain(&rows::CHECKS) {
        check(&*place()());
    }
    handles::second_handle_loses_and_finds_what_the_first_wrote(&place());
    handles::load_notices_a_change_between_two_rounds(&place());
    handles::one_of_many_wins_each_version(&place());
    handles::readers_never_see_a_mix(&place());
    for seed in 0..4 {
        model::agrees_with_a_plain_map(&place(), seed);
    }
    faults::a_failed_call_leaves_the_old_state_or_the_new(&place);
}

fn group(name: &str) -> GroupId {
    GroupId::from(name.as_bytes())
}

fn key(kind: RecordKind, major: u64, minor: u64) -> RecordKey {
    RecordKey::new(kind, major, minor)
}

fn value(bytes: &[u8]) -> RecordValue {
    RecordValue::new(bytes.to_vec())
}

/// A change set that puts some records.
fn puts(group: &GroupId, base: u64, records: &[(RecordKey, &[u8])]) -> ChangeSet {
    let mut change_set = ChangeSet::new(group.clone(), base);
    for (key, value) in records {
        change_set.put(*key, value.to_vec());
    }
    change_set
}

/// A change set that ends a group.
fn deletion(group: &GroupId, base: u64) -> ChangeSet {
    let mut change_set = ChangeSet::new(group.clone(), base);
    change_set.deleted = true;
    change_set
}

fn get(store: &dyn Store, group: &GroupId, key: RecordKey) -> Option<Vec<u8>> {
    store.read(group, &[key]).unwrap().records.remove(0).1.map(|value| value.to_vec())
}

fn version(store: &dyn Store, group: &GroupId) -> u64 {
    store.read(group, &[]).unwrap().version
}
