//! Welcomes that wait for their devices.

use std::collections::HashMap;

use futures_util::future::try_join3;
use keyroom_api::{DeviceUri, MailboxItem, MailboxPage};
use tokio_postgres::Statement;

use super::entries::limit;
use super::session::Session;
use super::{Failure, Outcome, name, signed, unsigned};
use crate::{NewWelcome, Page, RoomId};

/// Where Welcomes lead.
pub(super) struct Into<'a> {
    pub(super) room: RoomId,
    pub(super) epoch: u64,
    pub(super) tree_hash: &'a [u8],
    pub(super) cursor: u64,
}

/// Which addressee, counted over all Welcomes, is in the way.
pub(super) enum Undelivered {
    /// This one is not known.
    Unknown(usize),
    /// The mailbox of this one is full.
    Full(usize),
}

/// The places that Welcomes take in mailboxes: columns of rows.
#[derive(Default)]
pub(super) struct Mail {
    devices: Vec<i64>,
    sequences: Vec<i64>,
    counters: HashMap<i64, Counters>,
}

#[derive(Clone, Copy)]
struct Counters {
    head: i64,
    waiting: i64,
}

/// Locks the mailboxes of all addressees, in the order of their ids, and gives each Welcome its place;
/// or says which addressee refuses. A mailbox holds `most` items at most.
pub(super) async fn address(db: &Session, welcomes: &[NewWelcome], most: u64) -> Outcome<Result<Mail, Undelivered>> {
    let mut addressees: Vec<String> = addressees(welcomes).map(DeviceUri::to_string).collect();
    addressees.sort_unstable();
    addressees.dedup();
    if addressees.is_empty() {
        return Ok(Ok(Mail::default()));
    }
    let rows = db
        .query(
            "SELECT uri, id, mailbox_head, mailbox_waiting FROM devices WHERE uri = ANY($1::text[])
             ORDER BY id FOR NO KEY UPDATE",
            &[&addressees],
        )
        .await?;
    let mut ids = HashMap::with_capacity(rows.len());
    let mut mail = Mail::default();
    for row in rows {
        let id = row.try_get(1)?;
        ids.insert(row.try_get::<_, String>(0)?, id);
        mail.counters.insert(id, Counters { head: row.try_get(2)?, waiting: row.try_get(3)? });
    }
    Ok(mail.place(welcomes, &ids, signed(most)))
}

fn addressees(welcomes: &[NewWelcome]) -> impl Iterator<Item = &DeviceUri> {
    welcomes.iter().flat_map(|welcome| &welcome.to).map(|(device, _)| device)
}

impl Mail {
    fn place(mut self, welcomes: &[NewWelcome], ids: &HashMap<String, i64>, most: i64) -> Result<Self, Undelivered> {
        for (index, device) in addressees(welcomes).enumerate() {
            let known = ids.get(&device.to_string());
            let found = known.and_then(|id| Some((*id, self.counters.get_mut(id)?)));
            let Some((id, counters)) = found else { return Err(Undelivered::Unknown(index)) };
            if counters.waiting >= most {
                return Err(Undelivered::Full(index));
            }
            counters.head += 1;
            counters.waiting += 1;
            self.devices.push(id);
            self.sequences.push(counters.head);
        }
        Ok(self)
    }
}

/// What is sent for every commit with Welcomes.
pub(super) struct Statements {
    welcomes: Statement,
    mailbox: Statement,
    counters: Statement,
}

impl Statements {
    pub(super) async fn prepare(db: &Session) -> Outcome<Self> {
        let welcomes = "INSERT INTO welcomes (room, cursor, tree_hash, number, waiting, head, tail)
            SELECT $1::bigint, $2::bigint, $3::bytea, number, waiting, head, tail
            FROM unnest($4::integer[], $5::bigint[], $6::bytea[], $7::bytea[]) AS sent (number, waiting, head, tail)";
        let mailbox = "INSERT INTO mailbox (device, sequence, room, epoch, cursor, welcome, secrets)
            SELECT device, sequence, $1::bigint, $2::bigint, $3::bigint, welcome, secrets
            FROM unnest($4::bigint[], $5::bigint[], $6::integer[], $7::bytea[])
                AS placed (device, sequence, welcome, secrets)";
        let counters = "UPDATE devices SET mailbox_head = counted.head, mailbox_waiting = counted.waiting
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS counted (id, head, waiting)
            WHERE devices.id = counted.id";
        Ok(Self {
            welcomes: db.prepare(welcomes).await?,
            mailbox: db.prepare(mailbox).await?,
            counters: db.prepare(counters).await?,
        })
    }

