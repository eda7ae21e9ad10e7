use alloc::vec::Vec;

use crate::codec::wire_struct;
use crate::{
    CipherSuite, Credential, CredentialType, Decode, DecodeError, Encode, ExtensionType, Extensions, GroupId,
    HpkePublicKey, LeafIndex, Limits, Opaque, ProposalType, ProtocolVersion, Reader, Signature, SignaturePublicKey,
};

wire_struct! {
    /// What a client supports (RFC 9420 §7.2).
    #[derive(Default)]
    pub struct Capabilities {
        /// Protocol versions.
        pub versions: Vec<ProtocolVersion>,
        /// Cipher suites.
        pub cipher_suites: Vec<CipherSuite>,
        /// Extension types beyond those of RFC 9420.
        pub extensions: Vec<ExtensionType>,
        /// Proposal types beyond those of RFC 9420.
        pub proposals: Vec<ProposalType>,
        /// Credential types.
        pub credentials: Vec<CredentialType>,
    }
}

impl Capabilities {
    /// Reads past capabilities with the same strictness as decoding them, without allocating.
    fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        const LISTS: [&str; 5] = [
            "Capabilities.versions",
            "Capabilities.cipher_suites",
            "Capabilities.extensions",
            "Capabilities.proposals",
            "Capabilities.credentials",
        ];
        for field in LISTS {
            let mut list = reader.vector().map_err(|e| e.inside(field))?;
            while !list.is_empty() {
                u16::decode(&mut list).map_err(|e| e.inside(field))?;
            }
        }
        Ok(())
    }
}

wire_struct! {
    /// The time in which a key package may be used, in seconds since 1970-01-01T00:00Z (§7.2).
    #[derive(Copy)]
    pub struct Lifetime {
        /// First second.
        pub not_before: u64,
        /// Last second.
        pub not_after: u64,
    }
}

/// Where a leaf node came from, and what is bound to that origin (§7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafNodeSource<P = Opaque> {
    /// From a key package.
    KeyPackage(Lifetime),
    /// From an Update proposal.
    Update,
    /// From the path of a Commit.
    Commit {
        /// The parent hash of the leaf (§7.9).
        parent_hash: P,
    },
}

impl<P> LeafNodeSource<P> {
    fn code(&self) -> u8 {
        match self {
            Self::KeyPackage(_) => 1,
            Self::Update => 2,
            Self::Commit { .. } => 3,
        }
    }
}

impl Encode for LeafNodeSource {
    fn encode(&self, out: &mut Vec<u8>) {
        self.code().encode(out);
        match self {
            Self::KeyPackage(lifetime) => lifetime.encode(out),
            Self::Update => {}
            Self::Commit { parent_hash } => parent_hash.encode(out),
        }
    }
}

/// A member's node in the ratchet tree (§7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafNode {
    /// HPKE key to which path secrets for this leaf are encrypted.
    pub encryption_key: HpkePublicKey,
    /// Verifies what the member signs.
    pub signature_key: SignaturePublicKey,
    /// Who the member is.
    pub credential: Credential,
    /// What the member supports.
    pub capabilities: Capabilities,
    /// Where the leaf came from.
    pub leaf_node_source: LeafNodeSource,
    /// Extensions of the leaf.
    pub extensions: Extensions,
    /// Signature over [`LeafNode::tbs`].
    pub signature: Signature,
}

impl LeafNode {
    fn encode_unsigned(&self, out: &mut Vec<u8>) {
        self.encryption_key.encode(out);
        self.signature_key.encode(out);
        self.credential.encode(out);
        self.capabilities.encode(out);
        self.leaf_node_source.encode(out);
        self.extensions.encode(out);
    }

    /// `LeafNodeTBS`: what the signature covers. `place` is the group and the leaf index for a leaf
    /// from an Update or a Commit, and must be `None` for one from a key package (§7.2).
    pub fn tbs(&self, place: Option<(&GroupId, LeafIndex)>) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_unsigned(&mut out);
        encode_place(&mut out, place);
        out
    }
}

fn encode_place(out: &mut Vec<u8>, place: Option<(&GroupId, LeafIndex)>) {
    if let Some((group_id, leaf_index)) = place {
        group_id.encode(out);
        leaf_index.encode(out);
    }
}

impl Encode for LeafNode {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_unsigned(out);
        self.signature.encode(out);
    }
}

impl<'a> Decode<'a> for LeafNode {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        LeafNodeRef::decode(reader)?.to_owned()
    }
}

