//! What earlier runs found, so that a run that was stopped goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sites::Kind;
use super::switched::Prepared;
use crate::workspace::Source;

/// Results, by the key of the check. They hold for the sources with this digest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    digest: u64,
    found: BTreeMap<String, Finding>,
    #[serde(skip)]
    file: PathBuf,
}

/// What happened when a check was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// How it was taken out; `None` where no way compiles.
    pub(super) kind: Option<Kind>,
    /// The tests that are named after its rows.
    pub(super) tests: BTreeSet<String>,
    /// Those of them that failed, as they should.
    pub(super) failed: BTreeSet<String>,
    /// Where none of them did: another test that failed.
    pub(super) other: Option<String>,
    /// In how many tests the check refuses.
    pub(super) reached: usize,
}

impl Finding {
    /// Whether no test at all has noticed.
    pub(super) fn survived(&self) -> bool {
        self.failed.is_empty() && self.other.is_none()
    }
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

    /// What is known of a check.
    pub(super) fn get(&self, key: &str) -> Option<&Finding> {
        self.found.get(key)
    }

    /// Remembers a finding, on disk at once.
    pub(super) fn put(&mut self, key: &str, finding: Finding) -> Result<(), String> {
        self.found.insert(key.to_owned(), finding);
        save(&self.file, self)
    }
}

/// Which way of each site compiles. A file that has changed is tried anew.
#[derive(Debug, Default)]
pub(super) struct Ways {
    known: BTreeMap<String, (usize, u64)>,
    digests: BTreeMap<String, u64>,
    file: PathBuf,
}

impl Ways {
    pub(super) fn read(file: &Path, sources: &[Source]) -> Self {
        let digest = |source: &Source| {
            let mut hasher = DefaultHasher::new();
            source.text.hash(&mut hasher);
            (source.path.clone(), hasher.finish())
        };
        let known = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let digests = sources.iter().map(digest).collect();
        Self { known: known.unwrap_or_default(), digests, file: file.to_owned() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn recall(&self, sites: &mut [Prepared]) {
        for prepared in sites {
            let digest = self.digests.get(&prepared.site.path);
            let known = self.known.get(&prepared.site.key);
            prepared.way = known.filter(|(_, of)| digest == Some(of)).map_or(0, |(way, _)| *way);
        }
    }

    pub(super) fn remember(&mut self, sites: &[Prepared]) -> Result<(), String> {
        for prepared in sites {
            let digest = self.digests.get(&prepared.site.path).copied().unwrap_or_default();
            self.known.insert(prepared.site.key.clone(), (prepared.way, digest));
        }
        save(&self.file, &self.known)
    }
}

fn save(file: &Path, value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| format!("{error}\n"))?;
    fs::write(file, text).map_err(|error| format!("{}: {error}\n", file.display()))
}
