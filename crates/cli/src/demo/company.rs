//! The processes of the demonstration.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use keyroom_wire::CipherSuite;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::client::{Order, Report};
use crate::process::this_program;

/// Longest time that one order may take.
const PATIENCE: Duration = Duration::from_secs(20);

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
