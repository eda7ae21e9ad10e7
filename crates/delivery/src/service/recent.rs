//! The newest entries of logs that somebody listens to, so that a thousand subscribers of a room cost one
//! look into the ledger for each hint and not a thousand.
//!
//! An entry of a log never changes, so what has been read stays true; the question is only whether it is
//! all. Hints and reads share one clock: a tail answers for a hint if it was read after that hint was given.
//! Where it was not, one reader asks the ledger and leaves what it found for those who wait for the same.
//! A lost hint changes nothing: who looks without one asks for what is true now, and that is always read
//! anew.
//!
//! Who may read is decided by commits alone: a reader whom the ledger has let read to the head of the log is
//! given what comes after it from here up to the next commit. A tail therefore begins after the last commit,
//! and a reader whose cursor is before it asks the ledger by itself, as does whoever is behind for another
//! reason.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyroom_api::{Closure, EntryKind, LogEntry, LogPage};

use crate::bus::Moment;
use crate::{LedgerError, LogRead, Page, RoomId};

/// The tail of one room takes at most this part of the memory of all.
const SHARE: usize = 64;

/// What a room costs beside its entries, and an entry beside its message; in bytes, rather too much.
const ROOM: usize = 512;
const ENTRY: usize = 128;

/// The tails of rooms, those that were asked for last.
pub(super) struct Recent {
    tails: Mutex<Tails>,
    share: usize,
}

/// What a reader wants to know.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) room: RoomId,
    pub(super) page: Page,
    /// The answer must be at least as new as this.
    pub(super) since: Moment,
    /// Whether the ledger has let the reader read to the head of the log, and the cursor is there.
    pub(super) inside: bool,
}

/// The right to read a log for all who wait; it knows when and how that failed last.
type Turn = Arc<tokio::sync::Mutex<Option<(Moment, LedgerError)>>>;

/// What a tail says to a reader.
enum Found {
    /// This is what the ledger would say.
    Page(LogPage),
    /// Nobody knows it who could share it.
    Behind,
    /// The tail is too old. Whoever has the turn reads.
    Old(Turn),
}

impl Recent {
    /// Tails that take so many bytes of memory together.
    pub(super) fn new(bytes: usize) -> Self {
        Self { tails: Mutex::new(Tails::new(bytes)), share: bytes / SHARE }
    }

    /// The log as the ledger would answer it, at least as it was at that moment. `read` asks the ledger.
    pub(super) async fn log(
        &self,
        wanted: Wanted,
        read: impl AsyncFnOnce() -> Result<LogRead, LedgerError>,
    ) -> Result<LogRead, LedgerError> {
        if !wanted.inside {
            return read().await;
        }
        let asked = Moment::now();
        let turn = match self.look(&wanted) {
            Found::Page(page) => return Ok(LogRead::Page { page, until: None }),
            Found::Behind => return read().await,
            Found::Old(turn) => turn,
        };
        let mut turn = turn.lock().await;
        // While this one waited, another may have read what it needs, or tried to.
        match self.look(&wanted) {
            Found::Page(page) => return Ok(LogRead::Page { page, until: None }),
            Found::Behind => {
                drop(turn);
                return read().await;
            }
            Found::Old(_) => {}
        }
        if let Some((_, error)) = turn.filter(|(when, _)| asked < *when) {
            return Err(error);
        }
        let begun = Moment::now();
        let answer = read().await;
        match &answer {
            Ok(LogRead::Page { page, until: None }) => self.keep(&wanted, begun, page),
            // How far this one may read says nothing about the others.
            Ok(LogRead::Page { .. } | LogRead::Outside) => {}
            Err(error) => *turn = Some((Moment::now(), *error)),
        }
        answer
    }

    fn look(&self, wanted: &Wanted) -> Found {
        let mut tails = lock(&self.tails);
        let slot = tails.touch(wanted.room);
        let Some(tail) = slot.tail.as_ref().filter(|tail| tail.read > wanted.since) else {
            return Found::Old(slot.turn.clone());
        };
        let Some(entries) = tail.after(&wanted.page) else { return Found::Behind };
        let (epoch, head, closed) = (tail.epoch, tail.head, tail.closed.clone());
        // Messages are copied while nobody waits.
        drop(tails);
        let entries = entries.iter().map(|entry| LogEntry::clone(entry)).collect();
        Found::Page(LogPage { epoch, head, entries, closed })
    }

    fn keep(&self, wanted: &Wanted, begun: Moment, found: &LogPage) {
        let new = Tail::of(wanted.page.after, begun, found);
        let mut tails = lock(&self.tails);
        let old = tails.take(wanted.room);
        tails.put(wanted.room, new.with(old, self.share));
    }
}

