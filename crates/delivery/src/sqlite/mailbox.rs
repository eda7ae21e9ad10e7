//! Welcomes that wait for their devices.

use keyroom_api::{DeviceUri, MailboxItem, MailboxPage};
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Outcome, rooms};
use crate::{NewWelcome, Page, RoomId};

/// Where Welcomes lead.
pub(super) struct Into<'a> {
    pub(super) room: RoomId,
    pub(super) epoch: u64,
    pub(super) tree_hash: &'a [u8],
    pub(super) cursor: u64,
    /// Most items that a mailbox may hold.
    pub(super) most: u64,
}

/// How delivery went.
pub(super) enum Delivered {
    All,
    /// This addressee is not known.
    Unknown(usize),
    /// The mailbox of this one is full.
    Full(usize),
}

/// Puts Welcomes into the mailboxes of their addressees, or says which one refuses.
pub(super) fn deliver(db: &Connection, into: &Into<'_>, welcomes: &[NewWelcome]) -> Outcome<Delivered> {
    let mut index = 0;
    for NewWelcome { head, tail, to } in welcomes {
        if to.is_empty() {
            continue;
        }
        db.prepare_cached("INSERT INTO welcomes (head, tail, tree_hash) VALUES (?, ?, ?)")?.execute(params![
            head,
            tail,
            into.tree_hash
        ])?;
        let welcome = db.last_insert_rowid();
        for (device, secrets) in to {
            let Some(device) = device_id(db, device)? else { return Ok(Delivered::Unknown(index)) };
            if waiting(db, device)? >= into.most {
                return Ok(Delivered::Full(index));
            }
            put(db, into, device, welcome, secrets)?;
            index += 1;
        }
    }
    Ok(Delivered::All)
}

fn device_id(db: &Connection, device: &DeviceUri) -> Outcome<Option<i64>> {
    db.prepare_cached("SELECT id FROM devices WHERE uri = ?")?
        .query_row([device.to_string()], |row| row.get(0))
        .optional()
}

fn waiting(db: &Connection, device: i64) -> Outcome<u64> {
    db.prepare_cached("SELECT count(*) FROM mailbox WHERE device = ?")?.query_row([device], |row| row.get(0))
}

fn put(db: &Connection, into: &Into<'_>, device: i64, welcome: i64, secrets: &[u8]) -> Outcome<()> {
    let sequence: i64 = db
        .prepare_cached("UPDATE devices SET mailbox_head = mailbox_head + 1 WHERE id = ? RETURNING mailbox_head")?
        .query_row([device], |row| row.get(0))?;
    db.prepare_cached(
        "INSERT INTO mailbox (device, sequence, room, epoch, cursor, welcome, secrets)
         VALUES (:device, :sequence, :room, :epoch, :cursor, :welcome, :secrets)",
    )?
    .execute(named_params! {
        ":device": device,
        ":sequence": sequence,
        ":room": into.room.0,
        ":epoch": into.epoch,
        ":cursor": into.cursor,
        ":welcome": welcome,
        ":secrets": secrets,
    })?;
    Ok(())
}

pub(super) fn page(db: &Connection, device: &DeviceUri, page: Page) -> Outcome<MailboxPage> {
    let mut query = db.prepare_cached(
        "SELECT mailbox.sequence, rooms.uri, mailbox.epoch, mailbox.cursor, welcomes.tree_hash,
                welcomes.head, mailbox.secrets, welcomes.tail
         FROM mailbox
         JOIN devices ON devices.id = mailbox.device
         JOIN rooms ON rooms.id = mailbox.room
         JOIN welcomes ON welcomes.id = mailbox.welcome
         WHERE devices.uri = ? AND mailbox.sequence > ? ORDER BY mailbox.sequence LIMIT ?",
    )?;
    let after = i64::try_from(page.after).unwrap_or(i64::MAX);
    let found = query.query_map(params![device.to_string(), after, page.entries], |row| {
        Ok(MailboxItem {
            sequence: row.get(0)?,
            room: rooms::name(row, 1)?,
            epoch: row.get(2)?,
            cursor: row.get(3)?,
            tree_hash: row.get(4)?,
            welcome: [row.get_ref(5)?.as_blob()?, row.get_ref(6)?.as_blob()?, row.get_ref(7)?.as_blob()?].concat(),
        })
    })?;
    Ok(MailboxPage { items: super::entries::up_to(page.bytes, found, |item| item.welcome.len())? })
}

pub(super) fn acknowledge(db: &Connection, device: &DeviceUri, sequence: u64) -> Outcome<()> {
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    let welcome: Option<i64> = db
        .prepare_cached(
            "DELETE FROM mailbox WHERE device = (SELECT id FROM devices WHERE uri = ?) AND sequence = ?
             RETURNING welcome",
        )?
        .query_row(params![device.to_string(), sequence], |row| row.get(0))
        .optional()?;
    if let Some(welcome) = welcome {
        db.prepare_cached(
            "DELETE FROM welcomes WHERE id = :welcome AND NOT EXISTS (SELECT 1 FROM mailbox WHERE welcome = :welcome)",
        )?
        .execute(named_params! { ":welcome": welcome })?;
    }
    Ok(())
}