/// A leaf node read in place: slices into its exact bytes, checked as strictly as [`LeafNode`].
///
/// Two are equal when their bytes are.
#[derive(Clone, Debug)]
pub struct LeafNodeRef<'a> {
    /// The whole encoding, as it stands in the input.
    pub bytes: &'a [u8],
    /// HPKE public key.
    pub encryption_key: &'a [u8],
    /// Signature public key.
    pub signature_key: &'a [u8],
    /// Type of the credential.
    pub credential_type: CredentialType,
    /// Encoded [`Credential`], its type included.
    pub credential: &'a [u8],
    /// Encoded [`Capabilities`].
    pub capabilities: &'a [u8],
    /// Where the leaf came from.
    pub leaf_node_source: LeafNodeSource<&'a [u8]>,
    /// Encoded [`Extensions`], with the length header.
    pub extensions: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// How many of `bytes` the signature covers.
    signed: usize,
    limits: Limits,
}

impl LeafNodeRef<'_> {
    /// `LeafNodeTBS`, as [`LeafNode::tbs`].
    pub fn tbs(&self, place: Option<(&GroupId, LeafIndex)>) -> Vec<u8> {
        let mut out = self.bytes.get(..self.signed).unwrap_or_default().to_vec();
        encode_place(&mut out, place);
        out
    }

    /// The same leaf as an owned struct.
    ///
    /// # Errors
    /// None for a value that was decoded: its parts have been checked.
    pub fn to_owned(&self) -> Result<LeafNode, DecodeError> {
        let limits = &self.limits;
        Ok(LeafNode {
            encryption_key: self.encryption_key.into(),
            signature_key: self.signature_key.into(),
            credential: Credential::from_bytes(self.credential, limits)?,
            capabilities: Capabilities::from_bytes(self.capabilities, limits)?,
            leaf_node_source: match self.leaf_node_source {
                LeafNodeSource::KeyPackage(lifetime) => LeafNodeSource::KeyPackage(lifetime),
                LeafNodeSource::Update => LeafNodeSource::Update,
                LeafNodeSource::Commit { parent_hash } => LeafNodeSource::Commit { parent_hash: parent_hash.into() },
            },
            extensions: Extensions::from_bytes(self.extensions, limits)?,
            signature: self.signature.into(),
        })
    }

    /// The credential, decoded.
    ///
    /// # Errors
    /// None for a value that was decoded.
    pub fn decode_credential(&self) -> Result<Credential, DecodeError> {
        Credential::from_bytes(self.credential, &self.limits)
    }

    /// The capabilities, decoded.
    ///
    /// # Errors
    /// None for a value that was decoded.
    pub fn decode_capabilities(&self) -> Result<Capabilities, DecodeError> {
        Capabilities::from_bytes(self.capabilities, &self.limits)
    }

    /// The extensions, decoded.
    ///
    /// # Errors
    /// None for a value that was decoded.
    pub fn decode_extensions(&self) -> Result<Extensions, DecodeError> {
        Extensions::from_bytes(self.extensions, &self.limits)
    }
}

impl PartialEq for LeafNodeRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for LeafNodeRef<'_> {}

impl<'a> Decode<'a> for LeafNodeRef<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (start, limits) = (reader.clone(), *reader.limits());
        let encryption_key = reader.read_field("LeafNode.encryption_key")?;
        let signature_key = reader.read_field("LeafNode.signature_key")?;
        let (credential_type, credential) =
            reader.spanned(Credential::skip).map_err(|e| e.inside("LeafNode.credential"))?;
        let ((), capabilities) = reader.spanned(Capabilities::skip).map_err(|e| e.inside("LeafNode.capabilities"))?;
        let leaf_node_source = read_source(reader)?;
        let ((), extensions) = reader.spanned(skip_extensions).map_err(|e| e.inside("LeafNode.extensions"))?;
        let signed = reader.offset() - start.offset();
        let signature = reader.read_field("LeafNode.signature")?;
        Ok(Self {
            bytes: start.until(reader),
            encryption_key,
            signature_key,
            credential_type,
            credential,
            capabilities,
            leaf_node_source,
            extensions,
            signature,
            signed,
            limits,
        })
    }
}

fn read_source<'a>(reader: &mut Reader<'a>) -> Result<LeafNodeSource<&'a [u8]>, DecodeError> {
    let selector = reader.selector::<u8>("LeafNode.leaf_node_source")?;
    match selector.value {
        1 => Ok(LeafNodeSource::KeyPackage(reader.read("LeafNode.lifetime")?)),
        2 => Ok(LeafNodeSource::Update),
        3 => Ok(LeafNodeSource::Commit { parent_hash: reader.read_field("LeafNode.parent_hash")? }),
        _ => Err(selector.unknown()),
    }
}

/// Reads past extensions with the same strictness as decoding them, without allocating.
fn skip_extensions(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut list = reader.vector()?;
    while !list.is_empty() {
        u16::decode(&mut list).map_err(|e| e.inside("Extension.extension_type"))?;
        list.opaque().map_err(|e| e.inside("Extension.extension_data"))?;
    }
    Ok(())
}
