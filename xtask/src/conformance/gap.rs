use std::fmt;

use super::{MOST_APPLICATION, TABLE};
use crate::workspace::Name;

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// No row has this number.
    NoRow(u16),
    /// Two rows have this number, or it is beyond the last.
    StrangeNumber(u16),
    /// Nobody has decided the row.
    Open(u16),
    /// The row's decision asks for a field that is not there, or the field is not of its form.
    Field { row: u16, field: &'static str, why: &'static str },
    /// No test that runs is named after the row.
    Untested(u16),
    /// A test is named after a row that does not exist.
    StrangeTest { test: String },
    /// A test named after a row is marked `#[ignore]`.
    Ignored { test: String },
    /// A test named after a row is compiled only where some condition holds.
    Conditional { test: String },
    /// No test of the row touches any of the code that the row names.
    NotTouched(u16),
    /// A row or the list of what lies beyond names a variant that does not exist.
    NoSuchVariant { by: String, name: Name },
    /// No code makes the variant.
    NeverMade { name: Name },
    /// No test of the row names the variant.
    NotNamedByTest { row: u16, name: Name },
    /// A test of the row names a variant that the row does not list.
    NotListed { row: u16, name: Name },
    /// The row lists a variant as one that its tests name besides, and they do not, or it is its own.
    NotBeside { row: u16, name: Name },
    /// The code or hook that a row names does not exist.
    NoSuchCode { row: u16, code: String },
    /// No row names the variant, and `beyond.toml` does not either.
    Unlisted { name: Name },
    /// Both a row and `beyond.toml` name the variant.
    ListedTwice { name: Name },
    /// The test that `beyond.toml` names does not exist or does not name the variant.
    BeyondTest { name: Name, test: String },
    /// More rows than allowed are left to the application.
    TooManyApplication(usize),
    /// The generated page is not what would be written.
    StalePage,
    /// `docs/security.md` names something that does not exist.
    Security { line: usize, what: String },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRow(number) => write!(f, "row {number} is missing"),
            Self::StrangeNumber(number) => write!(f, "row {number} is there twice or is none of the checklist"),
            Self::Open(number) => write!(f, "row {number} is open"),
            Self::Field { row, field, why } => write!(f, "row {row}: {field} {why}"),
            Self::Untested(number) => write!(f, "row {number}: no test is named row_{number:03}_…"),
            Self::StrangeTest { test } => write!(f, "{test}: there is no such row"),
            Self::Ignored { test } => write!(f, "{test}: the test is ignored"),
            Self::Conditional { test } => write!(f, "{test}: the test stands under a cfg other than test"),
            Self::NotTouched(row) => write!(f, "row {row}: no test of the row touches the code that it names"),
            Self::NoSuchVariant { by, name } => write!(f, "{by}: {name} does not exist"),
            Self::NeverMade { name } => write!(f, "{name}: no code returns it"),
            Self::NotNamedByTest { row, name } => write!(f, "row {row}: no test of the row names {name}"),
            Self::NotListed { row, name } => write!(f, "row {row}: a test names {name}, which the row does not"),
            Self::NotBeside { row, name } => write!(f, "row {row}: {name} is not what its tests name besides"),
            Self::NoSuchCode { row, code } => write!(f, "row {row}: {code} does not exist"),
            Self::Unlisted { name } => write!(f, "{name}: neither a row nor beyond.toml names it"),
            Self::ListedTwice { name } => write!(f, "{name}: a row and beyond.toml name it"),
            Self::BeyondTest { name, test } => write!(f, "beyond.toml: {test} is no test that names {name}"),
            Self::TooManyApplication(count) => {
                write!(f, "{count} rows are left to the application; at most {MOST_APPLICATION} may be")
            }
            Self::StalePage => write!(f, "{TABLE} is not up to date: run cargo xtask conformance --write"),
            Self::Security { line, what } => write!(f, "docs/security.md:{line}: {what}"),
        }
    }
}
