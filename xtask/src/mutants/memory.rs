//! What earlier runs found, so that a run that was stopped goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sites::Kind;

/// Results, by the key of the check. They hold for the sources with this digest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    digest: u64,
    found: BTreeMap<String, Finding>,
    #[serde(skip)]
    file: PathBuf,
}

/// What happened when a check was taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// How it was taken out; `None` where no way compiles.
    pub(super) kind: Option<Kind>,
    /// The tests that were run.
    pub(super) tests: BTreeSet<String>,
    /// Those that failed, as they should.
    pub(super) failed: BTreeSet<String>,
}

impl Memory {
    /// An empty one, kept in this file.
    pub(super) fn fresh(file: &Path, digest: u64) -> Self {
        Self { digest, file: file.to_owned(), ..Self::default() }
    }

    /// Reads the file; nothing is remembered from other sources.
    pub(super) fn read(file: &Path, digest: u64) -> Self {
        let known = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = known.filter(|known: &Self| known.digest == digest).unwrap_or_default();
        Self { digest, file: file.to_owned(), ..known }
    }

    /// What is known of a check, if these are the tests that were run.
    pub(super) fn get(&self, key: &str, tests: &BTreeSet<String>) -> Option<&Finding> {
        self.found.get(key).filter(|finding| finding.tests == *tests)
    }

    /// Remembers a finding, on disk at once.
    pub(super) fn put(&mut self, key: &str, finding: Finding) -> Result<(), String> {
        self.found.insert(key.to_owned(), finding);
        let text = serde_json::to_vec_pretty(self).map_err(|error| format!("{error}\n"))?;
        fs::write(&self.file, text).map_err(|error| format!("{}: {error}\n", self.file.display()))
    }
}
