//! Everything as JSON.

use serde_json::{Map, Value, json};

use super::Report;
use crate::measure::Measured;
use crate::operation::{Figure, Operation};

/// The document: seconds and bytes.
pub fn document(report: &Report) -> Value {
    let sizes: Vec<Value> = report.measured.iter().map(size).collect();
    json!({
        "setting": report.setting,
        "sizes": sizes,
        "targets": report.verdicts,
    })
}

fn size(measured: &Measured) -> Value {
    let mut lines = Vec::new();
    for operation in Operation::ALL {
        for figure in Figure::ALL {
            let kinds = kinds(measured, operation, figure);
            if !kinds.is_empty() {
                lines.push(json!({
                    "operation": operation.name(),
                    "figure": figure.name(),
                    "unit": if figure.is_time() { "seconds" } else { "bytes" },
                    "kinds": kinds,
                    "ratio": super::table::ratio(measured, (operation, figure)),
                    "bound": measured.primitives.lower_bound(operation, measured.members).filter(|_| figure == Figure::Work),
                }));
            }
        }
    }
    let left_out = measured.left_out.iter().map(|(kind, part)| json!({ "kind": kind.name(), "part": part.name() }));
    json!({
        "members": measured.members,
        "primitives_seconds": measured.primitives,
        "lines": lines,
        "left_out": left_out.collect::<Vec<_>>(),
    })
}

fn kinds(measured: &Measured, operation: Operation, figure: Figure) -> Map<String, Value> {
    let line = (operation, figure);
    let measured = measured.samples.iter().filter(|(_, samples)| !samples.values(line).is_empty());
    let one = measured.map(|(kind, samples)| {
        let values = samples.values(line).len();
        let value = json!({ "median": samples.median(line), "spread": samples.spread(line), "values": values });
        (kind.name().to_owned(), value)
    });
    one.collect()
}
