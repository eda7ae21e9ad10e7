//! Commits for the sake of others: see [`Group::commit_advice`](keyroom_mls::group::Group::commit_advice).

use std::time::Duration;

use keyroom_api::RoomUri;
use tokio::time::Instant;

use super::Driver;
use crate::options::PathUpdates;
use crate::rows::{Outgoing, Phase};

/// How long members wait for those who should commit before them what somebody has proposed. Twice as
/// many come with each step, so that few commit at the same moment and nobody waits long.
pub(super) const STEP: Duration = Duration::from_millis(500);

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

    /// Looks whether others have proposed something, to leave say, and sets the time to commit it: it
    /// waits for a commit and is gone with its epoch.
    pub(super) fn heed_proposals(&mut self, uri: &RoomUri) {
        let PathUpdates::After(least) = self.path_updates else { return };
        let Some(slot) = self.rooms.get_mut(uri) else { return };
        let idle = slot.room.phase() == Phase::Active && slot.room.is_idle();
        let Some(epoch) = slot.room.loaded_epoch().filter(|epoch| idle && slot.covering != Some(*epoch)) else {
            return;
        };
        slot.cover = None;
        match slot.room.cover_rank() {
            Ok(None) => {}
            Ok(Some(rank)) => {
                slot.covering = Some(epoch);
                let step = STEP.min(least);
                let steps = rank.saturating_add(1).ilog2();
                slot.cover = Some(Instant::now() + step.saturating_mul(steps) + self.env.up_to(step));
            }
            Err(error) => self.trouble(uri, &error),
        }
    }

    /// Commits what others have proposed in the rooms where it is this device's turn.
    pub(super) fn cover_as_due(&mut self, now: Instant) {
        for uri in self.due(now, |slot| slot.cover) {
            if let Some(slot) = self.rooms.get_mut(&uri) {
                slot.cover = None;
                if !slot.room.is_idle() {
                    // It is looked at again when the room has nothing else to do.
                    slot.covering = None;
                    continue;
                }
            }
            let covered = self.step(&uri, |room| match room.cover_rank()? {
                Some(_) if room.phase() == Phase::Active => room.change([Outgoing::Cover]).map(drop),
                _ => Ok(()),
            });
            if let Err(error) = covered {
                tracing::debug!(%error, "what waits was not committed");
            }
        }
    }

    /// Commits in the rooms whose time has come, if that is still of use.
    pub(super) fn commit_as_advised(&mut self, now: Instant) {
        for uri in self.due(now, |slot| slot.commit) {
            if let Some(slot) = self.rooms.get_mut(&uri) {
                slot.commit = None;
            }
            let committed = self.step(&uri, |room| match room.commit_advice()? {
                Some(_) if room.is_idle() && room.phase() == Phase::Active => room.change([Outgoing::Rotate]).map(drop),
                _ => Ok(()),
            });
            if let Err(error) = committed {
                tracing::debug!(%error, "an advised commit was not made");
            }
        }
    }
}
