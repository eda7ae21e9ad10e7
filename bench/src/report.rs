//! The results as tables and as JSON.

use serde_json::{Value, json};

use crate::measure::{Operation, Plan, Samples};
use crate::subject::{Cost, Kind};

/// A figure in the table.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    of: fn(&Cost) -> f64,
    show: fn(f64) -> String,
}

const FIGURES: [Figure; 3] = [
    Figure { name: "work", of: |cost| cost.work.as_secs_f64(), show: show_time },
    Figure { name: "work and store", of: |cost| (cost.work + cost.store).as_secs_f64(), show: show_time },
    Figure { name: "bytes stored", of: |cost| cost.bytes as f64, show: show_bytes },
];

/// What was measured and how, printed before the tables.
pub fn print_preface(plan: &Plan) {
    println!("Cipher suite 1. Public handshakes, no padding, messages of 100 bytes, all signatures and");
    println!("trees validated. Medians of {} rounds in changing order, {} commits in each.", plan.rounds, plan.repeats);
    println!();
    println!("create: found a group, add all others in one commit, Welcome with the tree inside.");
    println!("All else happens in a group whose tree is full: every second leaf has taken new keys for itself");
    println!("and its whole path, as a commit does, so that every parent but one has a key; then a member has");
    println!("added two guests of the implementation that is measured. One generator has made tree and Welcome");
    println!("and owns all other keys. join: both guests. commit: the first takes new keys, made and applied, no");
    println!("GroupInfo. process: the second follows.");
    println!();
    println!("work is the call itself, work and store also a store in memory. keyroom: change sets. mls-rs:");
    println!("write_to_storage, as it is by default. OpenMLS writes while it works, so that the two are the same;");
    println!("its bytes are those of all values that differ afterwards. Ratios are to the faster peer: below 1");
    println!("keyroom is faster, or stores less.");
}

pub fn print_table(members: u32, samples: &[Samples]) {
    println!("\n{members} members");
    for figure in FIGURES {
        println!();
        print!("{:29}", figure.name);
        Kind::ALL.iter().for_each(|kind| print!("{:>19}", kind.name()));
        println!("{:>8}{:>8}", "ratio", "ratio");
        print!("{:29}", "");
        Kind::ALL.iter().for_each(|_| print!("{:>19}", ""));
        println!("{:>8}{:>8}", "aws-lc", "rustc.");
        for operation in Operation::ALL {
            print!("{:29}", operation.name());
            for samples in samples {
                let value = samples.median(operation, figure.of).map_or_else(|| "-".to_owned(), figure.show);
                print!("{value:>19}");
            }
            for ours in [Kind::KeyroomAwsLc, Kind::KeyroomRustCrypto] {
                let ratio = ratio(samples, operation, figure.of, ours);
                print!("{:>8}", ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")));
            }
            println!();
        }
    }
    for (kind, samples) in Kind::ALL.iter().zip(samples) {
        for operation in &samples.left_out {
            let rest = if *operation == Operation::Join { " and all that follows" } else { "" };
            println!(
                "{}: {}{rest} left out, it would have taken longer than the budget",
                kind.name(),
                operation.name()
            );
        }
    }
}

/// Ours to the best of the peers that were measured.
fn ratio(samples: &[Samples], operation: Operation, of: fn(&Cost) -> f64, ours: Kind) -> Option<f64> {
    let value = |wanted: Kind| {
        let index = Kind::ALL.iter().position(|kind| *kind == wanted)?;
        samples[index].median(operation, of)
    };
    let best = Kind::ALL.into_iter().filter(|kind| kind.is_peer()).filter_map(value).min_by(f64::total_cmp)?;
    Some(value(ours)? / best)
}

pub fn as_json(members: u32, samples: &[Samples]) -> Value {
    let kinds = Kind::ALL.iter().zip(samples).map(|(kind, samples)| {
        let operations = Operation::ALL.iter().map(|operation| {
            let figure = |of: fn(&Cost) -> f64| samples.median(*operation, of);
            (
                operation.name().to_owned(),
                json!({
                    "work_seconds": figure(FIGURES[0].of),
                    "work_and_store_seconds": figure(FIGURES[1].of),
                    "bytes_stored": figure(FIGURES[2].of),
                }),
            )
        });
        (kind.name().to_owned(), Value::Object(operations.collect()))
    });
    json!({ "members": members, "results": Value::Object(kinds.collect()) })
}

fn show_time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

fn show_bytes(bytes: f64) -> String {
    match bytes {
        b if b < 1e4 => format!("{b:.0} B"),
        b if b < 1e7 => format!("{:.1} kB", b / 1e3),
        b => format!("{:.1} MB", b / 1e6),
    }
}
