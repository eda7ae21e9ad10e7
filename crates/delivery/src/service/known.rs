//! What never changes about a room: the ledger's name for it, and its group.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyroom_api::RoomUri;

use crate::{RoomId, RoomRecord};

/// Rooms of one generation; two are held.
const ROOMS: usize = 16_384;

/// Longest group id that is held, in bytes: longer ones are allowed, and nobody has them.
const LONGEST: usize = 256;

/// Rooms that were asked for of late.
#[derive(Default)]
pub(super) struct Known {
    generations: Mutex<Generations>,
}

/// A room that is found in the old generation moves to the new one. When that is full, it becomes the old
/// one, and the old one goes.
#[derive(Default)]
struct Generations {
    new: HashMap<RoomUri, Identity>,
    old: HashMap<RoomUri, Identity>,
}

/// A room and its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: RoomId,
    pub(super) group_id: Arc<[u8]>,
}

impl Known {
    pub(super) fn put(&self, room: &RoomUri, record: &RoomRecord) {
        if record.group_id.len() <= LONGEST && self.find(room).is_none() {
            let identity = Identity { id: record.id, group_id: record.group_id.as_slice().into() };
            self.lock().put(room.clone(), identity);
        }
    }

    pub(super) fn find(&self, room: &RoomUri) -> Option<Identity> {
        let mut generations = self.lock();
        if let Some(identity) = generations.new.get(room) {
            return Some(identity.clone());
        }
        let (room, identity) = generations.old.remove_entry(room)?;
        generations.put(room, identity.clone());
        Some(identity)
    }

    /// A panic elsewhere leaves the maps whole: at worst a room is looked up again.
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, room: RoomUri, identity: Identity) {
        if self.new.len() >= ROOMS {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(room, identity);
    }
}

#[cfg(test)]
mod tests {
    use keyroom_api::RoomStatus;

    use super::*;
    use crate::Standing;

    fn uri(number: usize) -> RoomUri {
        format!("mimi://h/r/{number}").parse().unwrap()
    }

    fn record(number: usize, group_id: Vec<u8>) -> RoomRecord {
        RoomRecord {
            id: RoomId(i64::try_from(number).unwrap()),
            group_id,
            status: RoomStatus { epoch: 0, head: 0, closed: None },
            reports_needed: 0,
            keyed: false,
            standing: Standing::Stranger,
        }
    }

    #[test]
    fn rooms_that_are_asked_for_stay_and_memory_is_bounded() {
        let known = Known::default();
        for number in 0..5 * ROOMS {
            known.put(&uri(number), &record(number, number.to_be_bytes().to_vec()));
            assert_eq!(known.find(&uri(0)).unwrap(), Identity { id: RoomId(0), group_id: [0; 8].into() });
        }
        let generations = known.lock();
        assert!(generations.new.len() <= ROOMS && generations.old.len() <= ROOMS);
        drop(generations);
        let last = 5 * ROOMS - 1;
        assert_eq!(known.find(&uri(last)).unwrap().id, record(last, Vec::new()).id);
        assert_eq!(known.find(&uri(1)), None);
        known.put(&uri(1), &record(1, vec![0; LONGEST + 1]));
        assert_eq!(known.find(&uri(1)), None);
    }
}
