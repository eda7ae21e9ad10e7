//! Running tests with checks taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::build::Executable;
use super::work::Until;

/// How long a file of tests may take. A check that is gone may leave a loop without end.
const LIMIT: Duration = Duration::from_secs(300);

/// What is done to the program.
#[derive(Clone, Copy)]
pub(super) enum Mode<'a> {
    /// Nothing; this file gets a line for each switch that each test comes by.
    Traced(&'a Path),
    /// The checks of these numbers are taken out.
    Out(&'a [usize], Until),
}

/// Runs tests by their names; `true` for those that pass.
pub(super) struct Runner {
    /// Where the official vectors are, since the copy does not lie where the workspace lies.
    pub(super) vectors: PathBuf,
}

impl Runner {
    /// The vectors that the environment names, or those beside the workspace.
    pub(super) fn new(root: &Path) -> Self {
        let named = std::env::var_os("KEYROOM_VECTORS").map(PathBuf::from);
        Self { vectors: named.unwrap_or_else(|| root.join("../shared/vectors")) }
    }

    /// The full names of the tests that a file holds and that are not ignored.
    pub(super) fn names(executable: &Executable) -> Result<BTreeSet<String>, String> {
        let list = |more: &[&str]| {
            let mut command = Command::new(&executable.file);
            command.args(["--list", "--format=terse"]).args(more).current_dir(&executable.folder);
            let output = command.output().map_err(|error| format!("{}: {error}\n", executable.file.display()))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok::<_, String>(text.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect())
        };
        let (all, ignored): (BTreeSet<String>, BTreeSet<String>) = (list(&[])?, list(&["--ignored"])?);
        Ok(all.difference(&ignored).cloned().collect())
    }

    /// Runs the tests with these full names. One of which nothing was heard before the end, or before
    /// the time was up, has failed.
    pub(super) fn run(
        &self,
        executable: &Executable,
        names: &BTreeSet<&str>,
        mode: Mode<'_>,
    ) -> Result<BTreeMap<String, bool>, String> {
        let mut command = Command::new(&executable.file);
        command.arg("--exact").args(names).current_dir(&executable.folder);
        command.env("KEYROOM_VECTORS", &self.vectors).env("CARGO_MANIFEST_DIR", &executable.folder);
        command.env("RUST_BACKTRACE", "0").env_remove("KEYROOM_MUTANT").env_remove("KEYROOM_MUTANT_TRACE");
        // With one thread, tests would run in the main thread, which has none of their names.
        command.env("RUST_TEST_THREADS", thread::available_parallelism().map_or(2, |it| it.get().max(2)).to_string());
        let until = match mode {
            Mode::Traced(file) => {
                command.env("KEYROOM_MUTANT_TRACE", file);
                Until::AllEnd
            }
            Mode::Out(numbers, until) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                command.env("KEYROOM_MUTANT", numbers.join(","));
                until
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let wrong = |error: std::io::Error| format!("{}: {error}\n", executable.file.display());
        let (mut outcomes, ended) = outcomes(command.spawn().map_err(wrong)?, until).map_err(wrong)?;
        if ended {
            for name in names {
                outcomes.entry((*name).to_owned()).or_insert(false);
            }
        }
        Ok(outcomes)
    }
}

/// What a process says of its tests until it ends, its time is up, or enough was heard; and whether
/// all was heard that will ever be.
fn outcomes(mut child: Child, until: Until) -> std::io::Result<(BTreeMap<String, bool>, bool)> {
    let lines = lines_of(&mut child);
    let begin = Instant::now();
    let mut heard = BTreeMap::new();
    let mut ended = true;
    while let Ok(line) = lines.recv_timeout(LIMIT.saturating_sub(begin.elapsed())) {
        let Some((name, passed)) = outcome(&line) else { continue };
        heard.insert(name, passed);
        if !passed && until == Until::OneFails {
            ended = false;
            break;
        }
    }
    // It has ended already, or is of no use any more.
    let _ended_already = child.kill();
    child.wait()?;
    Ok((heard, ended))
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Reads a line such as `test rows::row_017_x ... ok`.
fn outcome(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let outcome = outcome.trim();
    let name = name.split(" - ").next().unwrap_or(name);
    (!outcome.starts_with("ignored")).then(|| (name.to_owned(), outcome == "ok"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_a_test_is_read_by_its_name() {
        assert_eq!(outcome("test a::row_001_x ... ok"), Some(("a::row_001_x".to_owned(), true)));
        assert_eq!(outcome("test row_002_y - should panic ... ok"), Some(("row_002_y".to_owned(), true)));
        assert_eq!(outcome("test b::row_003_z ... FAILED"), Some(("b::row_003_z".to_owned(), false)));
        assert_eq!(outcome("test b::row_003_z ... ignored"), None);
        assert_eq!(outcome("failures:"), None);
    }
}
