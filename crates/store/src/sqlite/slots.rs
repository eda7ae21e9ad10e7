//! Slots: where a secret can really be erased.
//!
//! `secure_delete` zeroes the cell that a deleted value lay in. It does not zero what SQLite left behind
//! when it moved the value from page to page while it was alive: a page that is rebuilt keeps old bytes
//! between its cell pointers and its cells. So values are not what is erased. Each value is sealed
//! under a key made from a random salt of 32 bytes, and the salts lie in a table whose cells never move:
//! all have one length, a new one is appended, a used one is overwritten in place, none is ever deleted,
//! so no page of the table is ever rebuilt or merged. Overwriting the salt destroys every copy of the
//! value, wherever it lies.

use keyroom_crypto::Zeroizing;
use rusqlite::{Connection, OptionalExtension, params};

use super::seal::{SALT, Salt, fill_random};
use crate::StoreError;

/// Puts a fresh salt into a slot, over the one that is there, or into a slot that is free or new.
/// Returns which slot it is.
pub(super) fn write(connection: &Connection, slot: Option<i64>) -> Result<(i64, Salt), StoreError> {
    let mut salt = Salt::new([0; SALT]);
    fill_random(salt.as_mut_slice())?;
    let slot = match slot {
        Some(slot) => Some(slot),
        None => reuse(connection)?,
    };
    let slot = match slot {
        Some(slot) => {
            overwrite(connection, slot, &salt)?;
            slot
        }
        None => {
            connection.prepare_cached("INSERT INTO slots (salt) VALUES (?1)")?.execute([salt.as_slice()])?;
            connection.last_insert_rowid()
        }
    };
    Ok((slot, salt))
}

/// Destroys the salt of a slot and leaves the slot for another value.
pub(super) fn free(connection: &Connection, slot: i64) -> Result<(), StoreError> {
    overwrite(connection, slot, &Salt::new([0; SALT]))?;
    connection.prepare_cached("INSERT INTO free_slots (id) VALUES (?1)")?.execute([slot])?;
    Ok(())
}

/// The salt as it was read beside a value, if it has one of its own.
pub(super) fn parse(salt: Option<Vec<u8>>) -> Result<Option<Salt>, StoreError> {
    let Some(bytes) = salt.map(Zeroizing::new) else { return Ok(None) };
    let salt = bytes.first_chunk::<SALT>().filter(|_| bytes.len() == SALT).ok_or(StoreError::Corrupt)?;
    Ok(Some(Salt::new(*salt)))
}

/// As [`parse`], for a value that must have one.
pub(super) fn require(salt: Option<Vec<u8>>) -> Result<Salt, StoreError> {
    parse(salt)?.ok_or(StoreError::Corrupt)
}

fn reuse(connection: &Connection) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("DELETE FROM free_slots WHERE id = (SELECT min(id) FROM free_slots) RETURNING id")?
        .query_row([], |row| row.get(0))
        .optional()?)
}

fn overwrite(connection: &Connection, slot: i64, salt: &Salt) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached("UPDATE slots SET salt = ?2 WHERE id = ?1")?
        .execute(params![slot, salt.as_slice()])?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Corrupt) }
}
