//! The log of a room.

use futures_util::future::{try_join, try_join5};
use keyroom_api::{Conflict, DeviceUri, EntryKind, LogEntry, LogPage, Receipt, RoomStatus};
use tokio_postgres::Row;

use super::mailbox::{self, Into, Undelivered};
use super::session::{Parameters, Session};
use super::{Failure, Outcome, epochs, rooms, roster, signed, unsigned};
use crate::{Appended, LogRead, NewCommit, NewEntry, Once, Page, Reach, Remembered, RoomId, Span, Standing};

/// Appends a message: one statement, and so one transaction. Whether the idempotency key is new is
/// asked in it; two that race for one key collide in its primary key.
///
/// So is whether the device is in the room. A statement that waits for the lock of a room sees the new row
/// then, but all other rows as they were when it began; so the row itself says when somebody was last
/// removed, and a statement that was overtaken by a removal finds no row and is repeated. A commit
/// needs less: the roster changes with the epoch only.
const MESSAGE: &str = include_str!("message.sql");

/// Appends a commit with the GroupInfo of the next epoch; state records and Welcomes follow in the same
/// transaction.
const COMMIT: &str = include_str!("commit.sql");

pub(super) async fn append(db: &Session, entry: &NewEntry, late: u64) -> Outcome<Appended> {
    let (device, key) = key_of(entry);
    let row = db
        .query_opt(
            MESSAGE,
            &[
                &entry.room.0,
                &signed(entry.epoch),
                &signed(late),
                &i16::from(entry.kind.code()),
                &signed(entry.accepted_at),
                &entry.message,
                &device,
                &key,
                &member(entry),
            ],
        )
        .await?;
    match row {
        Some(row) => Ok(Appended::Accepted(receipt(entry, unsigned(row.try_get(0)?)?))),
        None => refused(db, entry, late).await,
    }
}

pub(super) async fn append_commit(db: &Session, commit: &NewCommit) -> Outcome<Appended> {
    let entry = &commit.entry;
    let (state, mailboxes) = (epochs::Statements::prepare(db).await?, mailbox::Statements::prepare(db).await?);
    let places = roster::Statements::prepare(db).await?;
    let Some(sequence) = win(db, commit).await? else {
        db.rollback().await?;
        return refused(db, entry, 0).await;
    };
    let mail = match mailbox::address(db, &commit.welcomes, commit.mailbox).await? {
        Ok(mail) => mail,
        Err(refusal) => {
            db.rollback().await?;
            return Ok(match refusal {
                Undelivered::Unknown(index) => Appended::UnknownDevice(index),
                Undelivered::Full(index) => Appended::MailboxFull(index),
            });
        }
    };
    let next = entry.epoch + 1;
    let oldest = |kept: u64| (next + 1).saturating_sub(kept.max(1));
    let (change, tree_hash) = (&commit.next.change, &commit.next.tree_hash);
    let into = Into { room: entry.room, epoch: next, tree_hash, cursor: sequence };
    epochs::clear(db, entry.room, next, change).await?;
    if let Some(access) = &commit.access {
        roster::rekey(db, entry.room, next, access, sequence).await?;
    }
    // All are prepared, so they are sent together and carried out in this order.
    try_join5(
        places.change(db, entry.room, &commit.roster, sequence),
        state.set(db, entry.room, next, change),
        mailboxes.deliver(db, &into, &commit.welcomes, &mail),
        state.forget(db, entry.room, oldest(commit.epochs_kept), oldest(commit.epochs_for_welcomes)),
        db.commit(),
    )
    .await?;
    Ok(Appended::Accepted(receipt(entry, sequence)))
}

/// Begins the transaction and moves the room to the next epoch; `None` if the commit does not win.
async fn win(db: &Session, commit: &NewCommit) -> Outcome<Option<u64>> {
    let entry = &commit.entry;
    let (device, key) = key_of(entry);
    let (room, epoch, kind) = (entry.room.0, signed(entry.epoch), i16::from(entry.kind.code()));
    let (accepted_at, next) = (signed(entry.accepted_at), &commit.next);
    let (member, vacates) = (member(entry), !commit.roster.removed.is_empty() || commit.access.is_some());
    let parameters: Parameters<'_> = &[
        &room,
        &epoch,
        &kind,
        &accepted_at,
        &entry.message,
        &device,
        &key,
        &next.group_info,
        &next.tree_hash,
        &commit.closes,
        &member,
        &vacates,
    ];
    let ((), row) = try_join(db.begin(), db.query_opt(COMMIT, parameters)).await?;
    row.map(|row| unsigned(row.try_get(0)?)).transpose()
}

