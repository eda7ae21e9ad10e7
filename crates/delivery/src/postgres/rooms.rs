//! Rooms.

use futures_util::future::try_join3;
use keyroom_api::{Closure, DeviceUri, RoomStatus, RoomUri};
use tokio_postgres::Row;

use super::mailbox::{self, Into, Undelivered};
use super::session::Session;
use super::{Failure, Outcome, epochs, name, roster, signed, unsigned};
use crate::{Created, NewReport, NewRoom, Reported, RoomId, RoomRecord};

pub(super) async fn create(db: &Session, new: &NewRoom) -> Outcome<Created> {
    if let Some(there) = find(db, &new.room).await? {
        return Ok(repeated(there, new));
    }
    let (state, mailboxes) = (epochs::Statements::prepare(db).await?, mailbox::Statements::prepare(db).await?);
    db.begin().await?;
    let (id, mail) = match place(db, new).await? {
        Ok(placed) => placed,
        Err(refusal) => {
            db.rollback().await?;
            // Somebody may have created this very room meanwhile.
            return Ok(find(db, &new.room).await?.map_or(refusal, |there| repeated(there, new)));
        }
    };
    let into = Into { room: id, epoch: new.epoch, tree_hash: &new.first.tree_hash, cursor: 0 };
    try_join3(
        state.set(db, id, new.epoch, &new.first.change),
        mailboxes.deliver(db, &into, &new.welcomes, &mail),
        db.commit(),
    )
    .await?;
    Ok(Created::New(RoomStatus { epoch: new.epoch, head: 0, closed: None }))
}

fn repeated((group_id, status): (Vec<u8>, RoomStatus), new: &NewRoom) -> Created {
    if group_id == new.group_id { Created::Repeated(status) } else { Created::NameTaken }
}

/// Takes the place of the predecessor, the name, and places in mailboxes; or says what is in the way.
async fn place(db: &Session, new: &NewRoom) -> Outcome<Result<(RoomId, mailbox::Mail), Created>> {
    if let Some(before) = &new.predecessor
        && let Some(refusal) = succeed(db, before, &new.room).await?
    {
        return Ok(Err(refusal));
    }
    let (devices, leaves) = roster::columns(new.roster.as_deref().unwrap_or_default());
    let added = db
        .query_opt(
            "WITH added AS (
                INSERT INTO rooms (uri, group_id, epoch, head, reports_needed, listed, keyed)
                VALUES ($1, $2, $3::bigint, 0, $6, $7, $10)
                ON CONFLICT DO NOTHING RETURNING id
            ), first AS (
                INSERT INTO epochs (room, epoch, group_info, tree_hash) SELECT id, $3::bigint, $4, $5 FROM added
            ), founders AS (
                INSERT INTO roster (room, device, leaf, since)
                SELECT id, device, leaf, 0 FROM added, unnest($8::text[], $9::bigint[]) AS came (device, leaf)
            )
            SELECT id FROM added",
            &[
                &new.room.to_string(),
                &new.group_id,
                &signed(new.epoch),
                &new.first.group_info,
                &new.first.tree_hash,
                &i64::from(new.reports_needed),
                &(new.roster.is_some() || new.access.is_some()),
                &devices,
                &leaves,
                &new.access.is_some(),
            ],
        )
        .await?;
    let Some(row) = added else { return Ok(Err(Created::GroupTaken)) };
    let id = RoomId(row.try_get(0)?);
    if let Some(access) = &new.access {
        roster::rekey(db, id, new.epoch, access, 0).await?;
    }
    Ok(match mailbox::address(db, &new.welcomes, new.mailbox).await? {
        Ok(mail) => Ok((id, mail)),
        Err(Undelivered::Unknown(index)) => Err(Created::UnknownDevice(index)),
        Err(Undelivered::Full(index)) => Err(Created::MailboxFull(index)),
    })
}

