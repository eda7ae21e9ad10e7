//! A leaf of the tree: its exact bytes, shared.

use alloc::sync::Arc;
use core::fmt;

use keyroom_wire::{
    Capabilities, Credential, CredentialType, Decode, DecodeError, Encode, LeafNode, LeafNodeRef, LeafNodeSource,
    Limits, Reader,
};

/// The bytes were accepted under the caller's limits; reading them again needs none.
const NO_LIMITS: Limits = Limits { message: usize::MAX, vector: usize::MAX, field: usize::MAX };

/// A `LeafNode` (RFC 9420 §7.2) that is known to parse, as its exact bytes in one allocation.
///
/// Hashes, the wire form and the stored record use the bytes as they came. A clone shares them.
/// Two leaves are equal if their bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf(Arc<[u8]>);

impl Leaf {
    /// Takes an encoded leaf node.
    ///
    /// # Errors
    /// The bytes are not exactly one `LeafNode`, or exceed the limits.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        LeafNodeRef::from_bytes(bytes, limits).map(|node| Self::from(&node))
    }

    /// As [`Leaf::parse`], for bytes whose hash has been compared.
    pub(super) fn parse_stored(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::parse(bytes, &NO_LIMITS)
    }

    /// The exact encoding.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leaf read in place. Walks over the bytes once and allocates nothing: about 0.1 µs.
    #[expect(clippy::expect_used, reason = "the same bytes were read when the leaf was made")]
    pub fn node(&self) -> LeafNodeRef<'_> {
        LeafNodeRef::from_bytes(&self.0, &NO_LIMITS).expect("a leaf parses")
    }

    /// HPKE public key. Reads one length header.
    pub fn encryption_key(&self) -> &[u8] {
        self.reader().field().unwrap_or_default()
    }

    /// Signature public key. Reads two length headers.
    pub fn signature_key(&self) -> &[u8] {
        let mut reader = self.reader();
        reader.field().and_then(|_| reader.field()).unwrap_or_default()
    }

    /// Type of the credential.
    pub fn credential_type(&self) -> CredentialType {
        self.node().credential_type
    }

    /// The credential, decoded.
    ///
    /// # Errors
    /// None: its parts were checked when the leaf was made.
    pub fn credential(&self) -> Result<Credential, DecodeError> {
        self.node().decode_credential()
    }

    /// The capabilities, decoded.
    ///
    /// # Errors
    /// None: its parts were checked when the leaf was made.
    pub fn capabilities(&self) -> Result<Capabilities, DecodeError> {
        self.node().decode_capabilities()
    }

    /// The parent hash, if the leaf came from a Commit (§7.9).
    pub fn parent_hash(&self) -> Option<&[u8]> {
        match self.node().leaf_node_source {
            LeafNodeSource::Commit { parent_hash } => Some(parent_hash),
            LeafNodeSource::KeyPackage(_) | LeafNodeSource::Update => None,
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.0, NO_LIMITS)
    }
}

impl From<&LeafNodeRef<'_>> for Leaf {
    fn from(node: &LeafNodeRef<'_>) -> Self {
        Self(node.bytes.into())
    }
}

impl From<&LeafNode> for Leaf {
    fn from(node: &LeafNode) -> Self {
        Self(node.to_bytes().into())
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({} bytes)", self.0.len())
    }
}
