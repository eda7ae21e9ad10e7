//! Rows of the application. The sealed value is the row's name, with its length in front, and what the
//! row holds.

use keyroom_crypto::Zeroizing;
use keyroom_mls::record::RecordValue;
use rusqlite::{Connection, OptionalExtension, params};

use super::seal::{Name, Place, Sealer};
use super::slots;
use crate::{Direction, Expect, Namespace, Row, RowChange, RowKey, Scan, StoreError};

pub(super) fn read(connection: &Connection, sealer: &Sealer, key: &RowKey) -> Result<Option<RecordValue>, StoreError> {
    let space = sealer.space(key.namespace);
    let name = sealer.row_name(&space, &key.name);
    let mut statement = connection.prepare_cached(
        "SELECT rows.name, place, sealed, salt FROM rows LEFT JOIN slots ON slots.id = rows.slot
         WHERE space = ?1 AND rows.name = ?2 AND place = ?3",
    )?;
    let mut rows = statement.query(params![space, name, place(key.order)])?;
    match rows.next()? {
        Some(row) => Ok(Some(parse(sealer, key.namespace, &space, row)?.value)),
        None => Ok(None),
    }
}

pub(super) fn scan(
    connection: &Connection,
    sealer: &Sealer,
    scan: Scan<'_>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    const ASCENDING: &str = "SELECT rows.name, place, sealed, salt FROM rows LEFT JOIN slots ON slots.id = rows.slot
         WHERE space = ?1 AND rows.name = ?2 AND place BETWEEN ?3 AND ?4 ORDER BY place LIMIT ?5";
    const DESCENDING: &str = "SELECT rows.name, place, sealed, salt FROM rows LEFT JOIN slots ON slots.id = rows.slot
         WHERE space = ?1 AND rows.name = ?2 AND place BETWEEN ?3 AND ?4 ORDER BY place DESC LIMIT ?5";
    const NAMESPACE: &str = "SELECT rows.name, place, sealed, salt FROM rows LEFT JOIN slots ON slots.id = rows.slot
         WHERE space = ?1 AND (rows.name, place) > (?2, ?3) ORDER BY rows.name, place LIMIT ?4";

    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match scan {
        Scan::Series { namespace, name, within, direction } => {
            let space = sealer.space(namespace);
            let sql = match direction {
                Direction::Ascending => ASCENDING,
                Direction::Descending => DESCENDING,
            };
            let mut statement = connection.prepare_cached(sql)?;
            let name = sealer.row_name(&space, name);
            let values = params![space, name, place(*within.start()), place(*within.end()), limit];
            collect(sealer, namespace, &space, statement.query(values)?)
        }
        Scan::Namespace { namespace, after } => {
            let space = sealer.space(namespace);
            let mut statement = connection.prepare_cached(NAMESPACE)?;
            // The empty name sorts before every other.
            let (name, order) =
                after.map_or((Vec::new(), 0), |key| (sealer.row_name(&space, &key.name).to_vec(), key.order));
            collect(sealer, namespace, &space, statement.query(params![space, name, place(order), limit])?)
        }
    }
}

/// Checks the expectation and writes. The caller rolls back on any error.
pub(super) fn apply(
    connection: &Connection,
    sealer: &Sealer,
    index: usize,
    change: &RowChange,
) -> Result<(), StoreError> {
    let RowChange { key, expect, value } = change;
    let space = sealer.space(key.namespace);
    let name = sealer.row_name(&space, &key.name);
    let slot: Option<i64> = connection
        .prepare_cached("SELECT slot FROM rows WHERE space = ?1 AND name = ?2 AND place = ?3")?
        .query_row(params![space, name, place(key.order)], |row| row.get(0))
        .optional()?;
    if matches!((expect, slot), (Expect::Absent, Some(_)) | (Expect::Present, None)) {
        return Err(StoreError::RowConflict { index });
    }
    match (value, slot) {
        (Some(value), slot) => {
            let (slot, salt) = slots::write(connection, slot)?;
            let at = Place::Row { space: &space, name: &name, order: key.order };
            let sealed = sealer.seal(at, &salt, &join(&key.name, value)?)?;
            connection
                .prepare_cached(
                    "INSERT INTO rows (space, name, place, slot, sealed) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO UPDATE SET slot = excluded.slot, sealed = excluded.sealed",
                )?
                .execute(params![space, name, place(key.order), slot, sealed])?;
        }
        (None, Some(slot)) => {
            slots::free(connection, slot)?;
            connection
                .prepare_cached("DELETE FROM rows WHERE space = ?1 AND name = ?2 AND place = ?3")?
                .execute(params![space, name, place(key.order)])?;
        }
        (None, None) => {}
    }
    Ok(())
}

fn collect(
    sealer: &Sealer,
    namespace: Namespace,
    space: &Name,
    mut rows: rusqlite::Rows<'_>,
) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(parse(sealer, namespace, space, row)?);
    }
    Ok(found)
}

/// From the columns name, place, sealed, salt.
fn parse(sealer: &Sealer, namespace: Namespace, space: &Name, row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let hidden: Vec<u8> = row.get(0)?;
    let hidden: Name = hidden.try_into().map_err(|_| StoreError::Corrupt)?;
    let order = order(row.get(1)?);
    let salt = slots::require(row.get(3)?)?;
    let at = Place::Row { space, name: &hidden, order };
    let (name, value) = split(&sealer.open(at, &salt, row.get_ref(2)?.as_blob()?)?)?;
    Ok(Row { key: RowKey { namespace, name, order }, value })
}

fn join(name: &[u8], value: &[u8]) -> Result<RecordValue, StoreError> {
    let length = u32::try_from(name.len()).map_err(|_| StoreError::Io(std::io::ErrorKind::FileTooLarge))?;
    let mut joined = Zeroizing::new(Vec::with_capacity(4 + name.len() + value.len()));
    joined.extend_from_slice(&length.to_be_bytes());
    joined.extend_from_slice(name);
    joined.extend_from_slice(value);
    Ok(joined)
}

fn split(joined: &[u8]) -> Result<(Vec<u8>, RecordValue), StoreError> {
    let (length, rest) = joined.split_first_chunk::<4>().ok_or(StoreError::Corrupt)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| StoreError::Corrupt)?;
    let (name, value) = rest.split_at_checked(length).ok_or(StoreError::Corrupt)?;
    Ok((name.to_vec(), Zeroizing::new(value.to_vec())))
}

/// SQLite's integers are signed: shifted, so that they sort as unsigned ones do.
fn place(order: u64) -> i64 {
    (order ^ (1 << 63)).cast_signed()
}

fn order(place: i64) -> u64 {
    place.cast_unsigned() ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_as_orders_do() {
        let orders = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
        assert!(orders.is_sorted_by_key(|order| place(*order)));
        assert!(orders.iter().all(|number| order(place(*number)) == *number));
    }
}
