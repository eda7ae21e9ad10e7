use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::{DecodeError, DecodeErrorKind as Kind, Limits};

/// A value that can be written in the TLS presentation language (RFC 9420 §2.1).
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding on its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A value that can be read from the TLS presentation language (RFC 9420 §2.1).
pub trait Decode<'a>: Sized {
    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// [`DecodeError`] with the offset and the enclosing fields. Where the reader then stands is
    /// not defined.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads one value that takes up the whole input.
    ///
    /// # Errors
    /// [`DecodeError`] with the offset and the enclosing fields; trailing bytes are an error.
    fn from_bytes(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        if bytes.len() > limits.message {
            return Err(DecodeError::new(0, Kind::TooLong { length: bytes.len(), limit: limits.message }));
        }
        let mut reader = Reader::new(bytes, *limits);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A cursor over borrowed bytes that knows its offset in the whole input.
///
/// `Debug` shows where it stands and none of the bytes: they may be a decrypted secret.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    limits: Limits,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self { rest: bytes, offset: 0, limits }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes read so far, counted from the start of the whole input.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error at the current offset.
    pub fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::new(self.offset, kind)
    }

    /// Succeeds if everything has been read.
    ///
    /// # Errors
    /// [`TrailingBytes`](Kind::TrailingBytes) otherwise.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Kind::TrailingBytes { count: self.rest.len() })) }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`EndOfInput`](Kind::EndOfInput) if fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, tail)) = self.rest.split_at_checked(count) else {
            return Err(self.error(Kind::EndOfInput { needed: count, left: self.rest.len() }));
        };
        self.rest = tail;
        self.offset += count;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`EndOfInput`](Kind::EndOfInput) if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.error(Kind::EndOfInput { needed: N, left: self.rest.len() }));
        };
        self.rest = tail;
        self.offset += N;
        Ok(*head)
    }

    /// A vector length header (§2.1.2), in bytes.
    fn length(&mut self) -> Result<usize, DecodeError> {
        let at = self.offset;
        let [first] = self.array()?;
        let low = u32::from(first & 0x3f);
        let (length, least) = match first >> 6 {
            0 => (low, 0),
            1 => {
                let [b] = self.array()?;
                (low << 8 | u32::from(b), 1 << 6)
            }
            2 => {
                let [b, c, d] = self.array()?;
                (low << 24 | u32::from_be_bytes([0, b, c, d]), 1 << 14)
            }
            _ => return Err(DecodeError::new(at, Kind::LengthReserved)),
        };
        if length < least {
            return Err(DecodeError::new(at, Kind::LengthNotMinimal));
        }
        // Where addresses have 16 bits, what does not fit is over every limit.
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn vector_within(&mut self, limit: usize) -> Result<Self, DecodeError> {
        let at = self.offset;
        let length = self.length()?;
        if length > limit {
            return Err(DecodeError::new(at, Kind::TooLong { length, limit }));
        }
        let offset = self.offset;
        Ok(Self { rest: self.take(length)?, offset, limits: self.limits })
    }

    /// A reader over the content of a variable-length vector of at most [`Limits::vector`] bytes.
    ///
    /// # Errors
    /// A length header that is not minimal, reserved, over the limit or longer than the input.
    pub fn vector(&mut self) -> Result<Self, DecodeError> {
        self.vector_within(self.limits.vector)
    }

    /// The content of an `opaque<V>` of at most [`Limits::field`] bytes.
    ///
    /// # Errors
    /// As for [`Reader::vector`].
    pub fn field(&mut self) -> Result<&'a [u8], DecodeError> {
        Ok(self.vector_within(self.limits.field)?.rest)
    }

    /// The content of an `opaque<V>` of at most [`Limits::vector`] bytes.
    ///
    /// # Errors
    /// As for [`Reader::vector`].
    pub fn opaque(&mut self) -> Result<&'a [u8], DecodeError> {
        Ok(self.vector()?.rest)
    }

    /// Decodes one value, naming the field in the error.
    pub(crate) fn read<T: Decode<'a>>(&mut self, field: &'static str) -> Result<T, DecodeError> {
        T::decode(self).map_err(|e| e.inside(field))
    }

    /// [`Reader::field`], naming the field in the error.
    pub(crate) fn read_field(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.field().map_err(|e| e.inside(field))
    }

    /// Decodes the value that says which variant follows.
    pub(crate) fn selector<T: Decode<'a>>(&mut self, field: &'static str) -> Result<Selector<T>, DecodeError> {
        let offset = self.offset;
        Ok(Selector { value: self.read(field)?, offset, field })
    }

    /// Runs `read` and returns its value with the bytes that it consumed.
    pub(crate) fn spanned<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<(T, &'a [u8]), DecodeError> {
        let before = self.clone();
        let value = read(self)?;
        Ok((value, before.until(self)))
    }

    /// The bytes between this place and the later one of the same input.
    pub(crate) fn until(&self, later: &Self) -> &'a [u8] {
        self.rest.get(..later.offset - self.offset).unwrap_or_default()
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("offset", &self.offset).field("left", &self.rest.len()).finish_non_exhaustive()
    }
}

/// A value that says which variant follows, with what an error about it needs.
pub(crate) struct Selector<T> {
    pub(crate) value: T,
    offset: usize,
    field: &'static str,
}

impl<T: Into<u32>> Selector<T> {
    /// The value selects no variant.
    pub(crate) fn unknown(self) -> DecodeError {
        DecodeError::unknown(self.offset, self.value).inside(self.field)
    }
}

