//! What requests and answers carry.

use keyroom_wire::{Decode as _, DecodeErrorKind, Reader};
use serde::{Deserialize, Serialize};

use crate::bytes::{Field, bundle};
use crate::{DeviceUri, Host, Malformed, RoomUri, ShortName};

/// Media type of one `MLSMessage` (RFC 9420 §17.10).
pub const MESSAGE: &str = "message/mls";
/// Media type of the structs that implement [`Bundle`](crate::Bundle).
pub const BUNDLE: &str = "application/vnd.keyroom.bundle";
/// Label of the signature of a [`Report`].
pub const REPORT_LABEL: &str = "Keyroom 1.0 Report";
/// Label of the signature of an [`AccessProof`].
pub const ACCESS_LABEL: &str = "Keyroom 1.0 Access";
/// Length in bytes of an access key: an Ed25519 public key.
pub const ACCESS_KEY_LENGTH: usize = 32;
/// Media type of a ratchet tree: the content of a `ratchet_tree` extension, compressed (RFC 1952).
pub const TREE: &str = "application/gzip";
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Header that names the sending device by its URI, for servers behind something that authenticates. A
/// server takes no notice of it unless it was started to trust it.
pub const DEVICE_HEADER: &str = "keyroom-device";
/// Header that makes a request safe to repeat: 1 to 64 visible ASCII characters, chosen by the
/// device, different for every message that it sends.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Longest idempotency key in bytes.
pub const LONGEST_IDEMPOTENCY_KEY: usize = 64;

/// Makes a request safe to repeat: the server answers a repetition with the stored outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// The text is empty, longer than [`LONGEST_IDEMPOTENCY_KEY`], or not visible ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 64 visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let length = (1..=LONGEST_IDEMPOTENCY_KEY).contains(&text.len());
        if length && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(IdempotencyKeyError)
        }
    }
}

