//! The public state of epochs, of which each stores only what differs from the one before.

use std::collections::BTreeMap;

use tokio_postgres::Statement;

use super::session::Session;
use super::{Outcome, signed, unsigned};
use crate::{KeptInfo, RoomId, StateChange, StateRecord};

/// Deletes the records whose keys are in a range.
const CLEAR: &str = "INSERT INTO state (room, key, epoch, value)
    SELECT $1, key, $2, NULL FROM (
        SELECT DISTINCT ON (key) key, value FROM state
        WHERE room = $1::bigint AND epoch <= $2::bigint AND key >= $3 AND key < $4 ORDER BY key, epoch DESC
    ) AS now WHERE value IS NOT NULL
    ON CONFLICT (room, key, epoch) DO UPDATE SET value = NULL";

/// Deletes the records from a key on.
const CLEAR_FROM: &str = "INSERT INTO state (room, key, epoch, value)
    SELECT $1, key, $2, NULL FROM (
        SELECT DISTINCT ON (key) key, value FROM state
        WHERE room = $1::bigint AND epoch <= $2::bigint AND key >= $3 ORDER BY key, epoch DESC
    ) AS now WHERE value IS NOT NULL
    ON CONFLICT (room, key, epoch) DO UPDATE SET value = NULL";

/// Sets records, or marks them as deleted.
const SET: &str = "INSERT INTO state (room, key, epoch, value)
    SELECT $1::bigint, key, $2::bigint, value FROM unnest($3::bytea[], $4::bytea[]) AS written (key, value)
    ON CONFLICT (room, key, epoch) DO UPDATE SET value = excluded.value";

/// In one statement, so on one view of the database: the oldest epoch until now, and the one that is to
/// be the oldest.
const FORGET: &str = "WITH bounds AS (
        SELECT (SELECT min(epoch) FROM epochs WHERE room = $1::bigint) AS before,
            least($2::bigint,
                (SELECT min(epoch) FROM mailbox WHERE room = $1::bigint AND epoch >= $3::bigint),
                (SELECT min(epoch) FROM reports WHERE room = $1::bigint)) AS oldest
    ), passed AS (
        DELETE FROM epochs USING bounds WHERE room = $1::bigint AND epoch < oldest
    ), replaced AS (
        DELETE FROM state AS old USING state AS new, bounds
        WHERE new.room = $1::bigint AND new.epoch > before AND new.epoch <= oldest
            AND old.room = $1::bigint AND old.key = new.key AND old.epoch < new.epoch
    )
    DELETE FROM state USING bounds
    WHERE room = $1::bigint AND epoch > before AND epoch <= oldest AND value IS NULL";

/// What is sent for every commit.
pub(super) struct Statements {
    set: Statement,
    forget: Statement,
}

impl Statements {
    pub(super) async fn prepare(db: &Session) -> Outcome<Self> {
        Ok(Self { set: db.prepare(SET).await?, forget: db.prepare(FORGET).await? })
    }

    /// Writes the records that an epoch sets; [`clear`] has been there before. Sent when first polled.
    pub(super) async fn set(&self, db: &Session, room: RoomId, epoch: u64, change: &StateChange) -> Outcome<()> {
        // A map, because a statement cannot set a record twice.
        let writes: BTreeMap<&[u8], Option<&[u8]>> = match change {
            StateChange::Whole(records) => records.iter().map(|(key, value)| (&**key, Some(&**value))).collect(),
            StateChange::Part { writes, .. } => writes.iter().map(|(key, value)| (&**key, value.as_deref())).collect(),
        };
        let (keys, values): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        db.send(&self.set, &[&room.0, &signed(epoch), &keys, &values]).await?;
        Ok(())
    }

    /// Drops the public state of all epochs before this one, and what only they needed. One that a
    /// report is about stays, and all after it; so does one that a waiting Welcome leads into, from
    /// `for_welcomes` on. Sent when first polled.
    ///
    /// Up to the oldest epoch only the newest version of each record is needed; older ones are those
    /// that an epoch since the last time has replaced.
    pub(super) async fn forget(&self, db: &Session, room: RoomId, oldest: u64, for_welcomes: u64) -> Outcome<()> {
        db.send(&self.forget, &[&room.0, &signed(oldest), &signed(for_welcomes)]).await?;
        Ok(())
    }
}

/// Deletes the records that an epoch clears.
pub(super) async fn clear(db: &Session, room: RoomId, epoch: u64, change: &StateChange) -> Outcome<()> {
    let epoch = signed(epoch);
    let all = [Vec::new()];
    let prefixes = match change {
        StateChange::Whole(_) => all.as_slice(),
        StateChange::Part { cleared, .. } => cleared.as_slice(),
    };
    for prefix in prefixes {
        match end_of(prefix) {
            Some(end) => db.execute(CLEAR, &[&room.0, &epoch, prefix, &end]).await?,
            None => db.execute(CLEAR_FROM, &[&room.0, &epoch, prefix]).await?,
        };
    }
    Ok(())
}

/// The first key after all those that start like this, if there is one.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

pub(super) async fn group_info(db: &Session, room: RoomId, epoch: u64) -> Outcome<Option<KeptInfo>> {
    let query = "SELECT group_info, tree_hash FROM epochs WHERE room = $1 AND epoch = $2";
    let Some(row) = db.query_opt(query, &[&room.0, &signed(epoch)]).await? else { return Ok(None) };
    Ok(Some(KeptInfo { group_info: row.try_get(0)?, tree_hash: row.try_get(1)? }))
}

pub(super) async fn of_tree(db: &Session, room: RoomId, tree_hash: &[u8]) -> Outcome<Option<u64>> {
    let query = "SELECT epoch FROM epochs WHERE room = $1 AND tree_hash = $2 ORDER BY epoch DESC LIMIT 1";
    let row = db.query_opt(query, &[&room.0, &tree_hash]).await?;
    row.map(|row| unsigned(row.try_get(0)?)).transpose()
}

/// All records of an epoch: of each key the newest version that is not newer. One statement, so that
/// no commit comes between the question whether the epoch is kept and the answer.
pub(super) async fn state(db: &Session, room: RoomId, epoch: u64) -> Outcome<Option<Vec<StateRecord>>> {
    let rows = db
        .query(
            "SELECT now.key, now.value FROM epochs LEFT JOIN (
                SELECT DISTINCT ON (key) key, value FROM state
                WHERE room = $1::bigint AND epoch <= $2::bigint ORDER BY key, epoch DESC
             ) AS now ON now.value IS NOT NULL
             WHERE epochs.room = $1::bigint AND epochs.epoch = $2::bigint ORDER BY now.key",
            &[&room.0, &signed(epoch)],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        // An epoch without records is one row without a key.
        if let (Some(key), Some(value)) = (row.try_get(0)?, row.try_get(1)?) {
            records.push((key, value));
        }
    }
    Ok(Some(records))
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn keys_with_a_prefix_end_where_the_next_prefix_begins() {
        assert_eq!(end_of(&[]), None);
        assert_eq!(end_of(&[255, 255]), None);
        assert_eq!(end_of(&[1]), Some(vec![2]));
        assert_eq!(end_of(&[1, 255]), Some(vec![2]));
        assert_eq!(end_of(&[1, 2, 254]), Some(vec![1, 2, 255]));
    }
}
