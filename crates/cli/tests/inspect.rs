#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

//! Transcripts of `keyroom inspect`: each file in `tests/inspect` is a call with all that it prints.
//!
//! `KEYROOM_BLESS=1 cargo test -p keyroom-cli --test inspect` writes them anew.

mod messages;

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use messages::message;

fn keyroom(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyroom"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyroom starts");
    // A call that fails early does not read its input.
    let _unread = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Compares a call with its transcript.
fn assert_transcript(name: &str, arguments: &[&str], input: (&str, &[u8])) {
    let output = keyroom(arguments, input.1);
    let mut text = format!("$ keyroom {} < {}\n", arguments.join(" "), input.0);
    text += &String::from_utf8(output.stdout).unwrap();
    text += "-- standard error\n";
    text += &String::from_utf8(output.stderr).unwrap();
    text = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    text += &format!("-- exit status {}\n", output.status.code().unwrap());
    let path = transcripts().join(name).with_extension("txt");
    if env::var_os("KEYROOM_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} is no longer as in {}:\n{text}", path.display());
}

fn transcripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspect")
}

fn transcript(name: &str, arguments: &[&str], kind: &str) {
    assert_transcript(name, &[&["inspect", "-"], arguments].concat(), (kind, &message(kind)));
}

#[test]
fn messages_are_shown_with_every_field() {
    transcript("key-package", &[], "key-package");
    transcript("group-info", &[], "group-info");
    transcript("commit", &[], "commit");
    transcript("welcome-full", &["--full"], "welcome");
    transcript("private-message", &[], "private-message");
}

#[test]
fn json_keeps_the_order_of_the_fields() {
    transcript("key-package-json", &["--json"], "key-package");
    transcript("tree-json", &["--json", "--as", "ratchet-tree"], "tree");
}

#[test]
fn bare_structs_are_shown_when_asked_for() {
    transcript("tree", &["--as", "ratchet-tree"], "tree");
}

#[test]
fn malformed_bytes_are_shown_where_they_are_malformed() {
    let whole = message("key-package");
    let cut = &whole[..100];
    assert_transcript("cut-off", &["inspect", "-"], ("key-package, 100 bytes of it", cut));
    let longer = [&whole[..], &[0, 0, 0]].concat();
    assert_transcript("trailing", &["inspect", "-"], ("key-package and three bytes", &longer));
    let mut wide = whole[..8].to_vec();
    wide.extend([0x40, 32]);
    wide.extend(&whole[9..]);
    assert_transcript("not-minimal", &["inspect", "-"], ("key-package with a wide length", &wide));
    let mut version = whole;
    version[1] = 9;
    assert_transcript("version", &["inspect", "-"], ("key-package of version 9", &version));
    assert_transcript("empty", &["inspect", "-"], ("nothing", b""));
    assert_transcript("half-a-byte", &["inspect", "-"], ("000", b"000"));
}

#[test]
fn a_whole_struct_under_the_wrong_name_is_recognised() {
    transcript("tree-as-message", &[], "tree");
    transcript("message-as-tree", &["--as", "ratchet-tree"], "key-package");
}

#[test]
fn a_known_extension_that_does_not_parse_is_reported() {
    transcript("bad-extension", &[], "bad-extension");
}

#[test]
fn a_message_cannot_steer_the_terminal() {
    let output = keyroom(&["inspect", "-", "--full", "--as", "credential"], &message("hostile-credential"));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
}

#[test]
fn hex_base64_and_binary_give_the_same_output() {
    let bytes = message("welcome");
    let expected = keyroom(&["inspect", "-"], &bytes).stdout;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X} ")).collect();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| [line, b"\n"].concat()).collect();
    for text in [hex.as_bytes(), &lines.concat()] {
        assert_eq!(keyroom(&["inspect", "-"], text).stdout, expected);
    }
    let file = env::temp_dir().join(format!("keyroom-inspect-{}", std::process::id()));
    fs::write(&file, &bytes).unwrap();
    let output = keyroom(&["inspect", file.to_str().unwrap()], b"");
    fs::remove_file(&file).unwrap();
    assert_eq!(output.stdout, expected);
}

#[test]
fn the_status_tells_bad_data_from_a_bad_call() {
    let status = |arguments: &[&str], input: &[u8]| keyroom(arguments, input).status.code();
    assert_eq!(status(&["inspect", "-"], &message("welcome")), Some(0));
    assert_eq!(status(&["inspect", "-"], b"no message"), Some(1));
    assert_eq!(status(&["inspect", "-", "--encoding", "hex"], b"no hex"), Some(1));
    assert_eq!(status(&["inspect"], b""), Some(2));
    assert_eq!(status(&["inspect", "-", "--as", "nonsense"], b""), Some(2));
    assert_eq!(status(&["inspect", "/nonexistent/message"], b""), Some(2));
    assert_eq!(status(&["inspect", "-", "--max-bytes", "10"], &message("welcome")), Some(2));
    assert_eq!(status(&["inspect", "-", "--max-bytes", "10"], &[b' '; 100]), Some(2));
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyroom"))
        .args(["inspect", "-", "--as", "ratchet-tree"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(&message("tree")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
