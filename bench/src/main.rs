//! Keyroom beside mls-rs and OpenMLS, measured in one run.

mod measure;
mod report;
mod subject;

use std::process::ExitCode;

use chacha20::rand_core::SeedableRng;
use measure::{Plan, Samples, measure};
use serde_json::Value;

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

const USAGE: &str =
    "usage: keyroom-bench compare [--min N] [--max N] [--rounds N] [--budget SECONDS] [--only NAME] [--json]

  --min N           no group smaller than this; sizes are 10, 100, 1000 and 10000
  --max N           no group larger than this
  --rounds N        rounds per size, default 3
  --budget SECONDS  leave out what would probably take longer, default 120
  --only NAME       only what has this in its name, such as mls-rs or aws-lc
  --json            print JSON instead of tables";

struct Arguments {
    min: u32,
    max: u32,
    plan: Plan,
    json: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if !arguments.json {
        report::print_preface(&arguments.plan);
    }
    let mut done: Vec<Vec<Samples>> = Vec::new();
    let mut documents: Vec<Value> = Vec::new();
    for members in SIZES.into_iter().filter(|size| *size >= arguments.min && *size <= arguments.max) {
        let before = |steps: usize| done.len().checked_sub(steps).map_or(&[][..], |index| &done[index]);
        let samples = measure(members, &arguments.plan, [before(1), before(2)]);
        if arguments.json {
            documents.push(report::as_json(members, &samples));
        } else {
            report::print_table(members, &samples);
        }
        done.push(samples);
    }
    if arguments.json {
        println!("{:#}", Value::Array(documents));
    }
    ExitCode::SUCCESS
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    if words.next()? != "compare" {
        return None;
    }
    let mut arguments = Arguments {
        min: 0,
        max: u32::MAX,
        plan: Plan { rounds: 3, repeats: 5, budget: 120.0, only: None },
        json: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--min" => arguments.min = words.next()?.parse().ok()?,
            "--only" => arguments.plan.only = Some(words.next()?),
            "--max" => arguments.max = words.next()?.parse().ok()?,
            "--rounds" => arguments.plan.rounds = words.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            "--budget" => arguments.plan.budget = words.next()?.parse().ok()?,
            "--json" => arguments.json = true,
            _ => return None,
        }
    }
    Some(arguments)
}

/// A generator with a fixed start: runs are repeatable, and nothing here is secret.
fn rng(seed: u64) -> chacha20::ChaCha20Rng {
    chacha20::ChaCha20Rng::seed_from_u64(seed)
}
