//! Rooms.

use std::str::FromStr;

use keyroom_api::{Closure, DeviceUri, RoomStatus, RoomUri};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::mailbox::{self, Delivered, Into};
use super::{Outcome, Verdict, epochs, roster};
use crate::{Created, NewReport, NewRoom, Reported, RoomId, RoomRecord, Standing};

pub(super) fn create(db: &Connection, new: &NewRoom) -> Outcome<Verdict<Created>> {
    if let Some((there, _)) = find(db, &new.room)? {
        let same = there.group_id == new.group_id;
        return Ok(Verdict::Keep(if same { Created::Repeated(there.status) } else { Created::NameTaken }));
    }
    if let Some(refusal) = new.predecessor.as_ref().map(|before| succeed(db, before, &new.room)).transpose()?.flatten()
    {
        return Ok(Verdict::Undo(refusal));
    }
    let added = db
        .prepare_cached(
            "INSERT INTO rooms (uri, group_id, epoch, head, reports_needed, listed, keyed)
             VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.room.to_string(),
            new.group_id,
            new.epoch,
            new.reports_needed,
            new.roster.is_some() || new.access.is_some(),
            new.access.is_some(),
        ])?;
    if added == 0 {
        return Ok(Verdict::Undo(Created::GroupTaken));
    }
    let id = RoomId(db.last_insert_rowid());
    epochs::put(db, id, new.epoch, &new.first)?;
    roster::add(db, id, new.roster.as_deref().unwrap_or_default(), 0)?;
    new.access.as_ref().map_or(Ok(()), |access| roster::rekey(db, id, new.epoch, access, 0))?;
    let into = Into { room: id, epoch: new.epoch, tree_hash: &new.first.tree_hash, cursor: 0, most: new.mailbox };
    match mailbox::deliver(db, &into, &new.welcomes)? {
        Delivered::All => Ok(Verdict::Keep(Created::New(RoomStatus { epoch: new.epoch, head: 0, closed: None }))),
        Delivered::Unknown(index) => Ok(Verdict::Undo(Created::UnknownDevice(index))),
        Delivered::Full(index) => Ok(Verdict::Undo(Created::MailboxFull(index))),
    }
}

/// Makes a room the successor of another, or says why it cannot be. Of all that try one does.
fn succeed(db: &Connection, before: &RoomUri, successor: &RoomUri) -> Outcome<Option<Created>> {
    let done = db
        .prepare_cached("UPDATE rooms SET successor = ? WHERE uri = ? AND closed IS NOT NULL AND successor IS NULL")?
        .execute([successor.to_string(), before.to_string()])?;
    if done == 1 {
        return Ok(None);
    }
    let closure = find(db, before)?.and_then(|(there, _)| there.status.closed);
    Ok(Some(closure.map_or(Created::NotClosed, Created::Succeeded)))
}

/// Counts a report, once for each leaf.
pub(super) fn report(db: &Connection, report: &NewReport) -> Outcome<Reported> {
    db.prepare_cached(
        "INSERT INTO reports (room, epoch, leaf, reason, signature) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?
    .execute(params![report.room.0, report.epoch, report.leaf, report.reason, report.signature])?;
    let reports: u64 = db
        .prepare_cached("SELECT count(*) FROM reports WHERE room = ? AND epoch = ?")?
        .query_row(params![report.room.0, report.epoch], |row| row.get(0))?;
    if reports >= report.needed {
        db.prepare_cached("UPDATE rooms SET closed = ? WHERE id = ? AND closed IS NULL")?
            .execute(params![report.sequence, report.room.0])?;
    }
    let closure = status(db, report.room)?.closed;
    Ok(closure.map_or(Reported::Counted(reports), |closure| Reported::Closed(reports, closure)))
}

pub(super) fn room(db: &Connection, room: &RoomUri, device: &DeviceUri) -> Outcome<Option<RoomRecord>> {
    match find(db, room)? {
        Some((record, true)) => {
            let standing = roster::standing(db, record.id, device)?;
            Ok(Some(RoomRecord { standing, ..record }))
        }
        found => Ok(found.map(|(record, _)| record)),
    }
}

/// A room, and whether it has a roster.
fn find(db: &Connection, room: &RoomUri) -> Outcome<Option<(RoomRecord, bool)>> {
    let columns =
        "SELECT epoch, head, closed, successor, id, group_id, reports_needed, listed, keyed FROM rooms WHERE uri = ?";
    db.prepare_cached(columns)?
        .query_row([room.to_string()], |row| {
            let (id, status, standing) = (RoomId(row.get(4)?), read_status(row)?, Standing::Unlisted);
            let (group_id, reports_needed, keyed) = (row.get(5)?, row.get(6)?, row.get(8)?);
            Ok((RoomRecord { id, group_id, status, reports_needed, keyed, standing }, row.get(7)?))
        })
        .optional()
}

pub(super) fn status(db: &Connection, room: RoomId) -> Outcome<RoomStatus> {
    db.prepare_cached("SELECT epoch, head, closed, successor FROM rooms WHERE id = ?")?.query_row([room.0], read_status)
}

fn read_status(row: &Row<'_>) -> Outcome<RoomStatus> {
    let at: Option<u64> = row.get(2)?;
    let successor: Option<String> = row.get(3)?;
    let successor = successor.map(|_| name(row, 3)).transpose()?;
    Ok(RoomStatus { epoch: row.get(0)?, head: row.get(1)?, closed: at.map(|at| Closure { at, successor }) })
}

/// A name that the ledger wrote itself.
pub(super) fn name<T: FromStr<Err = keyroom_api::NameError>>(row: &Row<'_>, column: usize) -> Outcome<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}
