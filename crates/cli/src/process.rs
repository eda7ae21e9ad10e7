//! This program, started again as a process of its own.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longest time that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, as a process. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl ServerProcess {
    /// Starts `keyroom serve` on a free port, with these further arguments.
    pub(crate) async fn start(arguments: &[&OsStr]) -> Result<Self, String> {
        let mut command = this_program()?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the server did not start: {error}"))?;
        let out = child.stdout.take().ok_or("the server has no output")?;
        let line = timeout(PATIENCE, BufReader::new(out).lines().next_line()).await;
        let line = line.map_err(|_| "the server did not start in time")?.map_err(|error| error.to_string())?;
        let url =
            line.as_deref().and_then(|line| line.strip_prefix("listening on ")).ok_or("the server did not start")?;
        Ok(Self { child, url: url.to_owned() })
    }

    /// The number of the process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it.
    pub(crate) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// A command that runs this program, and dies with the value that stands for the process.
pub(crate) fn this_program() -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    // Only what the caller itself says counts.
    for variable in ["KEYROOM_STORE_KEY", "KEYROOM_LOG", "KEYROOM_LISTEN", "KEYROOM_DATABASE", "KEYROOM_HOST"] {
        command.env_remove(variable);
    }
    Ok(command)
}
