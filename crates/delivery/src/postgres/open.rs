//! How a database is reached, and what it must promise.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{Client, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::Session;
use super::{Failure, Outcome, schema};
use crate::{Durability, LedgerError};

/// Longest time to connect, and to wait for one of the connections to be free.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest time without a sign of life from the other end of a connection.
const SILENCE: Duration = Duration::from_secs(15);

/// What holds in every session, whatever the server's defaults are. A lock, or a transaction of a
/// node that was cut off, cannot hold up others for long.
const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
";

/// What a database must promise about what it has committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durable {
    /// It survives a loss of power: `fsync` and `full_page_writes` are on.
    #[default]
    Required,
    /// Whatever the server is set to do; **a loss of power may lose what was acknowledged**.
    AsConfigured,
}

/// How to use a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Most connections of this node. Default 16.
    pub connections: usize,
    /// What the server must promise.
    pub durability: Durable,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 16, durability: Durable::Required }
    }
}

pub(super) async fn open(url: &str, options: &PostgresOptions) -> Result<Pool, LedgerError> {
    let (pool, db) = connect(url, options).await?;
    let checked = prepare(&db, options.durability).await;
    if checked.is_err() {
        // It may be in the middle of a transaction.
        drop(Object::take(db));
    }
    checked?;
    Ok(pool)
}

/// The first connection to a database, of which nothing is known yet.
pub(super) async fn connect(url: &str, options: &PostgresOptions) -> Result<(Pool, Object), LedgerError> {
    let pool = pool(url, options)?;
    let db = pool.get().await.map_err(|error| {
        tracing::error!(error = what_failed(&error), "no connection to PostgreSQL");
        if is_certificate(&error) { LedgerError::Certificate } else { LedgerError::Unavailable }
    })?;
    Ok((pool, db))
}

fn pool(url: &str, options: &PostgresOptions) -> Result<Pool, LedgerError> {
    let mut config: Config = url.parse().map_err(|_| LedgerError::Address)?;
    config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
    if config.get_application_name().is_none() {
        config.application_name("keyroomd");
    }
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match config.get_ssl_mode() {
        SslMode::Require => Manager::from_config(config, tls()?, manager),
        _ => Manager::from_config(config, NoTls, manager),
    };
    Pool::builder(manager)
        .max_size(options.connections.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .post_create(Hook::async_fn(|db, _| {
            Box::pin(async move { db.batch_execute(SESSION).await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|_| LedgerError::Unavailable)
}

fn tls() -> Result<MakeRustlsConnect, LedgerError> {
    let (connect, unread) = MakeRustlsConnect::with_native_certs().map_err(|_| {
        tracing::error!("no root certificates on this machine");
        LedgerError::Unavailable
    })?;
    if !unread.is_empty() {
        tracing::warn!(count = unread.len(), "root certificates that cannot be read");
    }
    Ok(connect)
}

async fn prepare(db: &Client, durability: Durable) -> Result<(), LedgerError> {
    let durable = is_durable(db).await?;
    if !durable && durability == Durable::Required {
        return Err(LedgerError::NotDurable);
    }
    Ok(schema::migrate(db).await?)
}

async fn is_durable(db: &Client) -> Result<bool, Failure> {
    Ok(read_settings(&db.query_one(SETTINGS, &[]).await?)?.synchronous)
}

pub(super) const SETTINGS: &str =
    "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')";

/// How the sessions of this ledger write.
pub(super) async fn durability(db: &Session) -> Outcome<Durability> {
    read_settings(&db.query_opt(SETTINGS, &[]).await?.ok_or(Failure::Corrupt)?)
}

pub(super) fn read_settings(row: &Row) -> Outcome<Durability> {
    let (commit, fsync, pages): (&str, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let settings = format!("synchronous_commit={commit}, fsync={fsync}, full_page_writes={pages}");
    Ok(Durability { synchronous: commit != "off" && fsync == "on" && pages == "on", settings })
}

/// Why there is no connection, without anything that names a user or a password.
pub(super) fn what_failed(error: &PoolError) -> &'static str {
    match error {
        PoolError::Timeout(_) => "timeout",
        PoolError::Backend(error) if error.code().is_some() => "refused by the server",
        PoolError::Backend(_) if is_certificate(error) => "its certificate is not good",
        PoolError::Backend(_) => "the server is not reached",
        PoolError::Closed | PoolError::NoRuntimeSpecified => "closed",
        PoolError::PostCreateHook(_) => "a session cannot be set up",
    }
}

/// Whether we refuse the server for its certificate.
fn is_certificate(error: &PoolError) -> bool {
    let PoolError::Backend(error) = error else { return false };
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let tls = source.and_then(|error| error.get_ref()).and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}
