//! The load generator, as a user runs it, with little load.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::process::{Command, Output};

use keyroom_testbed::PostgresProgram;
use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyroom")).args(["bench", "server"]).args(arguments).output().unwrap()
}

#[test]
fn every_measure_prints_plausible_figures_of_a_server_that_writes_durably() {
    let run = bench(&["--engine", "sqlite", "--scale", "100", "--seconds", "0.4", "--json"]);
    let errors = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["engines"][0]["settings"], "synchronous=FULL, journal_mode=WAL");
    let value = |name: &str| {
        let line =
            report["lines"].as_array().unwrap().iter().find(|line| line["name"].as_str().unwrap().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing: {report:#}"));
        assert_eq!(line["engine"], "sqlite");
        line["value"].as_f64().unwrap()
    };
    // Each took at least one, and no machine takes a million in a second.
    for rate in
        ["commits accepted, one hot group", "commits accepted, many groups", "messages accepted", "key packages"]
    {
        assert!((1.0..1e6).contains(&value(rate)), "{rate}: {}", value(rate));
    }
    let (median, slow) = (value("delivery to 1,000 subscribers, p50"), value("delivery to 1,000 subscribers, p99"));
    assert!(median > 0.0 && median <= slow && slow < 30_000.0, "{median} {slow}");
    assert!((0.0..400.0).contains(&value("memory")), "{}", value("memory"));
    assert_eq!(report["lines"].as_array().unwrap().len(), 7);
}

#[test]
fn one_measure_can_be_chosen_and_is_printed_as_a_table() {
    let run = bench(&["--engine", "sqlite", "--only", "claims", "--scale", "100", "--seconds", "0.1", "--markdown"]);
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{text}{}", String::from_utf8_lossy(&run.stderr));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert!(rows[1].starts_with("| key packages claimed, contended | sqlite | "), "{text}");
    assert!(text.contains("which says nothing about targets"), "{text}");
}

#[test]
fn messages_on_postgresql_are_held_to_what_pgbench_reaches_there() {
    let run = bench(&["--engine", "postgres", "--only", "messages", "--scale", "100", "--seconds", "0.3", "--json"]);
    let errors = String::from_utf8(run.stderr).unwrap();
    if PostgresProgram::Server.path().is_none() {
        assert!(!std::env::var("KEYROOM_REQUIRE").is_ok_and(|value| value == "1"), "{errors}");
        assert!(run.status.code() == Some(2) && errors.contains("postgres is not installed"), "{errors}");
        return;
    }
    assert!(run.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["engines"][0]["settings"], "synchronous_commit=on, fsync=on, full_page_writes=on");
    let accepted = &report["lines"][0];
    assert_eq!(
        (&accepted["name"], &accepted["engine"]),
        (&"messages accepted, many groups".into(), &"postgres".into())
    );
    assert!((1.0..1e6).contains(&accepted["value"].as_f64().unwrap()), "{report:#}");
    if PostgresProgram::Pgbench.path().is_none() {
        assert_eq!((&accepted["target"], &accepted["met"]), (&"unknown".into(), &Value::Null));
        return;
    }
    let alone = report["lines"][1]["value"].as_f64().unwrap();
    assert!((1.0..1e6).contains(&alone), "{report:#}");
    assert!((accepted["target"]["at_least"].as_f64().unwrap() / alone - 0.4).abs() < 1e-6, "{report:#}");
    assert!(accepted["met"].is_boolean());
}

#[test]
fn a_share_of_the_load_is_not_judged() {
    let run = bench(&["--check", "--scale", "10"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8(run.stderr).unwrap().contains("--check"));
}
