//! One line of `strace`.

use std::sync::Arc;

use super::What;

/// What a call did; `None` where it failed, was not carried out, or is of no interest.
pub(super) fn what(text: &str) -> Option<What> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    // A call that `strace` kept from the kernel did nothing, whatever the program was told.
    if result.contains("INJECTED") {
        return None;
    }
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let count: usize = result.split(['<', ' ']).next()?.parse().ok()?;
    let file = || place_in(arguments);
    let last = || arguments.rsplit_once(", ")?.1.parse().ok();
    let bytes = || {
        let mut bytes = strings(arguments);
        bytes.truncate(count);
        bytes
    };
    match name {
        "fsync" | "fdatasync" => Some(What::Sync(file()?)),
        "pwrite64" => Some(What::Write { file: file()?, offset: last()?, bytes: bytes() }),
        "ftruncate" => Some(What::Truncate(file()?, last()?)),
        "openat" if arguments.contains("O_CREAT") => Some(What::Create(place_in(result)?)),
        "unlink" => Some(What::Remove(String::from_utf8(strings(arguments)).ok()?.into())),
        "recvfrom" | "read" => socket(file()?).map(|socket| What::Receive(socket, bytes())),
        "write" | "writev" | "sendto" | "sendmsg" => socket(file()?).map(|socket| What::Send(socket, bytes())),
        _ => None,
    }
}

/// What stands behind the first descriptor.
fn place_in(text: &str) -> Option<Arc<str>> {
    let (_, rest) = text.split_once('<')?;
    let (place, _) = rest.split_once('>')?;
    let mut bytes = Vec::with_capacity(place.len());
    unescape(place.as_bytes(), &mut bytes);
    Some(String::from_utf8(bytes).ok()?.into())
}

fn socket(place: Arc<str>) -> Option<Arc<str>> {
    (place.starts_with("socket:") || place.starts_with("TCP")).then_some(place)
}

/// All that stands between quotes, one after the other.
///
/// # Panics
/// If `strace` has left something out.
fn strings(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some(begin) = rest.iter().position(|byte| *byte == b'"') {
        rest = unescape(&rest[begin + 1..], &mut bytes);
        assert!(!rest.starts_with(b"..."), "the trace holds strings that were cut");
    }
    bytes
}

/// Reads up to a quote or the end, and returns what comes after it.
fn unescape<'a>(mut text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    loop {
        match text {
            [] => return text,
            [b'"', rest @ ..] => return rest,
            [b'\\', b'x', high, low, rest @ ..] => {
                out.push(digit(*high) << 4 | digit(*low));
                text = rest;
            }
            [b'\\', byte @ b'0'..=b'7', rest @ ..] => {
                let more = rest.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let octal = rest[..more].iter().fold(byte - b'0', |value, byte| value << 3 | (byte - b'0'));
                out.push(octal);
                text = &rest[more..];
            }
            [b'\\', byte, rest @ ..] => {
                out.push(match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 11,
                    b'f' => 12,
                    other => *other,
                });
                text = rest;
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                text = rest;
            }
        }
    }
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("a hexadecimal digit")
}
