//! The server under load.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::line::Line;
use super::machine::field;
use crate::process::ServerProcess;

/// The host of all names.
pub(super) const HOST: &str = "load.example";

/// The database of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    /// The embedded one.
    Sqlite,
}

impl Engine {
    /// Those that can be measured on this machine.
    pub(super) fn present() -> Vec<Self> {
        vec![Self::Sqlite]
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
        })
    }
}

/// What the database says about surviving a loss of power.
#[derive(Clone, Debug)]
pub(super) struct Durability {
    /// Its settings, for whoever reads the figures.
    pub(super) settings: String,
}

/// A server with a new database, as a process. It ends, and its data go, when this is dropped.
#[derive(Debug)]
pub(super) struct Host {
    process: ServerProcess,
    _folder: TempDir,
}

#[derive(Deserialize)]
struct Health {
    durable: bool,
    settings: String,
}

impl Host {
    /// Starts one.
    pub(super) async fn start(engine: Engine) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("keyroom-bench-").tempdir();
        let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
        let process = match engine {
            Engine::Sqlite => {
                let database = folder.path().join("server.db");
                let arguments = ["--host".as_ref(), HOST.as_ref(), "--database".as_ref(), database.as_os_str()];
                ServerProcess::start(&arguments).await?
            }
        };
        Ok(Self { process, _folder: folder })
    }

    /// Where it listens, as a URL.
    pub(super) fn url(&self) -> &str {
        &self.process.url
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        self.process.url.trim_start_matches("http://")
    }

    /// How it writes to its database; an error if that does not survive a loss of power.
    pub(super) async fn durability(&self) -> Result<Durability, String> {
        let answer = Line::open(self.address()).await?.get("/healthz").await?;
        let health: Health =
            serde_json::from_slice(&answer.body).map_err(|_| "the server says nothing of its health")?;
        if health.durable {
            Ok(Durability { settings: health.settings })
        } else {
            Err(format!("what the server accepts would not survive a loss of power: {}", health.settings))
        }
    }

    /// Its memory that is in RAM, in bytes.
    pub(super) fn resident(&self) -> Result<u64, String> {
        let id = self.process.id().ok_or("the server has ended")?;
        let text =
            field(&format!("/proc/{id}/status"), "VmRSS").ok_or("this system does not tell a process's memory")?;
        let kilobytes = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        Ok(kilobytes.ok_or("the system's answer cannot be read")? * 1024)
    }

    /// Stops it.
    pub(super) async fn stop(self) {
        self.process.stop().await;
    }
}
