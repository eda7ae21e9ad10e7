//! What was measured, and medians of it.

use std::collections::BTreeMap;

use crate::operation::Line;

/// All values of one kind at one size: seconds or bytes.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<Line, Vec<f64>>);

impl Samples {
    /// Adds a value.
    pub fn push(&mut self, line: Line, value: f64) {
        self.0.entry(line).or_default().push(value);
    }

    /// The values of a line, as they came.
    pub fn values(&self, line: Line) -> &[f64] {
        self.0.get(&line).map_or(&[], Vec::as_slice)
    }

    /// The middle value.
    pub fn median(&self, line: Line) -> Option<f64> {
        quantile(self.values(line), 0.5)
    }

    /// How far the values lie apart, as a share of the median: the distance between the quartiles.
    pub fn spread(&self, line: Line) -> Option<f64> {
        let values = self.values(line);
        let (low, high) = (quantile(values, 0.25)?, quantile(values, 0.75)?);
        self.median(line).filter(|median| *median > 0.0).map(|median| (high - low) / median)
    }
}

/// A quantile, linear between neighbours; `None` of nothing.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Figure, Operation};

    const LINE: Line = (Operation::Commit, Figure::Work);

    fn samples(values: &[f64]) -> Samples {
        let mut samples = Samples::default();
        values.iter().for_each(|value| samples.push(LINE, *value));
        samples
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(samples(&[]).median(LINE), None);
        assert_eq!(samples(&[3.0]).median(LINE), Some(3.0));
        assert_eq!(samples(&[9.0, 1.0, 2.0]).median(LINE), Some(2.0));
        assert_eq!(samples(&[4.0, 1.0, 9.0, 2.0]).median(LINE), Some(3.0));
    }

    #[test]
    fn the_spread_is_the_distance_of_the_quartiles() {
        assert_eq!(samples(&[]).spread(LINE), None);
        assert_eq!(samples(&[5.0]).spread(LINE), Some(0.0));
        assert_eq!(samples(&[10.0, 9.0, 11.0, 8.0, 12.0]).spread(LINE), Some(0.2));
    }

    #[test]
    fn one_outlier_moves_neither() {
        let values = samples(&[10.0, 10.0, 10.0, 10.0, 900.0]);
        assert_eq!((values.median(LINE), values.spread(LINE)), (Some(10.0), Some(0.0)));
    }
}
