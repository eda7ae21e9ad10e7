//! cargo-mutants, in parts that can be resumed. It is installed with
//! `cargo install cargo-mutants --locked --version 27.1.0` and not part of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::explained::{Explained, Which};
use crate::say;
use crate::workspace;

const INSTALL: &str = "cargo-mutants is missing: cargo install cargo-mutants --locked --version 27.1.0\n";

#[derive(Debug, Default)]
struct Options {
    list: bool,
    shard: Option<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::default()),
            [list] if list == "--list" => Ok(Self { list: true, shard: None }),
            [shard, which] if shard == "--shard" => Ok(Self { list: false, shard: Some(which.clone()) }),
            _ => Err(super::USAGE.to_owned()),
        }
    }
}

pub(super) fn run(arguments: &[String]) -> Result<String, String> {
    let options = Options::parse(arguments)?;
    let root = workspace::root()?;
    if !is_installed() {
        return Err(INSTALL.to_owned());
    }
    let part =
        options.shard.as_deref().map_or("all".to_owned(), |shard| format!("part-{}", shard.replace('/', "-of-")));
    let output = workspace::target_folder()?.join("mutants").join("bodies").join(part);
    fs::create_dir_all(&output).map_err(|error| format!("{}: {error}\n", output.display()))?;
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&root).args(["mutants", "--iterate", "--no-shuffle", "--output"]).arg(&output);
    command.args(["--package", "keyroom-mls", "--package", "keyroom-wire"]);
    command.args(options.shard.iter().flat_map(|shard| ["--shard", shard]));
    if options.list {
        command.arg("--list");
    }
    command.env("KEYROOM_VECTORS", super::run::Runner::new(&root).vectors);
    let status = command.status().map_err(|error| format!("cargo mutants: {error}\n"))?;
    // 2: some were missed; 3: some did not end. Both are in the lists.
    match status.code() {
        Some(0) if options.list => Ok(String::new()),
        Some(0 | 2 | 3) => report(&root, &output.join("mutants.out")),
        _ => Err(format!("cargo mutants ended with {status}\n")),
    }
}

fn is_installed() -> bool {
    Command::new(env!("CARGO")).args(["mutants", "--version"]).output().is_ok_and(|output| output.status.success())
}

fn report(root: &Path, folder: &Path) -> Result<String, String> {
    let explained = Explained::read(root)?;
    let explained = explained.names(Which::Bodies);
    let missed = lines(folder.join("missed.txt"));
    let unexplained: Vec<&String> =
        missed.iter().filter(|mutant| !explained.contains(without_place(mutant).as_str())).collect();
    say(&format!(
        "{} caught, {} that do not compile, {} without end, {} missed, {} of them explained\n",
        lines(folder.join("caught.txt")).len() + lines(folder.join("previously_caught.txt")).len(),
        lines(folder.join("unviable.txt")).len(),
        lines(folder.join("timeout.txt")).len(),
        missed.len(),
        missed.len() - unexplained.len(),
    ));
    if unexplained.is_empty() {
        return Ok(String::new());
    }
    Err(unexplained.into_iter().map(|mutant| format!("  missed: {mutant}\n")).collect())
}

fn lines(file: PathBuf) -> Vec<String> {
    // The file is not there where there is nothing to list.
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// `path:line:column: what` without line and column, which change with every edit.
fn without_place(mutant: &str) -> String {
    let mut parts = mutant.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(path), Some(_), Some(_), Some(what)) => format!("{path}:{what}"),
        _ => mutant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_known_by_its_file_and_what_it_does() {
        let mutant = "crates/mls/src/psk.rs:12:5: replace f -> Result<(), Rule> with Ok(())";
        assert_eq!(without_place(mutant), "crates/mls/src/psk.rs: replace f -> Result<(), Rule> with Ok(())");
    }

    #[test]
    fn a_part_is_named() {
        let arguments = ["--shard".to_owned(), "1/4".to_owned()];
        assert_eq!(Options::parse(&arguments).unwrap().shard.as_deref(), Some("1/4"));
        assert!(Options::parse(&["--shard".to_owned()]).is_err());
    }
}
