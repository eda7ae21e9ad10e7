//! The committed corpus is what the generator makes, Keyroom does with each case what it says, and
//! the rows agree with `conformance/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use std::collections::{BTreeMap, BTreeSet};

use keyroom_negative::{Case, Effect, FILES, Kind, Reader, code, load, row_of_refusal};

fn each(mut check: impl FnMut(&Case)) {
    for file in FILES {
        let cases = load(file);
        assert!(!cases.is_empty(), "{file} has no case");
        cases.iter().for_each(&mut check);
    }
}

#[test]
fn what_is_committed_is_what_is_generated() {
    for (file, made) in keyroom_negative::generate() {
        let committed = load(file);
        assert_eq!(committed.len(), made.len(), "{file}: run `cargo run -p keyroom-negative`");
        for (committed, made) in committed.iter().zip(&made) {
            assert!(committed == made, "{file}, {}: run `cargo run -p keyroom-negative`", made.name());
        }
    }
}

#[test]
fn every_bad_message_is_refused_with_its_code_and_leaves_no_trace() {
    each(|case| {
        let name = case.name();
        let mut reader = Reader::open(case).unwrap_or_else(|error| panic!("{name}: {error}"));
        let error = reader.refuses(&case.bad).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(code(&error), case.error, "{name}");
        accepts_twin(&mut reader, case);
    });
}

#[test]
fn every_twin_is_accepted_by_a_reader_who_has_not_seen_the_bad_message() {
    each(|case| accepts_twin(&mut Reader::open(case).unwrap(), case));
}

fn accepts_twin(reader: &mut Reader, case: &Case) {
    let name = case.name();
    let effect = reader.read(&case.twin.message()).unwrap_or_else(|error| panic!("{name}: twin: {error}"));
    let expected = match case.twin.kind {
        Kind::Welcome | Kind::SecondWelcome | Kind::Successor | Kind::Commit => {
            Effect::Epoch(case.twin.epoch_authenticator.to_vec())
        }
        Kind::Proposal => Effect::Proposal,
        Kind::KeyPackage => Effect::KeyPackage,
        Kind::GroupInfo => Effect::GroupInfo,
        Kind::Application => Effect::Data(b"text".to_vec()),
    };
    assert_eq!(effect, expected, "{name}: twin");
}

/// The table of `vectors/negative/README.md` gives the reason for each row that no message to a passive
/// client can break.
#[test]
fn every_enforced_row_has_a_case_or_a_reason_why_it_has_none() {
    let readme = std::fs::read_to_string(keyroom_negative::folder().join("README.md")).unwrap();
    let table = readme.split("## Rows without a case").nth(1).expect("the table");
    let line = |line: &str| {
        let (row, reason) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        Some((row.parse::<u16>().ok()?, reason.trim().to_owned()))
    };
    let without: BTreeMap<u16, String> = table.lines().filter_map(line).collect();
    assert!(without.values().all(|reason| reason.len() > 20), "{without:?}");
    let mut with = BTreeSet::new();
    each(|case| {
        with.insert(case.row);
    });
    let enforced: BTreeSet<u16> = refused_with().into_keys().collect();
    assert!(enforced.len() > 190, "{} rows are enforced", enforced.len());
    let neither: Vec<_> = enforced.iter().filter(|row| !with.contains(row) && !without.contains_key(row)).collect();
    assert_eq!(neither, [&0; 0], "neither a case nor a reason");
    let both: Vec<_> = without.keys().filter(|row| with.contains(row) || !enforced.contains(row)).collect();
    assert_eq!(both, [&0; 0], "a reason why there is no case of a row that has one, or is not enforced");
}

/// A row that is decided in `conformance/` says with which errors its breach ends. Errors that no row
/// asks for are in `beyond.toml`.
#[test]
fn the_error_of_a_case_is_one_that_its_row_allows() {
    let (allowed, beyond) = (refused_with(), beyond());
    each(|case| {
        let Some(variants) = allowed.get(&case.row) else { return };
        let error = Reader::open(case).unwrap().refuses(&case.bad).unwrap();
        let variant = row_of_refusal(&error);
        let elsewhere = beyond.contains(&variant) || SHOWS_AS.contains(&(case.row, variant.as_str()));
        let allowed = variants.contains(&variant) || elsewhere;
        assert!(allowed, "{}: {variant} is none of {variants:?}", case.name());
    });
}

/// Breaches that show as those of another row, because of where the reader meets them.
const SHOWS_AS: [(u16, &str); 4] = [
    // Who is added with a member's signature key is that member.
    (66, "Rule::ClientAlreadyMember"),
    // In a commit, the tree hash is told by nothing but the tag.
    (190, "Rule::ConfirmationTag"),
    // The chain from below is broken as well.
    (194, "Rule::ParentHash"),
    // The length is judged before a key is derived.
    (216, "Rule::GroupSecrets"),
];

fn beyond() -> Vec<String> {
    let path = keyroom_negative::folder().join("../../conformance/beyond.toml");
    let text = std::fs::read_to_string(path).expect("conformance/beyond.toml");
    let names = text.lines().filter_map(|line| line.strip_prefix("name = "));
    names.map(|name| name.trim_matches('"').to_owned()).collect()
}

/// The variants of each enforced row.
fn refused_with() -> BTreeMap<u16, Vec<String>> {
    let folder = keyroom_negative::folder().join("../../conformance");
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for table in text.split("[[row]]").skip(1) {
            let Some((_, value)) = table.split_once("\nrefused_with = ") else { continue };
            let end = if value.starts_with('[') { ']' } else { '\n' };
            let list = value.split_once(end).expect("a string or a list").0;
            let variants = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            let number = table.split_once("number = ").expect("a number").1;
            let number = number.lines().next().unwrap().trim().parse().unwrap();
            rows.insert(number, variants);
        }
    }
    rows
}
