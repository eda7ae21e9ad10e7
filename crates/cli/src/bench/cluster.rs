//! A PostgreSQL server of its own, and what it does without us.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keyroom_delivery::{Postgres as Engine, PostgresOptions};
use keyroom_testbed::{Postgres, PostgresProgram};

/// The device in whose name pgbench sends; the script knows it.
const MEMBER: &str = "mimi://example.org/d/member/phone";

/// A PostgreSQL server, which ends when this is dropped.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    server: Arc<Postgres>,
}

impl Cluster {
    /// Makes an empty one.
    pub(super) async fn start() -> Result<Self, String> {
        let server = blocking(Postgres::start).await?.ok_or("PostgreSQL is not installed")?;
        let cluster = Self { server: Arc::new(server) };
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            let value = cluster.ask(format!("SHOW {setting}")).await?;
            if value != "on" {
                return Err(format!("{setting} is {value}"));
            }
        }
        Ok(cluster)
    }

    /// The address of its database.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// How many transactions a second pgbench reaches with the statement of one accepted message, on the rooms
    /// that are there and over as many connections as a server has; `None` where pgbench is not installed.
    pub(super) async fn pgbench(&self, time: Duration) -> Result<Option<f64>, String> {
        let Some(program) = PostgresProgram::Pgbench.path() else { return Ok(None) };
        let rooms = self.ask("SELECT count(*) || '/' || max(id) FROM rooms".into()).await?;
        // The script picks from all numbers up to the last.
        let rooms =
            rooms.split_once('/').filter(|(count, last)| count == last).ok_or("rooms are missing")?.0.to_owned();
        // Leaves of members are 31 bits long, so that none has this one.
        self.ask(format!("INSERT INTO roster SELECT id, '{MEMBER}', 4294967295, 0, NULL FROM rooms")).await?;
        let script = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        std::fs::write(script.path(), Engine::MESSAGE_SCRIPT).map_err(|error| format!("no temporary file: {error}"))?;
        let mut pgbench = Command::new(program);
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--client"])
            .arg(PostgresOptions::default().connections.to_string())
            .args(["--time", &time.as_secs().max(1).to_string(), "--define", &format!("rooms={rooms}"), "--file"])
            .arg(script.path())
            .arg(self.url());
        let said = blocking(move || output(&mut pgbench)).await??;
        rate(&said).map(Some).ok_or_else(|| format!("pgbench says no rate: {said}"))
    }

    async fn ask(&self, sql: String) -> Result<String, String> {
        let server = self.server.clone();
        blocking(move || server.execute(&sql)).await
    }
}

/// Runs what waits, or ends in a panic whose words are on standard error.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|_| "PostgreSQL did not do what it should".to_owned())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("pgbench did not start: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Transactions a second, if all that began came to a good end.
fn rate(said: &str) -> Option<f64> {
    let failed = said.lines().find_map(|line| line.strip_prefix("number of failed transactions: "))?;
    if !failed.starts_with("0 ") {
        return None;
    }
    said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_where_no_transaction_has_failed() {
        let said = |failed| {
            format!(
                "number of transactions actually processed: 4242\nnumber of failed transactions: {failed}\n\
                 latency average = 3.7 ms\ntps = 4242.424242 (without initial connection time)\n"
            )
        };
        assert_eq!(rate(&said("0 (0.000%)")), Some(4242.424242));
        assert_eq!(rate(&said("3 (0.071%)")), None);
        assert_eq!(rate("tps = 1.0 (without)"), None);
        assert_eq!(rate(""), None);
    }
}
