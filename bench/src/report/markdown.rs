//! The targets' lines as a Markdown table.

use std::fmt::Write as _;

use super::Report;
use super::table::value_of;
use super::units::{count, times};

/// Date, machine and versions, then one row for each target.
pub fn table(report: &Report) -> String {
    let mut out = format!("{}. {}.\n\n", report.setting.line(), report.setting.peers());
    out.push_str("| members | operation | figure | Keyroom | compared with | | factor | target | |\n");
    out.push_str("|---:|---|---|---:|---|---:|---:|---:|---|\n");
    for verdict in &report.verdicts {
        let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| value_of(verdict, value));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} {} | {} |",
            count(verdict.members),
            verdict.operation,
            verdict.figure,
            value(verdict.ours),
            verdict.other_name,
            value(verdict.other),
            verdict.factor.map_or_else(|| "–".to_owned(), times),
            if verdict.at_least { "≥" } else { "≤" },
            verdict.goal,
            if verdict.met { "met" } else { "missed" },
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Setting;
    use crate::targets::Verdict;

    #[test]
    fn a_row_says_what_was_reached() {
        let verdict = Verdict {
            members: 10_000,
            operation: "send 32 B",
            figure: "stored",
            ours: Some(15e-6),
            other: Some(300e-6),
            other_name: "mls-rs aws-lc".to_owned(),
            factor: Some(20.0),
            goal: 12.0,
            at_least: true,
            spread: 0.05,
            met: true,
        };
        let report = Report { setting: Setting::here(), measured: Vec::new(), verdicts: vec![verdict] };
        let expected = "| 10,000 | send 32 B | stored | 15.0 us | mls-rs aws-lc | 300 us | 20.0x | ≥ 12 | met |";
        assert!(table(&report).contains(expected), "{}", table(&report));
    }
}