/// Makes a room the successor of another, or says why it cannot be. Of all that try one does.
async fn succeed(db: &Session, before: &RoomUri, successor: &RoomUri) -> Outcome<Option<Created>> {
    let update = "UPDATE rooms SET successor = $1 WHERE uri = $2 AND closed IS NOT NULL AND successor IS NULL";
    if db.execute(update, &[&successor.to_string(), &before.to_string()]).await? == 1 {
        return Ok(None);
    }
    let closure = find(db, before).await?.and_then(|(_, status)| status.closed);
    Ok(Some(closure.map_or(Created::NotClosed, Created::Succeeded)))
}

/// Counts a report, once for each leaf. The lock of the room's row makes reports wait for each other,
/// so that the one that makes them enough sees that it does.
pub(super) async fn report(db: &Session, report: &NewReport) -> Outcome<Reported> {
    let (room, epoch) = (report.room.0, signed(report.epoch));
    db.begin().await?;
    db.execute("SELECT 1 FROM rooms WHERE id = $1 FOR NO KEY UPDATE", &[&room]).await?;
    db.execute(
        "INSERT INTO reports (room, epoch, leaf, reason, signature) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        &[&room, &epoch, &i64::from(report.leaf), &i16::from(report.reason), &report.signature],
    )
    .await?;
    let count = "SELECT count(*) FROM reports WHERE room = $1 AND epoch = $2";
    let reports = unsigned(db.query_opt(count, &[&room, &epoch]).await?.ok_or(Failure::Corrupt)?.try_get(0)?)?;
    if reports >= report.needed {
        let close = "UPDATE rooms SET closed = $1 WHERE id = $2 AND closed IS NULL";
        db.execute(close, &[&signed(report.sequence), &room]).await?;
    }
    let closure = closure(db, report.room).await?;
    db.commit().await?;
    Ok(closure.map_or(Reported::Counted(reports), |closure| Reported::Closed(reports, closure)))
}

/// The group of a room, and where it is.
async fn find(db: &Session, room: &RoomUri) -> Outcome<Option<(Vec<u8>, RoomStatus)>> {
    let query = "SELECT epoch, head, closed, successor, group_id FROM rooms WHERE uri = $1";
    let row = db.query_opt(query, &[&room.to_string()]).await?;
    row.map(|row| Ok((row.try_get(4)?, status(&row)?))).transpose()
}

pub(super) async fn room(db: &Session, room: &RoomUri, device: &DeviceUri) -> Outcome<Option<RoomRecord>> {
    let query = "SELECT epoch, head, closed, successor, id, group_id, reports_needed, listed,
            (SELECT bool_or(until IS NULL) FROM roster WHERE room = rooms.id AND device = $2), keyed
        FROM rooms WHERE uri = $1";
    let Some(row) = db.query_opt(query, &[&room.to_string(), &device.to_string()]).await? else { return Ok(None) };
    Ok(Some(RoomRecord {
        id: RoomId(row.try_get(4)?),
        group_id: row.try_get(5)?,
        status: status(&row)?,
        reports_needed: u32::try_from(row.try_get::<_, i64>(6)?).map_err(|_| Failure::Corrupt)?,
        keyed: row.try_get(9)?,
        standing: roster::read(&row, 7)?,
    }))
}

/// Whether a room is closed.
pub(super) async fn closure(db: &Session, room: RoomId) -> Outcome<Option<Closure>> {
    let query = "SELECT epoch, head, closed, successor FROM rooms WHERE id = $1";
    let row = db.query_opt(query, &[&room.0]).await?.ok_or(Failure::Corrupt)?;
    Ok(status(&row)?.closed)
}

/// From the columns epoch, head, closed and successor, which come first.
pub(super) fn status(row: &Row) -> Outcome<RoomStatus> {
    let at: Option<i64> = row.try_get(2)?;
    let successor: Option<&str> = row.try_get(3)?;
    let successor = successor.map(name).transpose()?;
    let closed = at.map(|at| Ok::<_, Failure>(Closure { at: unsigned(at)?, successor })).transpose()?;
    Ok(RoomStatus { epoch: unsigned(row.try_get(0)?)?, head: unsigned(row.try_get(1)?)?, closed })
}
