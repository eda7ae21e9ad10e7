//! The Rust sources of the workspace as syntax trees.
//!
//! The chores read code with a parser and not with patterns over text: what stands in a comment, a
//! string or a pattern of a `match` is not code that returns an error, and a file that no `mod`
//! names is no part of the program. Files are therefore found as the compiler finds them, from the
//! roots that cargo knows.

mod modules;
mod names;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

pub(crate) use self::names::{Aliases, Mentions, Name, attributes_say, is_conditional, is_ignored, is_test_only};

/// One file of one target.
pub(crate) struct Source {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) target: Target,
    /// Whether all of it is compiled for tests only.
    pub(crate) for_tests: bool,
    /// Whether it is compiled only where some condition holds, apart from that of tests.
    pub(crate) conditional: bool,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

/// What a file is compiled into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) package: String,
    /// `lib`, `bin`, `test`, `bench`, `example`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Source {
    /// A file of its own, for tests of the chores.
    #[cfg(test)]
    pub(crate) fn of_text(path: &str, text: &str) -> Self {
        let kind = if path.contains("/tests/") { "test" } else { "lib" };
        let package = path.split('/').nth(1).map_or("here", |folder| folder);
        Self {
            path: path.to_owned(),
            target: Target { package: format!("keyroom-{package}"), kind: kind.to_owned(), name: "rows".to_owned() },
            for_tests: kind == "test",
            conditional: false,
            text: text.to_owned(),
            syntax: syn::parse_file(text).unwrap(),
        }
    }
}

/// The root folder of the workspace that the current folder belongs to.
pub(crate) fn root() -> Result<PathBuf, String> {
    Ok(metadata()?.workspace_root)
}

/// Where cargo puts what it makes.
pub(crate) fn target_folder() -> Result<PathBuf, String> {
    Ok(metadata()?.target_directory)
}

/// Every file of every target of the workspace, each path once.
pub(crate) fn sources() -> Result<Vec<Source>, String> {
    let metadata = metadata()?;
    let mut sources: Vec<Source> = Vec::new();
    for package in metadata.packages {
        for target in package.targets {
            let kind = target.kind.first().map_or("", |kind| kind.as_str());
            if kind == "custom-build" {
                continue;
            }
            let of = Target { package: package.name.clone(), kind: kind.to_owned(), name: target.name };
            for source in modules::of_root(&metadata.workspace_root, &target.src_path, &of)? {
                if sources.iter().all(|known| known.path != source.path) {
                    sources.push(source);
                }
            }
        }
    }
    Ok(sources)
}

fn metadata() -> Result<Metadata, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}\n"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}\n"))
}

/// Reads a file of the workspace.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}\n", path.display()))
}
