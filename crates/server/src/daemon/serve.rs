//! Serving, from the first log line to the last.

use std::process::ExitCode;
use std::sync::Arc;

use keyroom_delivery::{NatsBus, NatsError};
use keyroom_server::{Authentication, Handle, Server, StartError, raise_file_limit};
use tracing_subscriber::EnvFilter;

use super::fault::Fault;
use super::layers::Values;
use super::plan::{Plan, log_filter};

/// Why nothing was served.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no threads: {0}")]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Bus(#[from] NatsError),
    #[error(transparent)]
    Start(#[from] StartError),
}

pub(super) fn run(values: &Values, mut faults: Vec<Fault>) -> ExitCode {
    let (plan, more) = Plan::read(values);
    faults.extend(more);
    let Some(plan) = plan.filter(|_| faults.is_empty()) else { return refuse(values, &faults) };
    let Plan { config, bus, drain, log } = plan;
    log_to_standard_error(log);
    raise_file_limit();
    let serving = async {
        let mut config = config;
        if let Some(url) = bus {
            config.bus = Arc::new(NatsBus::connect(&url).await?);
        }
        let trusts_header = config.authentication == Authentication::TrustedHeader;
        let server = Server::start(config).await?;
        announce(&server, trusts_header);
        stop_asked(&server).await;
        server.drain();
        if !drain.is_zero() {
            tracing::info!(seconds = drain.as_secs(), "draining");
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = stop_asked(&server) => {}
            }
        }
        tracing::info!("stopping");
        server.shutdown().await;
        Ok(())
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::from);
    match runtime.and_then(|runtime| runtime.block_on(serving)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "not started");
            ExitCode::FAILURE
        }
    }
}

fn refuse(values: &Values, faults: &[Fault]) -> ExitCode {
    log_to_standard_error(log_filter(values));
    for error in faults {
        tracing::error!(%error, "not started");
    }
    ExitCode::FAILURE
}

fn log_to_standard_error(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
}

fn announce(server: &Handle, trusts_header: bool) {
    let address = server.address();
    tracing::info!(%address, "listening");
    if let Some(address) = server.metrics_address() {
        tracing::info!(%address, "metrics");
    }
    if !address.ip().is_loopback() && server.url().starts_with("http://") {
        tracing::warn!("this address is not a loopback one, and requests travel in the clear");
    }
    if trusts_header {
        tracing::warn!("the header Keyroom-Device is believed");
    }
}

/// Ends with Ctrl-C or, on Unix, with a request to terminate. Until then it reads the certificate again whenever
/// it is told to by SIGHUP.
async fn stop_asked(server: &Handle) {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
            tokio::pin!(interrupt);
            loop {
                tokio::select! {
                    _ = &mut interrupt => return,
                    _ = terminate.recv() => return,
                    _ = hangup.recv() => reload(server),
                }
            }
        }
    }
    let _ = interrupt.await;
}

#[cfg(unix)]
fn reload(server: &Handle) {
    match server.reload_certificate() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(%error, "the certificate stays as it was"),
    }
}
