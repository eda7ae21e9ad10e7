//! `conformance/survivors.toml`: what no test can see, and why that is no gap.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::workspace::read;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explained {
    /// Checks, by key.
    #[serde(default)]
    check: Vec<Entry>,
    /// Mutants of cargo-mutants, as it names them but without line and column.
    #[serde(default)]
    body: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    reason: String,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Checks,
    Bodies,
}

impl Explained {
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let text = read(&root.join("conformance/survivors.toml"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("conformance/survivors.toml: {why}\n");
        let explained: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let entries = explained.check.iter().chain(&explained.body);
        match entries.into_iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(wrong(format!("{} has no reason", entry.name))),
            None => Ok(explained),
        }
    }

    pub(super) fn names(&self, which: Which) -> BTreeSet<&str> {
        let entries = match which {
            Which::Checks => &self.check,
            Which::Bodies => &self.body,
        };
        entries.iter().map(|entry| &*entry.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_needs_a_reason() {
        let list = |reason: &str| format!("[[check]]\nname = \"a.rs::f Rule::A 1\"\nreason = \"{reason}\"\n");
        let explained = Explained::parse(&list("two checks stand in a row")).unwrap();
        assert!(explained.names(Which::Checks).contains("a.rs::f Rule::A 1"));
        assert!(explained.names(Which::Bodies).is_empty());
        assert!(Explained::parse(&list(" ")).is_err());
    }
}
