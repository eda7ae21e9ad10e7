//! The server under load.

use std::fmt;

use keyroom_testbed::PostgresProgram;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::cluster::Cluster;
use super::line::Line;
use super::machine::field;
use crate::process::ServerProcess;

/// The host of all names.
pub(super) const HOST: &str = "load.example";

/// The database of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    /// The embedded one.
    Sqlite,
    /// A server of its own, started for the measure.
    Postgres,
}

impl Engine {
    /// Whether it can be measured on this machine.
    pub(super) fn is_present(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => PostgresProgram::Server.path().is_some(),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
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
    database: Database,
}

/// Where the server keeps its data.
#[derive(Debug)]
enum Database {
    File(TempDir),
    Cluster(Cluster),
}

#[derive(Deserialize)]
struct Health {
    durable: bool,
    settings: String,
}

impl Host {
    /// Starts one.
    pub(super) async fn start(engine: Engine) -> Result<Self, String> {
        let database = match engine {
            Engine::Sqlite => {
                let folder = tempfile::Builder::new().prefix("keyroom-bench-").tempdir();
                Database::File(folder.map_err(|error| format!("no temporary folder: {error}"))?)
            }
            Engine::Postgres => Database::Cluster(Cluster::start().await?),
        };
        let address = match &database {
            Database::File(folder) => folder.path().join("server.db").into_os_string(),
            Database::Cluster(cluster) => cluster.url().into(),
        };
        let arguments = ["--host".as_ref(), HOST.as_ref(), "--database".as_ref(), address.as_os_str()];
        let process = ServerProcess::start(&arguments).await?;
        Ok(Self { process, database })
    }

    /// The PostgreSQL server under it, if it has one.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        match &self.database {
            Database::File(_) => None,
            Database::Cluster(cluster) => Some(cluster),
        }
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
