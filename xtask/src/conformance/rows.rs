//! The rows as `conformance/*.toml` has them.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::workspace::read;

/// All sections, in order, and what lies beyond the rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) sections: Vec<Section>,
    pub(crate) beyond: Vec<Beyond>,
}

/// A file of rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    /// The letter that the file's name begins with.
    #[serde(skip)]
    pub(crate) letter: String,
    pub(crate) title: String,
    #[serde(default, rename = "row")]
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) number: u16,
    pub(crate) section: String,
    pub(crate) level: String,
    pub(crate) rule: String,
    pub(crate) decision: Decision,
    #[serde(default)]
    pub(crate) refused_with: Listed,
    /// Errors that its tests name besides: what a neighbour of the breach ends in.
    #[serde(default)]
    pub(crate) beside: Listed,
    #[serde(default)]
    pub(crate) code: Listed,
    #[serde(default)]
    pub(crate) hook: Listed,
    #[serde(default)]
    pub(crate) note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Enforced,
    Behaviour,
    Application,
    Open,
}

/// One string, or a list of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum Listed {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Listed {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, many): (Option<&str>, &[String]) = match self {
            Self::None => (None, &[]),
            Self::One(one) => (Some(one.as_str()), &[]),
            Self::Many(many) => (None, many),
        };
        one.into_iter().chain(many.iter().map(String::as_str)).filter(|text| !text.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// A variant that no row asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beyond {
    pub(crate) name: String,
    /// The test that shows it, as `path.rs::name`.
    pub(crate) test: String,
    /// Why there is such a variant.
    pub(crate) note: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeyondFile {
    #[serde(default)]
    variant: Vec<Beyond>,
}

impl Rows {
    /// Reads every file of the folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let listed = fs::read_dir(folder).map_err(|error| format!("{}: {error}\n", folder.display()))?;
        let mut files: Vec<_> = listed.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let mut rows = Self::default();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            rows.add(&name, &read(&file)?)?;
        }
        Ok(rows)
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), String> {
        let wrong = |error: toml::de::Error| format!("conformance/{name}: {error}\n");
        if name == "beyond.toml" {
            self.beyond = toml::from_str::<BeyondFile>(text).map_err(wrong)?.variant;
            return Ok(());
        }
        // The list of checks that no test can see belongs to another chore.
        if name == "survivors.toml" {
            return Ok(());
        }
        let letter = name.chars().next().unwrap_or_default().to_uppercase().to_string();
        let section: Section = toml::from_str(text).map_err(wrong)?;
        self.sections.push(Section { letter, ..section });
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }
}
