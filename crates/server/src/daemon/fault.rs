//! What is wrong with the settings.

use std::fmt;
use std::io;
use std::path::PathBuf;

use keyroom_server::{SecretFileError, TlsError};

use super::layers::Source;
use super::settings::{Setting, Shape};

/// One thing that is wrong; its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The configuration file cannot be read.
    File { file: PathBuf, kind: io::ErrorKind },
    /// It is not TOML.
    Syntax { file: PathBuf, line: usize },
    /// It sets something that there is not.
    UnknownKey { file: PathBuf, key: String },
    /// It sets something to a list, a table or a date.
    NotPlain { file: PathBuf, key: &'static str },
    /// A variable is not UTF-8.
    NotText { setting: Setting },
    /// A setting has a value that it cannot have.
    Invalid { setting: Setting, source: Source, value: String, expected: &'static str },
    /// A setting is of no use without another.
    Missing { setting: Setting, with: Setting },
    /// The certificate cannot be used.
    Tls(TlsError),
    /// Others can read a secret.
    SecretFile(SecretFileError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, kind } => {
                write!(f, "{} cannot be read ({kind}): give the path of a configuration file", file.display())
            }
            Self::Syntax { file, line } => write!(f, "{}, line {line}: write what TOML takes", file.display()),
            Self::UnknownKey { file, key } => write!(
                f,
                "{}: there is no setting {key}; take it out, or see `keyroomd config check` for all names",
                file.display()
            ),
            Self::NotPlain { file, key } => {
                write!(f, "{}: give {key} a text, a number, true or false", file.display())
            }
            Self::NotText { setting } => write!(f, "write {} in UTF-8", setting.variable()),
            Self::Invalid { setting, source, value, expected } => {
                let name = source.name_of(*setting);
                match setting.shape() {
                    Shape::Secret => write!(f, "give {name} {expected} (its value is not shown)"),
                    Shape::Value | Shape::Switch => write!(f, "give {name} {expected}, not \"{value}\""),
                }
            }
            Self::Missing { setting, with } => {
                write!(f, "give {} too, or take {} away", setting.name(), with.name())
            }
            Self::Tls(error) => error.fmt(f),
            Self::SecretFile(error) => error.fmt(f),
        }
    }
}

impl From<SecretFileError> for Fault {
    fn from(error: SecretFileError) -> Self {
        Self::SecretFile(error)
    }
}
