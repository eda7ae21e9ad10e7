//! Texts with the switches in them, and where in them each switch stands.

use std::collections::BTreeMap;
use std::ops::Range;

use super::sites::{Site, Way};

/// What is put at the end of the root file of a crate: the switch that the environment sets, and a
/// trace of which test comes by which switch.
pub(super) const SWITCH: &str = "
#[doc(hidden)]
mod mutant_switch {
    extern crate std;
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::string::String;
    use std::sync::{Mutex, OnceLock};
    pub(crate) fn is(number: usize) -> bool {
        static OUT: OnceLock<BTreeSet<usize>> = OnceLock::new();
        static TRACE: OnceLock<Option<String>> = OnceLock::new();
        if let Some(file) = TRACE.get_or_init(|| std::env::var(\"KEYROOM_MUTANT_TRACE\").ok()) {
            note(file, number);
        }
        OUT.get_or_init(|| numbers(&std::env::var(\"KEYROOM_MUTANT\").unwrap_or_default())).contains(&number)
    }
    fn numbers(text: &str) -> BTreeSet<usize> {
        text.split(',').filter_map(|number| number.parse().ok()).collect()
    }
    // A test runs in a thread that has its name.
    fn note(file: &str, number: usize) {
        static SEEN: Mutex<BTreeSet<(String, usize)>> = Mutex::new(BTreeSet::new());
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if SEEN.lock().unwrap().insert((name.into(), number)) {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            file.write_all(std::format!(\"{number} {name}\\n\").as_bytes()).unwrap();
        }
    }
}
";

/// A site with the way that is tried now.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) site: Site,
    /// The position of the way in the site's list; beyond its end, nothing can be done.
    pub(super) way: usize,
}

impl Prepared {
    pub(super) fn way(&self) -> Option<&Way> {
        self.site.ways.get(self.way)
    }
}

/// A text with switches, and the ranges of it that belong to each site.
#[derive(Debug, Default)]
pub(super) struct Switched {
    pub(super) text: String,
    /// What was inserted, by the number of the site.
    inserted: Vec<(usize, Range<usize>)>,
    /// From the first insertion of a site to its last.
    whole: BTreeMap<usize, Range<usize>>,
}

impl Switched {
    /// Puts the switches of these sites, with their numbers, into the text of their file.
    pub(super) fn new(text: &str, sites: &[(usize, &Prepared)]) -> Self {
        let ways: Vec<(usize, &Way)> =
            sites.iter().filter_map(|(number, prepared)| Some((*number, prepared.way()?))).collect();
        // At one position: what ends there comes first, the inner before the outer; then what begins
        // there, the outer before the inner. Ranges nest, because they are those of expressions.
        let mut cuts: Vec<(usize, u8, usize, usize, &str)> = Vec::new();
        for (number, way) in &ways {
            let Range { start, end } = way.bytes;
            cuts.push((start, 1, usize::MAX - end, *number, &way.before));
            cuts.push((end, 0, usize::MAX - start, usize::MAX - number, &way.behind));
        }
        cuts.sort_unstable();
        let mut switched = Self::default();
        let mut at = 0;
        for (position, side, _, number, insertion) in cuts {
            let number = if side == 1 { number } else { usize::MAX - number };
            switched.text.push_str(text.get(at..position).unwrap_or_default());
            switched.insert(number, insertion);
            at = position;
        }
        switched.text.push_str(text.get(at..).unwrap_or_default());
        switched
    }

    fn insert(&mut self, number: usize, insertion: &str) {
        let start = self.text.len();
        self.text.push_str(&insertion.replace('#', &format!("crate::mutant_switch::is({number})")));
        let end = self.text.len();
        self.inserted.push((number, start..end));
        self.whole.entry(number).or_insert(start..end).end = end;
    }

    /// The site that code at this place of the text belongs to: what was inserted counts more than
    /// what stands between, and there the innermost.
    pub(super) fn site_at(&self, span: &Range<usize>) -> Option<usize> {
        let inside = |range: &Range<usize>| span.start < range.end && range.start < span.end.max(span.start + 1);
        let inserted = self.inserted.iter().find(|(_, range)| range.start <= span.start && span.end <= range.end);
        let around = self.whole.iter().filter(|(_, range)| inside(range)).min_by_key(|(_, range)| range.len());
        inserted.map(|(number, _)| *number).or_else(|| around.map(|(number, _)| *number))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sites::Kind;
    use super::*;
    use crate::workspace::Name;

    fn prepared(bytes: Range<usize>, before: &str, behind: &str) -> Prepared {
        let (before, behind) = (before.to_owned(), behind.to_owned());
        let ways = vec![Way { kind: Kind::Removed, bytes, before, behind }];
        let site = Site { name: Some(Name::new("R", "A")), path: String::new(), line: 1, key: String::new(), ways };
        Prepared { site, way: 0 }
    }

    #[test]
    fn insertions_nest_and_say_whose_they_are() {
        let (outer, inner, same) = (prepared(0..6, "(", ")"), prepared(2..4, "[", "]"), prepared(0..6, "{", "}"));
        let switched = Switched::new("abcdef;", &[(1, &outer), (2, &inner), (3, &same)]);
        assert_eq!(switched.text, "({ab[cd]ef});");
        assert_eq!(switched.site_at(&(0..1)), Some(1));
        assert_eq!(switched.site_at(&(1..2)), Some(3));
        assert_eq!(switched.site_at(&(5..6)), Some(2));
        assert_eq!(switched.site_at(&(8..9)), Some(3));
        assert_eq!(switched.site_at(&(12..13)), None);
    }

    #[test]
    fn a_switch_has_the_number_of_its_site_and_none_without_a_way() {
        let mut site = prepared(0..1, "f(#, ", ")");
        assert_eq!(Switched::new("a", &[(7, &site)]).text, "f(crate::mutant_switch::is(7), a)");
        site.way = 1;
        assert_eq!(Switched::new("a", &[(7, &site)]).text, "a");
    }
}
