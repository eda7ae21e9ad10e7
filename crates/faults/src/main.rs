//! `keyroom-faults`: what `cargo xtask crash` and `cargo xtask durability` run.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};
use keyroom_faults::run::Engine;
use keyroom_faults::{durability, run};

/// Faults under load, and what is left after them.
#[derive(Debug, Parser)]
enum Arguments {
    /// Kills keyroomd, and PostgreSQL, under load, and checks what is left.
    ///
    /// Ends with status 1 if anything that was acknowledged is lost, a log is not one linear log, or a
    /// group takes nothing more.
    Crash(Crash),
    /// Records with strace what keyroomd, and PostgreSQL, ask of the kernel, and checks that each answer
    /// waited until its transaction was on the disk.
    ///
    /// On SQLite also cuts the run at random places, as a loss of power would: of what had not been
    /// synchronised, each write is gone, there, or there in parts. What is left must hold all that was
    /// acknowledged. Before that a short run has synchronisations left out, which the checks must notice.
    /// Ends with status 1 if they do not, or if anything is wrong.
    Durability(Durability),
}

#[derive(Debug, Args)]
struct Common {
    /// The database.
    #[arg(long, value_enum, default_value_t = Name::Sqlite)]
    engine: Name,
    /// Decides who sends what and when the fault comes.
    #[arg(long, env = "KEYROOM_SEED", default_value_t = 1)]
    seed: u64,
    /// The program keyroomd; by default the one beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Crash {
    /// Cycles of load, fault and check.
    #[arg(long, env = "KEYROOM_COUNT", default_value_t = 20)]
    cycles: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Durability {
    /// Answers to record.
    #[arg(long, env = "KEYROOM_COUNT", default_value_t = 2_000)]
    acknowledgements: u64,
    /// Places at which the disk fails.
    #[arg(long, default_value_t = 200)]
    cuts: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Sqlite,
    Postgres,
}

impl Common {
    fn engine(&self) -> Engine {
        match self.engine {
            Name::Sqlite => Engine::Sqlite,
            Name::Postgres => Engine::Postgres,
        }
    }

    fn program(&self) -> PathBuf {
        let beside = || std::env::current_exe().unwrap_or_default().with_file_name("keyroomd");
        self.server.clone().unwrap_or_else(beside)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments::Crash(arguments) => crash(&arguments).await,
        Arguments::Durability(arguments) => durable(&arguments).await,
    }
}

async fn crash(arguments: &Crash) -> ExitCode {
    let Common { seed, .. } = arguments.common;
    let (program, engine) = (arguments.common.program(), arguments.common.engine());
    let plan = run::Plan { program, engine, cycles: arguments.cycles, seed };
    let Some(report) = run::run(&plan).await else { return ExitCode::SUCCESS };
    let tally = report.tally;
    let counts = [tally.lost, tally.duplicated, tally.stuck];
    say(&format!(
        "{engine:?}: cycles {}, acknowledged {}, lost {}, duplicated {}, stuck {}\n",
        report.cycles, report.acknowledged, tally.lost, tally.duplicated, tally.stuck
    ));
    ExitCode::from(u8::from(counts != [0; 3]))
}

async fn durable(arguments: &Durability) -> ExitCode {
    let Common { seed, .. } = arguments.common;
    let (program, engine) = (arguments.common.program(), arguments.common.engine());
    let plan =
        durability::Plan { program, engine, acknowledgements: arguments.acknowledgements, cuts: arguments.cuts, seed };
    let Some((without, with)) = durability::run(&plan).await else { return ExitCode::SUCCESS };
    say(&format!("{engine:?} with synchronisations left out, which must be noticed:\n{}", lines(&without)));
    say(&format!("{engine:?}:\n{}", lines(&with)));
    let noticed = without.order.violations() > 0 && without.cuts.is_none_or(|cuts| cuts.is_bad());
    if !noticed {
        say("The checks have noticed nothing: they are blind.\n");
    }
    ExitCode::from(u8::from(with.is_bad() || !noticed))
}

fn lines(report: &durability::Report) -> String {
    let order = report.order;
    let mut text = format!(
        "  acknowledgements {} ({} in the trace, in {} transactions), synced before the answer {}, violations {}\n",
        report.acknowledged,
        order.acknowledged,
        order.transactions,
        order.synced,
        order.violations()
    );
    if let Some(cuts) = report.cuts {
        let (tally, forgotten) = (cuts.tally, cuts.forgotten);
        text += &format!(
            "  cuts {}, checkpoints {}, writes forgotten {}, torn {}, acknowledged before the cuts {}, lost {}, contradictory {}, \
             stuck {}, corrupt {}\n",
            cuts.cuts,
            cuts.checkpoints,
            forgotten.gone,
            forgotten.torn,
            cuts.acknowledged,
            tally.lost,
            tally.duplicated,
            tally.stuck,
            cuts.corrupt
        );
    }
    text
}

fn say(text: &str) {
    // Where the output is gone there is nobody to tell; the status still says it.
    let _unheard = io::stdout().lock().write_all(text.as_bytes());
}
