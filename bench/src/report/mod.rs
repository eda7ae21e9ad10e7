//! The results for readers and for programs.

pub mod json;
pub mod markdown;
pub mod svg;
pub mod table;
pub mod units;

use crate::machine::Setting;
use crate::measure::Measured;
use crate::targets::Verdict;

/// Everything that a run has found.
#[derive(Debug)]
pub struct Report {
    /// Where, when and with what.
    pub setting: Setting,
    /// What was measured, by size.
    pub measured: Vec<Measured>,
    /// How the targets came out.
    pub verdicts: Vec<Verdict>,
}
