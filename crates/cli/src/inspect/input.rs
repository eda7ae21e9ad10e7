//! Where the bytes come from and how they are written there.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::ValueEnum;

use crate::failure::Failure;

/// How bytes are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// Hex or base64 if the file is nothing but that and white space, else the bytes themselves
    Auto,
    /// The bytes themselves
    Binary,
    /// Hexadecimal digits; white space is skipped
    Hex,
    /// Base64, the usual or the URL-safe alphabet, padded or not; white space is skipped
    Base64,
}

/// Reads a file, or standard input for `-`, of at most `limit` bytes after decoding.
///
/// # Errors
/// [`Failure::Usage`] if it cannot be read or is longer, [`Failure::Data`] if the text is not what
/// `encoding` says.
pub(crate) fn read(file: &Path, encoding: Encoding, limit: usize) -> Result<Vec<u8>, Failure> {
    let raw =
        read_raw(file, limit).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let bytes = decode(raw, encoding)?;
    if bytes.len() > limit {
        return Err(Failure::usage(format!("more than {limit} bytes; --max-bytes allows more")));
    }
    Ok(bytes)
}

/// Hex takes two characters for a byte, and white space may stand around each of them.
const WIDEST: usize = 4;

fn read_raw(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let most = limit.saturating_mul(WIDEST).saturating_add(1);
    let mut raw = Vec::new();
    let mut source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    source.by_ref().take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut raw)?;
    if raw.len() == most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long; --max-bytes allows more"));
    }
    Ok(raw)
}

fn decode(raw: Vec<u8>, encoding: Encoding) -> Result<Vec<u8>, Failure> {
    let text = || raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>();
    match encoding {
        Encoding::Binary => Ok(raw),
        Encoding::Hex => from_hex(&text()),
        Encoding::Base64 => from_base64(&text())
            .ok_or_else(|| Failure::data("the input is not base64", "--encoding auto finds out what it is instead")),
        Encoding::Auto => match text() {
            text if text.is_empty() => Ok(raw),
            text if text.iter().all(u8::is_ascii_hexdigit) => from_hex(&text),
            text => Ok(from_base64(&text).unwrap_or(raw)),
        },
    }
}

fn from_hex(text: &[u8]) -> Result<Vec<u8>, Failure> {
    hex::decode(text).map_err(|error| match error {
        hex::FromHexError::OddLength => Failure::data(
            format!("{} hexadecimal digits do not make whole bytes", text.len()),
            "a digit is missing, often because the text was cut off when it was copied",
        ),
        _ => Failure::data("the input is not hexadecimal", "--encoding auto finds out what it is instead"),
    })
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(raw: &[u8]) -> Vec<u8> {
        decode(raw.to_vec(), Encoding::Auto).unwrap()
    }

    #[test]
    fn hex_and_base64_are_recognised_with_white_space_in_them() {
        assert_eq!(auto(b"00 01\n00ff\r\n"), [0, 1, 0, 255]);
        assert_eq!(auto(b"AAEA\n/w==\n"), [0, 1, 0, 255]);
        assert_eq!(auto(b"AAEA_w"), [0, 1, 0, 255]);
    }

    #[test]
    fn anything_else_is_taken_as_it_is() {
        assert_eq!(auto(&[0, 1, 0, 255]), [0, 1, 0, 255]);
        assert_eq!(auto(b""), b"");
        assert_eq!(auto(b"\n"), b"\n");
    }

    #[test]
    fn half_a_byte_of_hex_is_an_error() {
        assert!(matches!(decode(b"000".to_vec(), Encoding::Auto), Err(Failure::Data { .. })));
        assert!(matches!(decode(b"zz".to_vec(), Encoding::Hex), Err(Failure::Data { .. })));
    }
}
