//! GroupInfo and Welcome as their makers see them (RFC 9420 §12.4.3).

use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, SealJob, Secret, Signer, Suite, Zeroizing, labels};
use keyroom_wire::{
    Encode, EncryptedGroupSecrets, ExtensionType, Extensions, ExternalPub, GroupInfo, GroupSecrets, LeafIndex,
    MlsMessage, Opaque, PreSharedKeyId, Signature, Welcome,
};

use super::Group;
use super::path::PathSecrets;
use crate::error::Error;
use crate::key_schedule::{AeadKey, EpochSecrets};
use crate::public::{Added, PublicState};
use crate::tree::PathStep;

const LABEL: &str = "GroupInfoTBS";

/// What a GroupInfo carries beside the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupInfoContent {
    /// Whether the ratchet tree is inside or travels on its own.
    pub tree: TreeDelivery,
    /// Whether it lets external joiners in.
    pub external: ExternalJoins,
}

/// How a ratchet tree reaches those who need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeDelivery {
    /// As an extension of the GroupInfo.
    Inside,
    /// By other means; the GroupInfo stays small.
    OutOfBand,
}

/// Whether a GroupInfo carries `external_pub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalJoins {
    /// It does: whoever gets it can join by external commit (§12.4.3.2).
    Allowed,
    /// It does not.
    NotOffered,
}

/// Signs the GroupInfo of an epoch.
pub(super) fn sign_group_info(
    public: &PublicState,
    secrets: &EpochSecrets,
    signer_leaf: LeafIndex,
    content: GroupInfoContent,
    signer: &dyn Signer,
    rng: &mut dyn CryptoRng,
) -> Result<GroupInfo, Error> {
    let mut extensions = Extensions::new();
    if content.tree == TreeDelivery::Inside {
        extensions.set(ExtensionType::RATCHET_TREE, public.tree.export()?);
    }
    if content.external == ExternalJoins::Allowed {
        let external_pub = secrets.external_key_pair(public.suite)?.public;
        extensions.set(ExtensionType::EXTERNAL_PUB, ExternalPub { external_pub }.to_bytes());
    }
    let mut info = GroupInfo {
        group_context: (*public.context).clone(),
        extensions,
        confirmation_tag: public.confirmation_tag.clone(),
        signer: signer_leaf,
        signature: Signature::default(),
    };
    info.signature = labels::sign_with_label(signer, LABEL, &info.tbs(), rng)?;
    Ok(info)
}

/// Verifies the signature of a GroupInfo (§12.4.3).
pub(crate) fn verify_group_info(suite: &dyn Suite, info: &GroupInfo, signature_key: &[u8]) -> Result<(), Error> {
    labels::verify_with_label(suite, signature_key, LABEL, &info.tbs(), info.signature.as_slice())
        .map_err(|_| crate::error::Rule::GroupInfoSignature.into())
}

/// What a Welcome is made of.
pub(super) struct WelcomeParts<'a> {
    pub(super) group_info: &'a GroupInfo,
    pub(super) key: &'a AeadKey,
    pub(super) joiner_secret: &'a [u8],
    pub(super) path: Option<(&'a [PathStep], &'a PathSecrets)>,
    pub(super) psks: &'a [PreSharedKeyId],
    pub(super) added: &'a [Added],
}

/// Encrypts the GroupInfo once and the group secrets to each joiner (§12.4.3.1). The long HPKE
/// `info` is hashed once for all of them.
pub(super) fn seal_welcome(
    suite: &dyn Suite,
    parts: &WelcomeParts<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<Welcome, Error> {
    let mut encrypted_group_info = parts.group_info.to_bytes();
    suite.aead_seal(parts.key.key.expose(), parts.key.nonce.expose(), b"", &mut encrypted_group_info)?;
    let plaintexts: Vec<Zeroizing<Vec<u8>>> = parts.added.iter().map(|added| group_secrets(parts, added)).collect();
    let jobs: Vec<SealJob<'_>> = parts
        .added
        .iter()
        .zip(&plaintexts)
        .map(|(added, plaintext)| SealJob {
            public_key: added.init_key.as_slice(),
            plaintext,
            randomness: Secret::random(suite.kem().randomness_len(), rng),
        })
        .collect();
    let info = labels::encryption_info(suite, "Welcome", &encrypted_group_info);
    let sealed = suite.seal_many(&info, &jobs)?;
    let secrets = parts
        .added
        .iter()
        .zip(sealed)
        .map(|(added, encrypted_group_secrets)| EncryptedGroupSecrets {
            new_member: added.reference.clone(),
            encrypted_group_secrets,
        })
        .collect();
    Ok(Welcome {
        cipher_suite: suite.cipher_suite(),
        secrets,
        encrypted_group_info: Opaque::from(encrypted_group_info),
    })
}

fn group_secrets(parts: &WelcomeParts<'_>, added: &Added) -> Zeroizing<Vec<u8>> {
    let path_secret = parts.path.and_then(|(steps, path)| path.secret_for(steps, added.leaf_index));
    let secrets = GroupSecrets {
        joiner_secret: parts.joiner_secret,
        path_secret: path_secret.map(Secret::expose),
        psks: parts.psks.to_vec(),
    };
    let psks: usize = secrets.psks.iter().map(|id| id.to_bytes().len()).sum();
    let room = parts.joiner_secret.len() + path_secret.map_or(0, Secret::len) + psks + 16;
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    secrets.encode(&mut out);
    out
}

impl Group {
    /// The signed GroupInfo of the current epoch, an encoded MLSMessage (§12.4.3).
    ///
    /// # Errors
    /// [`Usage::WrongSigner`](crate::error::Usage::WrongSigner); [`Error::Missing`] with the tree inside.
    pub fn group_info(
        &self,
        content: GroupInfoContent,
        signer: &dyn Signer,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        self.check_active()?;
        self.check_signer(signer)?;
        let info = sign_group_info(&self.public, &self.secrets, self.own_leaf, content, signer, rng)?;
        Ok(MlsMessage::GroupInfo(info).to_bytes())
    }
}
