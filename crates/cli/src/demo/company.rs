//! The processes of the demonstration.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use keyroom_wire::CipherSuite;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::client::{Order, Report};

/// Longest time that one order may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server, as a process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub(super) url: String,
}

impl ServerProcess {
    /// Starts a server with its database in a folder.
    pub(super) async fn start(folder: &Path) -> Result<Self, String> {
        let mut command = this_program()?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--host", "demo.example", "--log", "warn", "--database"]);
        command.arg(folder.join("server.db")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the server did not start: {error}"))?;
        let out = child.stdout.take().ok_or("the server has no output")?;
        let line = timeout(PATIENCE, BufReader::new(out).lines().next_line()).await;
        let line = line.map_err(|_| "the server did not start in time")?.map_err(|error| error.to_string())?;
        let url =
            line.as_deref().and_then(|line| line.strip_prefix("listening on ")).ok_or("the server did not start")?;
        Ok(Self { child, url: url.to_owned() })
    }

    /// Stops it.
    pub(super) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// Where a client plays.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The folder of its state.
    pub(super) folder: PathBuf,
    /// The server that it talks to.
    pub(super) server: String,
    /// The suite of its groups.
    pub(super) suite: CipherSuite,
}

/// A client, as a process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Actor {
    /// Its name.
    pub(super) name: &'static str,
    scene: Scene,
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    /// Starts a client of a user whose state is in a folder of its own, and lets it open that.
    pub(super) async fn enter(name: &'static str, scene: Scene) -> Result<Self, String> {
        let mut actor = Self::start(name, scene)?;
        actor.obey(&Order::Open).await?;
        Ok(actor)
    }

    /// Starts a client that does nothing yet.
    pub(super) fn start(name: &'static str, scene: Scene) -> Result<Self, String> {
        let mut command = this_program()?;
        command.args(["demo-client", "--server", &scene.server, "--user", name, "--folder"]).arg(&scene.folder);
        command.args(["--suite", &scene.suite.0.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{name} did not start: {error}"))?;
        let orders = child.stdin.take().ok_or("no input")?;
        let reports = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { name, scene, child, orders, reports })
    }

    /// Gives an order and waits for what comes of it.
    pub(super) async fn obey(&mut self, order: &Order) -> Result<Report, String> {
        let mut line = serde_json::to_string(order).map_err(|error| error.to_string())?;
        line.push('\n');
        let name = self.name;
        self.orders.write_all(line.as_bytes()).await.map_err(|_| format!("{name} is gone"))?;
        let line = timeout(PATIENCE, self.reports.next_line()).await;
        let line = line.map_err(|_| format!("{name} did not answer to {order:?}"))?.ok().flatten();
        let line = line.ok_or_else(|| format!("{name} ended at {order:?}"))?;
        let report: Report = serde_json::from_str(&line).map_err(|error| format!("{name}: {error}"))?;
        match &report.error {
            None => Ok(report),
            Some(error) => Err(format!("{name} could not do {order:?}: {error}")),
        }
    }

    /// Kills it with SIGKILL; it has no chance to do anything more.
    pub(super) async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("{} could not be killed: {error}", self.name))
    }

    /// Starts it again from the same folder.
    pub(super) async fn enter_again(self) -> Result<Self, String> {
        Self::enter(self.name, self.scene.clone()).await
    }
}

fn this_program() -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    // Only what the demonstration itself says counts.
    for variable in ["KEYROOM_STORE_KEY", "KEYROOM_LOG", "KEYROOM_LISTEN", "KEYROOM_DATABASE", "KEYROOM_HOST"] {
        command.env_remove(variable);
    }
    Ok(command)
}
