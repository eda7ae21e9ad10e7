//! `keyroomd`: a Keyroom server in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use keyroom_api::Host;
use keyroom_server::{Authentication, Config, Server, raise_file_limit};
use tracing_subscriber::EnvFilter;

/// Serves encrypted rooms: orders and stores messages that it cannot read.
///
/// Devices prove who they are with their own keys. What travels is not encrypted: listen on a loopback
/// address, or behind a proxy that speaks TLS.
#[derive(Debug, Parser)]
#[command(name = "keyroomd", version)]
struct Arguments {
    /// Address and port to listen on.
    #[arg(long, env = "KEYROOM_LISTEN", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,

    /// Database file; created if it is not there.
    #[arg(long, env = "KEYROOM_DATABASE", default_value = "keyroom.db")]
    database: PathBuf,

    /// Host in the names of users, devices and rooms.
    #[arg(long, env = "KEYROOM_HOST", default_value = "localhost")]
    host: Host,

    /// Believe the header Keyroom-Device instead of asking devices for proof: whoever reaches this server
    /// can be any device. Only behind something that authenticates and sets the header itself.
    #[arg(long, env = "KEYROOM_TRUST_DEVICE_HEADER")]
    trust_device_header: bool,

    /// What to log: error, warn, info, debug, or filters such as keyroom_server=debug.
    #[arg(long, env = "KEYROOM_LOG", default_value = "info")]
    log: EnvFilter,
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
    let authentication =
        if arguments.trust_device_header { Authentication::TrustedHeader } else { Authentication::Sessions };
    let config = Config { listen: arguments.listen, authentication, ..Config::new(arguments.host, arguments.database) };
    match Server::start(config).await {
        Ok(server) => {
            let address = server.address();
            tracing::info!(%address, "listening");
            if !address.ip().is_loopback() {
                tracing::warn!("this address is not a loopback one, and requests travel in the clear");
            }
            if authentication == Authentication::TrustedHeader {
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
