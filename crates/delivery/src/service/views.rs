//! Public states that have been read lately, so that a busy room is not decoded for each message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{PublicView, RoomId};

/// Rooms whose state is held in memory.
const ROOMS: usize = 256;

/// The newest known view of each room. A miss costs a read, never a wrong verdict: views are found by
/// epoch, and the view of an epoch never changes.
#[derive(Default)]
pub(super) struct Views {
    rooms: Mutex<HashMap<RoomId, Arc<dyn PublicView>>>,
}

impl Views {
    pub(super) fn find(&self, room: RoomId, epoch: u64) -> Option<Arc<dyn PublicView>> {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(&room).filter(|view| view.epoch() == epoch).cloned()
    }

    pub(super) fn put(&self, room: RoomId, view: Arc<dyn PublicView>) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.get(&room).is_some_and(|held| held.epoch() > view.epoch()) {
            return;
        }
        if rooms.len() >= ROOMS && !rooms.contains_key(&room) {
            // Which one goes does not matter much: the order of a hash map is as good as chance.
            if let Some(any) = rooms.keys().next().copied() {
                rooms.remove(&any);
            }
        }
        rooms.insert(room, view);
    }
}
