//! `keyroomd config check`: every setting, where it comes from, and what is wrong.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::fault::Fault;
use super::layers::Values;
use super::output;
use super::plan::Plan;
use super::settings::Setting;

/// Stands in the place of a value that holds a password.
const HIDDEN: &str = "(hidden)";

pub(super) fn run(values: &Values, mut faults: Vec<Fault>) -> ExitCode {
    faults.extend(Plan::read(values).1);
    output::write(&table(values));
    output::write(&verdict(&faults));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(values: &Values) -> String {
    let rows: Vec<[String; 3]> = Setting::ALL
        .iter()
        .map(|&setting| {
            let given = values.value(setting);
            let text = if given.holds_password(setting) { HIDDEN.into() } else { given.text };
            [setting.name().into(), text, given.source.to_string()]
        })
        .collect();
    let width = |column: fn(&[String; 3]) -> &String| rows.iter().map(|row| column(row).chars().count()).max();
    let (first, second) = (width(|[name, ..]| name).unwrap_or(0), width(|[_, value, _]| value).unwrap_or(0));
    rows.iter().fold(String::new(), |mut table, [name, value, source]| {
        let _ = writeln!(table, "{name:first$}  {value:second$}  {source}");
        table
    })
}

fn verdict(faults: &[Fault]) -> String {
    if faults.is_empty() {
        return "\nThe settings are good.\n".into();
    }
    let mut text = format!("\n{} to be done:\n", faults.len());
    faults.iter().for_each(|fault| {
        let _ = writeln!(text, "- {fault}");
    });
    text
}