bundle! {
    /// Key packages of one device.
    pub struct KeyPackages {
        /// One `MLSMessage` with a key package each.
        pub key_packages: Vec<Vec<u8>>,
    }

    /// What [`ClaimRequest`] yields: one entry for each device of the user.
    pub struct Claimed {
        /// In the order of the devices' names.
        pub devices: Vec<DeviceClaim>,
    }

    /// What one device of the user has to offer.
    pub struct DeviceClaim {
        /// The device.
        pub device: DeviceUri,
        /// Its key package, or why there is none.
        pub offer: Offer,
    }

    /// A Welcome and the devices whose mailboxes it goes to. It is stored once; each addressee gets its
    /// own part of it.
    pub struct WelcomeTo {
        /// The addressees: one for each of the Welcome's `secrets`, in their order.
        pub devices: Vec<DeviceUri>,
        /// An `MLSMessage` with a Welcome.
        pub welcome: Vec<u8>,
    }

    /// A room that takes nothing more.
    #[derive(Serialize, Deserialize)]
    pub struct Closure {
        /// The sequence number of the commit that closed it: one that ends the group (RFC 9420 §11.2),
        /// or one that its members could not follow.
        pub at: u64,
        /// Where it goes on, once a member has made that room.
        pub successor: Option<RoomUri>,
    }

    /// A room that is to be.
    pub struct RoomBundle {
        /// An `MLSMessage` with the GroupInfo of the group's first epoch: 0, or 1 when the group
        /// continues another (RFC 9420 §11.2, §11.3).
        pub group_info: Vec<u8>,
        /// The content of a `ratchet_tree` extension, unless the GroupInfo carries it.
        pub ratchet_tree: Option<Vec<u8>>,
        /// Welcomes to those whom the first epoch holds besides the founder.
        pub welcomes: Vec<WelcomeTo>,
        /// The closed room that this one continues.
        pub predecessor: Option<RoomUri>,
        /// How many members must report a commit before it closes the room; 0 for more than half of
        /// those whom it should have taken along.
        pub reports_needed: u32,
        /// Makes it a room with private handshakes, whose members prove that they know the secrets of its
        /// epoch: the public key that they derive from the first one.
        pub access_key: Option<Vec<u8>>,
    }

    /// The word of a device that it knows the secrets of an epoch, in a room where the server cannot see
    /// who comes and goes.
    pub struct AccessProof {
        /// The epoch.
        pub epoch: u64,
        /// `SignWithLabel(access key of the epoch, `[`ACCESS_LABEL`]`, `[`AccessContent`]`)` with Ed25519
        /// (RFC 9420 §5.1.2).
        pub signature: Vec<u8>,
    }

    /// What the signature of an [`AccessProof`] covers.
    pub struct AccessContent {
        /// The room.
        pub room: RoomUri,
        /// The device that shall have access; nobody else gets it by this proof.
        pub device: DeviceUri,
        /// [`AccessProof::epoch`].
        pub epoch: u64,
    }

    /// The word of a member that it cannot follow a commit which the server has accepted: what is
    /// wrong shows only to those who hold secrets.
    pub struct Report {
        /// The sequence number of the commit.
        pub sequence: u64,
        /// The epoch that it ended.
        pub epoch: u64,
        /// The reporter's leaf in that epoch.
        pub leaf: u32,
        /// What is wrong.
        pub reason: ReportReason,
        /// `SignWithLabel(leaf's signature key, `[`REPORT_LABEL`]`, `[`ReportContent`]`)`
        /// (RFC 9420 §5.1.2).
        pub signature: Vec<u8>,
    }

    /// What the signature of a [`Report`] covers.
    pub struct ReportContent {
        /// The room.
        pub room: RoomUri,
        /// The `MLSMessage` with the commit, so that nobody can turn the report against another one.
        pub commit: Vec<u8>,
        /// [`Report::sequence`].
        pub sequence: u64,
        /// [`Report::epoch`].
        pub epoch: u64,
        /// [`Report::leaf`].
        pub leaf: u32,
        /// [`Report::reason`].
        pub reason: ReportReason,
    }

    /// A commit and all that must become visible with it, or not at all.
    pub struct CommitBundle {
        /// An `MLSMessage` with the commit.
        pub commit: Vec<u8>,
        /// An `MLSMessage` with the GroupInfo of the epoch that the commit starts, with or without
        /// the ratchet tree.
        pub group_info: Vec<u8>,
        /// Welcomes to those whom the commit adds.
        pub welcomes: Vec<WelcomeTo>,
        /// In a room with private handshakes the access key of the epoch that the commit starts; nothing
        /// in others.
        pub access_key: Option<Vec<u8>>,
    }

    /// The public state of an epoch: what a joiner needs.
    pub struct EpochInfo {
        /// The `MLSMessage` with the GroupInfo as its signer sent it.
        pub group_info: Vec<u8>,
        /// The hash under which the server serves the ratchet tree of this epoch (RFC 9420 §7.8).
        pub tree_hash: Vec<u8>,
        /// The SelfRemove proposals that wait in the epoch, if it is the current one: whoever joins by
        /// external commit names them all. Each is an `MLSMessage`.
        pub self_removes: Vec<Vec<u8>>,
        /// The last sequence number of the log when this was read.
        pub head: u64,
    }

    /// One message in the log of a room.
    pub struct LogEntry {
        /// Its place, from 1, without gaps.
        pub sequence: u64,
        /// The epoch in which it was sent.
        pub epoch: u64,
        /// What it is.
        pub kind: EntryKind,
        /// When the server took it, in milliseconds since 1970-01-01T00:00Z.
        pub accepted_at: u64,
        /// The `MLSMessage`.
        pub message: Vec<u8>,
    }

    /// A run of the log.
    pub struct LogPage {
        /// The current epoch of the room.
        pub epoch: u64,
        /// The last sequence number of the log; more pages follow while the last entry is below it.
        pub head: u64,
        /// In order, without gaps, starting right after the cursor.
        pub entries: Vec<LogEntry>,
        /// Whether nothing will follow.
        pub closed: Option<Closure>,
    }

    /// A Welcome that waits for a device.
    pub struct MailboxItem {
        /// Its place in the mailbox; it grows and is never used twice, and gaps are normal.
        pub sequence: u64,
        /// The room that the device was added to.
        pub room: RoomUri,
        /// The epoch that the Welcome leads into.
        pub epoch: u64,
        /// The sequence number of the commit that added the device: its cursor in the room's log.
        pub cursor: u64,
        /// The hash under which the server serves the ratchet tree of that epoch.
        pub tree_hash: Vec<u8>,
        /// The `MLSMessage` with the Welcome, of whose `secrets` only the device's own is left.
        pub welcome: Vec<u8>,
    }

    /// A run of a mailbox.
    pub struct MailboxPage {
        /// In order, after the cursor.
        pub items: Vec<MailboxItem>,
    }
}

