//! `keyroom bench server`: how much a server takes, over real HTTP and WebSocket.
//!
//! The server is a process of its own, with a new database for each measure; this process plays all the
//! devices. Groups are made by the protocol, and the server judges them; what is sent in the measured
//! time is made before it.
//!
//! | file | what |
//! |---|---|
//! | [`commits`], [`messages`], [`delivery`], [`claims`], [`memory`] | one measure each |
//! | [`host`] | the server and what it says of its database |
//! | [`devices`], [`rooms`] | who sends, and where to |
//! | [`mod@line`] | a connection that is kept |
//! | [`figures`] | rates, percentiles, targets |
//! | [`report`], [`machine`] | what is printed |

mod claims;
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
    /// Judge: the exit status is 1 if a target is missed.
    #[arg(long, conflicts_with = "scale")]
    check: bool,

    /// The database to measure on; may be repeated. Default: all that there are here.
    #[arg(long = "engine", value_name = "NAME")]
    engines: Vec<Engine>,

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
    let report = runtime.block_on(measure(options)).map_err(Failure::usage)?;
    output::write(&report.render(options.format()))?;
    if options.check && report.missed() > 0 {
        let missed = format!("{} of the targets were missed", report.missed());
        return Err(Failure::data(missed, "the figures count on a machine that does nothing else"));
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

    fn measures(&self) -> Vec<Measure> {
        if self.only.is_empty() { Measure::value_variants().to_vec() } else { self.only.clone() }
    }
}

async fn measure(options: &ServerOptions) -> Result<Report, String> {
    let plan = Plan { seconds: options.seconds, scale: usize::try_from(options.scale).unwrap_or(1) };
    let engines = if options.engines.is_empty() { Engine::present() } else { options.engines.clone() };
    let mut report = Report::new(&plan);
    for engine in engines {
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
