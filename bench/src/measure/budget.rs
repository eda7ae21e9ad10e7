//! What would take too long.

use std::collections::BTreeMap;

use super::Part;
use crate::operation::Medium;
use crate::subject::Kind;

/// What is measured in one go.
type Key = (Kind, Part, Medium);

/// How long the parts have taken at the sizes so far.
#[derive(Debug, Default)]
pub struct Budget {
    /// Members and seconds, from the smallest; infinite where it was left out.
    past: BTreeMap<Key, Vec<(u32, f64)>>,
}

impl Budget {
    /// Takes note of what a part has taken.
    pub fn note(&mut self, members: u32, key: Key, seconds: f64) {
        let past = self.past.entry(key).or_default();
        match past.last_mut() {
            Some((last, before)) if *last == members => *before = before.max(seconds),
            _ => past.push((members, seconds)),
        }
    }

    /// Whether a part will probably stay within so many seconds. What is left out once stays out.
    pub fn allows(&mut self, seconds: f64, members: u32, key: Key) -> bool {
        let past = self.past.entry(key).or_default();
        if past.last().is_some_and(|(last, taken)| *last == members && taken.is_finite()) {
            return true;
        }
        let allowed = expected(past, members).is_none_or(|expected| expected <= seconds);
        if !allowed && past.last().is_none_or(|(last, _)| *last != members) {
            past.push((members, f64::INFINITY));
        }
        allowed
    }
}

/// As the last two sizes differ, so will the next: a power of the size, at least linear.
fn expected(past: &[(u32, f64)], members: u32) -> Option<f64> {
    let (last, seconds) = *past.last()?;
    let grown = |from: u32, to: u32| f64::from(to) / f64::from(from);
    let exponent = match past.len().checked_sub(2).and_then(|index| past.get(index)) {
        Some((earlier, before)) if *before > 0.0 && last > *earlier => {
            ((seconds / before).ln() / grown(*earlier, last).ln()).max(1.0)
        }
        _ => 1.0,
    };
    Some(seconds * grown(last, members).powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (Kind::OpenMlsRustCrypto, Part::Create, Medium::Memory);

    #[test]
    fn what_grew_with_the_square_is_expected_to_go_on() {
        let mut budget = Budget::default();
        assert!(budget.allows(1.0, 100, KEY));
        budget.note(100, KEY, 0.01);
        assert!(budget.allows(1.0, 1_000, KEY));
        budget.note(1_000, KEY, 1.0);
        assert!(budget.allows(101.0, 10_000, KEY));
        assert!(!budget.allows(99.0, 100_000, KEY));
    }

    #[test]
    fn what_was_left_out_stays_out() {
        let mut budget = Budget::default();
        budget.note(100, KEY, 10.0);
        assert!(!budget.allows(50.0, 1_000, KEY));
        assert!(!budget.allows(1e9, 10_000, KEY));
        assert!(!budget.allows(50.0, 1_000, KEY));
    }

    #[test]
    fn a_size_that_was_begun_is_finished() {
        let mut budget = Budget::default();
        budget.note(100, KEY, 10.0);
        assert!(budget.allows(5.0, 100, KEY));
    }
}
