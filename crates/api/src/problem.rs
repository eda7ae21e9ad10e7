//! What the server says when it refuses: `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

use crate::Closure;
use crate::bytes::base64_bytes;

/// Media type of a [`Problem`].
pub const PROBLEM: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// Which rule refused a request. The text form is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$meta])* #[serde(rename = $code)] $name,)*
            /// A code that this version of the crate does not know.
            #[serde(other, rename = "other")]
            Other,
        }

        impl Code {
            /// Every code that the server sends.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other => "other",
                }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                    Self::Other => 400,
                }
            }

            /// The summary in English, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                    Self::Other => "The request was refused.",
                }
            }
        }
    };
}

codes! {
    /// The body, query, path or header does not have its syntax.
    Malformed = "malformed", 400, "The request is malformed.";
    /// The body has its syntax and breaks a rule of MLS.
    Invalid = "invalid", 422, "The message breaks a rule of the protocol.";
    /// A name is not one, or a user, device or room of another host was named.
    WrongName = "wrong-name", 400, "A name is malformed or belongs to another host.";
    /// The request does not say which device sends it, or by a token that is not one of this server.
    Unauthenticated = "unauthenticated", 401, "The request does not prove which device sends it.";
    /// The token was good once.
    SessionExpired = "session-expired", 401, "The session is over.";
    /// A challenge that this server has not set, or not for this host.
    ChallengeInvalid = "challenge-invalid", 401, "The challenge is not one of this server.";
    /// A challenge whose time is over.
    ChallengeExpired = "challenge-expired", 401, "The challenge is too old.";
    /// A challenge that has brought a session before.
    ChallengeUsed = "challenge-used", 401, "The challenge has been used.";
    /// A signature does not belong to the challenge, the device or the key.
    SignatureInvalid = "signature-invalid", 401, "A signature is not valid.";
    /// The device is known by another key.
    KeyMismatch = "key-mismatch", 403, "The device has another key.";
    /// No cipher suite of the server has this code point.
    UnknownCipherSuite = "unknown-cipher-suite", 422, "The cipher suite is not known.";
    /// The device may not do this.
    Forbidden = "forbidden", 403, "The device may not do this.";
    /// The room admits newcomers, and the device is not in it; or it was, and is not any more.
    NotMember = "not-member", 403, "The device is not in the room.";
    /// What was asked for was sent before the device came into the room, or between two stays.
    NotThen = "not-then", 403, "The device was not in the room then.";
    /// There is no such path.
    NotFound = "not-found", 404, "There is nothing at this path.";
    /// There is no such room, or it is closed to the device, which shall not learn that it exists.
    UnknownRoom = "unknown-room", 404, "There is no such room.";
    /// There is no such user.
    UnknownUser = "unknown-user", 404, "There is no such user.";
    /// A Welcome is addressed to a device that has never published a key package.
    UnknownDevice = "unknown-device", 422, "There is no such device.";
    /// The epoch's GroupInfo is not kept, or not yet there.
    UnknownEpoch = "unknown-epoch", 404, "The epoch is not kept.";
    /// No epoch that is kept has a tree with this hash.
    UnknownTree = "unknown-tree", 404, "The tree is not kept.";
    /// A part of the tree was asked for that lies behind its end.
    Range = "range", 416, "The tree ends before this part.";
    /// The room takes nothing more.
    Closed = "closed", 410, "The room is closed.";
    /// The path does not take this method.
    MethodNotAllowed = "method-not-allowed", 405, "The path does not take this method.";
    /// The body did not arrive in time.
    Timeout = "timeout", 408, "The body did not arrive in time.";
    /// A room of this name exists.
    NameTaken = "name-taken", 409, "A room of this name exists.";
    /// Another room has this MLS group id.
    GroupTaken = "group-taken", 409, "Another room has this group id.";
    /// The commit or message was made for an epoch that is not the current one.
    WrongEpoch = "wrong-epoch", 409, "The message was made for another epoch.";
    /// The idempotency key was used for something else.
    KeyReused = "key-reused", 422, "The idempotency key was used for another request.";
    /// The body exceeds the limit.
    TooLarge = "too-large", 413, "The body is too large.";
    /// The body has another media type than the path takes.
    MediaType = "media-type", 415, "The path takes another media type.";
    /// A device has as many key packages as it may have.
    TooManyKeyPackages = "too-many-key-packages", 422, "The device has too many key packages.";
    /// A device has claimed key packages of one user too often.
    TooManyClaims = "too-many-claims", 429, "Key packages of this user have been claimed too often.";
    /// A device or an address has sent too many requests.
    TooManyRequests = "too-many-requests", 429, "Too many requests have come from here.";
    /// The mailbox of a device is full.
    MailboxFull = "mailbox-full", 429, "The mailbox of a device is full.";
    /// The server cannot answer now; the same request may succeed later.
    Unavailable = "unavailable", 503, "The server cannot answer now.";
}

/// A refusal, as JSON.
///
/// The text members are for people; a program reads [`code`](Self::code) and the members that the
/// code brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:keyroom:problem:` and the code.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Summary in English.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// The rule that refused.
    pub code: Code,
    /// What exactly was wrong, in English, without any name or content of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// For a list in the request: which element was refused, counted from zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// In how many seconds the same request may succeed, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// For [`Code::WrongEpoch`]: where the room is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    /// For [`Code::Closed`]: by what the room was closed, and where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closure>,
}

/// Where a room is, told to a sender that was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The current epoch of the room.
    pub epoch: u64,
    /// The last sequence number of its log.
    pub head: u64,
    /// The commit that ended the epoch for which the refused message was made, if there is one: an
    /// `MLSMessage`. When it equals the refused commit, that commit was accepted before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_bytes::option")]
    pub commit: Option<Vec<u8>>,
    /// The sequence number of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sequence: Option<u64>,
}

impl Problem {
    /// A problem with the texts and the status of its code.
    pub fn new(code: Code) -> Self {
        Self {
            kind: format!("urn:keyroom:problem:{}", code.as_str()),
            title: code.title().into(),
            status: code.status(),
            code,
            detail: None,
            index: None,
            retry_after: None,
            conflict: None,
            closed: None,
        }
    }

    /// Adds what exactly was wrong. Never put a name or content of the request in it.
    #[must_use]
    pub fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Adds which element of a list was refused.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title, self.code.as_str())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_members_in_json() {
        let mut problem = Problem::new(Code::WrongEpoch).detail("late").at(3);
        problem.conflict = Some(Conflict { epoch: 4, head: 9, commit: Some(vec![0, 1, 2]), commit_sequence: Some(8) });
        let json = serde_json::to_string(&problem).unwrap();
        assert!(json.contains("urn:keyroom:problem:wrong-epoch"), "{json}");
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }

    #[test]
    fn a_code_from_a_newer_server_is_read_as_other() {
        let problem: Problem = serde_json::from_str(r#"{"code":"brand-new","status":418}"#).unwrap();
        assert_eq!((problem.code, problem.status), (Code::Other, 418));
    }

    #[test]
    fn no_code_blames_the_server_except_for_a_passing_outage() {
        for code in Code::ALL {
            assert!((400..500).contains(&code.status()) || code.status() == 503, "{code:?}");
        }
    }
}
