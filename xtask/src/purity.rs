//! Do the protocol crates, and all that they pull in by default, stay away from the operating
//! system? Clippy's lists of disallowed methods watch their own code; this watches the rest:
//!
//! * no crate of the disallowed list is reached,
//! * every crate that is reached declares `no_std` and links `std` for no feature that is on, so
//!   that it can name no clock, thread, file or socket,
//! * no feature that brings randomness or threads is on,
//! * each protocol crate carries the same `clippy.toml`.

mod own;
mod rules;
mod sources;
mod tree;

use std::collections::BTreeSet;
use std::fmt;

use self::sources::Sources;
use self::tree::Reached;

/// The crates that must stay pure, with their folders.
const PURE: [(&str, &str); 4] = [
    ("keyroom-wire", "crates/wire"),
    ("keyroom-crypto", "crates/crypto"),
    ("keyroom-rustcrypto", "crates/rustcrypto"),
    ("keyroom-mls", "crates/mls"),
];

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Violation {
    /// A crate of the disallowed list is reached.
    Disallowed { package: String, through: String, reason: &'static str },
    /// A feature that brings what is not pure is on.
    Feature { package: String, feature: String },
    /// The crate may use the standard library.
    Std { package: String, why: String },
    /// A protocol crate does not watch its own code.
    Own { package: String, why: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disallowed { package, through, reason } => {
                write!(f, "{package}, reached through {through}: {reason}")
            }
            Self::Feature { package, feature } => write!(f, "{package}: feature {feature} is on"),
            Self::Std { package, why } | Self::Own { package, why } => write!(f, "{package}: {why}"),
        }
    }
}

/// Checks the workspace in the current folder; the text says what was checked or what is wrong.
pub(crate) fn run() -> Result<String, String> {
    let sources = Sources::of_workspace()?;
    let (mut violations, mut crates) = (BTreeSet::new(), BTreeSet::new());
    for (package, folder) in PURE {
        let reached = tree::of_package(package)?;
        violations.extend(check(&reached, &sources));
        violations.extend(own::check(package, folder));
        crates.extend(reached.into_iter().map(|reached| reached.name));
    }
    if violations.is_empty() {
        return Ok(format!("purity: {} crates are reached, all of them pure\n", crates.len()));
    }
    let list: String = violations.iter().map(|violation| format!("  {violation}\n")).collect();
    Err(format!("purity: {} violations\n{list}", violations.len()))
}

/// Holds every crate that is reached against the rules.
fn check(reached: &[Reached], sources: &Sources) -> Vec<Violation> {
    reached.iter().flat_map(|reached| check_one(reached, sources)).collect()
}

fn check_one(reached: &Reached, sources: &Sources) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(reason) = rules::disallowed(&reached.name, &reached.parent) {
        violations.push(Violation::Disallowed {
            package: reached.name.clone(),
            through: reached.parent.clone(),
            reason,
        });
    }
    violations.extend(
        reached
            .features
            .iter()
            .filter(|feature| rules::FEATURES.contains(&feature.as_str()))
            .map(|feature| Violation::Feature { package: reached.name.clone(), feature: feature.clone() }),
    );
    violations.extend(
        sources.std_in(reached).map(|why| Violation::Std { package: reached.name.clone(), why: why.to_owned() }),
    );
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE_ROOT: &str = "#![no_std]\n";

    /// The violations of a tree in which every crate but those named has a pure root file.
    fn violations(tree: &str, roots: &[(&str, &str)]) -> Vec<Violation> {
        let reached = tree::parse(tree).unwrap();
        let mut sources = Sources::default();
        for crate_ in &reached {
            let root = roots.iter().find(|(name, _)| *name == crate_.name).map_or(PURE_ROOT, |(_, root)| root);
            sources.insert(&crate_.name, &crate_.version, root);
        }
        check(&reached, &sources)
    }

    const TREE: &str = "0keyroom-mls v0.1.0 (/w/crates/mls)||\n1sha2 v0.11.1|zeroize|\n2cpufeatures v0.3.1||\n";

    #[test]
    fn a_tree_of_no_std_crates_is_pure() {
        assert_eq!(violations(TREE, &[]), []);
    }

    #[test]
    fn a_random_generator_deep_in_the_tree_is_found() {
        let tree = format!("{TREE}3getrandom v0.4.3|std|\n");
        let found = violations(&tree, &[]);
        assert!(matches!(&found[0], Violation::Disallowed { package, through, .. }
            if package == "getrandom" && through == "cpufeatures"));
        assert!(matches!(&found[1], Violation::Feature { feature, .. } if feature == "std"));
    }

    #[test]
    fn a_runtime_a_clock_and_a_socket_are_found() {
        for name in ["tokio", "time", "socket2", "rand", "rayon", "tempfile"] {
            let found = violations(&format!("{TREE}1{name} v1.0.0||\n"), &[]);
            assert!(matches!(&found[..], [Violation::Disallowed { .. }]), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_crate_that_no_list_knows_is_found_by_its_use_of_std() {
        let tree = format!("{TREE}1wall-clock v1.0.0||\n");
        let found = violations(&tree, &[("wall-clock", "//! Tells the time.\n")]);
        assert!(matches!(&found[..], [Violation::Std { package, .. }] if package == "wall-clock"));
    }

    #[test]
    fn a_feature_that_links_std_is_found_when_it_is_on_and_only_then() {
        let root = "#![no_std]\n#[cfg(feature = \"clock\")]\nextern crate std;\n";
        let on = violations(&format!("{TREE}1x v1.0.0|alloc,clock|\n"), &[("x", root)]);
        assert!(matches!(&on[..], [Violation::Std { .. }]), "{on:?}");
        assert_eq!(violations(&format!("{TREE}1x v1.0.0|alloc|\n"), &[("x", root)]), []);
    }

    #[test]
    fn std_without_a_condition_is_found_and_std_for_tests_is_not() {
        let always = violations(TREE, &[("sha2", "#![no_std]\nextern crate std;\n")]);
        assert!(matches!(&always[..], [Violation::Std { .. }]), "{always:?}");
        assert_eq!(violations(TREE, &[("sha2", "#![no_std]\n#[cfg(test)]\nextern crate std;\n")]), []);
    }

    #[test]
    fn no_std_that_depends_on_a_feature_is_found_when_the_feature_is_on() {
        let root = "#![cfg_attr(not(feature = \"std\"), no_std)]\n";
        assert_eq!(violations(TREE, &[("sha2", root)]), []);
        let tree = TREE.replace("zeroize", "std");
        let found = violations(&tree, &[("sha2", root)]);
        assert!(found.iter().any(|violation| matches!(violation, Violation::Std { .. })), "{found:?}");
    }

    #[test]
    fn libc_is_reached_through_cpufeatures_only() {
        assert_eq!(violations(&format!("{TREE}3libc v0.2.0||\n"), &[]), []);
        let found = violations(&format!("{TREE}1libc v0.2.0||\n"), &[]);
        assert!(matches!(&found[..], [Violation::Disallowed { .. }]), "{found:?}");
    }

    #[test]
    fn a_crate_without_source_is_found() {
        let reached = tree::parse(TREE).unwrap();
        assert_eq!(check(&reached, &Sources::default()).len(), 3);
    }
}
