//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::plan::{Lines, Pace, Plan};

/// Keyroom beside mls-rs and OpenMLS, measured in one run.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measures all of them and prints tables.
    Compare(Compare),
    /// Loads a group from a file and prints the memory that it takes.
    #[command(hide = true)]
    Resident {
        /// The kind's name.
        kind: String,
        /// The SQLite file.
        path: PathBuf,
    },
}

/// What to measure and how to show it.
#[derive(Args, Debug)]
pub struct Compare {
    /// Measures the lines that the targets name, and fails if one is missed
    #[arg(long)]
    check: bool,
    /// The targets' lines with few rounds: less than fifteen minutes
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of tables
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Prints the targets' lines as a Markdown table instead
    #[arg(long)]
    pub markdown: bool,
    /// Draws a chart into this file, too
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// No group smaller than this; sizes are 2, 10, 100, 1000, 10000 and 100000
    #[arg(long, value_name = "N", default_value_t = 0)]
    min: u32,
    /// No group larger than this
    #[arg(long, value_name = "N", default_value_t = u32::MAX)]
    max: u32,
    /// Rounds at every size
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Leaves out what would probably take longer in one round
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    budget: f64,
    /// Only what has this in its name, such as mls-rs or aws-lc
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Only operations that have this in their name, such as commit or send
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
}

impl Compare {
    /// Whether a missed target is a failure.
    pub fn fails(&self) -> bool {
        self.check
    }

    /// What is to be measured.
    pub fn plan(&self) -> Plan {
        Plan {
            min: self.min,
            max: self.max,
            lines: if self.check || self.quick { Lines::Targets } else { Lines::All },
            pace: if self.quick { Pace::Quick } else { Pace::Usual },
            rounds: self.rounds.map(usize::from),
            budget: self.budget,
            only: self.only.clone(),
            operation: self.operation.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_plan() {
        let words = ["bench", "compare", "--quick", "--max", "100", "--rounds", "1"];
        let Command::Compare(compare) = Arguments::try_parse_from(words).unwrap().command else { panic!("compare") };
        let plan = compare.plan();
        assert_eq!((plan.lines, plan.pace, plan.max, plan.rounds(10)), (Lines::Targets, Pace::Quick, 100, 1));
        assert!(!compare.fails());
    }

    #[test]
    fn no_rounds_are_an_error() {
        assert!(Arguments::try_parse_from(["bench", "compare", "--rounds", "0"]).is_err());
    }
}
