//! A room in the driver, and those who wait for it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::Reply;
use crate::room::Room;

/// How long a room waits before it asks again what the server did not answer.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A room and those who wait for it.
pub(crate) struct Slot {
    pub(crate) room: Room,
    pub(crate) busy: bool,
    /// Not before this time, after a failure.
    pub(crate) pause: Duration,
    pub(crate) retry: Option<Instant>,
    /// A step failed: entries are not taken until the log is asked for again.
    pub(crate) stale: bool,
    /// When the log is asked for again, if it has not shown until then what the server has taken.
    pub(crate) watch: Option<Instant>,
    /// The epoch in which this device was last asked whether it should commit, and when it will.
    pub(crate) advised: Option<u64>,
    pub(crate) commit: Option<Instant>,
    /// The epoch in which it was last looked whether others see the own credential as it is.
    pub(crate) shown: Option<u64>,
    /// The epoch in which others were found to have proposed something, and when this device commits it.
    pub(crate) covering: Option<u64>,
    pub(crate) cover: Option<Instant>,
    /// When this device founds the successor of the closed room, and how often it has tried.
    pub(crate) found: Option<Instant>,
    pub(crate) attempts: u32,
    pub(crate) changes: HashMap<u64, Reply<u64>>,
    pub(crate) flushes: Vec<Reply<()>>,
}

impl Slot {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            busy: false,
            pause: PAUSE,
            retry: None,
            stale: false,
            watch: None,
            advised: None,
            shown: None,
            commit: None,
            covering: None,
            cover: None,
            found: None,
            attempts: 0,
            changes: HashMap::new(),
            flushes: Vec::new(),
        }
    }

    pub(crate) fn later(&mut self) {
        self.retry = Some(Instant::now() + self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }

    pub(crate) fn calm(&mut self) {
        self.retry = None;
        self.pause = PAUSE;
    }
}
