//! Tables, and how a database is brought up to date.

use tokio_postgres::Client;

use super::Failure;

/// What each version adds to the one before. A version that has been released never changes.
pub(super) const VERSIONS: [&str; 1] = [include_str!("tables.sql")];

/// Held while the tables change, so that of several nodes that start at once one changes them. Any
/// number that nobody else in the database uses would do; this is `keyroom` in ASCII.
const LOCK: i64 = 0x006b_6579_726f_6f6d;

/// Brings the tables up to date, in one transaction.
pub(super) async fn migrate(db: &Client) -> Result<(), Failure> {
    db.batch_execute("BEGIN").await?;
    db.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    db.batch_execute("CREATE TABLE IF NOT EXISTS keyroom_versions (version bigint PRIMARY KEY)").await?;
    let row = db.query_one("SELECT coalesce(max(version), 0) FROM keyroom_versions", &[]).await?;
    let there = usize::try_from(row.try_get::<_, i64>(0)?).map_err(|_| Failure::Corrupt)?;
    // A database of a newer version is not touched.
    let missing = VERSIONS.get(there..).ok_or(Failure::Corrupt)?;
    for (tables, version) in missing.iter().zip(there + 1..) {
        let version = i64::try_from(version).map_err(|_| Failure::Corrupt)?;
        db.batch_execute(tables).await?;
        db.execute("INSERT INTO keyroom_versions (version) VALUES ($1)", &[&version]).await?;
    }
    db.batch_execute("COMMIT").await?;
    Ok(())
}
