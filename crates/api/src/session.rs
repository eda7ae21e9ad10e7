//! Sessions: how a device proves who it is, and what it gets for that.
//!
//! A device asks for a [`Challenge`], signs it with each of its credential keys, and gets a [`Session`]:
//! a token that stands for the device for a short time. What is signed is a [`SessionTbs`]; it binds
//! the challenge to the provider that it came from, to the device and to the key, under a label that no
//! message of MLS has ([`SESSION_LABEL`]).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::bytes::bundle;
use crate::{Bundle as _, DeviceUri, Host};

/// Label of `SignWithLabel` (RFC 9420 §5.1.2) for a [`SessionTbs`].
pub const SESSION_LABEL: &str = "Keyroom 1.0 session";

/// Subprotocol of the WebSocket, which the server selects.
pub const LIVE_PROTOCOL: &str = "keyroom.v1";

/// What stands before the token where a browser offers it as a further subprotocol of the WebSocket: it
/// cannot set headers.
pub const TOKEN_PROTOCOL: &str = "keyroom.token.";

/// Most keys that a [`SessionRequest`] may prove.
pub const MOST_PROOFS: usize = 8;

bundle! {
    /// Something to sign that the server has not asked to be signed before.
    pub struct Challenge {
        /// Opaque to the client; good for one session.
        pub challenge: Vec<u8>,
        /// The last second in which it is good, since 1970-01-01T00:00Z, by the server's clock.
        pub expires: u64,
    }

    /// Asks for a session.
    pub struct SessionRequest {
        /// The challenge, with its time as the server gave it.
        pub challenge: Challenge,
        /// Who asks.
        pub device: DeviceUri,
        /// One for each key that the device has: 1 to [`MOST_PROOFS`], each for another cipher suite.
        pub proofs: Vec<KeyProof>,
    }

    /// That a device holds a private key.
    pub struct KeyProof {
        /// Code point of a cipher suite that the key is for: it says what scheme the signature is of.
        pub cipher_suite: u16,
        /// The public key, as in the device's leaves.
        pub signature_key: Vec<u8>,
        /// Over the [`SessionTbs`], with [`SESSION_LABEL`].
        pub signature: Vec<u8>,
    }

    /// What a [`KeyProof`] signs.
    pub struct SessionTbs {
        /// The host whose server shall take it.
        pub origin: Vec<u8>,
        /// The challenge.
        pub challenge: Challenge,
        /// The device.
        pub device: DeviceUri,
        /// The suite.
        pub cipher_suite: u16,
        /// The key.
        pub signature_key: Vec<u8>,
    }
}

impl SessionTbs {
    /// What is signed to prove `key` to the server of `origin`, encoded.
    pub fn bytes(
        origin: &Host,
        challenge: &Challenge,
        device: &DeviceUri,
        cipher_suite: u16,
        signature_key: &[u8],
    ) -> Vec<u8> {
        let tbs = Self {
            origin: origin.as_str().as_bytes().to_vec(),
            challenge: challenge.clone(),
            device: device.clone(),
            cipher_suite,
            signature_key: signature_key.to_vec(),
        };
        tbs.to_bytes()
    }
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Stands for the device in `Authorization: Bearer …`.
    pub token: Token,
    /// For how many seconds from now.
    pub lifetime: u64,
}

/// Whoever has it is the device for the server, until it expires. It is not shown in `Debug`, and is
/// overwritten when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// From the text in a request or answer.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text: letters, digits, `-` and `_`.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use keyroom_wire::Limits;

    use super::*;

    #[test]
    fn a_token_does_not_show_itself() {
        let session = Session { token: Token::new("secret".into()), lifetime: 9 };
        assert!(!format!("{session:?}").contains("secret"));
        let json = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&json).unwrap().token.expose(), "secret");
    }

    #[test]
    fn what_is_signed_differs_with_every_field() {
        let host = |text: &str| text.parse::<Host>().unwrap();
        let device = |text: &str| text.parse::<DeviceUri>().unwrap();
        let challenge = Challenge { challenge: vec![1], expires: 2 };
        let (alice, bob) = (device("mimi://a/d/alice/phone"), device("mimi://a/d/bob/phone"));
        let all = [
            SessionTbs::bytes(&host("a"), &challenge, &alice, 1, b"k"),
            SessionTbs::bytes(&host("b"), &challenge, &alice, 1, b"k"),
            SessionTbs::bytes(&host("a"), &Challenge { expires: 3, ..challenge.clone() }, &alice, 1, b"k"),
            SessionTbs::bytes(&host("a"), &Challenge { challenge: vec![2], expires: 2 }, &alice, 1, b"k"),
            SessionTbs::bytes(&host("a"), &challenge, &bob, 1, b"k"),
            SessionTbs::bytes(&host("a"), &challenge, &alice, 2, b"k"),
            SessionTbs::bytes(&host("a"), &challenge, &alice, 1, b"l"),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_session_request_round_trips_and_no_part_of_one_is_one() {
        let proof = KeyProof { cipher_suite: 1, signature_key: vec![1; 32], signature: vec![2; 64] };
        let request = SessionRequest {
            challenge: Challenge { challenge: vec![3; 40], expires: 4 },
            device: "mimi://h/d/alice/phone".parse().unwrap(),
            proofs: vec![proof.clone(), proof],
        };
        let bytes = request.to_bytes();
        assert_eq!(SessionRequest::from_bytes(&bytes, &Limits::default()).unwrap(), request);
        for end in 0..bytes.len() {
            assert!(SessionRequest::from_bytes(&bytes[..end], &Limits::default()).is_err(), "cut at {end}");
        }
    }
}
