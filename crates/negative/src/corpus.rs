//! The files of the corpus.

use std::path::PathBuf;

use crate::case::Case;
use crate::sections;

/// One file for each section of `conformance/` that has cases, with its name.
pub const FILES: [&str; 12] = [
    "a_syntax",
    "b_primitives",
    "d_leaf_nodes",
    "e_key_packages",
    "f_framing",
    "g_private_messages",
    "h_proposals",
    "i_proposal_lists",
    "j_external_commits",
    "k_commits",
    "l_trees",
    "m_welcomes",
];

/// Where the committed files are.
pub fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "vectors", "negative"].iter().collect()
}

/// All cases, made anew: file name and cases.
///
/// # Panics
/// If a bad message is accepted or a twin refused.
pub fn generate() -> Vec<(&'static str, Vec<Case>)> {
    let made = sections::all();
    assert_eq!(made.iter().map(|(file, _)| *file).collect::<Vec<_>>(), FILES);
    let failures: Vec<_> = made.iter().flat_map(|(_, book)| book.failures.iter().map(String::as_str)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    made.into_iter().map(|(file, book)| (file, book.cases)).collect()
}

/// The committed cases of a file.
pub fn load(file: &str) -> Vec<Case> {
    let path = folder().join(format!("{file}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
