//! The demonstration, as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::process::Command;

#[test]
fn the_demonstration_plays_all_acts_and_every_expectation_holds() {
    let played = Command::new(env!("CARGO_BIN_EXE_keyroom")).arg("demo").output().unwrap();
    let text = String::from_utf8(played.stdout).unwrap();
    let errors = String::from_utf8(played.stderr).unwrap();
    assert!(played.status.success(), "{text}\n{errors}");
    let wanted = [
        "Act 1: Alice opens a room",
        "Act 2: Bob and Charlie come in by Welcome",
        "epoch 1  charlie   Good morning, everyone.",
        "Act 3: Dana comes in by external commit",
        "Act 4: Charlie is removed",
        "no key of the group is left",
        "with our last keys: a peer broke a rule: sender-data",
        "Act 5: Bob replaces his keys",
        "Act 6: Alice is killed between a commit and its answer",
        "epoch 5  alice     Yes. Nothing is lost, and nothing was sent twice.",
        "Summary",
        "bytes on the wire",
    ];
    let mut rest = text.as_str();
    for line in wanted {
        let found = rest.split_once(line);
        rest = found.unwrap_or_else(|| panic!("{line:?} is missing, or not in its place:\n{text}")).1;
    }
    assert!(!text.contains('\x1b'), "colours are for terminals");
    assert_eq!(errors, "", "nothing is to be said on standard error");
}
