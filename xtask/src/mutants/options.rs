//! What the command line asks for.

use std::collections::BTreeSet;

use crate::workspace::Name;

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) list: bool,
    pub(super) fresh: bool,
    pub(super) only: BTreeSet<Name>,
    pub(super) package: Option<String>,
    pub(super) slice: Option<Slice>,
}

/// Every so many'th of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    which: usize,
    of: usize,
}

impl Options {
    pub(super) fn parse(arguments: &[String], packages: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        let usage = || super::USAGE.to_owned();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--fresh" => options.fresh = true,
                "--package" => {
                    let name = arguments.next().filter(|name| packages.contains(&name.as_str()));
                    options.package = Some(name.ok_or_else(usage)?.clone());
                }
                "--slice" => {
                    let slice = arguments.next().and_then(|slice| Slice::parse(slice));
                    options.slice = Some(slice.ok_or_else(usage)?);
                }
                "--only" => {
                    let name = arguments.next().and_then(|name| Name::parse(name));
                    options.only.insert(name.ok_or_else(usage)?);
                }
                _ => return Err(usage()),
            }
        }
        Ok(options)
    }

    /// Whether nothing is left out.
    pub(super) fn whole(&self) -> bool {
        self.only.is_empty() && self.package.is_none() && self.slice.is_none()
    }

    /// Whether the check of this number is to be taken out.
    pub(super) fn wants(&self, number: usize) -> bool {
        self.slice.is_none_or(|slice| slice.holds(number))
    }
}

impl Slice {
    /// `K/N`, with `K` from 0.
    fn parse(text: &str) -> Option<Self> {
        let (which, of) = text.split_once('/')?;
        let (which, of) = (which.parse().ok()?, of.parse().ok()?);
        (which < of).then_some(Self { which, of })
    }

    fn holds(self, number: usize) -> bool {
        number % self.of == self.which
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words, &["keyroom-mls"])
    }

    #[test]
    fn a_slice_takes_every_so_manyth_check() {
        let options = parse("--slice 1/3").unwrap();
        assert!(!options.whole());
        assert_eq!((0..7).filter(|number| options.wants(*number)).collect::<Vec<_>>(), [1, 4]);
        assert!(["3/3", "1", "a/b", "0/0"].iter().all(|slice| parse(&format!("--slice {slice}")).is_err()));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("").unwrap().whole());
        assert!(parse("--package other").is_err());
        assert!(parse("--package").is_err());
        assert!(parse("--only nothing").is_err());
        assert_eq!(parse("--package keyroom-mls --only Rule::A --list").unwrap().only.len(), 1);
    }
}
