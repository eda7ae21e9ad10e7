//! The log of a room.

use keyroom_api::{Conflict, DeviceUri, EntryKind, LogEntry, LogPage, Receipt, RoomStatus};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use super::mailbox::{self, Delivered, Into};
use super::{Outcome, Verdict, epochs, rooms, roster};
use crate::{Appended, LogRead, NewCommit, NewEntry, Once, Page, Reach, Remembered, RoomId, Standing};

pub(super) fn append_commit(db: &Connection, commit: &NewCommit) -> Outcome<Verdict<Appended>> {
    let entry = &commit.entry;
    if let Some(outcome) = repetition(db, entry)? {
        return Ok(Verdict::Keep(outcome));
    }
    // Here a commit wins or loses: of all that were made for this epoch one finds its row.
    let head: Option<u64> = db
        .prepare_cached(
            "UPDATE rooms SET epoch = epoch + 1, head = head + 1, closed = iif(:closes, head + 1, NULL)
             WHERE id = :room AND epoch = :epoch AND closed IS NULL
             AND (:member IS NULL OR NOT listed OR EXISTS (
                 SELECT 1 FROM roster WHERE room = :room AND device = :member AND until IS NULL))
             RETURNING head",
        )?
        .query_row(
            named_params! {
                ":room": entry.room.0,
                ":epoch": entry.epoch,
                ":closes": commit.closes,
                ":member": member(entry),
            },
            |row| row.get(0),
        )
        .optional()?;
    let Some(sequence) = head else { return lost(db, entry) };
    let Some(receipt) = put(db, entry, sequence)? else { return repeated(db, entry) };
    roster::change(db, entry.room, &commit.roster, sequence)?;
    let next = entry.epoch + 1;
    commit.access.as_ref().map_or(Ok(()), |access| roster::rekey(db, entry.room, next, access, sequence))?;
    epochs::put(db, entry.room, next, &commit.next)?;
    let tree_hash = &commit.next.tree_hash;
    let into = Into { room: entry.room, epoch: next, tree_hash, cursor: sequence, most: commit.mailbox };
    match mailbox::deliver(db, &into, &commit.welcomes)? {
        Delivered::All => {}
        Delivered::Unknown(index) => return Ok(Verdict::Undo(Appended::UnknownDevice(index))),
        Delivered::Full(index) => return Ok(Verdict::Undo(Appended::MailboxFull(index))),
    }
    let oldest = |kept: u64| (next + 1).saturating_sub(kept.max(1));
    epochs::forget(db, entry.room, oldest(commit.epochs_kept), oldest(commit.epochs_for_welcomes))?;
    Ok(Verdict::Keep(Appended::Accepted(receipt)))
}

/// Whether the entry has come before, is asked only where it is not appended: an idempotency key that is there
/// already undoes everything.
pub(super) fn append(db: &Connection, entry: &NewEntry, late: u64) -> Outcome<Verdict<Appended>> {
    let head: Option<u64> = db
        .prepare_cached(
            "UPDATE rooms SET head = head + 1
             WHERE id = :room AND epoch >= :epoch AND epoch - :epoch <= :late AND closed IS NULL
             AND (:member IS NULL OR NOT listed OR EXISTS (
                 SELECT 1 FROM roster WHERE room = :room AND device = :member AND until IS NULL))
             RETURNING head",
        )?
        .query_row(
            named_params! {
                ":room": entry.room.0,
                ":epoch": entry.epoch,
                ":late": late,
                ":member": member(entry),
            },
            |row| row.get(0),
        )
        .optional()?;
    match head {
        Some(sequence) => match put(db, entry, sequence)? {
            Some(receipt) => Ok(Verdict::Keep(Appended::Accepted(receipt))),
            None => repeated(db, entry),
        },
        None => match repetition(db, entry)? {
            Some(outcome) => Ok(Verdict::Undo(outcome)),
            None => lost(db, entry),
        },
    }
}

fn member(entry: &NewEntry) -> Option<String> {
    entry.member.as_ref().map(ToString::to_string)
}

fn lost(db: &Connection, entry: &NewEntry) -> Outcome<Verdict<Appended>> {
    if let Some(device) = &entry.member
        && roster::is_listed(db, entry.room)?
        && roster::standing(db, entry.room, device)? != Standing::Member
    {
        return Ok(Verdict::Undo(Appended::NotMember));
    }
    if let Some(closure) = rooms::status(db, entry.room)?.closed {
        return Ok(Verdict::Undo(Appended::Closed(closure)));
    }
    conflict(db, entry.room, entry.epoch).map(|conflict| Verdict::Undo(Appended::WrongEpoch(conflict)))
}

