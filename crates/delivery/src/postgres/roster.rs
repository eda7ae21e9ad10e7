//! Who is in a room.

use futures_util::future::try_join;
use keyroom_api::DeviceUri;
use tokio_postgres::{Row, Statement};

use super::session::Session;
use super::{Failure, Outcome, signed};
use crate::{Place, RoomId, RosterChange, Standing};

/// Ends the places at some leaves.
const END: &str = "UPDATE roster SET until = $2 WHERE room = $1 AND leaf = ANY($3::bigint[]) AND until IS NULL";

/// Adds places; nothing happens to a room without roster.
const ADD: &str = "INSERT INTO roster (room, device, leaf, since)
    SELECT $1::bigint, device, leaf, $2::bigint FROM unnest($3::text[], $4::bigint[]) AS came (device, leaf)
    WHERE (SELECT listed FROM rooms WHERE id = $1::bigint)";

/// What is sent for every commit.
pub(super) struct Statements {
    end: Statement,
    add: Statement,
}

impl Statements {
    pub(super) async fn prepare(db: &Session) -> Outcome<Self> {
        Ok(Self { end: db.prepare(END).await?, add: db.prepare(ADD).await? })
    }

    /// Carries out what a commit does to the roster. Sent when first polled.
    pub(super) async fn change(&self, db: &Session, room: RoomId, change: &RosterChange, at: u64) -> Outcome<()> {
        let (room, at) = (room.0, signed(at));
        let vacated: Vec<i64> = change.removed.iter().map(|leaf| i64::from(*leaf)).collect();
        let (devices, leaves) = columns(&change.added);
        try_join(self.end(db, &room, &at, &vacated), self.add(db, &room, &at, &devices, &leaves)).await?;
        Ok(())
    }

    async fn end(&self, db: &Session, room: &i64, at: &i64, leaves: &Vec<i64>) -> Outcome<()> {
        if !leaves.is_empty() {
            db.send(&self.end, &[room, at, leaves]).await?;
        }
        Ok(())
    }

    async fn add(&self, db: &Session, room: &i64, at: &i64, devices: &Vec<String>, leaves: &Vec<i64>) -> Outcome<()> {
        if !leaves.is_empty() {
            db.send(&self.add, &[room, at, devices, leaves]).await?;
        }
        Ok(())
    }
}

/// Devices and leaves, for the database.
pub(super) fn columns(places: &[Place]) -> (Vec<String>, Vec<i64>) {
    places.iter().map(|place| (place.device.to_string(), i64::from(place.leaf))).unzip()
}

pub(super) async fn standing(db: &Session, room: RoomId, device: &DeviceUri) -> Outcome<Standing> {
    let query = "SELECT listed,
            (SELECT bool_or(until IS NULL) FROM roster WHERE room = $1::bigint AND device = $2)
        FROM rooms WHERE id = $1::bigint";
    let row = db.query_opt(query, &[&room.0, &device.to_string()]).await?.ok_or(Failure::Corrupt)?;
    read(&row, 0)
}

/// From two columns: whether the room has a roster, and whether the device is in it now, if it ever was.
pub(super) fn read(row: &Row, first: usize) -> Outcome<Standing> {
    Ok(match (row.try_get(first)?, row.try_get(first + 1)?) {
        (false, _) => Standing::Unlisted,
        (true, Some(true)) => Standing::Member,
        (true, Some(false)) => Standing::Removed,
        (true, None) => Standing::Stranger,
    })
}
