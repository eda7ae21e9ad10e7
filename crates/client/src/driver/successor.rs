//! Closed rooms: who founds the successor, and when the old keys go.

use keyroom_api::{Closure, DeviceUri, RoomUri};
use tokio::time::Instant;

use super::Driver;
use super::advice::STEP;
use crate::Error;
use crate::options::PathUpdates;
use crate::room::Room;
use crate::rows::Phase;
use crate::slot::Slot;

/// How often a device tries to found a successor.
const ATTEMPTS: u32 = 3;

impl Driver {
    pub(super) fn closed(&mut self, uri: &RoomUri, closure: Closure) {
        let Some(slot) = self.rooms.get_mut(uri).filter(|slot| !slot.stale) else { return };
        let done = slot.room.close(closure);
        let successor = slot.room.successor().cloned();
        if let Err(error) = done {
            self.trouble(uri, &error);
        }
        self.pass_on(uri);
        if let Some(successor) = successor {
            self.retire_predecessor(&successor);
        }
    }

    /// Sets the time at which this device founds the successor of a room that was closed where it stands
    /// still: one after the other, so that few do it at once.
    pub(super) fn heed_closure(&mut self, uri: &RoomUri) {
        let PathUpdates::After(least) = self.path_updates else { return };
        if self.founds_ready(uri) {
            return;
        }
        let waits = |slot: &&mut Slot| slot.found.is_none() && slot.attempts < ATTEMPTS;
        let Some(slot) = self.rooms.get_mut(uri).filter(waits) else { return };
        let rank = match slot.room.founder_rank() {
            Ok(Some(rank)) => rank,
            Ok(None) => return,
            Err(error) => return self.trouble(uri, &error),
        };
        // One that a restart interrupted goes on by itself.
        let under_way = self.rooms.values().any(|slot| slot.room.predecessor() == Some(uri));
        let Some(slot) = self.rooms.get_mut(uri).filter(|_| !under_way) else { return };
        let step = STEP.min(least);
        let steps = rank.saturating_add(1).ilog2().saturating_add(slot.attempts);
        slot.found = Some(Instant::now() + step.saturating_mul(steps) + self.env.up_to(step));
    }

    /// Begins to found successors where it is this device's turn.
    pub(super) fn found_as_due(&mut self, now: Instant) {
        for uri in self.due(now, |slot| slot.found) {
            if let Some(slot) = self.rooms.get_mut(&uri) {
                slot.found = None;
                slot.attempts = slot.attempts.saturating_add(1);
            }
            if let Err(error) = self.step(&uri, Room::begin_founding) {
                tracing::warn!(%error, "a successor was not begun");
            }
        }
    }

    /// Founds the successor of a room once the key packages are there. Returns whether that is all for now.
    fn founds_ready(&mut self, uri: &RoomUri) -> bool {
        let Some(slot) = self.rooms.get_mut(uri).filter(|slot| slot.room.is_ready_to_found()) else { return false };
        match slot.room.found(&mut self.env) {
            Ok(None) => false,
            Ok(Some(successor)) => {
                let uri = successor.uri().clone();
                self.place(uri.clone(), successor);
                self.pump_room(&uri);
                true
            }
            Err(error @ (Error::Store(_) | Error::Corrupt)) => {
                self.trouble(uri, &error);
                true
            }
            // It is tried again, and the others may have more luck.
            Err(error) => {
                tracing::warn!(%error, "a successor could not be founded");
                false
            }
        }
    }

    /// The server has not taken a successor of this device. If it has taken another one, it tells; else it is
    /// tried again, which is no further attempt where it comes to less: there are only so many devices.
    pub(super) fn forget_successor(&mut self, successor: &RoomUri, without: Option<DeviceUri>) {
        let Some(gone) = self.rooms.remove(successor) else { return };
        let Some(before) = gone.room.predecessor().cloned() else { return };
        if let (Some(slot), Some(device)) = (self.rooms.get_mut(&before), without)
            && slot.room.leave_out(device)
        {
            slot.attempts = slot.attempts.saturating_sub(1);
        }
        // Nothing else may happen that would wake it.
        self.heed_closure(&before);
    }

    /// The old keys go once this device is in the room that goes on.
    pub(super) fn retire_predecessor(&mut self, successor: &RoomUri) {
        let Some(slot) = self.rooms.get(successor).filter(|slot| slot.room.phase() == Phase::Active) else { return };
        let Some(before) = slot.room.predecessor().cloned() else { return };
        let goes_on = |slot: &Slot| slot.room.phase() == Phase::Halted && slot.room.successor() == Some(successor);
        if self.rooms.get(&before).is_some_and(goes_on)
            && let Err(error) = self.step(&before, Room::retire)
        {
            tracing::warn!(%error, "the keys of a room that goes on elsewhere are still there");
        }
    }
}