fn key_of(entry: &NewEntry) -> (Option<String>, Option<&str>) {
    (entry.once.as_ref().map(|once| once.device.to_string()), entry.once.as_ref().map(|once| once.key.as_str()))
}

fn member(entry: &NewEntry) -> Option<String> {
    entry.member.as_ref().map(ToString::to_string)
}

fn receipt(entry: &NewEntry, sequence: u64) -> Receipt {
    Receipt { sequence, epoch: entry.epoch, accepted_at: entry.accepted_at }
}

/// Why an entry was not appended: it had been before, its device is not in the room, or the room is closed
/// or in an epoch that does not take it. If nothing of that is so any more, it may be tried again.
async fn refused(db: &Session, entry: &NewEntry, late: u64) -> Outcome<Appended> {
    if let Some(once) = &entry.once
        && let Some(before) = remembered(db, once).await?
    {
        let same = before.room == entry.room && before.message == entry.message;
        return Ok(if same { Appended::Repeated(before.receipt) } else { Appended::KeyReused });
    }
    if let Some(device) = &entry.member
        && let Standing::Removed | Standing::Stranger = roster::standing(db, entry.room, device).await?
    {
        return Ok(Appended::NotMember);
    }
    if let Some(closure) = rooms::closure(db, entry.room).await? {
        return Ok(Appended::Closed(closure));
    }
    let conflict = conflict(db, entry.room, entry.epoch).await?;
    match conflict.epoch.checked_sub(entry.epoch) {
        Some(behind) if behind <= late => Err(Failure::Overtaken),
        _ => Ok(Appended::WrongEpoch(conflict)),
    }
}

