//! Do the rows of `conformance/`, the error variants of the protocol crates and the tests fit
//! together? Every row must be decided and tested, every variant made somewhere and named by a row
//! or by `beyond.toml`, every test that a row relies on must name the variants. `docs/conformance.md`
//! is the table that follows from it, and `docs/security.md` may only name what exists.

mod check;
mod gap;
mod rows;
mod security;
mod table;

use std::fs;
use std::path::Path;

use self::check::Checked;
use self::gap::Gap;
use crate::index::Index;
use crate::workspace;

pub(crate) use self::check::row_of;
pub(crate) use self::rows::{Decision, Row, Rows};

/// How many rows the checklist has.
const ROWS: u16 = 240;
/// How many of them may be left to the application.
const MOST_APPLICATION: usize = 20;
/// What is generated.
const TABLE: &str = "docs/conformance.md";

/// Whether the generated page is written or held against what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Compare,
    Write,
}

/// Checks the workspace in the current folder; the text says what was counted and every gap.
pub(crate) fn run(arguments: &[String]) -> Result<String, String> {
    let page = match arguments {
        [] => Page::Compare,
        [only] if only == "--write" => Page::Write,
        _ => return Err("usage: cargo xtask conformance [--write]\n".to_owned()),
    };
    let root = workspace::root()?;
    let rows = Rows::read(&root.join("conformance"))?;
    let index = Index::new(&workspace::sources()?);
    let checked = check::check(&rows, &index);
    let mut gaps = checked.gaps.clone();
    gaps.extend(compare(&root, &table::render(&rows, &checked, &index), page)?);
    gaps.extend(security::check(&root, &index)?);
    report(&checked, &gaps)
}

fn compare(root: &Path, table: &str, page: Page) -> Result<Option<Gap>, String> {
    let path = root.join(TABLE);
    match page {
        Page::Write => {
            let folder = path.parent().unwrap_or(root);
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, table));
            written.map(|()| None).map_err(|error| format!("{}: {error}\n", path.display()))
        }
        Page::Compare => Ok((fs::read_to_string(&path).ok().as_deref() != Some(table)).then_some(Gap::StalePage)),
    }
}

fn report(checked: &Checked, gaps: &[Gap]) -> Result<String, String> {
    let counts = &checked.counts;
    let summary = format!(
        "{} rows: {} enforced and tested, {} left to the application, {} open\n{} of the enforced are behaviour: \
         nothing is rejected, something is done or accepted. {} tests carry a row.\n",
        counts.rows,
        counts.enforced + counts.behaviour,
        counts.application,
        counts.open,
        counts.behaviour,
        counts.tests,
    );
    if gaps.is_empty() {
        return Ok(summary);
    }
    let list: String = gaps.iter().map(|gap| format!("  {gap}\n")).collect();
    Err(format!("{summary}{} gaps\n{list}", gaps.len()))
}
