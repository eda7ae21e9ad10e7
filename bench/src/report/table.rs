//! Tables for a terminal.

use super::units::{count, show, time, times};
use crate::machine::Setting;
use crate::measure::{Measured, Part};
use crate::operation::{Figure, Line, Operation};
use crate::plan::Plan;
use crate::subject::Kind;
use crate::targets::Verdict;

/// What was measured and how, before the tables.
pub fn print_preface(setting: &Setting, plan: &Plan) {
    println!("{}", setting.line());
    println!("{}", setting.peers());
    println!();
    println!("Cipher suite 1, public handshakes, no padding, every signature and tree validated, no GroupInfo but");
    println!("in a Welcome. Medians; each round goes through all in turn, beginning with another one.");
    let rounds = plan.sizes().map(|size| format!("{} of {}", plan.rounds(size), count(size))).collect::<Vec<_>>();
    println!("Rounds: {} members.", rounds.join(", "));
    println!();
    println!("work     the call alone. OpenMLS stores while it works.");
    println!("stored   the call and everything that must be durable, in a store in memory. In SQLite: one");
    println!("         transaction for each operation, write-ahead log, synchronous=FULL, the same SQLite for all.");
    println!("         Keyroom's store encrypts what it writes, the others do not.");
    println!("backlog  Keyroom reads it in one call, the others message by message. Stored once at the end, in one");
    println!("         transaction; OpenMLS writes after each message.");
    println!("ratio    the faster of mls-rs aws-lc and openmls rustcrypto, divided by keyroom aws-lc: above 1 keyroom");
    println!(
        "         is faster or smaller. spread: between the quartiles of keyroom aws-lc, as a share of its median."
    );
    println!(
        "bound    the arithmetic: the operation's primitives alone, by the faster of our two providers, measured in"
    );
    println!("         each round; medians like all others.");
    println!("README.md beside this program says what each line means.");
}

/// All figures of one size.
pub fn print(measured: &Measured) {
    for figure in Figure::ALL {
        let lines = Operation::ALL.map(|operation| (operation, figure));
        let shown: Vec<Line> = lines.into_iter().filter(|line| is_measured(measured, *line)).collect();
        if !shown.is_empty() {
            print_header(&format!("{} members: {}", count(measured.members), figure.name()), figure);
            shown.into_iter().for_each(|line| print_line(measured, line));
        }
    }
    for (kind, part) in &measured.left_out {
        let rest = if *part == Part::Full { ": it stops here" } else { "" };
        println!(
            "{} members: {} of {} left out, it would have taken longer than the budget{rest}",
            count(measured.members),
            part.name(),
            kind.name()
        );
    }
}

const LABEL: usize = 29;
const CELL: usize = 11;
const SHORT: usize = 9;

fn print_header(title: &str, figure: Figure) {
    let halves = |half: usize| {
        let name = |kind: Kind| kind.name().split(' ').nth(half).unwrap_or_default();
        Kind::ALL.iter().map(|kind| format!("{:>CELL$}", name(*kind))).collect::<String>()
    };
    println!("\n{title}");
    println!("{:LABEL$}{}", "", halves(0));
    let bound = if figure == Figure::Work { "bound" } else { "" };
    println!("{:LABEL$}{}{:>SHORT$}{:>SHORT$}{bound:>CELL$}", "", halves(1), "ratio", "spread");
}

fn print_line(measured: &Measured, line: Line) {
    let (operation, figure) = line;
    let dash = || "-".to_owned();
    let median = |kind: Kind| measured.samples.get(&kind)?.median(line);
    print!("{:LABEL$}", operation.name());
    for kind in Kind::ALL {
        print!("{:>CELL$}", median(kind).map_or_else(dash, |value| show(figure, value)));
    }
    let spread = measured.samples.get(&Kind::KeyroomAwsLc).and_then(|samples| samples.spread(line));
    let bound = measured.primitives.lower_bound(operation, measured.members).filter(|_| figure == Figure::Work);
    print!("{:>SHORT$}", ratio(measured, line).map_or_else(dash, times));
    print!("{:>SHORT$}", spread.map_or_else(dash, |spread| format!("{:.0} %", spread * 100.0)));
    println!("{:>CELL$}", bound.map(time).unwrap_or_default());
}

/// The better of the peers that count, divided by ours.
pub fn ratio(measured: &Measured, line: Line) -> Option<f64> {
    let median = |kind: Kind| measured.samples.get(&kind)?.median(line);
    let best = Kind::PEERS.into_iter().filter_map(median).min_by(f64::total_cmp)?;
    Some(best / median(Kind::KeyroomAwsLc)?)
}

fn is_measured(measured: &Measured, line: Line) -> bool {
    measured.samples.values().any(|samples| !samples.values(line).is_empty())
}

/// What the primitives took at one size.
pub fn print_primitives(measured: &Measured) {
    println!("\nprimitives, at {} members", count(measured.members));
    measured
        .primitives
        .named()
        .into_iter()
        .for_each(|(name, seconds)| println!("{name:LABEL$}{:>CELL$}", time(seconds)));
}

/// How the targets came out.
pub fn print_verdicts(verdicts: &[Verdict]) {
    println!("\ntargets");
    println!(
        "{:>9}  {:LABEL$}{:25}{:>CELL$}{:>CELL$}{:>SHORT$}{:>17}{:>SHORT$}",
        "members", "operation", "", "ours", "other", "factor", "goal", "spread"
    );
    for verdict in verdicts {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value_of(verdict, value));
        let goal = format!("{} {}x", if verdict.at_least { "at least" } else { "at most" }, verdict.goal);
        println!(
            "{:>9}  {:LABEL$}{:25}{:>CELL$}{:>CELL$}{:>SHORT$}{goal:>17}{:>SHORT$}  {} ({})",
            count(verdict.members),
            verdict.operation,
            verdict.figure,
            figure(verdict.ours),
            figure(verdict.other),
            verdict.factor.map_or_else(|| "-".to_owned(), times),
            format!("{:.0} %", verdict.spread * 100.0),
            if verdict.met { "met" } else { "MISSED" },
            verdict.other_name,
        );
    }
    let missed = verdicts.iter().filter(|verdict| !verdict.met).count();
    println!("{} of {} met, {missed} missed", verdicts.len() - missed, verdicts.len());
}

/// A value of a verdict with its unit.
pub fn value_of(verdict: &Verdict, value: f64) -> String {
    let figure = Figure::ALL.into_iter().find(|figure| figure.name() == verdict.figure);
    figure.map_or_else(String::new, |figure| show(figure, value))
}
