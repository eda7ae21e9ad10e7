//! `keyroomd`: a Keyroom server in one process.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser};
use keyroom_api::Host;
use keyroom_delivery::{Handshakes, NatsBus, NatsError};
use keyroom_server::{Authentication, Config, Database, Server, raise_file_limit};
use tracing_subscriber::EnvFilter;

/// Serves encrypted rooms: orders and stores messages that it cannot read.
///
/// Devices prove who they are with their own keys. What travels is not encrypted: listen on a loopback
/// address, or behind a proxy that speaks TLS.
#[derive(Debug, Parser)]
#[command(name = "keyroomd", version)]
struct Arguments {
    #[command(flatten)]
    service: Service,

    /// What to log: error, warn, info, debug, or filters such as keyroom_server=debug.
    #[arg(long, env = "KEYROOM_LOG", default_value = "info")]
    log: EnvFilter,
}

/// Where to serve, what, and from where.
#[derive(Debug, Args)]
struct Service {
    /// Address and port to listen on.
    #[arg(long, env = "KEYROOM_LISTEN", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,

    /// A SQLite file, created if it is not there, or the address of a PostgreSQL database that several
    /// servers may share: postgres://user:password@host/name. Other users of this machine can read
    /// arguments: give an address with a password in the environment.
    #[arg(long, env = "KEYROOM_DATABASE", hide_env_values = true, default_value = "keyroom.db")]
    database: Database,

    /// Believe the header Keyroom-Device instead of asking devices for proof: whoever reaches this server
    /// can be any device. Only behind something that authenticates and sets the header itself.
    #[arg(long, env = "KEYROOM_TRUST_DEVICE_HEADER")]
    trust_device_header: bool,

    /// Take rooms whose commits this server cannot read, and so cannot check. Others are not touched by it.
    #[arg(long, env = "KEYROOM_PRIVATE_HANDSHAKES")]
    private_handshakes: bool,

    /// Most connections to PostgreSQL.
    #[arg(long, env = "KEYROOM_CONNECTIONS", default_value_t = 16)]
    connections: usize,

    /// Address of a NATS server that carries wake-ups between the servers of one database:
    /// nats://user:password@host:4222.
    #[arg(long, env = "KEYROOM_BUS", hide_env_values = true)]
    bus: Option<String>,

    /// Seconds after which a live connection looks for news although no wake-up came.
    #[arg(long, env = "KEYROOM_POLL", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,

    /// Host in the names of users, devices and rooms.
    #[arg(long, env = "KEYROOM_HOST", default_value = "localhost")]
    host: Host,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(arguments.log)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    raise_file_limit();
    let trusts_header = arguments.service.trust_device_header;
    let config = match arguments.service.config().await {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "not started");
            return ExitCode::FAILURE;
        }
    };
    match Server::start(config).await {
        Ok(server) => {
            let address = server.address();
            tracing::info!(%address, "listening");
            if !address.ip().is_loopback() {
                tracing::warn!("this address is not a loopback one, and requests travel in the clear");
            }
            if trusts_header {
                tracing::warn!("the header Keyroom-Device is believed");
            }
            interrupted().await;
            tracing::info!("stopping");
            server.shutdown().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "not started");
            ExitCode::FAILURE
        }
    }
}

impl Service {
    async fn config(self) -> Result<Config, NatsError> {
        let authentication =
            if self.trust_device_header { Authentication::TrustedHeader } else { Authentication::Sessions };
        let mut config = Config { listen: self.listen, authentication, ..Config::new(self.host, self.database) };
        if self.private_handshakes {
            config.handshakes = Handshakes::PublicAndPrivate;
        }
        config.limits.poll = Duration::from_secs(self.poll);
        if let Database::Postgres { options, .. } = &mut config.database {
            options.connections = self.connections;
        }
        if let Some(url) = self.bus {
            config.bus = Arc::new(NatsBus::connect(&url).await?);
        }
        Ok(config)
    }
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
