use alloc::vec::Vec;
use core::fmt;

/// Why bytes could not be decoded, where, and inside which field.
///
/// The bytes are malformed: trying again with the same bytes cannot help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in bytes from the start of the input that was being decoded.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
    /// The fields that enclose the offset, innermost first, as `Struct.field`.
    pub within: Vec<&'static str>,
}

/// The ways in which bytes break the presentation language of RFC 9420 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input or the enclosing vector ends before the value does.
    EndOfInput {
        /// Bytes that the value still needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes remain after the value (§6, §13.4).
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A vector length that is not written in its shortest form (§2.1.2).
    LengthNotMinimal,
    /// A vector length with the reserved prefix `11` (§2.1.2).
    LengthReserved,
    /// A vector or message that exceeds the [`Limits`](crate::Limits) in force.
    TooLong {
        /// Declared or actual length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// An enum value that RFC 9420 does not define.
    UnknownValue {
        /// The value read.
        value: u32,
    },
    /// The presence byte of an `optional` is neither 0 nor 1 (§2.1.1).
    Presence {
        /// The byte read.
        value: u8,
    },
    /// Padding contains a byte other than zero (§6.3.1).
    PaddingNotZero,
    /// A `ratchet_tree` holds a parent where a leaf belongs, or the reverse (§12.4.3.3).
    NodeTypeAtWrongParity,
}

impl DecodeError {
    pub(crate) fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self { offset, kind, within: Vec::new() }
    }

    /// An enum value at `offset` that selects nothing.
    pub(crate) fn unknown(offset: usize, value: impl Into<u32>) -> Self {
        Self::new(offset, DecodeErrorKind::UnknownValue { value: value.into() })
    }

    pub(crate) fn inside(mut self, field: &'static str) -> Self {
        self.within.push(field);
        self
    }
}

impl DecodeErrorKind {
    /// Stable code, for logs and for other languages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EndOfInput { .. } => "end-of-input",
            Self::TrailingBytes { .. } => "trailing-bytes",
            Self::LengthNotMinimal => "length-not-minimal",
            Self::LengthReserved => "length-reserved",
            Self::TooLong { .. } => "too-long",
            Self::UnknownValue { .. } => "unknown-value",
            Self::Presence { .. } => "presence",
            Self::PaddingNotZero => "padding-not-zero",
            Self::NodeTypeAtWrongParity => "node-type-at-wrong-parity",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        for (depth, field) in self.within.iter().rev().enumerate() {
            f.write_str(if depth == 0 { ", in " } else { " > " })?;
            f.write_str(field)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfInput { needed, left } => write!(f, "{} needed, {left} left", Bytes(*needed)),
            Self::TrailingBytes { count } => write!(f, "{} after the end of the value", Bytes(*count)),
            Self::LengthNotMinimal => f.write_str("vector length is not in its shortest form"),
            Self::LengthReserved => f.write_str("vector length has the reserved prefix 11"),
            Self::TooLong { length, limit } => write!(f, "a length of {} is over the limit of {limit}", Bytes(*length)),
            Self::UnknownValue { value } => write!(f, "value {value} is not defined"),
            Self::Presence { value } => write!(f, "presence byte {value} is neither 0 nor 1"),
            Self::PaddingNotZero => f.write_str("padding is not zero"),
            Self::NodeTypeAtWrongParity => f.write_str("leaf and parent nodes are not at their places"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A count of bytes, with its noun.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
