//! Serving, from the first log line to the last.

use std::process::ExitCode;
use std::sync::Arc;

use keyroom_delivery::{NatsBus, NatsError};
use keyroom_server::{Authentication, Handle, Server, StartError, raise_file_limit};
use tracing_subscriber::EnvFilter;

use super::fault::Fault;
use super::layers::Values;
use super::plan::{Plan, log_filter};
use super::signals::Signals;

/// Why nothing was served.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the system gives no threads or signals: {0}")]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Bus(#[from] NatsError),
    #[error(transparent)]
    Start(#[from] StartError),
}

pub(super) fn run(values: &Values, mut faults: Vec<Fault>) -> ExitCode {
    let (plan, more) = Plan::read(values);
    faults.extend(more);
    let Some(plan) = plan.filter(|_| faults.is_empty()) else { return refuse(values, &faults) };
    log_to_standard_error(plan.log.clone());
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::from);
    match runtime.and_then(|runtime| runtime.block_on(serve(plan))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "not started");
            ExitCode::FAILURE
        }
    }
}

async fn serve(plan: Plan) -> Result<(), Failure> {
    let Plan { mut config, bus, drain, .. } = plan;
    if let Some(url) = bus {
        config.bus = Arc::new(NatsBus::connect(&url).await?);
    }
    let trusts_header = config.authentication == Authentication::TrustedHeader;
    let server = Server::start(config).await?;
    let mut signals = Signals::listen()?;
    announce(&server, trusts_header);
    signals.stop(&server).await;
    server.drain();
    if !drain.is_zero() {
        tracing::info!(seconds = drain.as_secs(), "draining");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = signals.stop(&server) => {}
        }
    }
    tracing::info!("stopping");
    server.shutdown().await;
    Ok(())
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
