//! One table of all figures.

use serde::Serialize;

use super::Plan;
use super::figures::{Figure, Target};
use super::host::{Durability, Engine};
use super::machine::Machine;

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Markdown,
    Json,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    /// The time of each measure.
    seconds: f64,
    /// By what groups, members and subscribers were divided.
    scale: usize,
    engines: Vec<Durable>,
    lines: Vec<Line>,
}

/// What an engine said about surviving a loss of power.
#[derive(Debug, Serialize)]
struct Durable {
    engine: Engine,
    settings: String,
}

#[derive(Debug, Serialize)]
struct Line {
    engine: Engine,
    #[serde(flatten)]
    figure: Figure,
    met: Option<bool>,
}

impl Report {
    /// A report without figures.
    pub(super) fn new(plan: &Plan) -> Self {
        let (engines, lines) = (Vec::new(), Vec::new());
        Self { machine: Machine::here(), seconds: plan.seconds.as_secs_f64(), scale: plan.scale, engines, lines }
    }

    /// Adds the figures of a measure.
    pub(super) fn add(&mut self, engine: Engine, durability: Durability, figures: Vec<Figure>) {
        if !self.engines.iter().any(|durable| durable.engine == engine) {
            self.engines.push(Durable { engine, settings: durability.settings });
        }
        self.lines.extend(figures.into_iter().map(|figure| Line { engine, met: figure.met(), figure }));
    }

    /// How many targets were missed.
    pub(super) fn missed(&self) -> usize {
        self.lines.iter().filter(|line| line.met == Some(false)).count()
    }

    /// How many targets could not be judged.
    pub(super) fn unjudged(&self) -> usize {
        self.lines.iter().filter(|line| line.figure.target == Some(Target::Unknown)).count()
    }

    /// The report as it is printed.
    pub(super) fn render(&self, format: Format) -> String {
        match format {
            // A report is text and numbers: it always becomes JSON.
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Format::Text => self.head() + &self.table(),
            Format::Markdown => self.head() + "\n" + &self.markdown(),
        }
    }

    fn head(&self) -> String {
        let mut head = format!("{}; {} s a measure", self.machine.line(), self.seconds);
        if self.scale != 1 {
            head += &format!("; a look at a {}th of the load, which says nothing about targets", self.scale);
        }
        for durable in &self.engines {
            head += &format!("\n{}: {}", durable.engine, durable.settings);
        }
        head + "\n"
    }

    fn table(&self) -> String {
        let rows: Vec<[String; 6]> = self.lines.iter().map(Line::cells).collect();
        let width =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line += &if column == 2 { format!("{cell:>width$}  ") } else { format!("{cell:width$}  ") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = "| measure | engine | figure | | target | |\n|---|---|---:|---|---|---|\n".to_owned();
        for line in &self.lines {
            text += &format!("| {} |\n", line.cells().join(" | ").replace("missed", "**missed**"));
        }
        text
    }
}

impl Line {
    fn cells(&self) -> [String; 6] {
        let target = match self.figure.target {
            Some(Target::AtLeast(least)) => format!("≥ {}", number(least)),
            Some(Target::Below(bound)) => format!("< {}", number(bound)),
            Some(Target::Unknown) | None => String::new(),
        };
        let verdict = match (self.met, self.figure.target) {
            (Some(true), _) => "met",
            (Some(false), _) => "missed",
            (None, Some(_)) => "not judged",
            (None, None) => "",
        };
        let (name, unit) = (self.figure.name.to_owned(), self.figure.unit.to_owned());
        [name, self.engine.to_string(), number(self.figure.value), unit, target, verdict.to_owned()]
    }
}

/// Three digits, and no fraction where there are more; thousands apart.
fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report() -> Report {
        let mut report = Report::new(&Plan { seconds: Duration::from_secs(5), scale: 1 });
        let good = Figure::new("messages", 12_345.6, "1/s").should(Target::AtLeast(5_000.0));
        let bad = Figure::new("delivery p99", 61.24, "ms").should(Target::Below(50.0));
        let durability = Durability { settings: "synchronous=full".into() };
        report.add(Engine::Sqlite, durability, vec![good, bad, Figure::new("claims", 7.0, "1/s")]);
        let durability = Durability { settings: "fsync=on".into() };
        report.add(Engine::Postgres, durability, vec![Figure::new("messages", 8.0, "1/s").should(Target::Unknown)]);
        report
    }

    #[test]
    fn a_table_says_what_was_met_and_what_was_missed() {
        let text = report().render(Format::Text);
        assert!(text.contains("sqlite: synchronous=full\n"), "{text}");
        assert!(text.contains("messages      sqlite    12,346  1/s  ≥ 5,000  met\n"), "{text}");
        assert!(text.contains("delivery p99  sqlite      61.2  ms   < 50.0   missed\n"), "{text}");
        assert!(text.contains("claims        sqlite      7.00  1/s\n"), "{text}");
        assert!(text.contains("messages      postgres    8.00  1/s           not judged\n"), "{text}");
        assert_eq!((report().missed(), report().unjudged()), (1, 1));
        let text = report().render(Format::Markdown);
        assert!(text.contains("| delivery p99 | sqlite | 61.2 | ms | < 50.0 | **missed** |\n"), "{text}");
    }

    #[test]
    fn json_has_the_numbers_unrounded() {
        let value: serde_json::Value = serde_json::from_str(&report().render(Format::Json)).unwrap();
        assert_eq!(value["lines"][0]["value"], 12_345.6);
        assert_eq!(value["lines"][1]["target"]["below"], 50.0);
        assert_eq!(value["lines"][1]["met"], false);
        assert_eq!(value["lines"][2]["met"], serde_json::Value::Null);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0.00"), (9.876, "9.88"), (99.94, "99.9"), (999.6, "1,000"), (1e6, "1,000,000")] {
            assert_eq!(number(value), text);
        }
    }
}
