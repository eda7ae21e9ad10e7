//! Reading a log from a cursor on.

use std::time::Duration;

use keyroom_api::{DeviceUri, LogPage, RoomUri};
use tokio::time::{Instant, timeout_at};

use super::Delivery;
use crate::{LogRead, Page, Refusal, Topic};

impl Delivery {
    /// The log of a room after a cursor. With nothing to show it waits for news up to `wait`, and no
    /// longer than [`Limits::wait`](crate::Limits::wait).
    ///
    /// # Errors
    /// [`Refusal::UnknownRoom`], [`Refusal::NotMember`]; [`Refusal::NotThen`] if the next entry is none that
    /// the caller may read.
    pub async fn log(
        &self,
        caller: &DeviceUri,
        room: &RoomUri,
        after: u64,
        limit: Option<usize>,
        wait: Duration,
    ) -> Result<LogPage, Refusal> {
        self.own_host(caller.host())?;
        // Listening starts before the first look, so that nothing falls between.
        let mut subscription = self.bus.subscribe();
        let found = self.find_as_reader(caller, room).await?;
        let page = self.page(after, limit);
        let end = Instant::now() + wait.min(self.limits.wait);
        if !wait.is_zero() {
            subscription.add(Topic::Room(room.clone()));
        }
        loop {
            let LogRead::Page { page: log, until } = self.ledger.log(found.id, Some(caller), page).await? else {
                return Err(Refusal::NotThen);
            };
            let now = Instant::now();
            if !log.entries.is_empty() || now >= end || until.is_some() {
                return Ok(log);
            }
            // Woken, out of time or at the next look without a hint: in every case the ledger knows.
            let _ = timeout_at(end.min(now + self.limits.poll), subscription.changed()).await;
        }
    }

    pub(super) fn page(&self, after: u64, limit: Option<usize>) -> Page {
        let entries = limit.unwrap_or(self.limits.page).clamp(1, self.limits.page.max(1));
        Page { after, entries, bytes: self.limits.page_bytes }
    }
}
