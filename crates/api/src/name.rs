//! Names of users, devices and rooms: URIs with a host, after the identifiers of MIMI.
//!
//! ```text
//! mimi://example.org/u/alice            a user
//! mimi://example.org/d/alice/phone      a device of that user
//! mimi://example.org/r/meeting          a room
//! ```
//!
//! A name has exactly one spelling, so that names can be compared as bytes. A [`ShortName`] is 1 to
//! 64 of the characters `a-z 0-9 . _ -` and starts with a letter or digit; a [`Host`] is a DNS name
//! in lower case without a port and without a final dot. There is no percent-encoding, no query and
//! no fragment. Everything else is refused with a [`NameError`].
//!
//! ```
//! use keyroom_api::{DeviceUri, Host, ShortName, UserUri};
//! let host: Host = "example.org".parse()?;
//! let alice = UserUri::new(host, "alice".parse()?);
//! let phone = alice.device("phone".parse()?);
//! assert_eq!(phone.to_string(), "mimi://example.org/d/alice/phone");
//! assert_eq!("mimi://example.org/d/alice/phone".parse::<DeviceUri>()?.user(), alice);
//! assert!("mimi://example.org/d/alice/%70hone".parse::<DeviceUri>().is_err());
//! # Ok::<(), keyroom_api::NameError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use keyroom_wire::Credential;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest [`ShortName`] in bytes.
pub const LONGEST_SHORT_NAME: usize = 64;
/// Longest [`Host`] in bytes (RFC 1035 §2.3.4, without the final dot).
pub const LONGEST_HOST: usize = 253;
/// Longest URI of this module in bytes.
pub const LONGEST_URI: usize = SCHEME.len() + LONGEST_HOST + 3 + 2 * LONGEST_SHORT_NAME + 1;

const SCHEME: &str = "mimi://";
const LONGEST_LABEL: usize = 63;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing where a name is needed.
    #[error("a name is empty")]
    Empty,
    /// Longer than the bound of its kind.
    #[error("a name is too long")]
    TooLong,
    /// A character outside the documented set, or in the wrong place.
    #[error("a name contains a character that is not allowed there")]
    Character,
    /// The URI does not start with `mimi://`.
    #[error("a name does not start with mimi://")]
    Scheme,
    /// The URI names something else: a room where a user is needed, say, or too many parts.
    #[error("a name is of another kind")]
    Kind,
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        as_text!($name);
    };
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

/// The name of a user, device or room within its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortName(Box<str>);

text!(ShortName);

impl FromStr for ShortName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > LONGEST_SHORT_NAME {
            return Err(NameError::TooLong);
        }
        let first = text.bytes().next().ok_or(NameError::Empty)?;
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        if !(first.is_ascii_lowercase() || first.is_ascii_digit()) || !text.bytes().all(rest) {
            return Err(NameError::Character);
        }
        Ok(Self(text.into()))
    }
}

/// The provider that a name belongs to: a DNS name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

text!(Host);

impl FromStr for Host {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > LONGEST_HOST {
            return Err(NameError::TooLong);
        }
        for label in text.split('.') {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            match label.len() {
                0 => return Err(NameError::Empty),
                length if length > LONGEST_LABEL => return Err(NameError::TooLong),
                _ if label.starts_with('-') || label.ends_with('-') || !label.bytes().all(allowed) => {
                    return Err(NameError::Character);
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

/// Takes a URI apart: its host and what follows the letter of its kind.
fn parts<'a>(text: &'a str, kind: &str) -> Result<(Host, &'a str), NameError> {
    if text.len() > LONGEST_URI {
        return Err(NameError::TooLong);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(NameError::Scheme)?;
    let (host, path) = rest.split_once('/').ok_or(NameError::Kind)?;
    let (found, name) = path.split_once('/').ok_or(NameError::Kind)?;
    if found == kind { Ok((host.parse()?, name)) } else { Err(NameError::Kind) }
}

macro_rules! uri {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            host: Host,
            name: ShortName,
        }

        impl $name {
            /// The URI of this name at this host.
            pub fn new(host: Host, name: ShortName) -> Self {
                Self { host, name }
            }

            /// The provider.
            pub fn host(&self) -> &Host {
                &self.host
            }

            /// The name within the host.
            pub fn name(&self) -> &ShortName {
                &self.name
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let (host, name) = parts(text, $kind)?;
                Ok(Self { host, name: name.parse()? })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SCHEME}{}/{}/{}", self.host, $kind, self.name)
            }
        }

        as_text!($name);
    };
}

uri! {
    /// A user: `mimi://example.org/u/alice`.
    UserUri, "u"
}

uri! {
    /// A room: `mimi://example.org/r/meeting`.
    RoomUri, "r"
}

impl UserUri {
    /// A device of this user.
    pub fn device(&self, device: ShortName) -> DeviceUri {
        DeviceUri { user: self.clone(), device }
    }
}

/// A device, which is one client in the sense of MLS: `mimi://example.org/d/alice/phone`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceUri {
    user: UserUri,
    device: ShortName,
}

