//! Welcomes that wait for their devices.

use keyroom_api::{DeviceUri, MailboxItem, MailboxPage};
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Outcome, rooms};
use crate::{Appended, NewCommit, Page};

/// Puts the Welcomes of a commit into the mailboxes of their addressees, or says which one refuses.
pub(super) fn deliver(db: &Connection, commit: &NewCommit, cursor: u64) -> Outcome<Option<Appended>> {
    let mut index = 0;
    for (message, devices) in &commit.welcomes {
        if devices.is_empty() {
            continue;
        }
        db.prepare_cached("INSERT INTO welcomes (message) VALUES (?)")?.execute([message])?;
        let welcome = db.last_insert_rowid();
        for device in devices {
            let Some(device) = device_id(db, device)? else { return Ok(Some(Appended::UnknownDevice(index))) };
            if waiting(db, device)? >= commit.mailbox {
                return Ok(Some(Appended::MailboxFull(index)));
            }
            put(db, commit, device, welcome, cursor)?;
            index += 1;
        }
    }
    Ok(None)
}

fn device_id(db: &Connection, device: &DeviceUri) -> Outcome<Option<i64>> {
    db.prepare_cached("SELECT id FROM devices WHERE uri = ?")?
        .query_row([device.to_string()], |row| row.get(0))
        .optional()
}

fn waiting(db: &Connection, device: i64) -> Outcome<u64> {
    db.prepare_cached("SELECT count(*) FROM mailbox WHERE device = ?")?.query_row([device], |row| row.get(0))
}

fn put(db: &Connection, commit: &NewCommit, device: i64, welcome: i64, cursor: u64) -> Outcome<()> {
    let sequence: i64 = db
        .prepare_cached("UPDATE devices SET mailbox_head = mailbox_head + 1 WHERE id = ? RETURNING mailbox_head")?
        .query_row([device], |row| row.get(0))?;
    db.prepare_cached(
        "INSERT INTO mailbox (device, sequence, room, epoch, cursor, welcome)
         VALUES (:device, :sequence, :room, :epoch, :cursor, :welcome)",
    )?
    .execute(named_params! {
        ":device": device,
        ":sequence": sequence,
        ":room": commit.entry.room.0,
        ":epoch": commit.entry.epoch + 1,
        ":cursor": cursor,
        ":welcome": welcome,
    })?;
    Ok(())
}

pub(super) fn page(db: &Connection, device: &DeviceUri, page: Page) -> Outcome<MailboxPage> {
    let mut query = db.prepare_cached(
        "SELECT mailbox.sequence, rooms.uri, mailbox.epoch, mailbox.cursor, welcomes.message
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
            welcome: row.get(4)?,
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
