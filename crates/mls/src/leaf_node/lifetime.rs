use keyroom_wire::Lifetime;

use crate::error::Rule;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// How much of a lifetime is checked (RFC 9420 §7.2, §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifetimeCheck {
    /// Its length, and that now is inside: for a leaf that is about to be added.
    LengthAndRange,
    /// Its length only: for leaves that have stood in a tree for a while.
    Length,
    /// Only that it does not end before it begins.
    Order,
}

/// Which lifetimes are acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimePolicy {
    /// Longest total lifetime, `not_after − not_before`, in seconds. The RFC demands that there is
    /// one. Default 366 days, which admits the packages of the clients that are deployed.
    pub max_seconds: u64,
    /// How far clocks may disagree, in seconds. Default one hour.
    pub skew: u64,
    /// How much is checked. Default all.
    pub check: LifetimeCheck,
}

impl LifetimePolicy {
    /// The same limits with another amount of checking.
    #[must_use]
    pub fn checking(self, check: LifetimeCheck) -> Self {
        Self { check, ..self }
    }

    /// Checks a lifetime. Without a `now` (seconds since 1970) its range is not checked.
    ///
    /// # Errors
    /// [`Rule::LifetimeReversed`], [`Rule::LifetimeTooLong`], [`Rule::LifetimeOutside`].
    pub fn check(&self, lifetime: Lifetime, now: Option<u64>) -> Result<(), Rule> {
        let Some(length) = lifetime.not_after.checked_sub(lifetime.not_before) else {
            return Err(Rule::LifetimeReversed);
        };
        if self.check != LifetimeCheck::Order && length > self.max_seconds {
            return Err(Rule::LifetimeTooLong);
        }
        match now {
            Some(now) if self.check == LifetimeCheck::LengthAndRange && !self.covers(lifetime, now) => {
                Err(Rule::LifetimeOutside)
            }
            _ => Ok(()),
        }
    }

    fn covers(&self, lifetime: Lifetime, now: u64) -> bool {
        let first = lifetime.not_before.saturating_sub(self.skew);
        let last = lifetime.not_after.saturating_add(self.skew);
        (first..=last).contains(&now)
    }
}

impl Default for LifetimePolicy {
    fn default() -> Self {
        Self { max_seconds: 366 * DAY, skew: HOUR, check: LifetimeCheck::LengthAndRange }
    }
}

/// A lifetime from an hour before `now` (clocks differ) until `seconds` after it, both in seconds
/// since 1970.
pub fn lifetime_from(now: u64, seconds: u64) -> Lifetime {
    Lifetime { not_before: now.saturating_sub(HOUR), not_after: now.saturating_add(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: LifetimePolicy = LifetimePolicy { max_seconds: 100, skew: 5, check: LifetimeCheck::LengthAndRange };

    fn lifetime(not_before: u64, not_after: u64) -> Lifetime {
        Lifetime { not_before, not_after }
    }

    #[test]
    fn row_062_now_must_lie_inside_within_the_skew() {
        assert_eq!(POLICY.check(lifetime(1_000, 1_100), Some(995)), Ok(()));
        assert_eq!(POLICY.check(lifetime(1_000, 1_100), Some(1_105)), Ok(()));
        assert_eq!(POLICY.check(lifetime(1_000, 1_100), Some(994)), Err(Rule::LifetimeOutside));
        assert_eq!(POLICY.check(lifetime(1_000, 1_100), Some(1_106)), Err(Rule::LifetimeOutside));
    }

    #[test]
    fn row_063_the_range_is_checked_only_where_asked_and_with_a_clock() {
        assert_eq!(POLICY.check(lifetime(1_000, 1_100), None), Ok(()));
        assert_eq!(POLICY.checking(LifetimeCheck::Length).check(lifetime(1_000, 1_100), Some(0)), Ok(()));
    }

    #[test]
    fn row_064_a_lifetime_may_not_be_too_long() {
        assert_eq!(POLICY.check(lifetime(0, 101), Some(50)), Err(Rule::LifetimeTooLong));
        assert_eq!(
            POLICY.checking(LifetimeCheck::Length).check(lifetime(0, u64::MAX), None),
            Err(Rule::LifetimeTooLong)
        );
        assert_eq!(POLICY.checking(LifetimeCheck::Order).check(lifetime(0, u64::MAX), None), Ok(()));
    }

    #[test]
    fn row_065_reversed_and_extreme_lifetimes_neither_pass_nor_overflow() {
        assert_eq!(POLICY.checking(LifetimeCheck::Order).check(lifetime(2, 1), None), Err(Rule::LifetimeReversed));
        assert_eq!(POLICY.check(lifetime(u64::MAX, 0), Some(u64::MAX)), Err(Rule::LifetimeReversed));
        assert_eq!(POLICY.check(lifetime(u64::MAX - 1, u64::MAX), Some(u64::MAX)), Ok(()));
        assert_eq!(POLICY.check(lifetime(0, 3), Some(0)), Ok(()));
    }

    #[test]
    fn an_own_lifetime_begins_an_hour_ago() {
        assert_eq!(lifetime_from(10_000, 50), lifetime(6_400, 10_050));
        assert_eq!(lifetime_from(10, u64::MAX), lifetime(0, u64::MAX));
    }
}