    /// Puts Welcomes into the mailboxes that are locked. Sent when first polled.
    pub(super) async fn deliver(
        &self,
        db: &Session,
        into: &Into<'_>,
        welcomes: &[NewWelcome],
        mail: &Mail,
    ) -> Outcome<()> {
        if mail.devices.is_empty() {
            return Ok(());
        }
        let (room, cursor, epoch) = (into.room.0, signed(into.cursor), signed(into.epoch));
        let numbered = || welcomes.iter().zip(0i32..).filter(|(welcome, _)| !welcome.to.is_empty());
        let numbers: Vec<i32> = numbered().map(|(_, number)| number).collect();
        let waits: Vec<i64> = numbered().map(|(welcome, _)| limit(welcome.to.len())).collect();
        let heads: Vec<&[u8]> = numbered().map(|(welcome, _)| welcome.head.as_slice()).collect();
        let tails: Vec<&[u8]> = numbered().map(|(welcome, _)| welcome.tail.as_slice()).collect();
        let parts = || numbered().flat_map(|(welcome, number)| welcome.to.iter().map(move |(_, part)| (number, part)));
        let of: Vec<i32> = parts().map(|(number, _)| number).collect();
        let secrets: Vec<&[u8]> = parts().map(|(_, part)| part.as_slice()).collect();
        let (ids, counters): (Vec<i64>, Vec<Counters>) = mail.counters.iter().map(|(id, c)| (*id, *c)).unzip();
        let (last, waiting): (Vec<i64>, Vec<i64>) = counters.iter().map(|c| (c.head, c.waiting)).unzip();
        try_join3(
            db.send(&self.welcomes, &[&room, &cursor, &into.tree_hash, &numbers, &waits, &heads, &tails]),
            db.send(&self.mailbox, &[&room, &epoch, &cursor, &mail.devices, &mail.sequences, &of, &secrets]),
            db.send(&self.counters, &[&ids, &last, &waiting]),
        )
        .await?;
        Ok(())
    }
}

pub(super) async fn page(db: &Session, device: &DeviceUri, page: Page) -> Outcome<MailboxPage> {
    let rows = db
        .query(
            "SELECT sequence, uri, epoch, cursor, tree_hash, head || secrets || tail FROM (
                SELECT mailbox.sequence, rooms.uri, mailbox.epoch, mailbox.cursor, tree_hash, welcomes.head,
                    secrets, tail,
                    sum(octet_length(welcomes.head) + octet_length(secrets) + octet_length(tail)) OVER size AS bytes,
                    row_number() OVER size AS place
                FROM mailbox
                JOIN rooms ON rooms.id = mailbox.room
                JOIN welcomes ON welcomes.room = mailbox.room AND welcomes.cursor = mailbox.cursor
                    AND welcomes.number = mailbox.welcome
                WHERE mailbox.device = (SELECT id FROM devices WHERE uri = $1) AND mailbox.sequence > $2
                WINDOW size AS (ORDER BY mailbox.sequence ROWS UNBOUNDED PRECEDING)
                ORDER BY mailbox.sequence LIMIT $3
             ) AS run WHERE bytes <= $4 OR place = 1 ORDER BY sequence",
            &[&device.to_string(), &signed(page.after), &limit(page.entries), &limit(page.bytes)],
        )
        .await?;
    let items = rows.iter().map(|row| {
        Ok::<_, Failure>(MailboxItem {
            sequence: unsigned(row.try_get(0)?)?,
            room: name(row.try_get(1)?)?,
            epoch: unsigned(row.try_get(2)?)?,
            cursor: unsigned(row.try_get(3)?)?,
            tree_hash: row.try_get(4)?,
            welcome: row.try_get(5)?,
        })
    });
    Ok(MailboxPage { items: items.collect::<Outcome<_>>()? })
}

/// Removes an item. A Welcome goes with the last mailbox that it waits in; its own row counts them, so
/// that two who are last at the same time do not both leave it to the other.
pub(super) async fn acknowledge(db: &Session, device: &DeviceUri, sequence: u64) -> Outcome<()> {
    db.begin().await?;
    let last = db
        .query_opt(
            "WITH gone AS (
                DELETE FROM mailbox WHERE device = (SELECT id FROM devices WHERE uri = $1) AND sequence = $2
                RETURNING device, room, cursor, welcome
            ), counted AS (
                UPDATE devices SET mailbox_waiting = mailbox_waiting - 1 FROM gone WHERE devices.id = gone.device
            )
            UPDATE welcomes SET waiting = waiting - 1 FROM gone
            WHERE welcomes.room = gone.room AND welcomes.cursor = gone.cursor AND number = welcome
            RETURNING welcomes.room, welcomes.cursor, number, waiting",
            &[&device.to_string(), &signed(sequence)],
        )
        .await?;
    if let Some(row) = last
        && row.try_get::<_, i64>(3)? == 0
    {
        let (room, cursor, number): (i64, i64, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let delete = "DELETE FROM welcomes WHERE room = $1 AND cursor = $2 AND number = $3";
        db.execute(delete, &[&room, &cursor, &number]).await?;
    }
    db.commit().await
}
