//! Rooms.

use std::str::FromStr;

use keyroom_api::{RoomStatus, RoomUri};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Outcome, epochs};
use crate::{Created, NewRoom, RoomId, RoomRecord};

pub(super) fn create(db: &Connection, new: &NewRoom) -> Outcome<Created> {
    if let Some(there) = room(db, &new.room)? {
        let same = there.group_id == new.group_id;
        return Ok(if same { Created::Repeated(there.status) } else { Created::NameTaken });
    }
    let added = db
        .prepare_cached("INSERT INTO rooms (uri, group_id, epoch, head) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING")?
        .execute(params![new.room.to_string(), new.group_id, new.epoch])?;
    if added == 0 {
        return Ok(Created::GroupTaken);
    }
    epochs::put(db, RoomId(db.last_insert_rowid()), new.epoch, &new.first)?;
    Ok(Created::New(RoomStatus { epoch: new.epoch, head: 0 }))
}

pub(super) fn room(db: &Connection, room: &RoomUri) -> Outcome<Option<RoomRecord>> {
    db.prepare_cached("SELECT id, group_id, epoch, head FROM rooms WHERE uri = ?")?
        .query_row([room.to_string()], |row| {
            Ok(RoomRecord {
                id: RoomId(row.get(0)?),
                group_id: row.get(1)?,
                status: RoomStatus { epoch: row.get(2)?, head: row.get(3)? },
            })
        })
        .optional()
}

pub(super) fn status(db: &Connection, room: RoomId) -> Outcome<RoomStatus> {
    db.prepare_cached("SELECT epoch, head FROM rooms WHERE id = ?")?
        .query_row([room.0], |row| Ok(RoomStatus { epoch: row.get(0)?, head: row.get(1)? }))
}

/// A name that the ledger wrote itself.
pub(super) fn name<T: FromStr<Err = keyroom_api::NameError>>(row: &Row<'_>, column: usize) -> Outcome<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}
