//! `keyroom-faults`: what `cargo xtask crash` runs.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use keyroom_faults::run::{Engine, Plan, run};

/// Kills keyroomd, and PostgreSQL, under load, and checks what is left.
///
/// Ends with status 1 if anything that was acknowledged is lost, a log is not one linear log, or a
/// group takes nothing more.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cycles of load, fault and check.
    #[arg(long, env = "KEYROOM_COUNT", default_value_t = 20)]
    cycles: u64,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let beside = || std::env::current_exe().unwrap_or_default().with_file_name("keyroomd");
    let engine = match arguments.engine {
        Name::Sqlite => Engine::Sqlite,
        Name::Postgres => Engine::Postgres,
    };
    let program = arguments.server.unwrap_or_else(beside);
    let plan = Plan { program, engine, cycles: arguments.cycles, seed: arguments.seed };
    let Some(report) = run(&plan).await else { return ExitCode::SUCCESS };
    let tally = report.tally;
    let counts = [tally.lost, tally.duplicated, tally.stuck];
    let text = format!(
        "{engine:?}: cycles {}, acknowledged {}, lost {}, duplicated {}, stuck {}\n",
        report.cycles, report.acknowledged, tally.lost, tally.duplicated, tally.stuck
    );
    // Where the output is gone there is nobody to tell; the status still says it.
    let _unheard = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::from(u8::from(counts != [0; 3]))
}
