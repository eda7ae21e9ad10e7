//! `keyroom serve`: a server in this process.

use std::net::SocketAddr;

use clap::Args;
use keyroom::Host;
use keyroom_server::{Config, Database, Server, raise_file_limit};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::output;

/// Serve rooms: order and store messages that cannot be read.
///
/// Devices prove who they are with their own keys. What travels is not encrypted: listen on a loopback
/// address, or behind a proxy that speaks TLS.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address and port to listen on; port 0 for a free one.
    #[arg(long, env = "KEYROOM_LISTEN", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,

    /// A SQLite file, created if it is not there, or the address of a PostgreSQL database:
    /// postgres://user:password@host/name. For several servers on one database see keyroomd.
    #[arg(long, env = "KEYROOM_DATABASE", hide_env_values = true, default_value = "keyroom.db")]
    database: Database,

    /// Host in the names of users, devices and rooms.
    #[arg(long, env = "KEYROOM_HOST", default_value = "localhost")]
    host: Host,

    /// What to log to standard error: error, warn, info, debug, or filters such as keyroom_server=debug.
    #[arg(long, env = "KEYROOM_LOG", default_value = "info")]
    log: String,
}

/// Serves until it is interrupted. The first line on standard output is the address.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&options.log).map_err(|error| Failure::usage(format!("--log: {error}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::usage(error.to_string()))?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Failure> {
    let config = Config { listen: options.listen, ..Config::new(options.host, options.database) };
    let server = Server::start(config).await.map_err(|error| Failure::usage(format!("not started: {error}")))?;
    output::write(&format!("listening on {}\n", server.url()))?;
    if !server.address().ip().is_loopback() {
        tracing::warn!("this address is not a loopback one, and requests travel in the clear");
    }
    interrupted().await;
    server.shutdown().await;
    Ok(())
}

/// Ends with Ctrl-C or, on Unix, with a request to terminate.
async fn interrupted() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
