//! The demonstration, as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::process::Command;

#[test]
fn the_demonstration_plays_all_acts_and_every_expectation_holds() {
    plays(&[], "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (1)");
}

#[test]
fn the_demonstration_plays_in_a_suite_that_aws_lc_lacks() {
    plays(&["--suite", "4"], "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448 (4)");
}

#[test]
fn the_demonstration_plays_in_a_post_quantum_suite() {
    let name = "MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65";
    plays(&["--suite", name], "MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65 (0xf0ba)");
}

#[test]
fn an_unknown_suite_is_refused_with_the_list_of_those_that_there_are() {
    let refused = Command::new(env!("CARGO_BIN_EXE_keyroom")).args(["demo", "--suite", "8"]).output().unwrap();
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{errors}");
    assert!(errors.contains("MLS_256_DHKEMP521_AES256GCM_SHA512_P521 (5)") && refused.stdout.is_empty(), "{errors}");
}

fn plays(arguments: &[&str], suite: &str) {
    let played = Command::new(env!("CARGO_BIN_EXE_keyroom")).arg("demo").args(arguments).output().unwrap();
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
        suite,
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
