//! The public state of epochs, of which each stores only what differs from the one before.

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::Outcome;
use crate::{KeptInfo, NewEpoch, RoomId, StateChange, StateRecord};

pub(super) fn put(db: &Connection, room: RoomId, epoch: u64, new: &NewEpoch) -> Outcome<()> {
    db.prepare_cached("INSERT INTO epochs (room, epoch, group_info, tree_hash) VALUES (?, ?, ?, ?)")?
        .execute(params![room.0, epoch, new.group_info, new.tree_hash])?;
    match &new.change {
        StateChange::Whole(records) => {
            clear(db, room, epoch, &[])?;
            records.iter().try_for_each(|(key, value)| set(db, room, epoch, key, Some(value)))
        }
        StateChange::Part { cleared, writes } => {
            cleared.iter().try_for_each(|prefix| clear(db, room, epoch, prefix))?;
            writes.iter().try_for_each(|(key, value)| set(db, room, epoch, key, value.as_deref()))
        }
    }
}

fn clear(db: &Connection, room: RoomId, epoch: u64, prefix: &[u8]) -> Outcome<()> {
    let there = records_at(db, room, epoch, prefix)?;
    there.iter().try_for_each(|(key, _)| set(db, room, epoch, key, None))
}

fn set(db: &Connection, room: RoomId, epoch: u64, key: &[u8], value: Option<&[u8]>) -> Outcome<()> {
    db.prepare_cached("INSERT OR REPLACE INTO state (room, key, epoch, value) VALUES (?, ?, ?, ?)")?
        .execute(params![room.0, key, epoch, value])?;
    Ok(())
}

/// Drops the public state of all epochs before this one, and what only they needed. One that a
/// report is about stays, and all after it; so does one that a waiting Welcome leads into, from `for_welcomes`
/// on.
pub(super) fn forget(db: &Connection, room: RoomId, oldest: u64, for_welcomes: u64) -> Outcome<()> {
    let awaited: Option<u64> = db
        .prepare_cached(
            "SELECT min(epoch) FROM (
                 SELECT min(epoch) AS epoch FROM mailbox WHERE room = :room AND epoch >= :from
                 UNION ALL SELECT min(epoch) FROM reports WHERE room = :room)",
        )?
        .query_row(named_params! { ":room": room.0, ":from": for_welcomes }, |row| row.get(0))?;
    let oldest = awaited.map_or(oldest, |awaited| oldest.min(awaited));
    let before: Option<u64> =
        db.prepare_cached("SELECT min(epoch) FROM epochs WHERE room = ?")?.query_row([room.0], |row| row.get(0))?;
    let Some(before) = before.filter(|before| *before < oldest) else { return Ok(()) };
    db.prepare_cached("DELETE FROM epochs WHERE room = ? AND epoch < ?")?.execute(params![room.0, oldest])?;
    // Up to the oldest epoch only the newest version of each record is needed; older ones are those
    // that an epoch since the last time has replaced.
    db.prepare_cached(
        "DELETE FROM state WHERE rowid IN (
             SELECT old.rowid FROM state AS new JOIN state AS old
             ON old.room = new.room AND old.key = new.key AND old.epoch < new.epoch
             WHERE new.room = ? AND new.epoch > ? AND new.epoch <= ?)",
    )?
    .execute(params![room.0, before, oldest])?;
    db.prepare_cached("DELETE FROM state WHERE room = ? AND epoch > ? AND epoch <= ? AND value IS NULL")?
        .execute(params![room.0, before, oldest])?;
    Ok(())
}

pub(super) fn group_info(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Option<KeptInfo>> {
    db.prepare_cached("SELECT group_info, tree_hash FROM epochs WHERE room = ? AND epoch = ?")?
        .query_row(params![room.0, epoch], |row| Ok(KeptInfo { group_info: row.get(0)?, tree_hash: row.get(1)? }))
        .optional()
}

pub(super) fn of_tree(db: &Connection, room: RoomId, tree_hash: &[u8]) -> Outcome<Option<u64>> {
    db.prepare_cached("SELECT max(epoch) FROM epochs WHERE room = ? AND tree_hash = ?")?
        .query_row(params![room.0, tree_hash], |row| row.get(0))
}

pub(super) fn state(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Option<Vec<StateRecord>>> {
    let kept: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM epochs WHERE room = ? AND epoch = ?)")?
        .query_row(params![room.0, epoch], |row| row.get(0))?;
    if kept { records_at(db, room, epoch, &[]).map(Some) } else { Ok(None) }
}

/// The records whose keys start like this, as they were in an epoch: of each key the newest version
/// that is not newer.
fn records_at(db: &Connection, room: RoomId, epoch: u64, prefix: &[u8]) -> Outcome<Vec<StateRecord>> {
    // SQLite takes the bare column from the row that has the maximum.
    let mut query = db.prepare_cached(
        "SELECT key, value, max(epoch) FROM state WHERE room = ? AND epoch <= ? AND key >= ? GROUP BY key ORDER BY key",
    )?;
    let mut rows = query.query(params![room.0, epoch, prefix])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        if !key.starts_with(prefix) {
            break;
        }
        if let Some(value) = row.get(1)? {
            records.push((key, value));
        }
    }
    Ok(records)
}
