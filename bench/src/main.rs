//! Keyroom beside mls-rs and OpenMLS, measured in one run.

mod cli;
mod machine;
mod measure;
mod operation;
mod plan;
mod primitives;
mod report;
mod samples;
mod sqlite;
mod subject;
mod targets;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Arguments, Command, Compare};
use crate::machine::Setting;
use crate::measure::{Budget, measure, report_resident};
use crate::report::Report;
use crate::subject::Kind;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Compare(compare) => run(&compare),
        Command::Resident { kind, path } => match Kind::named(&kind) {
            Some(kind) => {
                report_resident(kind, &path);
                ExitCode::SUCCESS
            }
            None => ExitCode::from(2),
        },
    }
}

fn run(arguments: &Compare) -> ExitCode {
    let plan = arguments.plan();
    let tables = !arguments.json && !arguments.markdown;
    let setting = Setting::here();
    if tables {
        report::table::print_preface(&setting, &plan);
    }
    let (mut measured, mut budget) = (Vec::new(), Budget::default());
    for members in plan.sizes() {
        measured.push(measure(members, &plan, &mut budget));
        if let Some(newest) = measured.last().filter(|_| tables) {
            report::table::print(newest);
        }
    }
    let verdicts = targets::judge(&measured);
    let report = Report { setting, measured, verdicts };
    if arguments.json {
        println!("{:#}", report::json::document(&report));
    } else if arguments.markdown {
        print!("{}", report::markdown::table(&report));
    } else {
        report.measured.last().into_iter().for_each(report::table::print_primitives);
        report::table::print_verdicts(&report.verdicts);
    }
    let drawn = arguments.svg.as_ref().map_or(Ok(()), |path| report::svg::draw(&report, path));
    if let Err(error) = drawn {
        eprintln!("the chart was not drawn: {error}");
        return ExitCode::FAILURE;
    }
    let missed = report.verdicts.iter().any(|verdict| !verdict.met);
    if arguments.fails() && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
