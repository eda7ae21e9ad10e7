//! Conversations between processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a test waits for a line.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process whose lines are read as they come. It is killed when it is dropped.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyroom"));
        command.args(arguments).env_remove("KEYROOM_STORE_KEY");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child, input, lines }
    }

    fn chat(server: &str, state: &Path, user: &str, more: &[&str]) -> Self {
        let state = state.join(user);
        let fixed =
            ["chat", "--server", server, "--room", "meeting", "--user", user, "--state", state.to_str().unwrap()];
        Self::start(&[&fixed, more].concat())
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line that contains this text.
    fn sees(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("{text:?} never came; what came: {seen:#?}"),
            }
        }
    }

    /// Ends the input and waits for the end; returns the lines that were left.
    fn ends(mut self) -> Vec<String> {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Path) -> (Process, String) {
    let database = folder.join("server.db");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log", "error", "--database", database.to_str().unwrap()];
    let server = Process::start(&arguments);
    let line = server.sees("listening on ");
    (server, line.trim_start_matches("listening on ").to_owned())
}

#[test]
fn two_talk_and_one_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = serve(folder.path());
    let mut alice = Process::chat(&url, folder.path(), "alice", &[]);
    alice.sees("-- epoch 0: alice/main");
    let mut bob = Process::chat(&url, folder.path(), "bob", &["--wait"]);
    bob.sees("waiting for an invitation");
    alice.say("/invite bob");
    alice.sees("-- epoch 1: alice added bob");
    bob.sees("-- epoch 1: alice/main, bob/main");
    alice.say("Hello, Bob.");
    assert_eq!(bob.sees("Hello"), "alice: Hello, Bob.");
    bob.say("//slash and \u{1b}[31mcolour");
    assert_eq!(alice.sees("slash"), "bob: /slash and \u{fffd}[31mcolour", "nobody steers another's terminal");
    alice.say("/members");
    let code = alice.sees("-- code ");
    bob.say("/members");
    assert_eq!(bob.sees("-- code "), code);
    bob.say("/nonsense");
    bob.sees("there is no /nonsense");
    alice.say("/invite nobody bob");
    alice.sees("-- /invite nobody: ");
    alice.say("/invite Not-A-Name");
    alice.sees("-- /invite Not-A-Name: ");
    alice.say("/remove bob");
    bob.sees("-- alice removed you");
    bob.say("still here?");
    bob.sees("-- not sent: this client was removed from the room");
    alice.say("Last words");
    let rest = alice.ends();
    assert!(rest.contains(&"alice: Last words".to_owned()), "{rest:?}");
}

#[test]
fn one_who_was_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = serve(folder.path());
    let mut alice = Process::chat(&url, folder.path(), "alice", &[]);
    alice.sees("-- epoch 0");
    let mut bob = Process::chat(&url, folder.path(), "bob", &["--join"]);
    bob.sees("-- epoch 1: alice/main, bob/main");
    for number in 1..=3 {
        alice.say(&format!("message {number}"));
        alice.say("/rotate");
        alice.kill();
        bob.say(&format!("answer {number}"));
        alice = Process::chat(&url, folder.path(), "alice", &[]);
        alice.sees(&format!("bob: answer {number}"));
    }
    alice.say("the end");
    bob.sees("alice: the end");
    alice.say("/members");
    let code = alice.sees("-- code ");
    bob.say("/members");
    assert_eq!(bob.sees("-- code "), code);
    bob.say("/history");
    bob.say("/quit");
    let history = bob.ends();
    for number in 1..=3 {
        let count = history.iter().filter(|line| line.contains(&format!("message {number}"))).count();
        // A line that was killed before it was read was never said; none is said twice.
        assert!(count <= 1, "{history:?}");
    }
}

#[test]
fn a_state_serves_one_process_and_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = serve(folder.path());
    let alice = Process::chat(&url, folder.path(), "alice", &[]);
    alice.sees("-- epoch 0");
    let run = |user: &str| {
        let state = folder.path().join("alice");
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyroom"));
        command.args(["chat", "--server", &url, "--room", "meeting", "--user", user, "--state"]).arg(state);
        let ended = command.stdin(Stdio::null()).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, text) = run("alice");
    assert_eq!(code, Some(2));
    assert!(text.contains("in use by another process"), "{text}");
    alice.kill();
    let (code, text) = run("bob");
    assert_eq!(code, Some(1));
    assert!(text.contains("hint: give another folder"), "{text}");
}

#[test]
fn without_a_server_there_is_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyroom"));
    command.args(["chat", "--server", "http://127.0.0.1:1", "--room", "meeting", "--user", "alice", "--state"]);
    let ended = command.arg(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let text = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(text, "error: the server was not reached\nhint: is the server running? keyroom serve starts one\n");
}
