//! Cuts a recorded run at random places, lets the disk forget what was not synchronised, and opens what is
//! left with the real ledger.

use std::path::Path;

use keyroom_api::{EntryKind, RoomUri};
use keyroom_delivery::{Appended, Ledger, LogRead, NewEntry, Page, Sqlite};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::check::{Tally, Violation, check};
use crate::disk::{Disk, Forgotten, Unsynced};
use crate::exchange::{Exchange, history};
use crate::history::{Entry, Outcome};
use crate::trace::{Call, Place, What};

/// What came of all cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// How many there were.
    pub cuts: u64,
    /// How often the log had been moved into the database, which then was synchronised, after the first answer.
    pub checkpoints: u64,
    /// What had been promised before them, in sum.
    pub acknowledged: u64,
    /// What the disk forgot, in sum.
    pub forgotten: Forgotten,
    /// What is wrong with what is left.
    pub tally: Tally,
    /// Databases that cannot be opened, or in which SQLite finds something wrong.
    pub corrupt: u64,
}

impl Cuts {
    /// Whether anything is wrong.
    pub fn is_bad(&self) -> bool {
        self.tally != Tally::default() || self.corrupt > 0
    }
}

/// Every third time all that was not synchronised is gone; otherwise it is there by chance and in parts.
/// Half of the cuts come right after the first byte of an answer.
///
/// # Panics
/// If there is no answer at all.
pub async fn forget(calls: &[Call], exchanges: &[Exchange], cuts: u64, seed: u64) -> Cuts {
    let mut rng = StdRng::seed_from_u64(seed);
    let promised: Vec<Place> = exchanges.iter().filter_map(Exchange::acknowledged).collect();
    let (first, last) = (*promised.iter().min().unwrap(), calls.last().unwrap().ended);
    let mut places: Vec<Place> = (0..cuts)
        .map(|cut| match cut % 2 {
            0 => promised[rng.random_range(0..promised.len())] + 1,
            _ => rng.random_range(first..=last),
        })
        .collect();
    places.sort_unstable();
    let moved = |call: &&Call| call.began > first && matches!(&call.what, What::Sync(file) if file.ends_with(".db"));
    let mut result = Cuts { checkpoints: calls.iter().filter(moved).count() as u64, ..Cuts::default() };
    let mut disk = Disk::new(calls);
    for (number, place) in places.into_iter().enumerate() {
        let unsynced = [Unsynced::Gone, Unsynced::Torn(512), Unsynced::Torn(4096)][number % 3];
        let folder = tempfile::tempdir().unwrap();
        disk.advance(place);
        let forgotten = disk.fail(place, unsynced, &mut rng, folder.path());
        result.cuts += 1;
        result.forgotten.gone += forgotten.gone;
        result.forgotten.torn += forgotten.torn;
        examine(&folder.path().join("keyroom.db"), exchanges, place, &mut result).await;
    }
    result
}

/// Holds what is left against what the clients knew at this place.
async fn examine(file: &Path, exchanges: &[Exchange], place: Place, result: &mut Cuts) {
    let mut rooms: Vec<&str> = exchanges.iter().map(|exchange| exchange.room.as_str()).collect();
    rooms.sort_unstable();
    rooms.dedup();
    let ledger = match file.exists().then(|| Sqlite::open(file)) {
        Some(Ok(ledger)) => ledger,
        None | Some(Err(_)) => {
            result.corrupt += 1;
            return;
        }
    };
    for room in rooms {
        let history = history(exchanges, room, place);
        let promised = |sent: &&crate::history::Sent| matches!(sent.outcome, Outcome::Acknowledged { .. });
        result.acknowledged += history.sent.iter().filter(promised).count() as u64;
        let log = match read(&ledger, room).await {
            Ok(log) => log,
            Err(violation) => {
                result.tally.add(&[violation]);
                Vec::new()
            }
        };
        result.tally.add(&check(&history, &log));
    }
    drop(ledger);
    let verdict = rusqlite::Connection::open(file)
        .and_then(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)));
    result.corrupt += u64::from(verdict.as_deref() != Ok("ok"));
}

/// The whole log of a room, which must fit what the room says of itself and must take one more message.
async fn read(ledger: &Sqlite, room: &str) -> Result<Vec<Entry>, Violation> {
    let uri: RoomUri = format!("mimi://localhost/r/{room}").parse().unwrap();
    let nobody = "mimi://localhost/d/nobody/phone".parse().unwrap();
    // Rooms are there before the first message of any is promised.
    let found = ledger.room(&uri, &nobody).await.ok().flatten().ok_or(Violation::Gap(0))?;
    let all = Page { after: 0, entries: usize::MAX >> 1, bytes: usize::MAX };
    let Ok(LogRead::Page { page, .. }) = ledger.log(found.id, None, all).await else { return Err(Violation::Gap(0)) };
    let log: Vec<Entry> = page.entries.iter().map(Entry::from).collect();
    let commits = log.iter().filter(|entry| entry.kind == EntryKind::Commit).count() as u64;
    if (found.status.head, found.status.epoch) != (log.len() as u64, commits) {
        return Err(Violation::Gap(found.status.head));
    }
    let (epoch, kind) = (found.status.epoch, EntryKind::Application);
    let more =
        NewEntry { room: found.id, epoch, kind, message: b"more".to_vec(), accepted_at: 0, once: None, member: None };
    match ledger.append(more, 0).await {
        Ok(Appended::Accepted(receipt)) if receipt.sequence == found.status.head + 1 => Ok(log),
        _ => Err(Violation::Stuck),
    }
}