/// Appends a vector whose content `body` writes (§2.1.2).
///
/// A content of 2^30 bytes or more cannot be expressed; it gets the reserved length prefix, which
/// every decoder refuses, so it can never be mistaken for something else.
pub fn write_vector(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    const HEADER: usize = 4;
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    body(out);
    let length = out.len() - start - HEADER;
    let (header, width) = length_header(length);
    if let Some(slot) = out.get_mut(start..start + width) {
        slot.copy_from_slice(header.get(..width).unwrap_or_default());
    }
    if width < HEADER {
        out.copy_within(start + HEADER.., start + width);
        out.truncate(start + width + length);
    }
}

/// Appends an `opaque<V>`.
pub(crate) fn write_opaque(out: &mut Vec<u8>, bytes: &[u8]) {
    let (header, width) = length_header(bytes.len());
    out.extend_from_slice(header.get(..width).unwrap_or_default());
    out.extend_from_slice(bytes);
}

/// The length prefix of a vector (§2.1.2) and how many of these bytes it has: 1, 2 or 4.
pub fn length_header(length: usize) -> ([u8; 4], usize) {
    let wide = u32::try_from(length).unwrap_or(u32::MAX);
    let [a, b, c, d] = wide.to_be_bytes();
    match wide {
        0..0x40 => ([d, 0, 0, 0], 1),
        0x40..0x4000 => ([0x40 | c, d, 0, 0], 2),
        0x4000..0x4000_0000 => ([0x80 | a, b, c, d], 4),
        _ => ([0xff; 4], 4),
    }
}

macro_rules! integer {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Decode<'_> for $int {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(reader.array()?))
            }
        }
    )*};
}
integer!(u8, u16, u32, u64);

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.offset();
        match u8::decode(reader)? {
            0 => Ok(None),
            1 => T::decode(reader).map(Some),
            value => Err(DecodeError::new(at, Kind::Presence { value })),
        }
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode(self, out);
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Box<T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        T::decode(reader).map(Self::new)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        write_vector(out, |out| self.iter().for_each(|item| item.encode(out)));
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut content = reader.vector()?;
        let mut items = Self::new();
        while !content.is_empty() {
            items.push(T::decode(&mut content)?);
        }
        Ok(items)
    }
}

/// Declares an RFC struct whose fields are encoded in order.
macro_rules! wire_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* }

        impl $crate::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::Encode::encode(&self.$field, out);)*
            }
        }

        impl<'a> $crate::Decode<'a> for $name {
            fn decode(reader: &mut $crate::Reader<'a>) -> Result<Self, $crate::DecodeError> {
                Ok(Self { $($field: reader.read(concat!(stringify!($name), ".", stringify!($field)))?),* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// Declares an RFC enum of one byte to which nothing can be added.
macro_rules! closed_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $crate::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                out.push(match self { $(Self::$variant => $value),* });
            }
        }

        impl $crate::Decode<'_> for $name {
            fn decode(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                let at = reader.offset();
                match u8::decode(reader)? {
                    $($value => Ok(Self::$variant),)*
                    value => Err($crate::DecodeError::unknown(at, value)),
                }
            }
        }
    };
}
pub(crate) use closed_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn vector(bytes: &[u8]) -> Result<Vec<u8>, Kind> {
        let mut reader = Reader::new(bytes, Limits { message: 1 << 20, vector: 1 << 20, field: 1 << 20 });
        reader.opaque().map(<[u8]>::to_vec).map_err(|e| e.kind)
    }

    #[test]
    fn a_length_that_is_not_minimal_is_refused() {
        assert_eq!(vector(&[0x40, 0x01, 7]), Err(Kind::LengthNotMinimal));
        assert_eq!(vector(&[0x80, 0, 0x3f, 0xff]), Err(Kind::LengthNotMinimal));
        assert_eq!(vector(&[0xc0, 0, 0, 0, 0, 0, 0, 0]), Err(Kind::LengthReserved));
    }

    #[test]
    fn a_declared_length_beyond_the_input_is_refused_before_allocation() {
        assert_eq!(vector(&[0x80, 0x0f, 0xff, 0xff]), Err(Kind::EndOfInput { needed: 0x0f_ffff, left: 0 }));
        assert_eq!(vector(&[0xbf, 0xff, 0xff, 0xff]), Err(Kind::TooLong { length: 0x3fff_ffff, limit: 1 << 20 }));
    }

    #[test]
    fn every_header_width_round_trips() {
        for length in [0, 1, 63, 64, 16383, 16384, 70_000] {
            let content = vec![5; length];
            let (mut direct, mut nested) = (Vec::new(), Vec::new());
            write_opaque(&mut direct, &content);
            write_vector(&mut nested, |out| out.extend_from_slice(&content));
            assert_eq!(direct, nested);
            assert_eq!(vector(&direct), Ok(content));
        }
    }

    #[test]
    fn an_element_may_not_straddle_the_end_of_its_vector() {
        let bytes = [3, 0, 1, 0, 2];
        let error = Vec::<u16>::from_bytes(&bytes, &Limits::default()).unwrap_err();
        assert_eq!((error.offset, error.kind), (3, Kind::EndOfInput { needed: 2, left: 1 }));
    }

    #[test]
    fn a_presence_byte_is_zero_or_one() {
        assert_eq!(
            Option::<u8>::from_bytes(&[2, 9], &Limits::default()).unwrap_err().kind,
            Kind::Presence { value: 2 }
        );
        assert_eq!(
            Option::<u8>::from_bytes(&[0, 9], &Limits::default()).unwrap_err().kind,
            Kind::TrailingBytes { count: 1 }
        );
    }
}
