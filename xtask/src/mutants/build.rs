//! Compiling the copy: which tests there are, or which switches the compiler refuses.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::workspace::Target;

/// A file of tests that can be run.
#[derive(Clone, Debug)]
pub(super) struct Executable {
    /// `lib` or `test`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// The folder of its package, from which its tests run.
    pub(super) folder: PathBuf,
}

/// Where the compiler found an error.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) spans: Vec<Place>,
    pub(super) text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    /// From the root of the copy.
    pub(super) path: String,
    pub(super) bytes: Range<usize>,
}

/// How far the compiler goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only the libraries, and no machine code.
    Check,
    Tests,
}

pub(super) enum Built {
    /// None after a check.
    Executables(Vec<Executable>),
    Faults(Vec<Fault>),
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerArtifact(Artifact),
    CompilerMessage {
        message: Message,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: ArtifactTarget,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    #[serde(default)]
    rendered: Option<String>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Executable {
    /// Whether it holds the tests of this target and file of the copy.
    pub(super) fn holds(&self, root: &Path, target: &Target, path: &str) -> bool {
        self.kind == target.kind && self.name == target.name && root.join(path).starts_with(&self.folder)
    }
}

/// Compiles these targets of tests in the copy, a workspace with these members.
pub(super) fn build(
    root: &Path,
    target_folder: &Path,
    targets: &BTreeSet<Target>,
    members: &BTreeSet<&str>,
    stage: Stage,
) -> Result<Built, String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).env("CARGO_TARGET_DIR", target_folder).args(arguments(targets, stage));
    // Cargo tells packages apart by their place in the workspace, so those of the copy need something
    // of their own to share the folder with those of the workspace.
    command.args(members.iter().map(|member| format!("--config=profile.dev.package.{member}.codegen-units=255")));
    let output = command.output().map_err(|error| format!("cargo: {error}\n"))?;
    let (mut executables, mut faults) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match serde_json::from_str(line) {
            Ok(Line::CompilerArtifact(artifact)) => executables.extend(executable(artifact)),
            Ok(Line::CompilerMessage { message }) if message.level == "error" => faults.push(fault(message)),
            _ => {}
        }
    }
    if output.status.success() {
        return Ok(Built::Executables(executables));
    }
    if faults.is_empty() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(Built::Faults(faults))
}

fn arguments(targets: &BTreeSet<Target>, stage: Stage) -> Vec<String> {
    let command: &[&str] = match stage {
        Stage::Check => &["check", "--lib", "--keep-going"],
        Stage::Tests => &["test", "--no-run"],
    };
    let mut arguments: Vec<String> = command.iter().map(|part| (*part).to_owned()).collect();
    arguments.push("--message-format=json".to_owned());
    let packages: BTreeSet<&str> = targets.iter().map(|target| &*target.package).collect();
    arguments.extend(packages.into_iter().flat_map(|package| ["-p".to_owned(), package.to_owned()]));
    if stage == Stage::Check {
        return arguments;
    }
    if targets.iter().any(|target| target.kind == "lib") {
        arguments.push("--lib".to_owned());
    }
    let tests: BTreeSet<&str> = targets.iter().filter(|it| it.kind == "test").map(|it| &*it.name).collect();
    arguments.extend(tests.into_iter().flat_map(|name| ["--test".to_owned(), name.to_owned()]));
    arguments
}

fn executable(artifact: Artifact) -> Option<Executable> {
    let kind = artifact.target.kind.first()?.clone();
    let folder = artifact.manifest_path.parent()?.to_owned();
    let file = artifact.executable.filter(|_| artifact.profile.test)?;
    Some(Executable { kind, name: artifact.target.name, file, folder })
}

fn fault(message: Message) -> Fault {
    let mut spans = message.spans;
    spans.sort_by_key(|span| !span.is_primary);
    let place = |span: Span| Place { path: span.file_name, bytes: span.byte_start..span.byte_end };
    Fault { spans: spans.into_iter().map(place).collect(), text: message.rendered.unwrap_or_default() }
}
