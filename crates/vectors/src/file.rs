use std::env;
use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

/// Where the file with this path below the vectors folder is, or `None` if there is no such folder.
///
/// # Panics
/// If the file is absent and `KEYROOM_REQUIRE=1`.
pub fn locate(path: &str) -> Option<PathBuf> {
    let file = folder().join(path);
    if file.is_file() {
        return Some(file);
    }
    let required = env::var("KEYROOM_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!required, "{} is absent and KEYROOM_REQUIRE=1", file.display());
    skipped(&file.display().to_string());
    None
}

/// Reads a JSON file of the vectors folder. `None` means: skip the test; a line on standard error
/// has said so.
///
/// # Panics
/// If the file is absent and `KEYROOM_REQUIRE=1`, or does not have the form of `T`.
pub fn load<T: DeserializeOwned>(path: &str) -> Option<T> {
    let text = fs::read(locate(path)?).expect("vector file is readable");
    Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn folder() -> PathBuf {
    let beside_workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    env::var_os("KEYROOM_VECTORS").map_or_else(|| PathBuf::from(beside_workspace), PathBuf::from)
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn skipped(file: &str) {
    eprintln!("SKIPPED: {file} is absent. Set KEYROOM_VECTORS to the folder with the public test vectors.");
}
