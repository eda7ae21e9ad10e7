//! What both servers have in common: a folder, a port, a process that must not outlive us.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder with a shell that waits beside it: when this process ends, however it does,
/// the shell reads the end of its input, kills the process in the pid file and removes the folder.
#[derive(Debug)]
pub(crate) struct Guarded {
    folder: PathBuf,
    guard: Child,
}

impl Guarded {
    /// A new folder; the first line of `pid_file` in it names the process to end.
    pub(crate) fn new(pid_file: &str) -> Self {
        let folder = TempDir::with_prefix("keyroom-").unwrap().keep();
        let script = "read -r _; pid=$(head -n 1 \"$2\" 2>/dev/null); \
            if [ -n \"$pid\" ] && kill -QUIT \"$pid\" 2>/dev/null; then \
            n=0; while kill -0 \"$pid\" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done; fi; \
            rm -rf \"$1\"";
        let guard = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&folder)
            .arg(folder.join(pid_file))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, guard }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens on the port, or until the process has ended: then `false`.
pub(crate) fn listens(port: u16, child: &mut Child) -> bool {
    wait_until("it listens", || {
        if child.try_wait().unwrap().is_some() {
            return Some(false);
        }
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true)
    })
}

/// Asks until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited too long until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The first of these folders, or of the search path, that holds a program.
pub(crate) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let searched = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.iter().cloned().chain(searched).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Who runs this process, by the file that it made.
pub(crate) fn own_user(own_file: &Path) -> u32 {
    fs::metadata(own_file).unwrap().uid()
}

/// Runs a command to its end and returns what it printed.
///
/// # Panics
/// If it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
