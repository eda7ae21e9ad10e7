//! Where bytes are malformed, why, and what may help.

use std::fmt::Write;

use clap::ValueEnum;
use keyroom_wire::{DecodeError, DecodeErrorKind as Kind, Limits};

use super::describe::Problem;
use super::structs::Struct;

/// The whole report on bytes that are not the struct that they should be.
pub(crate) fn explain(kind: Struct, error: &DecodeError, bytes: &[u8], limits: &Limits) -> String {
    let mut text = format!("error: not a valid {}: {}\n", kind.name(), error.kind);
    let _infallible = writeln!(text, "  at byte {} of {}", error.offset, bytes.len());
    if !error.within.is_empty() {
        let path: Vec<_> = error.within.iter().rev().copied().collect();
        let _infallible = writeln!(text, "  in {}", path.join(" > "));
    }
    text.push('\n');
    text.push_str(&window(bytes, error.offset));
    let _infallible = write!(text, "\nhint: {}\n", hint(kind, error, bytes, limits));
    text
}

/// The report on known extensions whose data do not parse, inside a value that does.
pub(crate) fn explain_extensions(problems: &[Problem]) -> String {
    let mut text = String::new();
    for Problem { extension_type, error } in problems {
        let _infallible = writeln!(text, "error: the data of extension {extension_type} are malformed {error}");
    }
    text.push_str("hint: a receiver must refuse known extensions that do not parse (RFC 9420 §13.4)\n");
    text
}

/// What may help. First: are the bytes whole, but another struct?
fn hint(kind: Struct, error: &DecodeError, bytes: &[u8], limits: &Limits) -> String {
    let other = Struct::value_variants().iter().find(|other| is_worth_naming(**other) && other.fits(bytes, limits));
    match other {
        Some(other) if *other != kind => {
            format!("the bytes are a whole {}: try --as {}", other.name(), other.argument())
        }
        _ => reason(error, bytes.len()).to_owned(),
    }
}

/// Structs of which random bytes are hardly ever one.
fn is_worth_naming(kind: Struct) -> bool {
    !matches!(kind, Struct::Credential | Struct::Extensions | Struct::Proposal | Struct::Commit)
}

fn reason(error: &DecodeError, length: usize) -> &'static str {
    match error.kind {
        _ if length == 0 => "the input is empty",
        Kind::EndOfInput { left, .. } if error.offset + left >= length => "the input ends too early: is it cut off?",
        Kind::EndOfInput { .. } => "a length before this place is wrong: the value passes the end of what encloses it",
        Kind::TrailingBytes { .. } => "the value ends before the input does: is something appended to it?",
        Kind::LengthNotMinimal => "lengths below 64 take one byte, below 16384 two, others four (RFC 9420 §2.1.2)",
        Kind::LengthReserved => "no length starts with two one bits (RFC 9420 §2.1.2); an earlier field may be wrong",
        Kind::TooLong { .. } => "the length is wrong, or the value is larger than this program accepts",
        Kind::UnknownValue { .. } if error.offset < 4 => {
            "messages start with 0001 and a wire format from 0001 to 0005; --as reads other structs"
        }
        Kind::UnknownValue { .. } => "RFC 9420 does not define this value here; an earlier field may be wrong",
        Kind::Presence { .. } => {
            "an optional value starts with 00 or 01 (RFC 9420 §2.1.1); an earlier field may be wrong"
        }
        Kind::PaddingNotZero => "padding is all zero (RFC 9420 §6.3.1)",
        Kind::NodeTypeAtWrongParity => "leaves have even indexes and parents odd ones (RFC 9420 §12.4.3.3)",
        _ => "the bytes break a rule of RFC 9420",
    }
}

/// Three rows of hex around the offset, with a mark below its byte.
fn window(bytes: &[u8], offset: usize) -> String {
    const ROW: usize = 16;
    let marked = offset / ROW;
    let mut text = String::new();
    for row in marked.saturating_sub(1)..=marked + 1 {
        let start = row * ROW;
        let cells = bytes.get(start..bytes.len().min(start + ROW)).unwrap_or_default();
        if cells.is_empty() && row != marked {
            continue;
        }
        let hex: Vec<_> = cells.iter().map(|byte| format!("{byte:02x}")).collect();
        let _infallible = writeln!(text, "  {start:08x}  {}", hex.join(" "));
        if row == marked {
            let _infallible = writeln!(text, "{}^^", " ".repeat(2 + 8 + 2 + 3 * (offset % ROW)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_byte_at_the_offset() {
        let bytes: Vec<u8> = (0..40).collect();
        for (offset, digits) in [(0, "00"), (15, "0f"), (16, "10"), (39, "27")] {
            let window = window(&bytes, offset);
            let lines: Vec<_> = window.lines().collect();
            let mark = lines.iter().position(|line| line.trim() == "^^").unwrap();
            let column = lines[mark].find('^').unwrap();
            assert_eq!(lines[mark - 1].get(column..column + 2), Some(digits));
        }
    }

    #[test]
    fn the_end_of_the_input_is_marked_behind_its_last_byte() {
        assert_eq!(window(&[1, 2], 2), "  00000000  01 02\n                  ^^\n");
        assert_eq!(window(&[], 0), "  00000000  \n            ^^\n");
    }
}
