//! Rates, percentiles and targets.

use std::time::Duration;

use serde::Serialize;

/// What a measure found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    /// What was measured.
    pub(super) name: &'static str,
    /// How much.
    pub(super) value: f64,
    /// Of what.
    pub(super) unit: &'static str,
    /// What it should be.
    pub(super) target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// Not less.
    AtLeast(f64),
    /// Less.
    Below(f64),
    /// There is one, but what it depends on was not measured.
    Unknown,
}

impl Figure {
    /// A figure without a target.
    pub(super) fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, target: None }
    }

    /// The same figure with a target.
    pub(super) fn should(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Whether the target was reached; `None` if there is none, or none that is known.
    pub(super) fn met(&self) -> Option<bool> {
        match self.target? {
            Target::AtLeast(least) => Some(self.value >= least),
            Target::Below(bound) => Some(self.value < bound),
            Target::Unknown => None,
        }
    }
}

/// So many in this time, for a second.
pub(super) fn rate(count: u64, elapsed: Duration) -> f64 {
    // Counts stay far below 2^53.
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    count / elapsed.as_secs_f64().max(f64::EPSILON)
}

/// Times of which any percentile can be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    /// Of these, in any order.
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The shortest time that at least `percent` of all do not exceed (nearest rank); `None` of none.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.sorted.len().saturating_mul(percent.min(100))).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(of: impl IntoIterator<Item = u64>) -> Times {
        Times::new(of.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured_and_that_so_many_do_not_exceed() {
        let hundred = times((1..=100).rev());
        for percent in [1, 50, 99, 100] {
            assert_eq!(hundred.percentile(percent), Some(Duration::from_millis(percent as u64)));
        }
        let five = times([50, 10, 40, 20, 30]);
        assert_eq!(five.percentile(50), Some(Duration::from_millis(30)));
        assert_eq!(five.percentile(99), Some(Duration::from_millis(50)));
        assert_eq!(five.percentile(0), Some(Duration::from_millis(10)));
        assert_eq!(times([7]).percentile(50), Some(Duration::from_millis(7)));
        assert_eq!(times([]).percentile(50), None);
    }

    #[test]
    fn a_rate_is_per_second() {
        assert_eq!(rate(500, Duration::from_millis(250)), 2_000.0);
        assert!(rate(1, Duration::ZERO).is_finite());
    }

    #[test]
    fn a_target_is_met_or_missed_at_its_bound() {
        let figure = |value, target| Figure::new("x", value, "1/s").should(target).met();
        assert_eq!(figure(5.0, Target::AtLeast(5.0)), Some(true));
        assert_eq!(figure(4.9, Target::AtLeast(5.0)), Some(false));
        assert_eq!(figure(5.0, Target::Below(5.0)), Some(false));
        assert_eq!(figure(4.9, Target::Below(5.0)), Some(true));
        assert_eq!(figure(4.9, Target::Unknown), None);
        assert_eq!(Figure::new("x", 1.0, "1/s").met(), None);
    }
}
