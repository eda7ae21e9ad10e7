//! `keyroomd doctor`: looks at everything that a server needs, and says what to do. It changes nothing, and may be
//! run beside a server.

mod bus;
mod certificate;
mod clock;
mod database;
mod machine;

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyroom_delivery::{Inspection, LedgerError};
use keyroom_server::TlsError;

use super::fault::Fault;
use super::layers::Values;
use super::output;
use super::plan::Plan;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warning,
    Failed,
}

/// What was found about one thing. What is not well comes with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    about: &'static str,
    says: String,
}

impl Finding {
    fn ok(about: &'static str, says: impl fmt::Display) -> Self {
        Self { level: Level::Ok, about, says: says.to_string() }
    }

    fn warning(about: &'static str, says: impl fmt::Display) -> Self {
        Self { level: Level::Warning, about, says: says.to_string() }
    }

    fn failed(about: &'static str, says: impl fmt::Display) -> Self {
        Self { level: Level::Failed, about, says: says.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failed => "failed",
        };
        write!(f, "{level:7}  {:13}  {}", self.about, self.says)
    }
}

pub(super) fn run(values: &Values, mut faults: Vec<Fault>) -> ExitCode {
    let (plan, more) = Plan::read(values);
    faults.extend(more);
    let mut worst = Level::Ok;
    let mut tell = |finding: &Finding| {
        worst = worst.max(finding.level);
        output::write(&format!("{finding}\n"));
    };
    settings(&faults).iter().for_each(&mut tell);
    match plan {
        Some(plan) => {
            permissions(&faults).iter().for_each(&mut tell);
            examine(&plan).iter().for_each(&mut tell);
        }
        None => tell(&Finding::warning("the rest", "was not looked at: correct the settings first")),
    }
    if worst == Level::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn settings(faults: &[Fault]) -> Vec<Finding> {
    let finding = |fault: &Fault| match fault {
        Fault::SecretFile(_) | Fault::Tls(TlsError::Key(_)) => Finding::failed("permissions", fault),
        Fault::Tls(_) => Finding::failed("certificate", fault),
        _ => Finding::failed("configuration", fault),
    };
    let findings: Vec<Finding> = faults.iter().map(finding).collect();
    let good = findings.iter().all(|finding| finding.about != "configuration");
    let good = good.then(|| Finding::ok("configuration", "the settings are good"));
    good.into_iter().chain(findings).collect()
}

/// Known only where the settings name the files.
fn permissions(faults: &[Fault]) -> Option<Finding> {
    let loose = faults.iter().any(|fault| matches!(fault, Fault::SecretFile(_) | Fault::Tls(TlsError::Key(_))));
    (!loose).then(|| Finding::ok("permissions", "nobody else can read what is secret"))
}

fn examine(plan: &Plan) -> Vec<Finding> {
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return vec![Finding::failed("machine", "there are no threads: let this user have more processes")];
    };
    runtime.block_on(async {
        let config = &plan.config;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let inspection: Option<Result<Inspection, LedgerError>> = database::inspect(&config.database).await;
        let mut findings = certificate::examine(config, now);
        findings.extend(clock::examine(now, &config.database, inspection.as_ref()));
        findings.extend(database::examine(&config.database, inspection.as_ref()));
        findings.extend(machine::examine(&config.database, &config.rates));
        findings.extend(bus::examine(plan.bus.as_deref(), &config.database).await);
        findings
    })
}

/// Whole days of a duration.
fn days(duration: Duration) -> u64 {
    duration.as_secs() / (24 * 60 * 60)
}
