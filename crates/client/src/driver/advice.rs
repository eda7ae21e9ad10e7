//! Commits for the sake of others: see [`Group::commit_advice`](keyroom_mls::group::Group::commit_advice).

use std::time::Duration;

use keyroom_api::RoomUri;
use tokio::time::Instant;

use super::Driver;
use crate::options::PathUpdates;
use crate::rows::{Outgoing, Phase};

/// However many come before this device, it does not wait longer, apart from what chance adds.
const LONGEST: Duration = Duration::from_secs(3600);

impl Driver {
    /// Looks, once in each epoch and only while the room has nothing else to do, whether this device
    /// should commit, and sets the time for it.
    pub(super) fn heed_advice(&mut self, uri: &RoomUri) {
        let PathUpdates::After(least) = self.path_updates else { return };
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        let idle = slot.room.phase() == Phase::Active && slot.room.is_idle();
        let Some(epoch) = slot.room.loaded_epoch().filter(|epoch| idle && slot.advised != Some(*epoch)) else { return };
        slot.advised = Some(epoch);
        match slot.room.commit_advice() {
            Ok(None) => slot.commit = None,
            Ok(Some(advice)) => {
                let wait = least.saturating_mul(advice.rank.saturating_add(1)).min(LONGEST);
                // Members of other parts of the tree get such advice at the same moment.
                slot.commit = Some(Instant::now() + wait + self.env.up_to(wait));
            }
            Err(error) => self.trouble(uri, &error),
        }
    }

    /// Commits in the rooms whose time has come, if that is still of use.
    pub(super) fn commit_as_advised(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let rooms: Vec<RoomUri> =
            self.rooms.iter().filter(|(_, slot)| due(slot.commit)).map(|(uri, _)| uri.clone()).collect();
        for uri in rooms {
            if let Some(slot) = self.rooms.get_mut(&uri) {
                slot.commit = None;
            }
            let committed = self.step(&uri, |room| match room.commit_advice()? {
                Some(_) if room.is_idle() && room.phase() == Phase::Active => room.change(Outgoing::Rotate).map(drop),
                _ => Ok(()),
            });
            if let Err(error) = committed {
                tracing::debug!(%error, "an advised commit was not made");
            }
        }
    }
}
