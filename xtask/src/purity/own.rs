//! Whether a protocol crate watches its own code.

use std::fs;
use std::path::Path;

use super::sources::links_std;
use super::{PURE, Violation};

/// Clippy's lists are complete and the same in every protocol crate, and no module links `std`
/// outside tests.
pub(super) fn check(package: &str, folder: &str) -> Vec<Violation> {
    let violation = |why: String| Violation::Own { package: package.to_owned(), why };
    let file = |folder: &str| fs::read_to_string(Path::new(folder).join("clippy.toml")).unwrap_or_default();
    let [(_, first), ..] = PURE;
    let (list, model) = (file(folder), file(first));
    let mut violations = Vec::new();
    if list != model {
        violations.push(violation(format!("clippy.toml differs from the one in {first}")));
    }
    violations
        .extend(missing(&list).into_iter().map(|path| violation(format!("clippy.toml does not disallow {path}"))));
    violations.extend(linking_std(&Path::new(folder).join("src")).into_iter().map(violation));
    violations
}

/// The source files below a folder that link `std`, test modules left out.
fn linking_std(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![format!("{} cannot be read", folder.display())] };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.file_stem().is_some_and(|name| name != "tests"))
        .flat_map(|path| match fs::read_to_string(&path) {
            _ if path.is_dir() => linking_std(&path),
            Ok(text) if !links_std(&text, &[]) => Vec::new(),
            _ => vec![format!("{} links std", path.display())],
        })
        .collect()
}

/// What the lists must name at the least, one of each kind.
const NAMED: [&str; 8] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "std::thread::spawn",
    "std::fs::File",
    "std::net::TcpStream",
    "std::env::var",
    "std::process::Command",
    "getrandom::fill",
];

fn missing(list: &str) -> Vec<&'static str> {
    NAMED.into_iter().filter(|path| !list.contains(&format!("\"{path}\""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_lost_an_entry_is_found() {
        let whole: String = NAMED.iter().map(|path| format!("{{ path = \"{path}\" }},\n")).collect();
        assert!(missing(&whole).is_empty());
        assert_eq!(missing(&whole.replace("std::thread::spawn", "")), ["std::thread::spawn"]);
        assert_eq!(missing("").len(), NAMED.len());
    }
}
