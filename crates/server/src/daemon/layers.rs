//! Where values come from: flags, the environment, the file, defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::settings::{Setting, Shape};

/// Who has set a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(PathBuf),
    Environment,
    Flag,
}

impl Source {
    /// What a setting is called there.
    pub(super) fn name_of(&self, setting: Setting) -> String {
        match self {
            Self::Default => setting.name().into(),
            Self::File(file) => format!("{} in {}", setting.name(), file.display()),
            Self::Environment => setting.variable(),
            Self::Flag => format!("--{}", setting.flag()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file) => file.display().fmt(f),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// The text of a setting, and who has set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) source: Source,
}

impl Given {
    /// Whether there may be a password in it.
    pub(super) fn holds_password(&self, setting: Setting) -> bool {
        setting.shape() == Shape::Secret && (self.text.contains('@') || self.text.contains("password"))
    }
}

/// What each setting is, as text.
#[derive(Debug)]
pub(super) struct Values {
    given: BTreeMap<Setting, Given>,
    file: Option<PathBuf>,
}

impl Values {
    /// Reads all layers. What is wrong with one is told beside the rest.
    pub(super) fn read(
        file: Option<PathBuf>,
        flags: &BTreeMap<Setting, String>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut given = BTreeMap::new();
        if let Some(file) = &file {
            match read_file(file) {
                Ok(table) => take_table(file, "", &table, &mut given, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        for &setting in Setting::ALL {
            match environment(&setting.variable()).map(OsString::into_string) {
                Some(Ok(text)) => {
                    given.insert(setting, Given { text, source: Source::Environment });
                }
                Some(Err(_)) => faults.push(Fault::NotText { setting }),
                None => {}
            }
        }
        let flags = flags.iter().map(|(setting, text)| (*setting, Given { text: text.clone(), source: Source::Flag }));
        given.extend(flags);
        (Self { given, file }, faults)
    }

    /// What a setting is.
    pub(super) fn value(&self, setting: Setting) -> Given {
        let default = || Given { text: setting.default().into(), source: Source::Default };
        self.given.get(&setting).cloned().unwrap_or_else(default)
    }

    /// The configuration file, if it holds a password that counts.
    pub(super) fn secret_file(&self) -> Option<&Path> {
        let file = self.file.as_deref()?;
        let secret = |(setting, given): (&Setting, &Given)| {
            given.source == Source::File(file.to_owned()) && given.holds_password(*setting)
        };
        self.given.iter().any(secret).then_some(file)
    }
}

fn read_file(file: &Path) -> Result<toml::Table, Fault> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Fault::File { file: file.to_owned(), kind: error.kind() })?;
    text.parse().map_err(|error: toml::de::Error| {
        // The library's own words may quote a password.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        Fault::Syntax { file: file.to_owned(), line: before.matches('\n').count().saturating_add(1) }
    })
}

/// Takes the settings from a table of the file; tables stand one deep.
fn take_table(
    file: &Path,
    within: &str,
    table: &toml::Table,
    given: &mut BTreeMap<Setting, Given>,
    faults: &mut Vec<Fault>,
) {
    for (key, value) in table {
        let name = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        let is_table = |setting: &Setting| setting.table() == Some(key);
        match (value, Setting::named(&name)) {
            (toml::Value::Table(inner), None) if within.is_empty() && Setting::ALL.iter().any(is_table) => {
                take_table(file, key, inner, given, faults);
            }
            (_, None) => faults.push(Fault::UnknownKey { file: file.to_owned(), key: name }),
            (value, Some(setting)) => match plain(value) {
                Some(text) => {
                    given.insert(setting, Given { text, source: Source::File(file.to_owned()) });
                }
                None => faults.push(Fault::NotPlain { file: file.to_owned(), key: setting.name() }),
            },
        }
    }
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, flags: &[(Setting, &str)], environment: &[(&str, &str)]) -> (Values, Vec<Fault>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyroomd.toml");
        std::fs::write(&file, text).unwrap();
        let flags = flags.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect();
        let variable = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, text)| text.into());
        Values::read(Some(file), &flags, variable)
    }

    #[test]
    fn a_flag_beats_the_environment_that_beats_the_file_that_beats_the_default() {
        let text = "listen = '10.0.0.1:1'\nhost = 'file.example'\npoll = 7\n[limits]\nbody = '2 MiB'";
        let flags = [(Setting::Listen, "10.0.0.3:3")];
        let environment = [("KEYROOM_LISTEN", "10.0.0.2:2"), ("KEYROOM_HOST", "variable.example")];
        let (values, faults) = read(text, &flags, &environment);
        assert_eq!(faults, []);
        let value = |setting| (values.value(setting).text, values.value(setting).source.to_string());
        assert_eq!(value(Setting::Listen), ("10.0.0.3:3".into(), "flag".into()));
        assert_eq!(value(Setting::Host), ("variable.example".into(), "environment".into()));
        assert_eq!(value(Setting::Poll).0, "7");
        assert!(value(Setting::Body).1.ends_with("keyroomd.toml"));
        assert_eq!(value(Setting::Log), ("info".into(), "default".into()));
    }

    #[test]
    fn what_the_file_should_not_hold_is_told_by_name_and_the_rest_is_read() {
        let text = "listne = 1\nhost = ['a']\npoll = 7\n[limits]\nbodi = 1\n[other]\nx = 1\n[limits.body]\ny = 2";
        let (values, faults) = read(text, &[], &[]);
        let mut told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        told.sort_unstable();
        let names = ["give host", "give limits.body", "limits.bodi", "listne", "setting other;"];
        assert_eq!(told.len(), names.len(), "{told:?}");
        for name in names {
            assert!(told.iter().any(|told| told.contains(name)), "{name}: {told:?}");
        }
        assert_eq!(values.value(Setting::Poll).text, "7");
    }

    #[test]
    fn a_file_that_is_not_toml_is_told_by_its_line_without_its_words() {
        let (_, faults) = read("listen = '127.0.0.1:1'\ndatabase = 'postgres://a:hunter2@b/c\n", &[], &[]);
        let [Fault::Syntax { line: 2, .. }] = faults.as_slice() else { panic!("{faults:?}") };
        assert!(!faults[0].to_string().contains("hunter2"));
    }

    #[test]
    fn the_file_is_secret_when_a_password_in_it_counts() {
        let text = "database = 'postgres://a:hunter2@b/c'";
        assert!(read(text, &[], &[]).0.secret_file().is_some());
        assert!(read(text, &[], &[("KEYROOM_DATABASE", "x.db")]).0.secret_file().is_none());
        assert!(read("database = 'x.db'", &[], &[]).0.secret_file().is_none());
    }
}
