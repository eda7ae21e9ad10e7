//! What the sources hold: functions with what they name, items by path, error variants and the
//! places that make them.

mod errors;
mod functions;
mod items;

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{Aliases, Name, Source};

use self::errors::Rewording;

pub(crate) use self::errors::Made;
pub(crate) use self::functions::Function;

/// The enums each variant of which a row, or the list of what lies beyond the rows, must name.
pub(crate) const ERRORS: [&str; 5] = ["Rule", "Refusal", "NotYet", "Usage", "DecodeErrorKind"];

/// An index over sources.
#[derive(Default)]
pub(crate) struct Index {
    functions: BTreeMap<String, Vec<Function>>,
    items: BTreeMap<String, BTreeSet<String>>,
    variants: BTreeSet<Name>,
    units: BTreeSet<Name>,
    made: Vec<Made>,
    rewordings: Vec<Rewording>,
}

impl Index {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut index = Self::default();
        for source in sources {
            let aliases = Aliases::of_file(&source.syntax);
            index.functions.insert(source.path.clone(), functions::of_file(source, &aliases));
            index.items.insert(source.path.clone(), items::of_file(&source.syntax));
            if errors::declares(source) {
                let variants = errors::variants_in(&source.syntax);
                index.units.extend(variants.iter().filter(|variant| variant.is_unit).map(|v| v.name.clone()));
                index.variants.extend(variants.into_iter().map(|variant| variant.name));
            }
            if errors::makes(source) {
                let (made, rewordings) = errors::made_in(source, &aliases);
                index.made.extend(made);
                index.rewordings.extend(rewordings);
            }
        }
        let variants = &index.variants;
        index.made.retain(|made| variants.contains(&made.name));
        index
    }

    /// Every variant of every enum of the protocol crates.
    pub(crate) fn variants(&self) -> &BTreeSet<Name> {
        &self.variants
    }

    /// Whether a file holds an item, written `function`, `Type` or `Type::method`.
    pub(crate) fn has_item(&self, path: &str, item: &str) -> bool {
        self.items.get(path).is_some_and(|items| items.contains(item))
    }

    /// The places that make a variant, directly or by making what is reworded as it.
    pub(crate) fn places(&self, name: &Name) -> Vec<&Made> {
        let (mut wanted, mut seen) = (vec![name], BTreeSet::from([name]));
        let mut places = Vec::new();
        while let Some(name) = wanted.pop() {
            places.extend(self.made.iter().filter(|made| made.name == *name));
            let sources = self.rewordings.iter().filter(|rewording| rewording.to == *name);
            wanted.extend(sources.map(|rewording| &rewording.from).filter(|from| seen.insert(from)));
        }
        places
    }

    /// What a variant becomes on its way to the caller, itself included.
    pub(crate) fn becomes(&self, name: &Name) -> BTreeSet<Name> {
        let (mut waiting, mut seen) = (vec![name.clone()], BTreeSet::from([name.clone()]));
        while let Some(name) = waiting.pop() {
            let next = self.rewordings.iter().filter(|rewording| rewording.from == name).map(|it| it.to.clone());
            waiting.extend(next.filter(|to| seen.insert(to.clone())));
        }
        seen
    }

    /// Another variant of an enum, one without fields.
    pub(crate) fn other_unit_variant(&self, owner: &str, item: &str) -> Option<&str> {
        self.units.iter().find(|name| name.owner == owner && name.item != item).map(|name| &*name.item)
    }

    /// Every test that runs, with its file.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &Function> {
        let runs = |test: &&Function| test.is_test && !test.is_ignored && !test.is_conditional;
        self.functions.values().flatten().filter(runs)
    }

    /// Every test that is compiled only where some condition holds.
    pub(crate) fn conditional_tests(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().flatten().filter(|function| function.is_test && function.is_conditional)
    }

    /// Every test that is marked `#[ignore]`.
    pub(crate) fn ignored_tests(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().flatten().filter(|function| function.is_test && function.is_ignored)
    }

    /// Whether a test says a word, in its body or in the functions for tests that it reaches, of
    /// whatever file.
    pub(crate) fn touches(&self, test: &Function, word: &str) -> bool {
        let (mut waiting, mut seen) = (vec![test], BTreeSet::new());
        while let Some(function) = waiting.pop() {
            if function.mentions.words.contains(word) {
                return true;
            }
            let helpers = function.mentions.uses.iter().filter(|name| seen.insert((*name).clone()));
            waiting.extend(helpers.flat_map(|name| self.helpers(name)));
        }
        false
    }

    /// The functions of this name that help tests.
    fn helpers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Function> {
        self.functions.values().flatten().filter(move |other| other.for_tests && !other.is_test && other.name == name)
    }

    /// What a test names in its body and in the functions of its file that it reaches.
    pub(crate) fn named_by<'a>(&'a self, test: &'a Function) -> BTreeSet<&'a Name> {
        let here = self.functions.get(&test.path).map_or(&[][..], Vec::as_slice);
        let (mut waiting, mut seen) = (vec![test], BTreeSet::new());
        let mut names = BTreeSet::new();
        while let Some(function) = waiting.pop() {
            names.extend(&function.mentions.names);
            let others = here.iter().enumerate().filter(|(_, other)| !other.is_test);
            let reached = others.filter(|(_, other)| function.mentions.uses.contains(&other.name));
            waiting.extend(reached.filter(|(at, _)| seen.insert(*at)).map(|(_, other)| other));
        }
        names
    }
}