/// The tails of all rooms within their memory.
struct Tails {
    most: usize,
    bytes: usize,
    rooms: HashMap<RoomId, Slot>,
    /// The rooms in the order in which somebody asked for them last.
    order: BTreeMap<u64, RoomId>,
    next: u64,
}

#[derive(Default)]
struct Slot {
    used: u64,
    tail: Option<Tail>,
    turn: Turn,
}

impl Slot {
    fn bytes(&self) -> usize {
        ROOM + self.tail.as_ref().map_or(0, |tail| tail.bytes)
    }
}

impl Tails {
    fn new(most: usize) -> Self {
        Self { most, bytes: 0, rooms: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// The room, which is now the last to go.
    fn touch(&mut self, room: RoomId) -> &mut Slot {
        self.shrink();
        self.next += 1;
        let slot = self.rooms.entry(room).or_insert_with(|| {
            self.bytes += ROOM;
            Slot::default()
        });
        self.order.remove(&slot.used);
        slot.used = self.next;
        self.order.insert(self.next, room);
        slot
    }

    fn take(&mut self, room: RoomId) -> Option<Tail> {
        let tail = self.touch(room).tail.take();
        self.bytes -= tail.as_ref().map_or(0, |tail| tail.bytes);
        tail
    }

    fn put(&mut self, room: RoomId, tail: Tail) {
        self.bytes += tail.bytes;
        self.touch(room).tail = Some(tail);
        self.shrink();
    }

    /// Lets go of the rooms that nobody has asked for longest.
    fn shrink(&mut self) {
        while self.bytes > self.most {
            let Some((_, room)) = self.order.pop_first() else { return };
            self.bytes -= self.rooms.remove(&room).map_or(0, |slot| slot.bytes());
        }
    }
}

/// Entries without a gap and without a commit, the last of which was the head of the log when it was read.
#[derive(Debug)]
struct Tail {
    read: Moment,
    /// The cursor after which they begin.
    after: u64,
    entries: VecDeque<Arc<LogEntry>>,
    /// What the entries cost.
    bytes: usize,
    epoch: u64,
    head: u64,
    closed: Option<Closure>,
}

impl Tail {
    /// What a reader has found after its cursor. A run that does not reach the head tells where that is, and
    /// nothing that comes before it.
    fn of(after: u64, read: Moment, found: &LogPage) -> Self {
        let LogPage { epoch, head, entries, closed } = found;
        let last = entries.last().map_or(after, |entry| entry.sequence);
        let (after, entries) = if last == *head { (after, entries.as_slice()) } else { (*head, [].as_slice()) };
        let entries: VecDeque<_> = entries.iter().cloned().map(Arc::new).collect();
        Self { read, after, entries, bytes: 0, epoch: *epoch, head: *head, closed: closed.clone() }
    }

    /// The same after what was known before, if they touch, as far as there is no commit and it is not too
    /// much.
    fn with(mut self, old: Option<Self>, most: usize) -> Self {
        if let Some(old) = old.filter(|old| old.after < self.after && self.after <= old.head) {
            let begin = self.after;
            let older = old.entries.into_iter().take_while(|entry| entry.sequence <= begin);
            self.entries = older.chain(self.entries).collect();
            self.after = old.after;
        }
        let mut bytes = 0;
        let stays = |entry: &Arc<LogEntry>| {
            bytes += entry.message.len() + ENTRY;
            entry.kind != EntryKind::Commit && bytes <= most
        };
        let count = self.entries.iter().rev().map(stays).take_while(|stays| *stays).count();
        if let Some(gone) = self.entries.len().checked_sub(count + 1) {
            self.after = self.entries.get(gone).map_or(self.after, |entry| entry.sequence);
            self.entries.drain(..=gone);
        }
        self.bytes = self.entries.iter().map(|entry| entry.message.len() + ENTRY).sum();
        self
    }

    /// The entries of a page, which ends where the ledger's would; `None` if these do not reach back to its
    /// cursor.
    fn after(&self, page: &Page) -> Option<Vec<Arc<LogEntry>>> {
        let known = usize::try_from(page.after.checked_sub(self.after)?).ok()?;
        let mut bytes = 0usize;
        let mut entries = Vec::new();
        for entry in self.entries.iter().skip(known).take(page.entries) {
            bytes = bytes.saturating_add(entry.message.len());
            if bytes > page.bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Some(entries)
    }
}

/// A panic elsewhere leaves tails whole: they change in one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
