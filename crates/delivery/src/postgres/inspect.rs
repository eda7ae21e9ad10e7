//! What a database says of itself.

use std::time::Duration;

use tokio_postgres::Client;

use super::open::{SETTINGS, connect, read_settings};
use super::schema::VERSIONS;
use super::{Failure, Outcome, Postgres, PostgresOptions};
use crate::{Inspection, LedgerError};

impl Postgres {
    /// Looks at the database at `url`, as [`open`](Self::open) would reach it. Its tables are left as they are.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub async fn inspect(url: &str, options: PostgresOptions) -> Result<Inspection, LedgerError> {
        let (_pool, db) = connect(url, &options).await?;
        Ok(inspect(&db).await?)
    }
}

async fn inspect(db: &Client) -> Outcome<Inspection> {
    let durability = read_settings(&db.query_one(SETTINGS, &[]).await?)?;
    let row = db
        .query_one(
            "SELECT current_setting('transaction_read_only') = 'off', to_regclass('keyroom_versions') IS NOT NULL,
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            &[],
        )
        .await?;
    let (writable, there, clock): (bool, bool, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let version = match there {
        true => db.query_one("SELECT coalesce(max(version), 0) FROM keyroom_versions", &[]).await?.try_get(0)?,
        false => 0i64,
    };
    Ok(Inspection {
        version: u64::try_from(version).map_err(|_| Failure::Corrupt)?,
        expected: u64::try_from(VERSIONS.len()).unwrap_or(u64::MAX),
        writable,
        durability,
        clock: Some(Duration::from_micros(u64::try_from(clock).unwrap_or(0))),
    })
}
