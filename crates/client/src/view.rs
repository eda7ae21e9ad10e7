//! What an onlooker with the keys sees of a room.

use std::fmt::Write as _;

use keyroom_api::DeviceUri;
use keyroom_crypto::constant_time_eq;
use keyroom_mls::error::Error as ProtocolError;
use keyroom_mls::group::Group;
use keyroom_mls::tree::{Leaf, NodeId, Tree};

use crate::Error;
use crate::judge::credential_device;

/// A room in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The epoch.
    pub epoch: u64,
    /// The own place in the tree.
    pub own_leaf: u32,
    /// Who is in, in the order of the tree.
    pub members: Vec<Member>,
    /// The epoch authenticator (RFC 9420 §8.7): equal for all who agree on the epoch.
    pub authenticator: Vec<u8>,
    /// The ratchet tree as text: `_` is blank, each node shows the start of its public key, and an
    /// inner node, after a `+`, the leaves that do not know its secret yet.
    pub tree: String,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The place in the tree.
    pub leaf: u32,
    /// The device, if the credential names one.
    pub device: Option<DeviceUri>,
    /// The last second in which its certificate is good, since 1970-01-01T00:00Z; `None` if it has none.
    pub expires: Option<u64>,
}

impl Member {
    pub(crate) fn of(member: &keyroom_mls::identity::Member) -> Self {
        let credential = member.credential().ok();
        let validity = credential.as_ref().and_then(keyroom_authority::validity_of);
        Self {
            leaf: member.leaf_index.0,
            device: credential.as_ref().and_then(credential_device),
            expires: validity.map(|validity| validity.not_after),
        }
    }
}

/// What comes of comparing the epoch authenticators of two members
/// ([`Room::compare`](crate::Room::compare)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Both are in the same epoch and have the same keys.
    Same,
    /// One of the two has not seen a commit yet: compare again when both are in one epoch.
    OtherEpoch {
        /// The epoch of this device.
        own: u64,
    },
    /// Both are in an epoch of this number, and not in the same: the server has led them apart.
    Apart,
}

/// Holds the authenticator of a peer in `epoch` against the own one, in constant time.
pub(crate) fn agreement(group: &Group, epoch: u64, authenticator: &[u8]) -> Agreement {
    let own = group.epoch();
    if own != epoch {
        return Agreement::OtherEpoch { own };
    }
    let same = constant_time_eq(group.epoch_authenticator(), authenticator);
    if same { Agreement::Same } else { Agreement::Apart }
}

/// Hexadecimal digits that are shown of a key.
const DIGITS: usize = 6;

/// Draws a tree, root first.
pub(crate) fn draw(tree: &Tree) -> Result<String, Error> {
    tree.require_all().map_err(ProtocolError::from)?;
    let mut text = String::new();
    node(tree, tree.root_node(), "", "", &mut text)?;
    Ok(text)
}

/// Draws a node and what is below it; the recursion is as deep as the tree, at most 24.
fn node(tree: &Tree, at: NodeId, own: &str, below: &str, text: &mut String) -> Result<(), Error> {
    if let Some(leaf) = at.as_leaf() {
        let found = tree.leaf(leaf).map_err(ProtocolError::from)?;
        let said = found.map_or("_".into(), |found| format!("{} {}", short(found.encryption_key()), name(found)));
        let _ = writeln!(text, "{own}{} {said}", leaf.0);
        return Ok(());
    }
    let parent = tree.parent(at).map_err(ProtocolError::from)?;
    let said = parent.map_or("_".into(), |parent| {
        let unmerged: Vec<String> = parent.unmerged_leaves.iter().map(|leaf| leaf.0.to_string()).collect();
        let plus = if unmerged.is_empty() { "" } else { " +" };
        format!("{}{plus}{}", short(parent.encryption_key), unmerged.join(","))
    });
    let _ = writeln!(text, "{own}{said}");
    let (Some(left), Some(right)) = (at.left(), at.right()) else { return Ok(()) };
    node(tree, left, &format!("{below}├─ "), &format!("{below}│  "), text)?;
    node(tree, right, &format!("{below}└─ "), &format!("{below}   "), text)
}

fn short(key: &[u8]) -> String {
    hex::encode(key).chars().take(DIGITS).collect()
}

fn name(leaf: &Leaf) -> String {
    let device = leaf.credential().ok().as_ref().and_then(credential_device);
    device.map_or("?".into(), |device| format!("{}/{}", device.user_name(), device.name()))
}
