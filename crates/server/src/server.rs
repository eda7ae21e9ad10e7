//! Starting and stopping.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use keyroom_delivery::{Accounts, Delivery, Ledger, LedgerError, Postgres, Setup, Sqlite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::authenticate::{Authenticate, Parties, Sessions, TrustedHeader};
use crate::config::Database;
use crate::metrics::{self, Metered, Metrics};
use crate::rates::{Limiters, Peer};
use crate::routes::router;
use crate::secret_file::{SecretFileError, check_database_files};
use crate::tls::{Certificate, TlsError, TlsListener};
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
    /// Others can read what only this server may.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
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
        if let Database::File(path) = &config.database {
            check_database_files(path)?;
        }
        let certificate = config.tls.clone().map(Certificate::open).transpose()?;
        let (ledger, accounts) = open(&config.database).await?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(());
        let (alive, ended) = mpsc::channel(1);
        let limiters = Arc::new(Limiters::new(&config.rates));
        let (metrics, metrics_address) = numbers(&config, stopped.clone()).await?;
        let (ledger, accounts) = metered(ledger, accounts, &metrics);
        let (authenticate, sessions) = authentication(&config, accounts.clone()).await?;
        let Config { host, limits, handshakes, validator, bus, clock, .. } = config;
        let setup = Setup { ledger, accounts, bus: bus.clone(), validator, clock, host, limits, handshakes };
        let delivery = Arc::new(Delivery::new(setup));
        let draining: Arc<AtomicBool> = Arc::default();
        let app = App {
            delivery,
            authenticate,
            sessions,
            bus,
            limiters,
            metrics,
            draining: draining.clone(),
            stop: stopped,
            alive: alive.downgrade(),
        };
        let task = match &certificate {
            None => tokio::spawn(serve(listener, app)),
            Some(certificate) => tokio::spawn(serve(TlsListener::new(listener, certificate.clone())?, app)),
        };
        Ok(Handle { address, metrics_address, certificate, draining, stop, alive, ended, task })
    }
}

/// Begins to count, if anybody is to be told, and tells it.
async fn numbers(config: &Config, stop: watch::Receiver<()>) -> io::Result<(Metrics, Option<SocketAddr>)> {
    let Some(address) = config.metrics_listen else { return Ok((Metrics::off(), None)) };
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let metrics = Metrics::on();
    tokio::spawn(metrics::serve(listener, metrics.clone(), stop));
    Ok((metrics, Some(address)))
}

/// The database, counted if anything is.
fn metered(
    ledger: Arc<dyn Ledger>,
    accounts: Arc<dyn Accounts>,
    metrics: &Metrics,
) -> (Arc<dyn Ledger>, Arc<dyn Accounts>) {
    if !metrics.is_on() {
        return (ledger, accounts);
    }
    let ledger = Metered { inner: ledger, metrics: metrics.clone() };
    let accounts = Metered { inner: accounts, metrics: metrics.clone() };
    (Arc::new(ledger), Arc::new(accounts))
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

async fn serve<L>(listener: L, app: App)
where
    L: Listener<Addr: Debug>,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let stopping = app.clone();
    let service = router(app).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move { stopping.stopping().await });
    if let Err(error) = serving.await {
        tracing::error!(kind = ?error.kind(), "the server ended");
    }
}

/// A server that runs. Dropping the handle stops it too, without waiting for the end.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    certificate: Option<Arc<Certificate>>,
    draining: Arc<AtomicBool>,
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

    /// Where it tells its numbers.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Says from now on that it is not ready, so that whatever stands in front sends callers elsewhere. It
    /// goes on serving.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Reads the certificate and its key again, for connections that are opened from now on; nothing happens
    /// without TLS.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate stays as it was.
    pub fn reload_certificate(&self) -> Result<(), TlsError> {
        self.certificate.as_ref().map_or(Ok(()), |certificate| certificate.reload())
    }

    /// The address for clients on this machine.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
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