/// What a member finds wrong with a commit that the server could not see (RFC 9420 §12.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportReason {
    /// The membership tag.
    MembershipTag,
    /// The confirmation tag: its sender comes to another epoch than this member, also because a joiner
    /// went by a false `external_pub`.
    ConfirmationTag,
    /// The path secret for this member does not open, or does not lead to the keys of the path.
    Path,
    /// A PSK that this member does not have.
    Psk,
    /// Anything else: another identity than the members accept, say.
    Other,
}

impl ReportReason {
    /// The number that stands for it in bundles and in ledgers.
    pub fn code(self) -> u8 {
        match self {
            Self::MembershipTag => 1,
            Self::ConfirmationTag => 2,
            Self::Path => 3,
            Self::Psk => 4,
            Self::Other => 255,
        }
    }
}

impl Field for ReportReason {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let code = read_code(reader)?;
        let all = [Self::MembershipTag, Self::ConfirmationTag, Self::Path, Self::Psk, Self::Other];
        all.into_iter().find(|reason| reason.code() == code).ok_or_else(|| unknown(reader, code))
    }
}

/// The key package that a claim yields for one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// An `MLSMessage` with a key package that no one else gets.
    OneTime(Vec<u8>),
    /// An `MLSMessage` with the last-resort key package: the pool is empty.
    LastResort(Vec<u8>),
    /// The device has published for this cipher suite, and nothing is left.
    Exhausted,
    /// The device has never published for this cipher suite.
    Incompatible,
}

impl RoomBundle {
    /// A room with its founder alone, which more than half of the members may close.
    pub fn new(group_info: Vec<u8>, ratchet_tree: Option<Vec<u8>>) -> Self {
        Self { group_info, ratchet_tree, welcomes: Vec::new(), predecessor: None, reports_needed: 0, access_key: None }
    }
}

impl CommitBundle {
    /// A commit that adds nobody.
    pub fn new(commit: Vec<u8>, group_info: Vec<u8>) -> Self {
        Self { commit, group_info, welcomes: Vec::new(), access_key: None }
    }
}

impl Offer {
    /// The key package, if there is one.
    pub fn key_package(&self) -> Option<&[u8]> {
        match self {
            Self::OneTime(message) | Self::LastResort(message) => Some(message),
            Self::Exhausted | Self::Incompatible => None,
        }
    }
}

impl Field for Offer {
    fn write(&self, out: &mut Vec<u8>) {
        let code = match self {
            Self::OneTime(_) => 1,
            Self::LastResort(_) => 2,
            Self::Exhausted => 3,
            Self::Incompatible => 4,
        };
        out.push(code);
        if let Self::OneTime(message) | Self::LastResort(message) = self {
            message.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match read_code(reader)? {
            1 => Self::OneTime(Field::read(reader)?),
            2 => Self::LastResort(Field::read(reader)?),
            3 => Self::Exhausted,
            4 => Self::Incompatible,
            value => return Err(unknown(reader, value)),
        })
    }
}

/// What a [`LogEntry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Application data.
    Application,
    /// A proposal.
    Proposal,
    /// The commit that ended its epoch.
    Commit,
}

impl EntryKind {
    /// The number that stands for it in bundles and in ledgers: that of `ContentType` (RFC 9420 §6).
    pub fn code(self) -> u8 {
        match self {
            Self::Application => 1,
            Self::Proposal => 2,
            Self::Commit => 3,
        }
    }

    /// The kind that this number stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Application),
            2 => Some(Self::Proposal),
            3 => Some(Self::Commit),
            _ => None,
        }
    }
}

impl Field for EntryKind {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let code = read_code(reader)?;
        Self::from_code(code).ok_or_else(|| unknown(reader, code))
    }
}

