//! Groups and their records.

use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};
use keyroom_wire::GroupId;
use rusqlite::{Connection, OptionalExtension, params};

use super::seal::{Name, Place, Salt, Sealer, is_secret};
use super::slots;
use crate::{Snapshot, StoreError};

/// Reads within the transaction that the caller has begun.
pub(super) fn read(
    connection: &Connection,
    sealer: &Sealer,
    group: &GroupId,
    keys: &[RecordKey],
) -> Result<Snapshot, StoreError> {
    let name = sealer.group_name(group);
    let Some(stored) = find(connection, sealer, group, &name)? else {
        return Ok(Snapshot { version: 0, records: keys.iter().map(|key| (*key, None)).collect() });
    };
    let group = Group { id: group, name: &name, version: stored.version, salt: &stored.salt };
    let record = |key: &RecordKey| Ok((*key, record(connection, sealer, group, *key)?));
    Ok(Snapshot { version: stored.version, records: keys.iter().map(record).collect::<Result<_, StoreError>>()? })
}

pub(super) fn list(connection: &Connection, sealer: &Sealer) -> Result<Vec<(GroupId, u64)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT name, version, sealed, salt FROM groups LEFT JOIN slots ON slots.id = groups.slot")?;
    let mut rows = statement.query([])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let name: Vec<u8> = row.get(0)?;
        let name: Name = name.try_into().map_err(|_| StoreError::Corrupt)?;
        let version = row.get::<_, i64>(1)?.cast_unsigned();
        let salt = slots::require(row.get(3)?)?;
        let group = sealer.open(Place::Group { name: &name, version }, &salt, row.get_ref(2)?.as_blob()?)?;
        groups.push((GroupId::from(group.as_slice()), version));
    }
    groups.sort();
    Ok(groups)
}

/// Checks the version and writes. The caller rolls back on any error.
pub(super) fn apply(connection: &Connection, sealer: &Sealer, change_set: &ChangeSet) -> Result<(), StoreError> {
    let ChangeSet { group_id: id, base, version, deleted, cleared, writes } = change_set;
    if version <= base {
        return Err(StoreError::VersionOrder { group: id.clone() });
    }
    let name = sealer.group_name(id);
    let stored = find(connection, sealer, id, &name)?;
    let stored_version = stored.as_ref().map_or(0, |stored| stored.version);
    if stored_version != *base {
        return Err(StoreError::Conflict { group: id.clone(), stored: stored_version, base: *base });
    }
    if *deleted {
        return stored.map_or(Ok(()), |stored| delete_group(connection, &name, &stored));
    }
    let (slot, salt) = match stored {
        Some(stored) => (stored.slot, stored.salt),
        None => slots::write(connection, None)?,
    };
    for (kind, major) in cleared {
        clear(connection, &name, *kind, *major)?;
    }
    let group = Group { id, name: &name, version: *version, salt: &salt };
    for (key, value) in writes {
        match value {
            Some(value) => put(connection, sealer, group, *key, value)?,
            None => delete(connection, &name, *key)?,
        }
    }
    let sealed = sealer.seal(Place::Group { name: &name, version: *version }, &salt, id.as_slice())?;
    connection
        .prepare_cached(
            "INSERT INTO groups (name, version, slot, sealed) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET version = excluded.version, sealed = excluded.sealed",
        )?
        .execute(params![name, version.cast_signed(), slot, sealed])?;
    Ok(())
}

/// What the row of a group holds.
struct Stored {
    version: u64,
    slot: i64,
    salt: Salt,
}

/// A group whose records are read or written.
#[derive(Clone, Copy)]
struct Group<'a> {
    id: &'a GroupId,
    name: &'a Name,
    /// The version that is read or written.
    version: u64,
    /// For the records that have none of their own.
    salt: &'a Salt,
}

fn find(connection: &Connection, sealer: &Sealer, group: &GroupId, name: &Name) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, sealed, slot, salt FROM groups LEFT JOIN slots ON slots.id = groups.slot WHERE name = ?1",
    )?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let version = row.get::<_, i64>(0)?.cast_unsigned();
    let salt = slots::require(row.get(3)?)?;
    let id = sealer.open(Place::Group { name, version }, &salt, row.get_ref(1)?.as_blob()?)?;
    if version == 0 || id.as_slice() != group.as_slice() {
        return Err(StoreError::Corrupt);
    }
    Ok(Some(Stored { version, slot: row.get(2)?, salt }))
}

