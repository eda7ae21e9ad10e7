//! The program as it is called.
#![allow(clippy::unwrap_used, reason = "test")]

use std::process::{Command, Output};

fn faults(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyroom-faults")).args(arguments).output().unwrap()
}

#[test]
fn what_it_does_not_know_ends_with_status_2_and_says_what_it_knows() {
    for arguments in [["crash", "--engine", "floppy"], ["crash", "--cycles", "many"], ["durability", "--cuts", "-1"]] {
        let output = faults(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{arguments:?}");
    }
}

#[test]
fn it_says_what_it_can_do() {
    let output = faults(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && ["crash", "durability"].iter().all(|test| text.contains(test)), "{text}");
}
