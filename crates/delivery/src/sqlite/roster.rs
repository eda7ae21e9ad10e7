//! Who is in a room.

use keyroom_api::DeviceUri;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Outcome;
use crate::{NewAccess, Place, RoomId, RosterChange, Span, Standing};

pub(super) fn add(db: &Connection, room: RoomId, places: &[Place], since: u64) -> Outcome<()> {
    let mut insert = db.prepare_cached("INSERT INTO roster (room, device, leaf, since) VALUES (?, ?, ?, ?)")?;
    for place in places {
        insert.execute(params![room.0, place.device.to_string(), place.leaf, since])?;
    }
    Ok(())
}

pub(super) fn change(db: &Connection, room: RoomId, change: &RosterChange, at: u64) -> Outcome<()> {
    if !is_listed(db, room)? {
        return Ok(());
    }
    let mut end = db.prepare_cached("UPDATE roster SET until = ? WHERE room = ? AND leaf = ? AND until IS NULL")?;
    for leaf in &change.removed {
        end.execute(params![at, room.0, leaf])?;
    }
    add(db, room, &change.added, at)
}

/// A new epoch of a keyed room has begun at this entry: everybody is out but who has begun it, and whom that
/// device welcomes.
pub(super) fn rekey(db: &Connection, room: RoomId, epoch: u64, access: &NewAccess, at: u64) -> Outcome<()> {
    db.prepare_cached("UPDATE roster SET until = ? WHERE room = ? AND until IS NULL AND device <> ?")?
        .execute(params![at, room.0, access.by.to_string()])?;
    db.prepare_cached("INSERT INTO access_keys (room, epoch, key) VALUES (?, ?, ?)")?
        .execute(params![room.0, epoch, access.key])?;
    let mut here = std::iter::once(&access.by).chain(&access.welcomed);
    here.try_for_each(|device| extend(db, room, device, Span { since: at, until: None }))
}

pub(super) fn access_key(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Option<Vec<u8>>> {
    db.prepare_cached("SELECT key FROM access_keys WHERE room = ? AND epoch = ?")?
        .query_row(params![room.0, epoch], |row| row.get(0))
        .optional()
}

/// Lets a device read what was sent in an epoch.
pub(super) fn admit(db: &Connection, room: RoomId, device: &DeviceUri, epoch: u64) -> Outcome<()> {
    let since = epoch.checked_sub(1).map(|before| end_of(db, room, before)).transpose()?.flatten();
    extend(db, room, device, Span { since: since.unwrap_or(0), until: end_of(db, room, epoch)? })
}

/// Where the commit that ended an epoch is, if one has.
fn end_of(db: &Connection, room: RoomId, epoch: u64) -> Outcome<Option<u64>> {
    db.prepare_cached("SELECT sequence FROM log WHERE room = ? AND epoch = ? AND kind = 3")?
        .query_row(params![room.0, epoch], |row| row.get(0))
        .optional()
}

/// Adds what a device may read, to what it could read before where the two touch.
fn extend(db: &Connection, room: RoomId, device: &DeviceUri, span: Span) -> Outcome<()> {
    let known = spans(db, room, device)?;
    if known.iter().any(|known| known.covers(&span)) {
        return Ok(());
    }
    let name = device.to_string();
    if known.iter().any(|known| known.until == Some(span.since)) {
        db.prepare_cached("UPDATE roster SET until = ? WHERE room = ? AND device = ? AND until = ?")?
            .execute(params![span.until, room.0, name, span.since])?;
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO roster (room, device, leaf, since, until)
         VALUES (?1, ?2, -1 - (SELECT count(*) FROM roster WHERE room = ?1), ?3, ?4)",
    )?
    .execute(params![room.0, name, span.since, span.until])?;
    Ok(())
}

pub(super) fn standing(db: &Connection, room: RoomId, device: &DeviceUri) -> Outcome<Standing> {
    let spans = spans(db, room, device)?;
    Ok(match spans.as_slice() {
        [] => Standing::Stranger,
        spans if spans.iter().any(|span| span.until.is_none()) => Standing::Member,
        _ => Standing::Removed,
    })
}

pub(super) fn spans(db: &Connection, room: RoomId, device: &DeviceUri) -> Outcome<Vec<Span>> {
    db.prepare_cached("SELECT since, until FROM roster WHERE room = ? AND device = ? ORDER BY since")?
        .query_map(params![room.0, device.to_string()], |row| Ok(Span { since: row.get(0)?, until: row.get(1)? }))?
        .collect()
}

pub(super) fn is_listed(db: &Connection, room: RoomId) -> Outcome<bool> {
    db.prepare_cached("SELECT listed FROM rooms WHERE id = ?")?.query_row([room.0], |row| row.get(0))
}
