//! What the system tells a running server.

use std::io;

use keyroom_server::Handle;

/// Hears signals from when it is made, whether anybody waits for them or not.
#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Ends with Ctrl-C or with a request to terminate. Until then SIGHUP makes the server read its certificate again.
    pub(super) async fn stop(&mut self, server: &Handle) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => reload(server),
            }
        }
    }
}

#[cfg(unix)]
fn reload(server: &Handle) {
    match server.reload_certificate() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(%error, "the certificate stays as it was"),
    }
}

/// Hears Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Ends with Ctrl-C.
    pub(super) async fn stop(&mut self, _: &Handle) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
