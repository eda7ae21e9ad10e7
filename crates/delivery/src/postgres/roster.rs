//! Who is in a room.

use futures_util::future::try_join;
use keyroom_api::DeviceUri;
use tokio_postgres::{Row, Statement};

use super::session::Session;
use super::{Failure, Outcome, signed, unsigned};
use crate::{NewAccess, Place, RoomId, RosterChange, Span, Standing};

/// Ends the places at some leaves.
const END: &str = "UPDATE roster SET until = $2 WHERE room = $1 AND leaf = ANY($3::bigint[]) AND until IS NULL";

/// Adds places; nothing happens to a room without roster.
const ADD: &str = "INSERT INTO roster (room, device, leaf, since)
    SELECT $1::bigint, device, leaf, $2::bigint FROM unnest($3::text[], $4::bigint[]) AS came (device, leaf)
    WHERE (SELECT listed FROM rooms WHERE id = $1::bigint)";

/// Adds places of devices that have none now, in a keyed room.
const WELCOMED: &str = "INSERT INTO roster (room, device, leaf, since)
    SELECT $1::bigint, device,
        -(SELECT count(*) FROM roster WHERE room = $1::bigint) - row_number() OVER (ORDER BY device), $2::bigint
    FROM (SELECT DISTINCT unnest($3::text[]) AS device) AS came
    WHERE NOT EXISTS (
        SELECT 1 FROM roster WHERE room = $1::bigint AND roster.device = came.device AND until IS NULL)";

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

/// A new epoch of a keyed room has begun at this entry: everybody is out but who has begun it, and whom that
/// device welcomes. Part of a transaction that holds the lock of the room.
pub(super) async fn rekey(db: &Session, room: RoomId, epoch: u64, access: &NewAccess, at: u64) -> Outcome<()> {
    let (room, at_entry) = (room.0, signed(at));
    let device = access.by.to_string();
    let end = "UPDATE roster SET until = $2 WHERE room = $1 AND until IS NULL AND device <> $3";
    db.execute(end, &[&room, &at_entry, &device]).await?;
    let add = "INSERT INTO access_keys (room, epoch, key) VALUES ($1, $2, $3)";
    db.execute(add, &[&room, &signed(epoch), &access.key]).await?;
    extend(db, RoomId(room), &access.by, Span { since: at, until: None }).await?;
    let welcomed: Vec<String> = access.welcomed.iter().map(ToString::to_string).collect();
    if !welcomed.is_empty() {
        db.execute(WELCOMED, &[&room, &at_entry, &welcomed]).await?;
    }
    Ok(())
}

pub(super) async fn access_key(db: &Session, room: RoomId, epoch: u64) -> Outcome<Option<Vec<u8>>> {
    let query = "SELECT key FROM access_keys WHERE room = $1 AND epoch = $2";
    let found = db.query_opt(query, &[&room.0, &signed(epoch)]).await?;
    found.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Lets a device read what was sent in an epoch. The lock of the room's row keeps commits away meanwhile.
pub(super) async fn admit(db: &Session, room: RoomId, device: &DeviceUri, epoch: u64) -> Outcome<()> {
    db.begin().await?;
    db.execute("SELECT 1 FROM rooms WHERE id = $1 FOR NO KEY UPDATE", &[&room.0]).await?;
    let since = match epoch.checked_sub(1) {
        Some(before) => end_of(db, room, before).await?,
        None => None,
    };
    let span = Span { since: since.unwrap_or(0), until: end_of(db, room, epoch).await? };
    extend(db, room, device, span).await?;
    db.commit().await
}

/// Where the commit that ended an epoch is, if one has.
async fn end_of(db: &Session, room: RoomId, epoch: u64) -> Outcome<Option<u64>> {
    let query = "SELECT sequence FROM log WHERE room = $1 AND epoch = $2 AND kind = 3";
    db.query_opt(query, &[&room.0, &signed(epoch)]).await?.map(|row| unsigned(row.try_get(0)?)).transpose()
}

/// Adds what a device may read, to what it could read before where the two touch.
async fn extend(db: &Session, room: RoomId, device: &DeviceUri, span: Span) -> Outcome<()> {
    let (device, since, until) = (device.to_string(), signed(span.since), span.until.map(signed));
    let query = "SELECT since, until FROM roster WHERE room = $1 AND device = $2";
    let rows = db.query(query, &[&room.0, &device]).await?;
    let known = rows.iter().map(|row| {
        let until: Option<i64> = row.try_get(1)?;
        Ok(Span { since: unsigned(row.try_get(0)?)?, until: until.map(unsigned).transpose()? })
    });
    let known: Vec<Span> = known.collect::<Outcome<_>>()?;
    if known.iter().any(|known| known.covers(&span)) {
        return Ok(());
    }
    if known.iter().any(|known| known.until == Some(span.since)) {
        let longer = "UPDATE roster SET until = $3 WHERE room = $1 AND device = $2 AND until = $4";
        db.execute(longer, &[&room.0, &device, &until, &since]).await?;
        return Ok(());
    }
    let add = "INSERT INTO roster (room, device, leaf, since, until)
        VALUES ($1::bigint, $2, -1 - (SELECT count(*) FROM roster WHERE room = $1::bigint), $3, $4)";
    db.execute(add, &[&room.0, &device, &since, &until]).await?;
    Ok(())
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
