//! Connections and transactions.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::Outcome;

/// What a statement is given.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection on loan from the pool. Statements are prepared once for each connection.
///
/// It goes back to the pool only in order: one whose operation was cut off, by the caller or for
/// taking too long, may be in the middle of a transaction and is closed.
pub(super) struct Session {
    connection: Option<Object>,
    transaction: AtomicBool,
    settled: AtomicBool,
}

impl Session {
    pub(super) fn new(connection: Object) -> Self {
        Self { connection: Some(connection), transaction: AtomicBool::new(false), settled: AtomicBool::new(false) }
    }

    /// Begins a transaction. It is sent when this is first polled.
    pub(super) async fn begin(&self) -> Outcome<()> {
        self.transaction.store(true, Ordering::Relaxed);
        self.batch("BEGIN").await
    }

    /// Ends the transaction. It is sent when this is first polled. If a statement before it fails,
    /// everything is undone, and that statement tells so.
    pub(super) async fn commit(&self) -> Outcome<()> {
        self.batch("COMMIT").await?;
        self.transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Undoes the transaction.
    pub(super) async fn rollback(&self) -> Outcome<()> {
        self.batch("ROLLBACK").await?;
        self.transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The operation has come to its end, good or bad: the connection may go back.
    pub(super) async fn settle(&self) {
        let clean = !self.transaction.load(Ordering::Relaxed) || self.rollback().await.is_ok();
        self.settled.store(clean, Ordering::Relaxed);
    }

    /// Prepares a statement, unless this connection knows it.
    pub(super) async fn prepare(&self, sql: &str) -> Outcome<Statement> {
        Ok(self.client()?.prepare_cached(sql).await?)
    }

    pub(super) async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Outcome<Vec<Row>> {
        let statement = self.prepare(sql).await?;
        Ok(self.client()?.query(&statement, parameters).await?)
    }

    pub(super) async fn query_opt(&self, sql: &str, parameters: Parameters<'_>) -> Outcome<Option<Row>> {
        let statement = self.prepare(sql).await?;
        Ok(self.client()?.query_opt(&statement, parameters).await?)
    }

    pub(super) async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Outcome<u64> {
        let statement = self.prepare(sql).await?;
        self.send(&statement, parameters).await
    }

    /// Carries out a statement that has been prepared. It is sent when this is first polled, so of
    /// several that are joined, each comes after those before it.
    pub(super) async fn send(&self, statement: &Statement, parameters: Parameters<'_>) -> Outcome<u64> {
        Ok(self.client()?.execute(statement, parameters).await?)
    }

    async fn batch(&self, sql: &str) -> Outcome<()> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// It is there until the session is dropped.
    fn client(&self) -> Outcome<&Object> {
        self.connection.as_ref().ok_or(super::Failure::Corrupt)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.settled.load(Ordering::Relaxed)
        {
            drop(Object::take(connection));
        }
    }
}
