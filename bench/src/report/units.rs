//! Numbers as people read them.

use crate::operation::Figure;

/// A value of a figure with its unit.
pub fn show(figure: Figure, value: f64) -> String {
    if figure.is_time() { time(value) } else { bytes(value) }
}

/// Seconds.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{} us", three(s * 1e6)),
        s if s < 1.0 => format!("{} ms", three(s * 1e3)),
        s => format!("{} s", three(s)),
    }
}

/// Bytes.
pub fn bytes(bytes: f64) -> String {
    match bytes {
        b if b < 1e4 => format!("{b:.0} B"),
        b if b < 1e6 => format!("{} kB", three(b / 1e3)),
        b => format!("{} MB", three(b / 1e6)),
    }
}

/// A ratio.
pub fn times(ratio: f64) -> String {
    format!("{}x", three(ratio))
}

/// A group's size, with commas.
pub fn count(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Three significant digits.
fn three(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits_and_a_unit() {
        assert_eq!(time(12.345e-6), "12.3 us");
        assert_eq!(time(0.000_999_9), "1000 us");
        assert_eq!(time(1.5), "1.50 s");
        assert_eq!(bytes(41.0), "41 B");
        assert_eq!(bytes(331_000.0), "331 kB");
        assert_eq!(times(123.4), "123x");
        assert_eq!(count(100_000), "100,000");
        assert_eq!(count(10), "10");
    }
}
