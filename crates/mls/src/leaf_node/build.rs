use alloc::vec::Vec;

use keyroom_crypto::{CryptoError, CryptoRng, KeyPair, Secret, Signer, Suite, labels};
use keyroom_wire::{
    Capabilities, CipherSuite, Credential, CredentialType, ExtensionType, Extensions, GroupId, HpkePublicKey,
    LeafIndex, LeafNode, LeafNodeSource, ProposalType, ProtocolVersion, Signature,
};

use super::LeafPlace;
use super::signature::LABEL;

/// Whether random reserved values are mixed in, so that peers stay tolerant (RFC 9420 §13.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grease {
    /// They are.
    Add,
    /// They are in the capabilities only, not as extensions: releases of OpenMLS up to 0.9.2 refuse
    /// every extension of a reserved type.
    Capabilities,
    /// They are not.
    Omit,
}

/// A leaf node before it is signed; the signature key is the signer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafNodeParts {
    /// The new HPKE key.
    pub encryption_key: HpkePublicKey,
    /// Who the member is.
    pub credential: Credential,
    /// What the member supports.
    pub capabilities: Capabilities,
    /// Where the leaf comes from.
    pub leaf_node_source: LeafNodeSource,
    /// Extensions.
    pub extensions: Extensions,
}

impl LeafNodeParts {
    /// The parts of a leaf that follows an own one: same credential, capabilities and extensions.
    pub fn successor(leaf: &LeafNode, encryption_key: HpkePublicKey, leaf_node_source: LeafNodeSource) -> Self {
        Self {
            encryption_key,
            credential: leaf.credential.clone(),
            capabilities: leaf.capabilities.clone(),
            leaf_node_source,
            extensions: leaf.extensions.clone(),
        }
    }
}

/// Signs an own leaf (§7.2). It is not checked against the group: validate it like a foreign one
/// before it is sent.
///
/// # Errors
/// What the signer says.
pub fn sign_leaf(
    parts: LeafNodeParts,
    place: LeafPlace<'_>,
    signer: &dyn Signer,
    rng: &mut dyn CryptoRng,
) -> Result<LeafNode, CryptoError> {
    let mut leaf = LeafNode {
        encryption_key: parts.encryption_key,
        signature_key: signer.public_key().clone(),
        credential: parts.credential,
        capabilities: parts.capabilities,
        leaf_node_source: parts.leaf_node_source,
        extensions: parts.extensions,
        signature: Signature::default(),
    };
    let bound: Option<(&GroupId, LeafIndex)> = match leaf.leaf_node_source {
        LeafNodeSource::KeyPackage(_) => None,
        LeafNodeSource::Update | LeafNodeSource::Commit { .. } => place.bound(),
    };
    leaf.signature = labels::sign_with_label(signer, LABEL, &leaf.tbs(bound), rng)?;
    Ok(leaf)
}

/// A fresh key pair of the suite's KEM.
///
/// # Errors
/// Those of [`derive_key_pair`](keyroom_crypto::Kem::derive_key_pair), with negligible probability.
pub fn generate_key_pair(suite: &dyn Suite, rng: &mut dyn CryptoRng) -> Result<KeyPair, CryptoError> {
    let ikm = Secret::random(suite.kem().private_key_len(), rng);
    suite.kem().derive_key_pair(ikm.expose())
}

/// Capabilities of a client with these suites and credential types and nothing beyond RFC 9420.
pub fn capabilities_for(
    cipher_suites: impl IntoIterator<Item = CipherSuite>,
    credentials: impl IntoIterator<Item = CredentialType>,
) -> Capabilities {
    Capabilities {
        versions: Vec::from([ProtocolVersion::MLS10]),
        cipher_suites: cipher_suites.into_iter().collect(),
        extensions: Vec::new(),
        proposals: Vec::new(),
        credentials: credentials.into_iter().collect(),
    }
}

/// Adds one reserved value to each list of capabilities that may hold one (§13.5).
pub(crate) fn grease_capabilities(capabilities: &mut Capabilities, rng: &mut dyn CryptoRng) {
    capabilities.cipher_suites.push(CipherSuite(grease_value(rng)));
    capabilities.proposals.push(ProposalType(grease_value(rng)));
    capabilities.credentials.push(CredentialType(grease_value(rng)));
    let extension_type = ExtensionType(grease_value(rng));
    if !capabilities.extensions.contains(&extension_type) {
        capabilities.extensions.push(extension_type);
    }
}

/// Adds one extension of a reserved type with random content, and lists it (§13.5).
pub(crate) fn grease_extensions(capabilities: &mut Capabilities, extensions: &mut Extensions, rng: &mut dyn CryptoRng) {
    const LONGEST: usize = 15;
    let extension_type = ExtensionType(grease_value(rng));
    let mut noise = [0; LONGEST + 1];
    rng.fill_bytes(&mut noise);
    let [length, content @ ..] = noise;
    let content = content.get(..usize::from(length) % (LONGEST + 1)).unwrap_or_default();
    extensions.set(extension_type, content);
    if !capabilities.extensions.contains(&extension_type) {
        capabilities.extensions.push(extension_type);
    }
}

/// One of the fifteen reserved values.
fn grease_value(rng: &mut dyn CryptoRng) -> u16 {
    let mut byte = [0];
    rng.fill_bytes(&mut byte);
    let [byte] = byte;
    let octet = (byte % 15) << 4 | 0x0a;
    u16::from_be_bytes([octet, octet])
}