/// What the server sends over the WebSocket, one in each binary frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveEvent {
    /// The next entry of a room's log: in order, without gaps, each once.
    Entry {
        /// The room.
        room: RoomUri,
        /// The entry.
        entry: LogEntry,
    },
    /// All that was in the log up to here has been sent.
    CaughtUp {
        /// The room.
        room: RoomUri,
        /// The last sequence number.
        head: u64,
    },
    /// The room takes nothing more, or has got a successor since this was said; what is in its log
    /// is sent all the same.
    Closed {
        /// The room.
        room: RoomUri,
        /// By what, and where it goes on.
        closure: Closure,
    },
    /// The device is out of the room: all that it may read has been sent, and no more of the room comes on
    /// this connection.
    Left {
        /// The room.
        room: RoomUri,
        /// The sequence number of the commit that removed it.
        head: u64,
    },
    /// A Welcome in the device's mailbox.
    Mailbox(MailboxItem),
    /// The device's key packages of a cipher suite run low: time to publish more.
    KeyPackagesLow {
        /// One-time key packages that are left, of the suite that has the fewest.
        left: u64,
    },
}

impl Field for LiveEvent {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry { room, entry } => {
                out.push(1);
                room.write(out);
                entry.write(out);
            }
            Self::CaughtUp { room, head } => {
                out.push(2);
                room.write(out);
                head.write(out);
            }
            Self::Mailbox(item) => {
                out.push(3);
                item.write(out);
            }
            Self::KeyPackagesLow { left } => {
                out.push(4);
                left.write(out);
            }
            Self::Left { room, head } => {
                out.push(6);
                room.write(out);
                head.write(out);
            }
            Self::Closed { room, closure } => {
                out.push(5);
                room.write(out);
                closure.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match read_code(reader)? {
            1 => Self::Entry { room: Field::read(reader)?, entry: Field::read(reader)? },
            2 => Self::CaughtUp { room: Field::read(reader)?, head: Field::read(reader)? },
            3 => Self::Mailbox(Field::read(reader)?),
            4 => Self::KeyPackagesLow { left: Field::read(reader)? },
            6 => Self::Left { room: Field::read(reader)?, head: Field::read(reader)? },
            5 => Self::Closed { room: Field::read(reader)?, closure: Field::read(reader)? },
            value => return Err(unknown(reader, value)),
        })
    }
}

fn read_code(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    Ok(u8::decode(reader)?)
}

fn unknown(reader: &Reader<'_>, value: u8) -> Malformed {
    reader.error(DecodeErrorKind::UnknownValue { value: value.into() }).into()
}

/// What the client sends over the WebSocket, as JSON in text frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LiveRequest {
    /// Send the log of a room from the entry after the cursor on. A second one for the same room
    /// moves its cursor.
    Subscribe {
        /// The room's short name.
        room: ShortName,
        /// The cursor: the last sequence number that the client has; 0 for none.
        after: u64,
    },
    /// Send nothing more of this room.
    Unsubscribe {
        /// The room's short name.
        room: ShortName,
    },
    /// Send the device's mailbox from the item after the cursor on.
    Mailbox {
        /// The cursor; 0 for all that is unacknowledged.
        after: u64,
    },
}

/// Asks for one key package of every device of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// Code point of the group's cipher suite (RFC 9420 §17.1).
    pub cipher_suite: u16,
}

/// What is left of a device's key packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// For each cipher suite that the device has published for.
    pub suites: Vec<SuiteStock>,
}

/// What is left for one cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteStock {
    /// Code point of the cipher suite.
    pub cipher_suite: u16,
    /// One-time key packages that have not been claimed and have not expired.
    pub one_time: u64,
    /// Last-resort key packages that have not expired: 0 or 1.
    pub last_resort: u64,
}

/// Where a room is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomStatus {
    /// Its current epoch.
    pub epoch: u64,
    /// The last sequence number of its log; 0 while it is empty.
    pub head: u64,
    /// Whether it takes nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closure>,
}

/// A message was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its place in the log.
    pub sequence: u64,
    /// The epoch in which it was sent.
    pub epoch: u64,
    /// When the server took it, in milliseconds since 1970-01-01T00:00Z.
    pub accepted_at: u64,
}

