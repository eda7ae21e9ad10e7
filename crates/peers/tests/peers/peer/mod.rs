//! One client of one implementation, as the scenarios see it. All that passes between clients is
//! bytes.

mod keyroom;
mod mls_rs;
mod openmls;

pub(crate) use openmls::accepts as openmls_accepts;

use keyroom_awslc::AWSLC;
use keyroom_crypto::Signer;
use keyroom_mls::group::Group;
use keyroom_mls::leaf_node::Grease;
use keyroom_rustcrypto::RUSTCRYPTO;

/// Whose code a client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keyroom on RustCrypto.
    Keyroom,
    /// Keyroom on aws-lc-rs.
    KeyroomAwsLc,
    /// Keyroom on RustCrypto, with extensions of reserved types in its leaves and key packages.
    KeyroomGrease,
    MlsRs,
    OpenMls,
}

/// In which form handshakes and trees travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Handshakes as PublicMessage, the tree inside the Welcome.
    Public,
    /// Handshakes as PrivateMessage, the tree beside the Welcome.
    Private,
}

/// What a commit does beyond the proposals that wait; it always has a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// Key packages, each an MLSMessage.
    pub(crate) adds: Vec<Vec<u8>>,
    /// Leaves to remove.
    pub(crate) removes: Vec<u32>,
    /// Whether [`PSK_ID`] is mixed in.
    pub(crate) psk: bool,
    /// The new extensions of the group: none, or required capabilities.
    pub(crate) extensions: Option<GroupExtensions>,
}

/// What extensions a group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupExtensions {
    None,
    /// Required capabilities: basic credentials.
    BasicRequired,
}

/// `required_capabilities` (RFC 9420 §11.1) with no extension and proposal types and one credential type.
pub(crate) const BASIC_REQUIRED: &[u8] = &[0, 0, 2, 0, 1];

/// A proposal to be sent by reference.
#[derive(Clone, Debug)]
pub(crate) enum Proposal {
    Add(Vec<u8>),
    Remove(u32),
    Update,
}

/// A commit, already applied by who made it.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) message: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    /// The tree, if the Welcome does not carry it.
    pub(crate) tree: Option<Vec<u8>>,
}

/// What a message was. A commit is applied as soon as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Text { sender: u32, text: Vec<u8> },
    Proposal,
    NewEpoch,
    Removed,
}

/// What all members must agree on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) epoch: u64,
    pub(crate) epoch_authenticator: Vec<u8>,
    pub(crate) exported: Vec<u8>,
    /// The encoded `ratchet_tree`.
    pub(crate) tree: Vec<u8>,
    /// Leaf index and identity.
    pub(crate) members: Vec<(u32, Vec<u8>)>,
}

/// The external PSK that every client knows.
pub(crate) const PSK_ID: &[u8] = b"shared beforehand";
pub(crate) const PSK: &[u8] = &[0x5a; 32];
/// Arguments of the exporter that the agreement compares.
pub(crate) const LABEL: &str = "peers";
pub(crate) const CONTEXT: &[u8] = b"context";
pub(crate) const EXPORTED: usize = 48;

pub(crate) trait Peer {
    fn name(&self) -> &str;
    fn key_package(&mut self) -> Vec<u8>;
    fn create(&mut self, group_id: &[u8]);
    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>);
    /// A GroupInfo with the tree and `external_pub`.
    fn group_info(&mut self) -> Vec<u8>;
    /// Joins by external commit, which is returned.
    fn join_external(&mut self, group_info: &[u8]) -> Vec<u8>;
    fn commit(&mut self, change: &Change) -> Committed;
    fn propose(&mut self, proposal: &Proposal) -> Vec<u8>;
    fn send(&mut self, text: &[u8]) -> Vec<u8>;
    fn receive(&mut self, message: &[u8]) -> Result<Event, String>;
    /// Like [`Peer::receive`], but a client whose code keeps something of a message that it refuses
    /// is put back to what it was.
    fn receive_or_restore(&mut self, message: &[u8]) -> Result<Event, String> {
        self.receive(message)
    }
    fn own_leaf(&self) -> u32;
    fn agreement(&self) -> Agreement;
    /// The group and the signature key, where the client can be made to break rules.
    fn insides(&self) -> Option<(&Group, &dyn Signer)> {
        None
    }
}

/// A client outside any group.
pub(crate) fn client(kind: Kind, name: &str, suite: u16, style: Style) -> Box<dyn Peer> {
    match kind {
        Kind::Keyroom => keyroom::client(&RUSTCRYPTO, name, suite, style, Grease::Capabilities),
        Kind::KeyroomGrease => keyroom::client(&RUSTCRYPTO, name, suite, style, Grease::Add),
        Kind::KeyroomAwsLc => keyroom::client(&AWSLC, name, suite, style, Grease::Capabilities),
        Kind::MlsRs => mls_rs::client(name, suite, style),
        Kind::OpenMls => openmls::client(name, suite, style),
    }
}

/// Seconds since 1970: the peers look at the clock, so ours is told the same.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
