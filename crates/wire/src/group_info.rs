use alloc::vec::Vec;

use crate::codec::{wire_struct, write_opaque};
use crate::{
    CipherSuite, Decode, DecodeError, Encode, Extensions, GroupId, HpkeCiphertext, KeyPackageRef, LeafIndex, Mac,
    Opaque, PreSharedKeyId, ProtocolVersion, Reader, Signature,
};

wire_struct! {
    /// What all members of an epoch agree on (RFC 9420 §8.1).
    pub struct GroupContext {
        /// Protocol version.
        pub version: ProtocolVersion,
        /// Cipher suite.
        pub cipher_suite: CipherSuite,
        /// The group.
        pub group_id: GroupId,
        /// Number of the epoch.
        pub epoch: u64,
        /// Root hash of the ratchet tree (§7.8).
        pub tree_hash: Opaque,
        /// Hash over all commits up to this epoch, without the last confirmation tag (§8.2).
        pub confirmed_transcript_hash: Opaque,
        /// Extensions of the group.
        pub extensions: Extensions,
    }
}

impl GroupContext {
    /// The context of epoch 0 with empty hashes and no extensions (§11).
    pub fn new(cipher_suite: CipherSuite, group_id: GroupId) -> Self {
        Self {
            version: ProtocolVersion::MLS10,
            cipher_suite,
            group_id,
            epoch: 0,
            tree_hash: Opaque::default(),
            confirmed_transcript_hash: Opaque::default(),
            extensions: Extensions::new(),
        }
    }
}

wire_struct! {
    /// The public state of a group, signed by a member (§12.4.3).
    pub struct GroupInfo {
        /// The epoch's context.
        pub group_context: GroupContext,
        /// Extensions of the GroupInfo: the ratchet tree, the external key, others.
        pub extensions: Extensions,
        /// The epoch's confirmation tag.
        pub confirmation_tag: Mac,
        /// Who signed.
        pub signer: LeafIndex,
        /// Signature over [`GroupInfo::tbs`].
        pub signature: Signature,
    }
}

impl GroupInfo {
    /// `GroupInfoTBS`: what the signature covers.
    pub fn tbs(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.group_context.encode(&mut out);
        self.extensions.encode(&mut out);
        self.confirmation_tag.encode(&mut out);
        self.signer.encode(&mut out);
        out
    }
}

/// The secrets that a Welcome hands to one joiner (§12.4.3.1), read in place so that the only copy
/// stays in the caller's buffer.
///
/// Encode it with [`to_bytes`](Encode::to_bytes), which allocates once: a buffer that grows leaves
/// parts of the secrets behind in freed memory.
#[derive(Clone)]
pub struct GroupSecrets<'a> {
    /// `joiner_secret` of the new epoch.
    pub joiner_secret: &'a [u8],
    /// Path secret of the lowest common ancestor of committer and joiner, if the commit had a path.
    pub path_secret: Option<&'a [u8]>,
    /// The PSKs of the commit, in its order.
    pub psks: Vec<PreSharedKeyId>,
}

impl core::fmt::Debug for GroupSecrets<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GroupSecrets").field("psks", &self.psks).finish_non_exhaustive()
    }
}

impl Encode for GroupSecrets<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        write_opaque(out, self.joiner_secret);
        self.path_secret.map(PathSecret).encode(out);
        self.psks.encode(out);
    }

    fn to_bytes(&self) -> Vec<u8> {
        // A presence byte and, for each secret, a length header of at most four bytes.
        const OVERHEAD: usize = 1 + 4 + 4;
        let secrets = self.joiner_secret.len() + self.path_secret.map_or(0, <[u8]>::len);
        let psks = self.psks.to_bytes();
        let mut out = Vec::with_capacity(OVERHEAD + secrets + psks.len());
        write_opaque(&mut out, self.joiner_secret);
        self.path_secret.map(PathSecret).encode(&mut out);
        out.extend_from_slice(&psks);
        out
    }
}

/// The RFC's `PathSecret`: one `opaque<V>`.
struct PathSecret<'a>(&'a [u8]);

impl Encode for PathSecret<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        write_opaque(out, self.0);
    }
}

impl<'a> Decode<'a> for PathSecret<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field().map(Self)
    }
}

impl<'a> Decode<'a> for GroupSecrets<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            joiner_secret: reader.read_field("GroupSecrets.joiner_secret")?,
            path_secret: reader.read::<Option<PathSecret<'a>>>("GroupSecrets.path_secret")?.map(|p| p.0),
            psks: reader.read("GroupSecrets.psks")?,
        })
    }
}

wire_struct! {
    /// One joiner's share of a Welcome (§12.4.3.1).
    pub struct EncryptedGroupSecrets {
        /// Names the key package that was used.
        pub new_member: KeyPackageRef,
        /// An encrypted [`GroupSecrets`].
        pub encrypted_group_secrets: HpkeCiphertext,
    }
}

wire_struct! {
    /// What lets new members in (§12.4.3.1).
    pub struct Welcome {
        /// Cipher suite of the group.
        pub cipher_suite: CipherSuite,
        /// One entry per joiner.
        pub secrets: Vec<EncryptedGroupSecrets>,
        /// A [`GroupInfo`] under a key from the joiner secret.
        pub encrypted_group_info: Opaque,
    }
}