impl DeviceUri {
    /// The user whose device it is.
    pub fn user(&self) -> UserUri {
        self.user.clone()
    }

    /// The provider.
    pub fn host(&self) -> &Host {
        self.user.host()
    }

    /// The name of the user within the host.
    pub fn user_name(&self) -> &ShortName {
        self.user.name()
    }

    /// The basic credential that names this device.
    pub fn credential(&self) -> Credential {
        Credential::basic(self.to_string().into_bytes())
    }

    /// The name of the device among the user's.
    pub fn name(&self) -> &ShortName {
        &self.device
    }
}

impl FromStr for DeviceUri {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (host, names) = parts(text, "d")?;
        let (user, device) = names.split_once('/').ok_or(NameError::Kind)?;
        Ok(UserUri::new(host, user.parse()?).device(device.parse()?))
    }
}

impl fmt::Display for DeviceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/d/{}/{}", self.host(), self.user_name(), self.device)
    }
}

as_text!(DeviceUri);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_name_prints_as_it_was_read() {
        for text in ["mimi://a.example/u/alice", "mimi://localhost/u/0.x_y-z"] {
            assert_eq!(text.parse::<UserUri>().unwrap().to_string(), text);
        }
        assert_eq!("mimi://h/r/meeting".parse::<RoomUri>().unwrap().to_string(), "mimi://h/r/meeting");
        assert_eq!("mimi://h/d/alice/phone".parse::<DeviceUri>().unwrap().to_string(), "mimi://h/d/alice/phone");
    }

    #[test]
    fn a_name_has_one_spelling_only() {
        for (text, error) in [
            ("https://h/u/alice", NameError::Scheme),
            ("mimi://h/u/Alice", NameError::Character),
            ("mimi://H/u/alice", NameError::Character),
            ("mimi://h./u/alice", NameError::Empty),
            ("mimi://h:80/u/alice", NameError::Character),
            ("mimi://-h/u/alice", NameError::Character),
            ("mimi://h/u/alice/", NameError::Character),
            ("mimi://h/u/", NameError::Empty),
            ("mimi://h/u/.alice", NameError::Character),
            ("mimi://h/u/al%69ce", NameError::Character),
            ("mimi://h/u/alice?x", NameError::Character),
            ("mimi://h/u/ålice", NameError::Character),
            ("mimi://h/r/alice", NameError::Kind),
            ("mimi://h", NameError::Kind),
            ("", NameError::Scheme),
        ] {
            assert_eq!(text.parse::<UserUri>(), Err(error), "{text}");
        }
        assert_eq!("mimi://h/d/alice".parse::<DeviceUri>(), Err(NameError::Kind));
        assert_eq!("mimi://h/d/alice/a/b".parse::<DeviceUri>(), Err(NameError::Character));
    }

    #[test]
    fn lengths_are_bounded() {
        assert!("a".repeat(LONGEST_SHORT_NAME).parse::<ShortName>().is_ok());
        assert_eq!("a".repeat(LONGEST_SHORT_NAME + 1).parse::<ShortName>(), Err(NameError::TooLong));
        assert_eq!("a".repeat(LONGEST_LABEL + 1).parse::<Host>(), Err(NameError::TooLong));
        assert_eq!("a.".repeat(200).parse::<Host>(), Err(NameError::TooLong));
        assert_eq!(format!("mimi://h/u/{}", "a".repeat(10_000)).parse::<UserUri>(), Err(NameError::TooLong));
    }

    #[test]
    fn names_travel_in_json_as_text_and_are_checked_on_the_way_in() {
        let room: RoomUri = serde_json::from_str("\"mimi://h/r/meeting\"").unwrap();
        assert_eq!(serde_json::to_string(&room).unwrap(), "\"mimi://h/r/meeting\"");
        assert!(serde_json::from_str::<RoomUri>("\"mimi://h/r/Meeting\"").is_err());
    }
}