fn record(
    connection: &Connection,
    sealer: &Sealer,
    group: Group<'_>,
    key: RecordKey,
) -> Result<Option<RecordValue>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, sealed, salt FROM records LEFT JOIN slots ON slots.id = records.slot
         WHERE name = ?1 AND kind = ?2 AND major = ?3 AND minor = ?4",
    )?;
    let values = params![group.name, key.kind as u8, key.major.cast_signed(), key.minor.cast_signed()];
    let mut rows = statement.query(values)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let version = row.get::<_, i64>(0)?.cast_unsigned();
    let own_salt = slots::parse(row.get(2)?)?;
    if version > group.version || own_salt.is_some() != is_secret(key.kind) {
        return Err(StoreError::Corrupt);
    }
    let salt = own_salt.as_ref().unwrap_or(group.salt);
    let sealed = row.get_ref(1)?.as_blob()?;
    sealer.open(Place::Record { group: group.id, key, version }, salt, sealed).map(Some)
}

fn put(
    connection: &Connection,
    sealer: &Sealer,
    group: Group<'_>,
    key: RecordKey,
    value: &[u8],
) -> Result<(), StoreError> {
    let own = match is_secret(key.kind) {
        true => Some(slots::write(connection, slot(connection, group.name, key)?)?),
        false => None,
    };
    let salt = own.as_ref().map_or(group.salt, |(_, salt)| salt);
    let sealed = sealer.seal(Place::Record { group: group.id, key, version: group.version }, salt, value)?;
    connection
        .prepare_cached(
            "INSERT INTO records (name, kind, major, minor, version, slot, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET version = excluded.version, slot = excluded.slot, sealed = excluded.sealed",
        )?
        .execute(params![
            group.name,
            key.kind as u8,
            key.major.cast_signed(),
            key.minor.cast_signed(),
            group.version.cast_signed(),
            own.as_ref().map(|(slot, _)| slot),
            sealed
        ])?;
    Ok(())
}

fn slot(connection: &Connection, name: &Name, key: RecordKey) -> Result<Option<i64>, StoreError> {
    let found: Option<Option<i64>> = connection
        .prepare_cached("SELECT slot FROM records WHERE name = ?1 AND kind = ?2 AND major = ?3 AND minor = ?4")?
        .query_row(params![name, key.kind as u8, key.major.cast_signed(), key.minor.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

fn delete(connection: &Connection, name: &Name, key: RecordKey) -> Result<(), StoreError> {
    if let Some(slot) = slot(connection, name, key)? {
        slots::free(connection, slot)?;
    }
    connection
        .prepare_cached("DELETE FROM records WHERE name = ?1 AND kind = ?2 AND major = ?3 AND minor = ?4")?
        .execute(params![name, key.kind as u8, key.major.cast_signed(), key.minor.cast_signed()])?;
    Ok(())
}

fn clear(connection: &Connection, name: &Name, kind: RecordKind, major: u64) -> Result<(), StoreError> {
    let deleted: Vec<Option<i64>> = connection
        .prepare_cached("DELETE FROM records WHERE name = ?1 AND kind = ?2 AND major = ?3 RETURNING slot")?
        .query_map(params![name, kind as u8, major.cast_signed()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    deleted.into_iter().flatten().try_for_each(|slot| slots::free(connection, slot))
}

fn delete_group(connection: &Connection, name: &Name, stored: &Stored) -> Result<(), StoreError> {
    let slots: Vec<i64> = connection
        .prepare_cached("SELECT slot FROM records WHERE name = ?1 AND slot IS NOT NULL")?
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    slots.into_iter().try_for_each(|slot| slots::free(connection, slot))?;
    slots::free(connection, stored.slot)?;
    connection.prepare_cached("DELETE FROM records WHERE name = ?1")?.execute([name])?;
    connection.prepare_cached("DELETE FROM groups WHERE name = ?1")?.execute([name])?;
    Ok(())
}
