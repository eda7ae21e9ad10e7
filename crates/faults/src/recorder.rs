//! Runs programs under `strace`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::trace::{CALLS, Call, read};

/// What `strace` does to each synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    /// Each begins two milliseconds late, so that an answer that does not wait for it comes first.
    Late,
    /// One of three is not carried out, while the program hears that it was: a disk that lies.
    Missing,
}

impl Syncs {
    fn injection(self) -> &'static str {
        match self {
            Self::Late => "inject=fsync,fdatasync:delay_enter=2000",
            Self::Missing => "inject=fsync,fdatasync:retval=0:when=12+3",
        }
    }
}

/// A trace that is being written.
pub(crate) struct Recorder {
    folder: TempDir,
    syncs: Syncs,
}

impl Recorder {
    /// `None` where `strace` is not installed.
    ///
    /// # Panics
    /// If it is not, and `KEYROOM_REQUIRE=1`.
    pub(crate) fn new(syncs: Syncs) -> Option<Self> {
        let version = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if version.is_err() {
            let required = std::env::var("KEYROOM_REQUIRE").is_ok_and(|value| value == "1");
            assert!(!required, "strace is not installed and KEYROOM_REQUIRE=1");
            eprintln!("skipped: strace is not installed");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), syncs })
    }

    /// A command that runs a program, to which arguments are still to be added, and records all that it
    /// does.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = self.strace();
        command.arg("--seccomp-bpf").arg("--").arg(program);
        command
    }

    /// Records what these processes do from now on, and all that they start.
    ///
    /// # Panics
    /// If it may not.
    pub(crate) fn attach(&self, processes: &[u32]) -> Attached {
        let mut command = self.strace();
        command.args(processes.iter().flat_map(|process| ["-p".to_owned(), process.to_string()]));
        let mut strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(strace.stderr.take().unwrap());
        let mut missing = processes.to_vec();
        while !missing.is_empty() {
            let mut line = String::new();
            errors.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "strace has ended");
            let attached = |process: &u32| line.contains(&format!("Process {process} attached"));
            // One that served a single request may have ended meanwhile.
            let gone = |process: &u32| line.contains(&format!(", {process})")) && has_ended(*process);
            let before = missing.len();
            missing.retain(|process| !attached(process) && !gone(process));
            let known = missing.len() < before || line.contains(" attached");
            assert!(known, "strace may not follow a server: {line}");
        }
        thread::spawn(move || errors.read_to_end(&mut Vec::new()));
        Attached(strace)
    }

    /// What was recorded.
    pub(crate) fn calls(&self) -> Vec<Call> {
        read(BufReader::with_capacity(1 << 20, File::open(self.file()).unwrap()))
    }

    fn strace(&self) -> Command {
        let mut command = Command::new("strace");
        // Threads and children, what stands behind descriptors, strings in full and as numbers.
        command.args(["-f", "-y", "-xx", "-s", "4194304", "-e", &format!("trace={CALLS}")]);
        command.args(["-e", "signal=none", "-e", self.syncs.injection(), "-o"]).arg(self.file());
        command
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("trace")
    }
}

/// `strace` beside the processes that it follows.
pub(crate) struct Attached(Child);

impl Attached {
    /// Leaves them alone.
    pub(crate) fn detach(mut self) {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        self.0.wait().unwrap();
    }
}

/// The process that `strace` has started.
pub(crate) fn child(strace: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Whether a process ends within a moment.
fn has_ended(process: u32) -> bool {
    (0..100).any(|_| {
        let there = Path::new(&format!("/proc/{process}")).exists();
        if there {
            thread::sleep(Duration::from_millis(20));
        }
        !there
    })
}