/// A report was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportReceipt {
    /// Members that have reported the commit.
    pub reports: u64,
    /// How many must.
    pub needed: u64,
    /// The end of the room, if they are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closure>,
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The host in the names that it serves.
    pub host: Host,
    /// Version of the paths and bundles.
    pub version: u32,
    /// Longest body in bytes.
    pub body: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bundle;
    use keyroom_wire::Limits;

    fn entry() -> LogEntry {
        LogEntry { sequence: 7, epoch: 2, kind: EntryKind::Commit, accepted_at: 1_000, message: vec![9; 70] }
    }

    fn item() -> MailboxItem {
        let room = "mimi://h/r/meeting".parse().unwrap();
        MailboxItem { sequence: 3, room, epoch: 1, cursor: 4, tree_hash: vec![7; 32], welcome: vec![1] }
    }

    fn round_trips<T: Bundle + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = value.to_bytes();
        assert_eq!(&T::from_bytes(&bytes, &Limits::default()).unwrap(), value);
        for end in 0..bytes.len() {
            assert!(T::from_bytes(&bytes[..end], &Limits::default()).is_err(), "cut at {end}: {value:?}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(T::from_bytes(&longer, &Limits::default()).is_err(), "trailing: {value:?}");
    }

    #[test]
    fn every_bundle_round_trips_and_no_part_of_one_is_one() {
        let device: DeviceUri = "mimi://h/d/alice/phone".parse().unwrap();
        let room: RoomUri = "mimi://h/r/meeting".parse().unwrap();
        round_trips(&KeyPackages { key_packages: vec![vec![1; 80], vec![]] });
        let offers = [Offer::OneTime(vec![1]), Offer::LastResort(vec![]), Offer::Exhausted, Offer::Incompatible];
        let claims = offers.into_iter().map(|offer| DeviceClaim { device: device.clone(), offer });
        round_trips(&Claimed { devices: claims.collect() });
        let to = WelcomeTo { devices: vec![device.clone(), device], welcome: vec![5] };
        let welcomes = vec![to.clone()];
        round_trips(&CommitBundle { welcomes, access_key: Some(vec![4; 32]), ..CommitBundle::new(vec![1], vec![2]) });
        round_trips(&AccessProof { epoch: 7, signature: vec![9; 64] });
        let predecessor = Some(room.clone());
        let tree = Some(vec![2; 3]);
        let founded = RoomBundle::new(vec![2], tree);
        let access_key = Some(vec![4; 32]);
        round_trips(&RoomBundle { welcomes: vec![to], predecessor, reports_needed: 3, access_key, ..founded });
        round_trips(&RoomBundle::new(vec![2], None));
        let (reason, signature) = (ReportReason::Psk, vec![9; 64]);
        round_trips(&Report { sequence: 4, epoch: 3, leaf: 2, reason, signature });
        let self_removes = vec![vec![4], vec![]];
        round_trips(&EpochInfo { group_info: vec![1], tree_hash: vec![2; 3], self_removes, head: 1 });
        let closure = Closure { at: 8, successor: Some(room.clone()) };
        round_trips(&LogPage { epoch: 1, head: 8, entries: vec![entry(), entry()], closed: None });
        round_trips(&LogPage { epoch: 1, head: 8, entries: Vec::new(), closed: Some(closure.clone()) });
        round_trips(&LiveEvent::Closed { room: room.clone(), closure });
        round_trips(&MailboxPage { items: vec![item()] });
        round_trips(&LiveEvent::Entry { room: room.clone(), entry: entry() });
        round_trips(&LiveEvent::CaughtUp { room: room.clone(), head: 4 });
        round_trips(&LiveEvent::Left { room, head: 4 });
        round_trips(&LiveEvent::Mailbox(item()));
        round_trips(&LiveEvent::KeyPackagesLow { left: 2 });
    }

    #[test]
    fn a_bundle_with_a_bad_name_is_malformed() {
        let mut bytes = Vec::new();
        vec![3u8].write(&mut bytes);
        bytes.extend_from_slice(&[0; 30]);
        assert!(matches!(
            LiveEvent::from_bytes(&[2, 3, b'a', b'b', b'c'], &Limits::default()),
            Err(Malformed::Name(_))
        ));
    }

    #[test]
    fn live_requests_refuse_what_they_do_not_know() {
        let text = r#"{"subscribe":{"room":"meeting","after":3}}"#;
        let request: LiveRequest = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        for bad in [r#"{"subscribe":{"room":"Meeting","after":3}}"#, r#"{"subscribe":{"room":"m","after":-1}}"#, "{}"] {
            assert!(serde_json::from_str::<LiveRequest>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_idempotency_key_is_short_visible_ascii() {
        assert!("a-Z_9".parse::<IdempotencyKey>().is_ok());
        for bad in ["", "a b", "ü", &"x".repeat(65)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad}");
        }
    }
}