/// Writes an entry down; `None` if its idempotency key is there already.
fn put(db: &Connection, entry: &NewEntry, sequence: u64) -> Outcome<Option<Receipt>> {
    if let Some(once) = &entry.once {
        let added = db
            .prepare_cached(
                "INSERT INTO idempotency (device, key, room, sequence) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![once.device.to_string(), once.key.as_str(), entry.room.0, sequence])?;
        if added == 0 {
            return Ok(None);
        }
    }
    db.prepare_cached(
        "INSERT INTO log (room, sequence, epoch, kind, accepted_at, message)
         VALUES (:room, :sequence, :epoch, :kind, :accepted_at, :message)",
    )?
    .execute(named_params! {
        ":room": entry.room.0,
        ":sequence": sequence,
        ":epoch": entry.epoch,
        ":kind": entry.kind.code(),
        ":accepted_at": entry.accepted_at,
        ":message": entry.message,
    })?;
    Ok(Some(Receipt { sequence, epoch: entry.epoch, accepted_at: entry.accepted_at }))
}

/// Undoes what was done for an entry whose idempotency key is there already.
fn repeated(db: &Connection, entry: &NewEntry) -> Outcome<Verdict<Appended>> {
    repetition(db, entry)?.map(Verdict::Undo).ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The outcome of then, if the entry comes under a key that was used before.
fn repetition(db: &Connection, entry: &NewEntry) -> Outcome<Option<Appended>> {
    let Some(once) = &entry.once else { return Ok(None) };
    Ok(remembered(db, once)?.map(|before| {
        if before.room == entry.room && before.message == entry.message {
            Appended::Repeated(before.receipt)
        } else {
            Appended::KeyReused
        }
    }))
}

pub(super) fn remembered(db: &Connection, once: &Once) -> Outcome<Option<Remembered>> {
    db.prepare_cached(
        "SELECT log.room, log.sequence, log.epoch, log.accepted_at, log.message
         FROM idempotency JOIN log ON log.room = idempotency.room AND log.sequence = idempotency.sequence
         WHERE device = ? AND key = ?",
    )?
    .query_row([once.device.to_string().as_str(), once.key.as_str()], |row| {
        Ok(Remembered {
            room: RoomId(row.get(0)?),
            receipt: Receipt { sequence: row.get(1)?, epoch: row.get(2)?, accepted_at: row.get(3)? },
            message: row.get(4)?,
        })
    })
    .optional()
}

pub(super) fn conflict(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Conflict> {
    let status = rooms::status(db, room)?;
    let winner: Option<(u64, Vec<u8>)> = db
        .prepare_cached("SELECT sequence, message FROM log WHERE room = ? AND epoch = ? AND kind = 3")?
        .query_row(params![room.0, epoch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (commit_sequence, commit) = winner.unzip();
    Ok(Conflict { epoch: status.epoch, head: status.head, commit, commit_sequence })
}

pub(super) fn proposals(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Vec<Vec<u8>>> {
    db.prepare_cached("SELECT message FROM log WHERE room = ? AND epoch = ? AND kind = 2 ORDER BY sequence")?
        .query_map(params![room.0, epoch], |row| row.get(0))?
        .collect()
}

pub(super) fn log(db: &Connection, room: RoomId, reader: Option<&DeviceUri>, page: Page) -> Outcome<LogRead> {
    let reach = match reader {
        Some(device) if roster::is_listed(db, room)? => Reach::of(&roster::spans(db, room, device)?, page.after),
        _ => Reach::Open,
    };
    let RoomStatus { epoch, head, closed } = rooms::status(db, room)?;
    match reach {
        Reach::Open => {
            let entries = run(db, room, page, i64::MAX)?;
            Ok(LogRead::Page { page: LogPage { epoch, head, entries, closed }, until: None })
        }
        Reach::UpTo(last) => {
            let entries = run(db, room, page, i64::try_from(last).unwrap_or(i64::MAX))?;
            let closed = closed.filter(|closure| closure.at <= last);
            let page = LogPage { epoch: epoch_after(db, room, last)?, head: last, entries, closed };
            Ok(LogRead::Page { page, until: Some(last) })
        }
        Reach::Outside => Ok(LogRead::Outside),
    }
}

fn run(db: &Connection, room: RoomId, page: Page, last: i64) -> Outcome<Vec<LogEntry>> {
    let mut query = db.prepare_cached(
        "SELECT sequence, epoch, kind, accepted_at, message FROM log
         WHERE room = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
    )?;
    let after = i64::try_from(page.after).unwrap_or(i64::MAX);
    let found = query.query_map(params![room.0, after, last, page.entries], entry)?;
    up_to(page.bytes, found, |entry| entry.message.len())
}

/// The epoch that a commit has started.
fn epoch_after(db: &Connection, room: RoomId, commit: u64) -> Outcome<u64> {
    db.prepare_cached("SELECT epoch + 1 FROM log WHERE room = ? AND sequence = ?")?
        .query_row(params![room.0, commit], |row| row.get(0))
}

fn entry(row: &Row<'_>) -> Outcome<LogEntry> {
    let code: u8 = row.get(2)?;
    Ok(LogEntry {
        sequence: row.get(0)?,
        epoch: row.get(1)?,
        kind: EntryKind::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, code.into()))?,
        accepted_at: row.get(3)?,
        message: row.get(4)?,
    })
}

/// The first items until their sizes exceed `bytes`; at least one.
pub(super) fn up_to<T>(
    bytes: usize,
    items: impl Iterator<Item = Outcome<T>>,
    size: impl Fn(&T) -> usize,
) -> Outcome<Vec<T>> {
    let mut taken = Vec::new();
    let mut total = 0usize;
    for item in items {
        let item = item?;
        total = total.saturating_add(size(&item));
        if total > bytes && !taken.is_empty() {
            break;
        }
        taken.push(item);
    }
    Ok(taken)
}
