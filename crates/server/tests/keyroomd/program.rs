//! The program as a process, with everything that it says.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time that something may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// `keyroomd` with nothing from the environment of the test.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyroomd"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KEYROOM_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// What it wrote to standard output.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A file of a folder, as an argument.
pub(crate) fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().into()
}

/// Writes a file that only its owner can read.
pub(crate) fn private(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    set_mode(&file, 0o600);
    file.to_str().unwrap().into()
}

pub(crate) fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().unwrap().permissions().mode() & 0o777
}

/// A server that runs.
pub(crate) struct Program {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it at a free port with this database, and waits until it listens.
    pub(crate) fn start(database: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--listen", "127.0.0.1:0", "--host", "example.org", "--database", database];
        all.extend(arguments);
        let mut child = command(&all).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let heard = said.clone();
        thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        let program = Self { child, said };
        program.hears("listening address=");
        program
    }

    /// Waits until a line has this text, and returns it.
    pub(crate) fn hears(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "{text} is not in:\n{said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// All that it has said.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.hears("listening address=").split_once("address=").unwrap().1.trim().into()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it goes on:\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder and a database in it that is not there yet.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> String {
        path(self.path(), "keyroom.db")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}
