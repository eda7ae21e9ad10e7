//! The newest entries of logs that somebody listens to, so that a thousand subscribers of a room cost one
//! look into the ledger for each hint and not a thousand.
//!
//! An entry of a log never changes, so what has been read stays true; the question is only whether it is
//! all. Hints and reads share one clock. A tail answers for a hint if it was read after that hint was given,
//! and only a reader whose cursor touches it: everybody else reads the ledger, one at a time for each room,
//! and leaves what it found for the rest. Who may read is decided by commits alone: a reader whom the ledger
//! has let read to the head of the log is given what comes after it from here up to the next commit, for
//! which everybody asks the ledger. A lost hint changes nothing: who looks without one asks for what
//! is true now, and that is always read anew.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyroom_api::{Closure, DeviceUri, EntryKind, LogEntry, LogPage};

use crate::bus::Moment;
use crate::{Ledger, LedgerError, LogRead, Page, RoomId};

/// Rooms whose tail is held.
const ROOMS: usize = 256;

/// Bytes of messages that the tail of a room holds. More than one entry only within this; the newest alone
/// may be longer.
const BYTES: usize = 64 << 10;

/// The tails of rooms.
#[derive(Default)]
pub(super) struct Recent {
    rooms: Mutex<HashMap<RoomId, Arc<Room>>>,
}

#[derive(Default)]
struct Room {
    tail: Mutex<Option<Tail>>,
    /// Held by the one who reads.
    reading: tokio::sync::Mutex<()>,
}

/// Entries without a gap, the last of which was the head of the log when it was read.
struct Tail {
    read: Moment,
    /// The cursor after which they begin.
    after: u64,
    entries: VecDeque<LogEntry>,
    epoch: u64,
    head: u64,
    closed: Option<Closure>,
}

/// What a reader wants to know.
pub(super) struct Wanted<'a> {
    pub(super) room: RoomId,
    pub(super) reader: &'a DeviceUri,
    pub(super) page: Page,
    /// The answer must be at least as new as this.
    pub(super) since: Moment,
    /// Whether the ledger has let the reader read to the head of the log at or before the cursor.
    pub(super) inside: bool,
}

impl Recent {
    /// The log as the ledger would answer it, at least as it was at that moment.
    pub(super) async fn log(&self, ledger: &dyn Ledger, wanted: &Wanted<'_>) -> Result<LogRead, LedgerError> {
        let Wanted { room: id, reader, page, since, inside } = *wanted;
        if !inside {
            return ledger.log(id, Some(reader), page).await;
        }
        let room = self.room(id);
        if let Some(page) = room.answer(&page, since) {
            return Ok(LogRead::Page { page, until: None });
        }
        let _one = room.reading.lock().await;
        // While this one waited, another may have read what it needs.
        if let Some(page) = room.answer(&page, since) {
            return Ok(LogRead::Page { page, until: None });
        }
        let read = Moment::now();
        let answer = ledger.log(id, Some(reader), page).await?;
        if let LogRead::Page { page: found, until: None } = &answer {
            room.keep(&page, read, found);
        }
        Ok(answer)
    }

    fn room(&self, id: RoomId) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if rooms.len() >= ROOMS && !rooms.contains_key(&id) {
            // Which one goes does not matter much: the order of a hash map is as good as chance.
            if let Some(any) = rooms.keys().next().copied() {
                rooms.remove(&any);
            }
        }
        rooms.entry(id).or_default().clone()
    }
}

impl Room {
    fn answer(&self, page: &Page, since: Moment) -> Option<LogPage> {
        lock(&self.tail).as_ref()?.answer(page, since)
    }

    /// Keeps what was read, if it reaches the head: what is only a part of the log says nothing about the
    /// rest.
    fn keep(&self, page: &Page, read: Moment, found: &LogPage) {
        let last = found.entries.last().map_or(page.after, |entry| entry.sequence);
        if last != found.head {
            return;
        }
        let mut tail = lock(&self.tail);
        // What another has read later is newer.
        if tail.as_ref().is_some_and(|tail| tail.read > read) {
            return;
        }
        let mut new = Tail::of(page.after, read, found);
        if let Some(old) = tail.take() {
            new.precede(old);
        }
        new.shrink();
        *tail = Some(new);
    }
}

impl Tail {
    fn of(after: u64, read: Moment, found: &LogPage) -> Self {
        let entries = found.entries.iter().cloned().collect();
        Self { read, after, entries, epoch: found.epoch, head: found.head, closed: found.closed.clone() }
    }

    /// The page that the ledger would have answered at the moment of the read; `None` if that was too
    /// early, or the entries do not reach back to the cursor.
    fn answer(&self, page: &Page, since: Moment) -> Option<LogPage> {
        if self.read <= since || page.after < self.after {
            return None;
        }
        let ahead = self.entries.iter().filter(|entry| entry.sequence > page.after);
        if ahead.clone().any(|entry| entry.kind == EntryKind::Commit) {
            return None;
        }
        let mut left = page.bytes;
        let mut entries = Vec::new();
        for entry in ahead.take(page.entries) {
            if entry.message.len() > left && !entries.is_empty() {
                break;
            }
            left = left.saturating_sub(entry.message.len());
            entries.push(entry.clone());
        }
        Some(LogPage { epoch: self.epoch, head: self.head, entries, closed: self.closed.clone() })
    }

    /// Puts older entries before these, if they touch.
    fn precede(&mut self, old: Self) {
        let touches = old.after < self.after && old.head >= self.after;
        if touches {
            let (after, begin) = (old.after, self.after);
            let older = old.entries.into_iter().take_while(|entry| entry.sequence <= begin);
            let newer = std::mem::take(&mut self.entries);
            self.entries = older.chain(newer).collect();
            self.after = after;
        }
    }

