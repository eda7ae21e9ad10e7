//! What a package reaches by default, as cargo resolves it.

use std::process::Command;

/// One occurrence of a crate in the tree of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Its features that are on.
    pub(super) features: Vec<String>,
    /// The name of the crate that depends on it; its own for the package itself.
    pub(super) parent: String,
}

/// The tree of a package with its default features: normal dependencies, of all targets, without
/// procedural macros, which run in the compiler.
pub(super) fn of_package(package: &str) -> Result<Vec<Reached>, String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal,no-proc-macro", "--target", "all"])
        .args(["--prefix", "depth", "--format", "{p}|{f}|"])
        .output()
        .map_err(|error| format!("cargo tree: {error}\n"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines such as `2name v1.2.3 (/path)|feature,feature| (*)`, where 2 is the depth.
pub(super) fn parse(text: &str) -> Result<Vec<Reached>, String> {
    let (mut reached, mut ancestors) = (Vec::new(), Vec::<String>::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (depth, name, version, features) =
            parse_line(line).ok_or_else(|| format!("cargo tree printed a line of another form: {line}\n"))?;
        ancestors.truncate(depth);
        let parent = ancestors.last().cloned().unwrap_or_else(|| name.clone());
        ancestors.push(name.clone());
        reached.push(Reached { name, version, features, parent });
    }
    if reached.is_empty() { Err("cargo tree printed nothing\n".to_owned()) } else { Ok(reached) }
}

fn parse_line(line: &str) -> Option<(usize, String, String, Vec<String>)> {
    let (package, rest) = line.split_once('|')?;
    let (features, _) = rest.split_once('|')?;
    let digits = package.bytes().take_while(u8::is_ascii_digit).count();
    let (depth, package) = package.split_at_checked(digits)?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let features = features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned).collect();
    Some((depth.parse().ok()?, name.to_owned(), version.to_owned(), features))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_features_and_parents_are_read() {
        let tree = "0a v0.1.0 (/w/a)||\n1b v1.2.3|alloc,std|\n2c v0.2.0|| (*)\n1d v4.0.0-pre.1||\n";
        let reached = parse(tree).unwrap();
        let parents: Vec<_> = reached.iter().map(|reached| (&*reached.name, &*reached.parent)).collect();
        assert_eq!(parents, [("a", "a"), ("b", "a"), ("c", "b"), ("d", "a")]);
        assert_eq!(reached[1].features, ["alloc", "std"]);
        assert_eq!(reached[3].version, "4.0.0-pre.1");
    }

    #[test]
    fn an_unknown_form_is_an_error_and_not_an_empty_tree() {
        assert!(parse("").is_err());
        assert!(parse("├── b v1.2.3").is_err());
        assert!(parse("a v0.1.0||").is_err());
    }
}
