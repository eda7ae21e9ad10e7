//! Starting and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyroom_delivery::{Accounts, Delivery, Ledger, LedgerError, Postgres, Setup, Sqlite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::authenticate::{Authenticate, Parties, Sessions, TrustedHeader};
use crate::config::Database;
use crate::routes::router;
use crate::{Authentication, Config};

/// How long requests that are under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The database does not open.
    #[error("the database does not open: {0}")]
    Database(#[from] LedgerError),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens the database, listens, and serves in the background of the runtime that runs this.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        let (ledger, accounts) = open(&config.database).await?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let (authenticate, sessions) = authentication(&config, accounts.clone()).await?;
        let Config { host, limits, handshakes, validator, bus, clock, .. } = config;
        let delivery = Delivery::new(Setup { ledger, accounts, bus, validator, clock, host, limits, handshakes });
        let (stop, stopped) = watch::channel(());
        let (alive, ended) = mpsc::channel(1);
        let delivery = Arc::new(delivery);
        let app = App { delivery, authenticate, sessions, stop: stopped, alive: alive.downgrade() };
        let task = tokio::spawn(serve(listener, app));
        Ok(Handle { address, stop, alive, ended, task })
    }
}

/// What authenticates requests and, if these are sessions, what opens them.
async fn authentication(
    config: &Config,
    accounts: Arc<dyn Accounts>,
) -> Result<(Arc<dyn Authenticate>, Option<Arc<Sessions>>), LedgerError> {
    match config.authentication {
        Authentication::TrustedHeader => Ok((Arc::new(TrustedHeader), None)),
        Authentication::Sessions => {
            let parties = Parties {
                accounts,
                registrar: config.registrar.clone(),
                provider: config.provider,
                clock: config.clock.clone(),
                host: config.host.clone(),
                challenge: config.limits.challenge,
                session: config.limits.session,
            };
            let sessions = Arc::new(Sessions::open(parties).await?);
            Ok((sessions.clone(), Some(sessions)))
        }
    }
}

/// Opens the engine, which keeps both contracts.
async fn open(database: &Database) -> Result<(Arc<dyn Ledger>, Arc<dyn Accounts>), LedgerError> {
    Ok(match database {
        Database::File(path) => {
            let engine = Arc::new(Sqlite::open(path)?);
            (engine.clone(), engine)
        }
        Database::Postgres { url, options } => {
            let engine = Arc::new(Postgres::open(url, options.clone()).await?);
            (engine.clone(), engine)
        }
    })
}

async fn serve(listener: TcpListener, app: App) {
    let stopping = app.clone();
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(async move { stopping.stopping().await });
    if let Err(error) = serving.await {
        tracing::error!(kind = ?error.kind(), "the server ended");
    }
}

/// A server that runs. Dropping the handle stops it too, without waiting for the end.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: watch::Sender<()>,
    alive: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for clients on this machine.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests, lets those under way end, closes live connections and returns when the
    /// database is closed, or after ten seconds.
    pub async fn shutdown(self) {
        let Self { stop, alive, mut ended, mut task, .. } = self;
        drop((stop, alive));
        let all = async {
            let _ = (&mut task).await;
            // Ends when the last live connection has dropped its sender.
            while ended.recv().await.is_some() {}
        };
        if timeout(GRACE, all).await.is_err() {
            task.abort();
        }
    }
}
