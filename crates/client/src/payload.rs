//! What an application message carries: the number of its key, and a text.
//!
//! The signature of a message covers neither the key that it is encrypted with nor that key's number,
//! and every member can derive every key. So a member could encrypt what somebody else has signed a
//! second time, and it would be shown a second time (RFC 9750 §8.3). A text that names the generation
//! of its key can be read with that key only, and a key is used once.

use crate::event::Unreadable;

/// Bytes of a generation.
const HEADER: usize = 4;

/// The payload of a text that will be encrypted with the key of this generation.
pub(crate) fn seal(generation: u32, text: &str) -> Vec<u8> {
    [generation.to_be_bytes().as_slice(), text.as_bytes()].concat()
}

/// The text of a payload that was decrypted with the key of this generation.
pub(crate) fn open(generation: u32, payload: &[u8]) -> Result<String, Unreadable> {
    let (named, text) = payload.split_first_chunk::<HEADER>().ok_or(Unreadable::NotText)?;
    if u32::from_be_bytes(*named) != generation {
        return Err(Unreadable::Repeated);
    }
    String::from_utf8(text.to_vec()).map_err(|_| Unreadable::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_240_a_text_is_read_with_the_key_that_it_names_and_no_other() {
        for generation in [0, 1, 255, u32::MAX] {
            let payload = seal(generation, "pay");
            assert_eq!(open(generation, &payload), Ok("pay".to_owned()));
            for other in [0, 1, 2, 256, u32::MAX - 1] {
                let expected = if other == generation { Ok("pay".to_owned()) } else { Err(Unreadable::Repeated) };
                assert_eq!(open(other, &payload), expected);
            }
        }
    }

    #[test]
    fn what_holds_no_text_is_not_read() {
        assert_eq!(open(0, b""), Err(Unreadable::NotText));
        assert_eq!(open(0, b"\0\0\0"), Err(Unreadable::NotText));
        assert_eq!(open(0, b"\0\0\0\0"), Ok(String::new()));
        assert_eq!(open(0, b"\0\0\0\0\xff"), Err(Unreadable::NotText));
    }
}
