//! Running tests with one check taken out.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::build::Executable;

/// How long a file of tests may take. A check that is gone may leave a loop without end.
const LIMIT: Duration = Duration::from_secs(300);

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

    /// The tests with these names, with the check of this number taken out. A test of which nothing
    /// was heard before the end, or before the time was up, has failed.
    pub(super) fn run(
        &self,
        executable: &Executable,
        names: &[&str],
        mutant: Option<usize>,
    ) -> Result<BTreeMap<String, bool>, String> {
        let mut command = Command::new(&executable.file);
        command.args(names).current_dir(&executable.folder).env("KEYROOM_VECTORS", &self.vectors);
        command.env("CARGO_MANIFEST_DIR", &executable.folder).env("RUST_BACKTRACE", "0");
        match mutant {
            Some(number) => command.env("KEYROOM_MUTANT", number.to_string()),
            None => command.env_remove("KEYROOM_MUTANT"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let wrong = |error: std::io::Error| format!("{}: {error}\n", executable.file.display());
        let output = output_in_time(command.spawn().map_err(wrong)?).map_err(wrong)?;
        let heard = results(&output);
        Ok(names.iter().map(|name| ((*name).to_owned(), heard.get(*name).copied().unwrap_or(false))).collect())
    }
}

/// What a process writes until it ends or its time is up.
fn output_in_time(mut child: Child) -> std::io::Result<String> {
    let pipe = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts.
        let _end = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    });
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if begin.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let bytes = reader.join().unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads lines such as `test rows::row_017_x ... ok`; of several tests of one name, all must pass.
fn results(output: &str) -> BTreeMap<String, bool> {
    let mut results = BTreeMap::new();
    for line in output.lines() {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) else {
            continue;
        };
        let name = name.split(" - ").next().unwrap_or(name);
        let name = name.rsplit("::").next().unwrap_or(name).to_owned();
        *results.entry(name).or_insert(true) &= outcome.trim() == "ok";
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_tests_are_read_by_name() {
        let output = "running 3 tests\ntest a::row_001_x ... ok\ntest row_002_y - should panic ... ok\n\
                      test b::row_003_z ... FAILED\ntest c::row_001_x ... FAILED\n\nfailures:\n";
        let expected = [("row_001_x", false), ("row_002_y", true), ("row_003_z", false)];
        assert_eq!(results(output), expected.map(|(name, passed)| (name.to_owned(), passed)).into());
    }
}
