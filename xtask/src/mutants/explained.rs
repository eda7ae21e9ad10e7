//! `conformance/survivors.toml`: what no test can see, and why that is no gap.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::workspace::read;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explained {
    /// Checks, by key.
    #[serde(default)]
    check: Vec<Entry>,
    /// Calls, by key.
    #[serde(default)]
    call: Vec<Entry>,
    /// Mutants of cargo-mutants, as it names them but without line and column.
    #[serde(default)]
    body: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// What stands before or behind it: with these out as well, a test must fail.
    #[serde(default)]
    with: Vec<String>,
    reason: String,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Checks,
    Calls,
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
        let entries: Vec<&Entry> = explained.check.iter().chain(&explained.call).chain(&explained.body).collect();
        if let Some(entry) = entries.iter().find(|entry| entry.reason.trim().is_empty()) {
            return Err(wrong(format!("{} has no reason", entry.name)));
        }
        let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.name).collect();
        if names.len() < entries.len() {
            return Err(wrong("something is explained twice".to_owned()));
        }
        Ok(explained)
    }

    fn entries(&self, which: Which) -> &[Entry] {
        match which {
            Which::Checks => &self.check,
            Which::Calls => &self.call,
            Which::Bodies => &self.body,
        }
    }

    pub(super) fn names(&self, which: Which) -> BTreeSet<&str> {
        self.entries(which).iter().map(|entry| &*entry.name).collect()
    }

    /// With what each has to be taken out so that a test fails.
    pub(super) fn companions(&self) -> BTreeMap<&str, &[String]> {
        let with = self.check.iter().chain(&self.call).filter(|entry| !entry.with.is_empty());
        with.map(|entry| (&*entry.name, &*entry.with)).collect()
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
        assert!(explained.companions().is_empty());
        assert!(Explained::parse(&list(" ")).is_err());
        assert!(Explained::parse(&list("so").repeat(2)).is_err());
    }

    #[test]
    fn what_stands_behind_a_check_is_named() {
        let text = "[[check]]\nname = \"a\"\nwith = [\"b\"]\nreason = \"b says the same\"\n";
        let explained = Explained::parse(text).unwrap();
        assert_eq!(explained.companions()["a"], ["b"]);
    }
}
