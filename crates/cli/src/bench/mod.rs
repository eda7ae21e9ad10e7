//! `keyroom bench server`: how much a server takes, over real HTTP and WebSocket.
//!
//! The server is a process of its own, with a new database for each measure; this process plays all the
//! devices. Groups are made by the protocol, and the server judges them; what is sent in the measured
//! time is made before it.
//!
//! | file | what |
//! |---|---|
//! | [`commits`], [`messages`], [`delivery`], [`claims`], [`memory`] | one measure each |
//! | [`host`], [`cluster`] | the server and what it says of its database; a PostgreSQL of its own |
//! | [`devices`], [`rooms`] | who sends, and where to |
//! | [`mod@line`] | a connection that is kept |
//! | [`figures`] | rates, percentiles, targets |
//! | [`report`], [`machine`] | what is printed |

mod claims;
mod cluster;
mod commits;
mod delivery;
mod devices;
mod figures;
mod host;
mod line;
mod machine;
mod memory;
mod messages;
mod report;
mod rooms;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::failure::Failure;
use crate::output;
use figures::Figure;
use host::{Engine, Host};
use report::{Format, Report};

/// What a measure returns. An error is a sentence for whoever runs it.
type Measured = Result<Vec<Figure>, String>;

/// Measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Load a server of its own, over HTTP and WebSocket, and print what it took.
    Server(ServerOptions),
}

/// Load a server of its own, over HTTP and WebSocket, and print what it took.
///
/// The exit status is 2 if something went wrong, so that there is no figure. Close everything else: the
/// load and the server share the machine.
#[derive(Debug, Args)]
struct ServerOptions {
    /// Judge: the exit status is 1 if a target is missed, or cannot be judged for want of PostgreSQL or pgbench.
    #[arg(long, conflicts_with = "scale")]
    check: bool,

    /// The database to measure on. Default: both, or SQLite alone where PostgreSQL is not installed.
    #[arg(long = "engine", value_name = "NAME")]
    engines: Option<Engines>,

    /// Measure this only; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<Measure>,

    /// How long each measure takes, its preparation not counted.
    #[arg(long, default_value = "5", value_parser = seconds)]
    seconds: Duration,

    /// Divide the numbers of groups, members and subscribers by this, for a quick look.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
    scale: u32,

    /// Print JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Print a table in Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Which databases are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engines {
    /// The embedded one.
    Sqlite,
    /// PostgreSQL, a server of its own.
    Postgres,
    /// One after the other.
    Both,
}

impl Engines {
    fn list(self) -> Vec<Engine> {
        match self {
            Self::Sqlite => vec![Engine::Sqlite],
            Self::Postgres => vec![Engine::Postgres],
            Self::Both => vec![Engine::Sqlite, Engine::Postgres],
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Accepted commits: in one group that everybody wants to change, and over many groups.
    Commits,
    /// Messages durably accepted, over many groups.
    Messages,
    /// The time from sending a message to each of many subscribers of one group.
    Delivery,
    /// Key packages claimed while many want those of the same user.
    Claims,
    /// Memory of the server for subscribers that do nothing.
    Memory,
}

/// How long and how much.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The measured time.
    seconds: Duration,
    scale: usize,
}

impl Plan {
    /// A number of groups or devices, of which a few are always left.
    fn scaled(&self, count: usize) -> usize {
        (count / self.scale).max(count.min(4))
    }
}

/// Runs the measures and prints their figures.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let Subject::Server(options) = &options.subject;
    let limit = keyroom_server::raise_file_limit();
    tracing::debug!(limit, "open files");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(error.to_string()))?;
    let (engines, skipped) = options.engines().map_err(Failure::usage)?;
    if !skipped.is_empty() {
        output::complain("skipped: PostgreSQL is not installed\n");
    }
    let report = runtime.block_on(measure(options, &engines)).map_err(Failure::usage)?;
    output::write(&report.render(options.format()))?;
    if options.check { judge(&report, &skipped) } else { Ok(()) }
}

/// Whether all targets were met.
fn judge(report: &Report, skipped: &[Engine]) -> Result<(), Failure> {
    if report.missed() > 0 {
        let missed = format!("{} of the targets were missed", report.missed());
        return Err(Failure::data(missed, "the figures count on a machine that does nothing else"));
    }
    if report.unjudged() > 0 {
        let missing = format!("{} of the targets were not judged: pgbench is not installed", report.unjudged());
        return Err(Failure::data(missing, "it comes with PostgreSQL"));
    }
    if let Some(engine) = skipped.first() {
        let missing = format!("the targets on {engine} were not judged: it is not installed");
        return Err(Failure::data(missing, "with --engine sqlite these are not asked for"));
    }
    Ok(())
}

impl ServerOptions {
    fn format(&self) -> Format {
        match (self.json, self.markdown) {
            (true, _) => Format::Json,
            (_, true) => Format::Markdown,
            _ => Format::Text,
        }
    }

    /// What is to be measured, and what cannot be; an error if that was asked for by name.
    fn engines(&self) -> Result<(Vec<Engine>, Vec<Engine>), String> {
        let wanted = self.engines.unwrap_or(Engines::Both).list();
        let (present, absent): (Vec<Engine>, Vec<Engine>) = wanted.into_iter().partition(|engine| engine.is_present());
        match absent.first() {
            Some(engine) if self.engines.is_some() => Err(format!("{engine} is not installed")),
            _ => Ok((present, absent)),
        }
    }

    fn measures(&self) -> Vec<Measure> {
        if self.only.is_empty() { Measure::value_variants().to_vec() } else { self.only.clone() }
    }
}

async fn measure(options: &ServerOptions, engines: &[Engine]) -> Result<Report, String> {
    let plan = Plan { seconds: options.seconds, scale: usize::try_from(options.scale).unwrap_or(1) };
    let mut report = Report::new(&plan);
    for &engine in engines {
        for measure in options.measures() {
            let host = Host::start(engine).await?;
            let durability = host.durability().await?;
            let figures = measure.run(&plan, &host).await.map_err(|error| format!("{measure:?}, {engine}: {error}"))?;
            host.stop().await;
            report.add(engine, durability, figures);
        }
    }
    Ok(report)
}

impl Measure {
    async fn run(self, plan: &Plan, host: &Host) -> Measured {
        match self {
            Self::Commits => commits::measure(plan, host).await,
            Self::Messages => messages::measure(plan, host).await,
            Self::Delivery => delivery::measure(plan, host).await,
            Self::Claims => claims::measure(plan, host).await,
            Self::Memory => memory::measure(plan, host).await,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.01..=3_600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a number from 0.01 to 3600".to_owned())
}
