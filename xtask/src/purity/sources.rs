//! The root files of crates, which say whether the standard library is linked.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::tree::Reached;

/// The root file of every crate, by name and version.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<(String, String), String>);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Sources {
    /// The libraries of the workspace in the current folder and of all its dependencies.
    pub(super) fn of_workspace() -> Result<Self, String> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1"])
            .output()
            .map_err(|error| format!("cargo metadata: {error}\n"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}\n"))?;
        let mut sources = Self::default();
        for package in metadata.packages {
            let library = package.targets.iter().find(|target| target.kind.iter().any(|kind| kind.ends_with("lib")));
            if let Some(text) = library.and_then(|target| fs::read_to_string(&target.src_path).ok()) {
                sources.insert(&package.name, &package.version, &text);
            }
        }
        Ok(sources)
    }

    pub(super) fn insert(&mut self, name: &str, version: &str, text: &str) {
        self.0.insert((name.to_owned(), version.to_owned()), text.to_owned());
    }

    /// Why the crate, with its features, may use the standard library, if it may.
    pub(super) fn std_in(&self, reached: &Reached) -> Option<&'static str> {
        let Some(text) = self.0.get(&(reached.name.clone(), reached.version.clone())) else {
            return Some("its source is not found");
        };
        if !declares_no_std(text, &reached.features) {
            return Some("its root file does not declare no_std");
        }
        links_std(text, &reached.features).then_some("it links std in this set of features")
    }
}

fn declares_no_std(text: &str, features: &[String]) -> bool {
    text.lines().map(str::trim).any(|line| {
        let unless = line.starts_with("#![cfg_attr(not(") && line.ends_with("no_std)]");
        line == "#![no_std]" || unless && !names_any(line, features)
    })
}

/// Whether `extern crate std` stands there under no condition, or under one on a feature that is on.
pub(super) fn links_std(text: &str, features: &[String]) -> bool {
    let mut condition = "";
    for line in text.lines().map(str::trim) {
        if line.starts_with("extern crate std") || line.starts_with("pub extern crate std") {
            let for_tests = condition == "#[cfg(test)]" || condition == "#[cfg(any(test, doctest))]";
            let off = condition.contains("feature") && !names_any(condition, features);
            if !for_tests && !off {
                return true;
            }
        }
        if !line.starts_with("#[macro_use]") {
            condition = line;
        }
    }
    false
}

/// Whether the attribute names one of the features.
fn names_any(attribute: &str, features: &[String]) -> bool {
    features.iter().any(|feature| attribute.contains(&format!("\"{feature}\"")))
}