    /// Lets go of the oldest entries.
    fn shrink(&mut self) {
        let mut bytes: usize = self.entries.iter().map(|entry| entry.message.len()).sum();
        while bytes > BYTES && self.entries.len() > 1 {
            if let Some(oldest) = self.entries.pop_front() {
                bytes -= oldest.message.len();
                self.after = oldest.sequence;
            }
        }
    }
}

/// A panic elsewhere leaves tails whole: they change in one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use keyroom_api::EntryKind;

    use super::*;

    fn entry(sequence: u64, length: usize) -> LogEntry {
        LogEntry { sequence, epoch: 0, kind: EntryKind::Application, accepted_at: 0, message: vec![7; length] }
    }

    fn log(from: u64, to: u64, length: usize) -> LogPage {
        let entries = (from..=to).map(|sequence| entry(sequence, length)).collect();
        LogPage { epoch: 0, head: to, entries, closed: None }
    }

    fn page(after: u64) -> Page {
        Page { after, entries: 500, bytes: 4 << 20 }
    }

    fn sequences(page: Option<LogPage>) -> Option<Vec<u64>> {
        page.map(|page| page.entries.iter().map(|entry| entry.sequence).collect())
    }

    #[test]
    fn a_tail_answers_only_for_hints_that_came_before_it_was_read() {
        let room = Room::default();
        let before = Moment::now();
        room.keep(&page(3), Moment::now(), &log(4, 5, 1));
        let later = Moment::now();
        assert_eq!(sequences(room.answer(&page(3), before)), Some(vec![4, 5]));
        assert_eq!(sequences(room.answer(&page(4), before)), Some(vec![5]));
        assert_eq!(sequences(room.answer(&page(5), before)), Some(vec![]));
        assert_eq!(room.answer(&page(5), later), None);
    }

    #[test]
    fn a_cursor_that_the_tail_does_not_touch_is_not_answered() {
        let (room, before) = (Room::default(), Moment::now());
        room.keep(&page(3), Moment::now(), &log(4, 5, 1));
        assert_eq!(room.answer(&page(2), before), None);
        assert_eq!(room.answer(&page(0), before), None);
    }

    #[test]
    fn tails_that_touch_become_one_and_others_do_not() {
        let (room, before) = (Room::default(), Moment::now());
        room.keep(&page(0), Moment::now(), &log(1, 3, 1));
        room.keep(&page(3), Moment::now(), &log(4, 5, 1));
        assert_eq!(sequences(room.answer(&page(0), before)), Some(vec![1, 2, 3, 4, 5]));
        room.keep(&page(2), Moment::now(), &log(3, 6, 1));
        assert_eq!(sequences(room.answer(&page(0), before)), Some(vec![1, 2, 3, 4, 5, 6]));
        room.keep(&page(8), Moment::now(), &log(9, 9, 1));
        assert_eq!(room.answer(&page(6), before), None);
        assert_eq!(sequences(room.answer(&page(8), before)), Some(vec![9]));
    }

    #[test]
    fn what_does_not_reach_the_head_and_what_was_read_earlier_is_not_kept() {
        let (room, before) = (Room::default(), Moment::now());
        room.keep(&page(0), Moment::now(), &LogPage { head: 9, ..log(1, 3, 1) });
        assert_eq!(room.answer(&page(0), before), None);
        let early = Moment::now();
        room.keep(&page(0), Moment::now(), &log(1, 4, 1));
        room.keep(&page(0), early, &log(1, 3, 1));
        assert_eq!(sequences(room.answer(&page(0), before)), Some(vec![1, 2, 3, 4]));
    }

    #[test]
    fn the_oldest_go_first_and_leave_no_gap() {
        let (room, before) = (Room::default(), Moment::now());
        room.keep(&page(0), Moment::now(), &log(1, 100, 1 << 10));
        assert_eq!(room.answer(&page(0), before), None);
        assert_eq!(sequences(room.answer(&page(36), before)).unwrap(), (37..=100).collect::<Vec<_>>());
        room.keep(&page(100), Moment::now(), &log(101, 101, 1 << 20));
        assert_eq!(sequences(room.answer(&page(100), before)), Some(vec![101]));
        assert_eq!(room.answer(&page(99), before), None);
    }

    #[test]
    fn a_page_ends_where_the_ledgers_would() {
        let (room, before) = (Room::default(), Moment::now());
        room.keep(&page(0), Moment::now(), &log(1, 9, 10));
        let answer = |entries, bytes| sequences(room.answer(&Page { after: 2, entries, bytes }, before));
        assert_eq!(answer(3, 1_000), Some(vec![3, 4, 5]));
        assert_eq!(answer(9, 25), Some(vec![3, 4]));
        assert_eq!(answer(9, 1), Some(vec![3]));
    }

    #[test]
    fn what_a_commit_may_hide_from_some_is_not_answered() {
        let (room, before) = (Room::default(), Moment::now());
        let mut found = log(1, 5, 1);
        found.entries[2].kind = EntryKind::Commit;
        room.keep(&page(0), Moment::now(), &found);
        assert_eq!(room.answer(&page(0), before), None);
        assert_eq!(room.answer(&page(2), before), None);
        assert_eq!(sequences(room.answer(&page(3), before)), Some(vec![4, 5]));
    }

    #[test]
    fn many_rooms_push_each_other_out() {
        let recent = Recent::default();
        (0..1_000).for_each(|id| drop(recent.room(RoomId(id))));
        assert_eq!(lock(&recent.rooms).len(), ROOMS);
    }
}
