//! A copy of the workspace below the target folder, in which files may be changed.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The copy, and a digest of what was copied.
pub(super) struct Copy {
    pub(super) root: PathBuf,
    /// Of all files that the tests are compiled from.
    pub(super) digest: u64,
}

impl Copy {
    /// Makes the copy what the workspace is, but for the files that are written there anyway. A file
    /// that is the same keeps its time, so that cargo compiles only what has changed.
    pub(super) fn update(from: &Path, root: PathBuf, replaced: &BTreeSet<String>) -> Result<Self, String> {
        let files = files_of(from)?;
        let mut hasher = DefaultHasher::new();
        for file in &files {
            let content = fs::read(from.join(file)).map_err(|error| format!("{file}: {error}\n"))?;
            if compiled(file) {
                (file, &content).hash(&mut hasher);
            }
            if !replaced.contains(file) {
                write_if_other(&root.join(file), &content)?;
            }
        }
        remove_others(&root, &root, &files)?;
        Ok(Self { root, digest: hasher.finish() })
    }
}

/// Whether the tests are compiled from a file.
fn compiled(file: &str) -> bool {
    file.starts_with("crates/") || file == "Cargo.toml" || file == "Cargo.lock"
}

/// What git knows or would add.
fn files_of(root: &Path) -> Result<BTreeSet<String>, String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| format!("git ls-files: {error}\n"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split('\0').filter(|name| root.join(name).is_file()).map(str::to_owned).collect())
}

/// Writes a file unless it has this content.
pub(super) fn write_if_other(path: &Path, content: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|known| known == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{}: {error}\n", path.display()))
}

fn remove_others(root: &Path, folder: &Path, files: &BTreeSet<String>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}\n", folder.display());
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() {
            remove_others(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if !files.contains(&name) {
                fs::remove_file(&path).map_err(wrong)?;
            }
        }
    }
    Ok(())
}