pub(super) async fn remembered(db: &Session, once: &Once) -> Outcome<Option<Remembered>> {
    let found = db
        .query_opt(
            "SELECT log.room, log.sequence, log.epoch, log.accepted_at, log.message
             FROM idempotency JOIN log ON log.room = idempotency.room AND log.sequence = idempotency.sequence
             WHERE device = $1 AND key = $2",
            &[&once.device.to_string(), &once.key.as_str()],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    let [sequence, epoch, accepted_at] =
        [unsigned(row.try_get(1)?)?, unsigned(row.try_get(2)?)?, unsigned(row.try_get(3)?)?];
    Ok(Some(Remembered {
        room: RoomId(row.try_get(0)?),
        receipt: Receipt { sequence, epoch, accepted_at },
        message: row.try_get(4)?,
    }))
}

pub(super) async fn conflict(db: &Session, room: RoomId, epoch: u64) -> Outcome<Conflict> {
    let row = db
        .query_opt(
            "SELECT rooms.epoch, rooms.head, log.sequence, log.message FROM rooms
             LEFT JOIN log ON log.room = rooms.id AND log.epoch = $2 AND log.kind = 3 WHERE rooms.id = $1",
            &[&room.0, &signed(epoch)],
        )
        .await?
        .ok_or(Failure::Corrupt)?;
    Ok(Conflict {
        epoch: unsigned(row.try_get(0)?)?,
        head: unsigned(row.try_get(1)?)?,
        commit_sequence: row.try_get::<_, Option<i64>>(2)?.map(unsigned).transpose()?,
        commit: row.try_get(3)?,
    })
}

pub(super) async fn proposals(db: &Session, room: RoomId, epoch: u64) -> Outcome<Vec<Vec<u8>>> {
    let query = "SELECT message FROM log WHERE room = $1 AND epoch = $2 AND kind = 2 ORDER BY sequence";
    let rows = db.query(query, &[&room.0, &signed(epoch)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// One statement, so that head, entries and the reader's places are of one moment. The sizes are added up
/// in the database, so that it sends no more than the page holds.
const LOG: &str = "SELECT rooms.epoch, rooms.head, rooms.closed, rooms.successor,
        run.sequence, run.epoch, run.kind, run.accepted_at, run.message, rooms.listed,
        (SELECT array_agg(since ORDER BY since, leaf) FROM roster WHERE room = $1::bigint AND device = $5::text),
        (SELECT array_agg(until ORDER BY since, leaf) FROM roster WHERE room = $1::bigint AND device = $5::text)
    FROM rooms LEFT JOIN LATERAL (
        SELECT sequence, epoch, kind, accepted_at, message,
            sum(octet_length(message)) OVER size AS bytes, row_number() OVER size AS place
        FROM log WHERE room = $1::bigint AND sequence > $2
        WINDOW size AS (ORDER BY sequence ROWS UNBOUNDED PRECEDING)
        ORDER BY sequence LIMIT $3
    ) AS run ON run.bytes <= $4 OR run.place = 1
    WHERE rooms.id = $1::bigint ORDER BY run.sequence";

pub(super) async fn log(db: &Session, room: RoomId, reader: Option<&DeviceUri>, page: Page) -> Outcome<LogRead> {
    let device = reader.map(ToString::to_string);
    let rows =
        db.query(LOG, &[&room.0, &signed(page.after), &limit(page.entries), &limit(page.bytes), &device]).await?;
    let first = rows.first().ok_or(Failure::Corrupt)?;
    let reach = match reader {
        Some(_) if first.try_get(9)? => Reach::of(&spans(first)?, page.after),
        _ => Reach::Open,
    };
    let RoomStatus { epoch, head, closed } = rooms::status(first)?;
    let entries: Vec<LogEntry> = rows.iter().map(entry).filter_map(Outcome::transpose).collect::<Outcome<_>>()?;
    match reach {
        Reach::Open => Ok(LogRead::Page { page: LogPage { epoch, head, entries, closed }, until: None }),
        Reach::UpTo(last) => {
            let entries = entries.into_iter().take_while(|entry| entry.sequence <= last).collect();
            let closed = closed.filter(|closure| closure.at <= last);
            let page = LogPage { epoch: epoch_after(db, room, last).await?, head: last, entries, closed };
            Ok(LogRead::Page { page, until: Some(last) })
        }
        Reach::Outside => Ok(LogRead::Outside),
    }
}

/// The reader's places: a column of where they begin, and one of where they end.
fn spans(row: &Row) -> Outcome<Vec<Span>> {
    let since = row.try_get::<_, Option<Vec<i64>>>(10)?.unwrap_or_default();
    let until = row.try_get::<_, Option<Vec<Option<i64>>>>(11)?.unwrap_or_default();
    let spans = since.into_iter().zip(until);
    spans.map(|(since, until)| Ok(Span { since: unsigned(since)?, until: until.map(unsigned).transpose()? })).collect()
}

/// The epoch that a commit has started.
async fn epoch_after(db: &Session, room: RoomId, commit: u64) -> Outcome<u64> {
    let query = "SELECT epoch + 1 FROM log WHERE room = $1 AND sequence = $2";
    unsigned(db.query_opt(query, &[&room.0, &signed(commit)]).await?.ok_or(Failure::Corrupt)?.try_get(0)?)
}

/// A bound on a page, for the database.
pub(super) fn limit(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

/// A row without a sequence number stands for a page without entries.
fn entry(row: &Row) -> Outcome<Option<LogEntry>> {
    let Some(sequence) = row.try_get::<_, Option<i64>>(4)? else { return Ok(None) };
    let code = u8::try_from(row.try_get::<_, i16>(6)?).map_err(|_| Failure::Corrupt)?;
    Ok(Some(LogEntry {
        sequence: unsigned(sequence)?,
        epoch: unsigned(row.try_get(5)?)?,
        kind: EntryKind::from_code(code).ok_or(Failure::Corrupt)?,
        accepted_at: unsigned(row.try_get(7)?)?,
        message: row.try_get(8)?,
    }))
}

#[cfg(test)]
mod tests {
    /// The benchmark compares what the server reaches with this script, so both must do the same.
    #[test]
    fn the_script_of_the_benchmark_is_the_statement_of_the_engine() {
        let script = crate::Postgres::MESSAGE_SCRIPT;
        let device = "'mimi://example.org/d/user/phone'::text";
        let message = "convert_to(repeat('m', 1024), 'SQL_ASCII')::bytea";
        let values = [
            (":room::bigint", "$1::bigint"),
            ("0::bigint", "$2::bigint"),
            ("4::bigint", "$3::bigint"),
            ("1::smallint", "$4::smallint"),
            ("180000000000$2::bigint", "$5::bigint"),
            (message, "$6::bytea"),
            (device, "$7::text"),
            (":mark::text", "$8::text"),
            ("'mimi://example.org/d/member/phone'::text", "$9::text"),
        ];
        let statement = script.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\'));
        let statement = statement.collect::<Vec<_>>().join("\n");
        let statement = values.iter().fold(statement, |text, (value, parameter)| text.replace(value, parameter));
        assert_eq!(statement.trim_end_matches(';'), super::MESSAGE.trim_end());
    }
}
