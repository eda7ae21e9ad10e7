//! Who is in a room.

use keyroom_api::DeviceUri;
use rusqlite::{Connection, params};

use super::Outcome;
use crate::{Place, RoomId, RosterChange, Span, Standing};

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
