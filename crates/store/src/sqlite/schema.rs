//! The tables, how a store is made, recognised and brought up to date.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::seal::{ID, Sealer, fill_random};
use crate::{StoreError, StoreKey};

/// Step n leads from schema n to schema n + 1. A step that has been released is never changed.
const STEPS: [&str; 1] = [include_str!("schema_1.sql")];

/// The newest schema, which this release writes.
pub(super) const NEWEST: u32 = 1;

const _: () = assert!(STEPS.len() == NEWEST as usize);

/// Makes the store if the file is empty, brings it up to date if it is old, and checks the key.
pub(super) fn prepare(connection: &mut Connection, key: &StoreKey) -> Result<Sealer, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = recognise(&transaction)?;
    // Whoever lacks the key changes nothing.
    let sealer = if found == 0 { None } else { Some(identify(&transaction, key)?) };
    if found < NEWEST {
        for step in STEPS.iter().skip(found.try_into().unwrap_or(usize::MAX)) {
            transaction.execute_batch(step)?;
        }
        transaction.execute("UPDATE store SET schema = ?1", [NEWEST])?;
    }
    let sealer = match sealer {
        Some(sealer) => sealer,
        None => found_store(&transaction, key)?,
    };
    transaction.commit()?;
    Ok(sealer)
}

/// The schema of the file, 0 if it is empty; refuses what this release cannot use.
pub(super) fn recognise(connection: &Connection) -> Result<u32, StoreError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema JOIN pragma_table_info('store') AS info
         WHERE sqlite_schema.name = 'store' AND info.name = 'schema'",
        [],
        |row| row.get(0),
    )?;
    if ours != 1 {
        return Err(StoreError::NotAStore);
    }
    let found: Option<i64> = connection.query_row("SELECT schema FROM store", [], |row| row.get(0)).optional()?;
    match found.map(u32::try_from) {
        Some(Ok(0)) | None => Err(StoreError::Corrupt),
        Some(Ok(found)) if found > NEWEST => Err(StoreError::NewerSchema { found, known: NEWEST }),
        Some(Ok(found)) => Ok(found),
        Some(Err(_)) => Err(StoreError::Corrupt),
    }
}

fn identify(transaction: &Transaction<'_>, key: &StoreKey) -> Result<Sealer, StoreError> {
    let (id, check): (Vec<u8>, Vec<u8>) =
        transaction.query_row("SELECT id, key_check FROM store", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sealer = Sealer::new(key, id.try_into().map_err(|_| StoreError::Corrupt)?)?;
    if sealer.accepts(&check) { Ok(sealer) } else { Err(StoreError::WrongKey) }
}

fn found_store(transaction: &Transaction<'_>, key: &StoreKey) -> Result<Sealer, StoreError> {
    let mut id = [0; ID];
    fill_random(&mut id)?;
    let sealer = Sealer::new(key, id)?;
    transaction.execute(
        "INSERT INTO store (one, schema, id, key_check) VALUES (1, ?1, ?2, ?3)",
        params![NEWEST, id, sealer.check_value()],
    )?;
    Ok(sealer)
}
