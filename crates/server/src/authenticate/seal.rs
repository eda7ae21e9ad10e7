//! What the server recognises as its own: challenges and tokens, under one secret of all nodes.
//!
//! Nothing is stored for either. A tag is HMAC-SHA-256 over a label, the host and the content, each with
//! its length before it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyroom_api::{Challenge, DeviceUri, Host, Token};
use keyroom_crypto::parts::HashFunction as _;
use keyroom_crypto::sha2::{Sha, Sha256};
use keyroom_crypto::{Hash, Secret, Zeroizing};
use keyroom_wire::{Decode as _, Encode as _, Limits, Reader, write_vector};

use super::Unauthenticated;

/// Bytes of the secret, of a tag, and of what makes a challenge differ from every other.
pub(super) const SECRET: usize = 32;
const TAG: usize = 32;
pub(super) const UNIQUE: usize = 32;

/// Longest text that can be a token.
const LONGEST_TOKEN: usize = 1024;

/// What a tag is for.
#[derive(Clone, Copy)]
enum Purpose {
    Challenge,
    Token,
}

/// Makes and checks tags.
pub(super) struct Seal {
    secret: Secret,
    host: Host,
}

impl Seal {
    pub(super) fn new(secret: Secret, host: Host) -> Self {
        Self { secret, host }
    }

    pub(super) fn challenge(&self, unique: [u8; UNIQUE], expires: u64) -> Challenge {
        let tag = self.tag(Purpose::Challenge, &challenge_content(&unique, expires));
        Challenge { challenge: [unique.as_slice(), tag.as_slice()].concat(), expires }
    }

    /// What tells an own challenge from every other; `None` for what is not one.
    pub(super) fn unique<'a>(&self, challenge: &'a Challenge) -> Option<&'a [u8]> {
        let (unique, tag) = challenge.challenge.split_at_checked(UNIQUE)?;
        let expected = self.tag(Purpose::Challenge, &challenge_content(unique, challenge.expires));
        (Hash::from_slice(tag)? == expected).then_some(unique)
    }

    pub(super) fn token(&self, device: &DeviceUri, expires: u64) -> Token {
        let mut bytes = Zeroizing::new(token_content(device, expires));
        let tag = self.tag(Purpose::Token, &bytes);
        bytes.extend_from_slice(&tag);
        Token::new(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// The device that an own token stands for, and the last second of it.
    pub(super) fn read(&self, token: &str) -> Result<(DeviceUri, u64), Unauthenticated> {
        if token.len() > LONGEST_TOKEN {
            return Err(Unauthenticated::Invalid);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).map_err(|_| Unauthenticated::Invalid)?);
        let content = bytes.len().checked_sub(TAG).and_then(|length| bytes.split_at_checked(length));
        let (content, tag) = content.ok_or(Unauthenticated::Invalid)?;
        let tag = Hash::from_slice(tag).ok_or(Unauthenticated::Invalid)?;
        if tag != self.tag(Purpose::Token, content) {
            return Err(Unauthenticated::Invalid);
        }
        read_content(content).ok_or(Unauthenticated::Invalid)
    }

    /// In constant time when compared: `Hash` is.
    fn tag(&self, purpose: Purpose, content: &[u8]) -> Hash {
        let label: &[u8] = match purpose {
            Purpose::Challenge => b"Keyroom 1.0 challenge",
            Purpose::Token => b"Keyroom 1.0 token",
        };
        let mut input = Zeroizing::new(Vec::with_capacity(content.len() + self.host.as_str().len() + label.len() + 16));
        for part in [label, self.host.as_str().as_bytes(), content] {
            write_vector(&mut input, |out| out.extend_from_slice(part));
        }
        Sha::<Sha256>::NEW.mac(self.secret.expose(), &[&input])
    }
}

fn challenge_content(unique: &[u8], expires: u64) -> Vec<u8> {
    let mut content = unique.to_vec();
    expires.encode(&mut content);
    content
}

fn token_content(device: &DeviceUri, expires: u64) -> Vec<u8> {
    let name = device.to_string();
    // Sized beforehand: a buffer that grows leaves a part of the token behind.
    let mut content = Vec::with_capacity(name.len() + TAG + 16);
    write_vector(&mut content, |out| out.extend_from_slice(name.as_bytes()));
    expires.encode(&mut content);
    content
}

fn read_content(content: &[u8]) -> Option<(DeviceUri, u64)> {
    let mut reader = Reader::new(content, Limits::default());
    let device = std::str::from_utf8(reader.opaque().ok()?).ok()?.parse().ok()?;
    let expires = u64::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    Some((device, expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: u8, host: &str) -> Seal {
        Seal::new(Secret::copy_of(&[secret; SECRET]), host.parse().unwrap())
    }

    fn alice() -> DeviceUri {
        "mimi://a.example/d/alice/phone".parse().unwrap()
    }

    #[test]
    fn a_token_is_read_by_every_node_with_the_secret_and_by_no_other_server() {
        let token = seal(1, "a.example").token(&alice(), 77);
        assert_eq!(seal(1, "a.example").read(token.expose()), Ok((alice(), 77)));
        for other in [seal(2, "a.example"), seal(1, "b.example")] {
            assert_eq!(other.read(token.expose()), Err(Unauthenticated::Invalid));
        }
    }

    #[test]
    fn no_changed_token_is_read() {
        let seal = seal(1, "a.example");
        let token = seal.token(&alice(), 77);
        let good = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.read(&URL_SAFE_NO_PAD.encode(bytes)), Err(Unauthenticated::Invalid), "bit {bit}");
        }
        for end in 0..token.expose().len() {
            assert!(seal.read(token.expose().get(..end).unwrap()).is_err(), "cut at {end}");
        }
        for other in [format!("{}=", token.expose()), format!("{}A", token.expose()), "A".repeat(5_000)] {
            assert!(seal.read(&other).is_err());
        }
    }

    #[test]
    fn a_challenge_is_not_a_token_and_its_time_cannot_be_moved() {
        let seal = seal(1, "a.example");
        let challenge = seal.challenge([5; UNIQUE], 60);
        assert_eq!(seal.unique(&challenge), Some([5; UNIQUE].as_slice()));
        assert_eq!(seal.unique(&Challenge { expires: 61, ..challenge.clone() }), None);
        assert!(seal.read(&URL_SAFE_NO_PAD.encode(&challenge.challenge)).is_err());
        for bit in 0..challenge.challenge.len() * 8 {
            let mut other = challenge.clone();
            other.challenge[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.unique(&other), None, "bit {bit}");
        }
        for end in 0..challenge.challenge.len() {
            let mut other = challenge.clone();
            other.challenge.truncate(end);
            assert_eq!(seal.unique(&other), None, "cut at {end}");
        }
    }
}
