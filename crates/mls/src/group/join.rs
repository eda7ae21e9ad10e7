//! Joining by Welcome (RFC 9420 §12.4.3.1).

use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret, Suite, Zeroizing, labels};
use keyroom_wire::{
    Decode, Encode, EncryptedGroupSecrets, GroupId, GroupInfo, GroupSecrets, KeyPackageRef, LeafIndex, Limits,
    MlsMessage, PreSharedKeyId, Psk, ResumptionPskUsage, Welcome,
};

use super::keys::PathKeys;
use super::past::PastEpochs;
use super::path;
use super::pending::PendingCommits;
use super::propose::ProposalCache;
use super::psks::{self, ResumptionPsks};
use super::{Group, Status, successor};
use crate::config::{Config, Inputs};
use crate::error::{Error, Rule, Usage};
use crate::fingerprint::Seed;
use crate::identity::{Questions, Verdict};
use crate::key_package::KeyPackageBundle;
use crate::key_schedule::{EpochSecrets, JoinerSecret, MemberSecret};
use crate::public::{PublicState, SignedInfo};
use crate::record::ChangeSet;
use crate::secret_tree::SecretTree;
use crate::tree::PathStep;

/// What a joiner brings along.
#[derive(Debug)]
pub struct JoinOptions<'a> {
    /// Own key packages that the Welcome may name, with their private keys.
    pub bundles: &'a [KeyPackageBundle],
    /// The ratchet tree, if it does not travel inside the GroupInfo: an encoded `ratchet_tree`.
    pub ratchet_tree: Option<&'a [u8]>,
    /// The group that this one succeeds, for a reinitialisation or a branch (§11.2, §11.3). Without
    /// it a Welcome with such a PSK is refused, and with it any other.
    pub predecessor: Option<&'a Group>,
    /// The groups that this client is in: it cannot join them again (§12.4.3.1). A store refuses
    /// besides to found a group that it holds.
    pub groups: &'a [GroupId],
}

impl<'a> JoinOptions<'a> {
    /// Only key packages: the tree is inside, and the client is in no other group.
    pub fn new(bundles: &'a [KeyPackageBundle]) -> Self {
        Self { bundles, ratchet_tree: None, predecessor: None, groups: &[] }
    }
}

/// A group that has been joined and whose members have not been judged. Nothing is stored yet;
/// dropping it is the way back.
#[derive(Debug)]
pub struct Joining {
    pub(super) group: Group,
    pub(super) questions: Questions,
    pub(super) key_package: Option<KeyPackageRef>,
}

impl Joining {
    /// Who must be judged: every member, the own leaf apart.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// The key package that the Welcome used. Unless it is a last resort, delete its private keys
    /// in the transaction that stores the group (§16.8).
    pub fn key_package(&self) -> Option<&KeyPackageRef> {
        self.key_package.as_ref()
    }

    /// The group as it would be, for a look before the decision.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Takes the place in the group.
    ///
    /// # Errors
    /// [`Usage::WrongVerdict`].
    pub fn accept(mut self, verdict: &Verdict) -> Result<(Group, ChangeSet), Error> {
        if !verdict.answers(&self.questions) {
            return Err(Usage::WrongVerdict.into());
        }
        let changes = self.group.store_whole()?;
        Ok((self.group, changes))
    }
}

impl Group {
    /// Reads a Welcome, an encoded MLSMessage, and checks everything about the group that it leads
    /// into. The suite must be that of the Welcome.
    ///
    /// # Errors
    /// [`Error::Rule`] for whatever the RFC tells a joiner to refuse; [`Error::NotYet`] for PSKs
    /// that were not passed in.
    pub fn join(
        suite: &'static dyn Suite,
        welcome: &[u8],
        options: &JoinOptions<'_>,
        config: Arc<Config>,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Joining, Error> {
        let MlsMessage::Welcome(welcome) = MlsMessage::from_bytes(welcome, &config.limits)? else {
            return Err(Usage::WrongMessageKind.into());
        };
        if welcome.cipher_suite != suite.cipher_suite() {
            return Err(Rule::WelcomeCipherSuite.into());
        }
        let (bundle, entry) = addressed_to_us(suite, &welcome, options.bundles)?;
        let plaintext = open_secrets(suite, bundle, entry, &welcome)?;
        let secrets = GroupSecrets::from_bytes(&plaintext, &config.limits).map_err(|_| Rule::GroupSecrets)?;
        if secrets.joiner_secret.len() != suite.kdf().output_len() {
            return Err(Rule::GroupSecrets.into());
        }
        let usage = successor_usage(&secrets.psks)?;
        if options.predecessor.is_some() && usage.is_none() {
            return Err(Rule::WelcomePsks.into());
        }
        let member = member_secret(suite, &secrets, options.predecessor, &config, inputs)?;
        let info = open_group_info(suite, &member, &welcome, &config.limits)?;
        if info.group_context.cipher_suite != suite.cipher_suite() {
            return Err(Rule::GroupCipherSuite.into());
        }
        let signed = SignedInfo::new(suite, info, options.ratchet_tree, &config)?;
        if options.groups.contains(&signed.info.group_context.group_id) {
            return Err(Rule::AlreadyMember.into());
        }
        let own_leaf = own_leaf(&signed, bundle)?;
        let context = signed.info.group_context.to_bytes();
        let (epoch, encryption) = member.into_epoch(suite, &context)?.into_secrets(suite)?;
        let confirmed = signed.info.group_context.confirmed_transcript_hash.as_slice();
        epoch.verify_confirmation_tag(suite, confirmed, &signed.info.confirmation_tag)?;
        successor::check_joined(usage, options.predecessor, &signed)?;
        let signer = signed.info.signer;
        let (public, questions) = signed.validate(Some(own_leaf), &config, inputs, Seed::random(rng))?;
        let keys = joiner_keys(&public, bundle, own_leaf, signer, secrets.path_secret)?;
        let secret_tree = SecretTree::new(suite, encryption, public.tree.depth(), public.epoch());
        let group = Self::joined(config, public, own_leaf, epoch, secret_tree, keys);
        Ok(Joining { group, questions: Questions::new(questions), key_package: Some(bundle.reference(suite)) })
    }

    pub(super) fn joined(
        config: Arc<Config>,
        public: PublicState,
        own_leaf: LeafIndex,
        secrets: EpochSecrets,
        secret_tree: SecretTree,
        keys: PathKeys,
    ) -> Self {
        Self {
            config,
            version: 0,
            status: Status::Active,
            public,
            own_leaf,
            secrets,
            secret_tree,
            keys,
            proposals: ProposalCache::default(),
            pending: PendingCommits::default(),
            past: PastEpochs::default(),
            resumption: ResumptionPsks::default(),
        }
    }
}

fn addressed_to_us<'a>(
    suite: &dyn Suite,
    welcome: &'a Welcome,
    bundles: &'a [KeyPackageBundle],
) -> Result<(&'a KeyPackageBundle, &'a EncryptedGroupSecrets), Error> {
    let found = bundles.iter().find_map(|bundle| {
        let reference = bundle.reference(suite);
        let entry = welcome.secrets.iter().find(|entry| entry.new_member == reference)?;
        Some((bundle, entry))
    });
    let (bundle, entry) = found.ok_or(Rule::WelcomeNotForUs)?;
    if bundle.key_package.cipher_suite != welcome.cipher_suite {
        return Err(Rule::WelcomeCipherSuite.into());
    }
    Ok((bundle, entry))
}

fn open_secrets(
    suite: &dyn Suite,
    bundle: &KeyPackageBundle,
    entry: &EncryptedGroupSecrets,
    welcome: &Welcome,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let context = welcome.encrypted_group_info.as_slice();
    let private = bundle.init_private.expose();
    labels::decrypt_with_label(suite, private, "Welcome", context, &entry.encrypted_group_secrets)
        .map_err(|_| Rule::GroupSecretsDecryption.into())
}

/// The use of the one resumption PSK for a reinitialisation or a branch, if there is one; more than
/// one are refused (§12.4.3.1).
fn successor_usage(psks: &[PreSharedKeyId]) -> Result<Option<&Psk>, Error> {
    let mut usages = psks.iter().map(|id| &id.psk).filter(|psk| {
        matches!(psk, Psk::Resumption { usage: ResumptionPskUsage::ReInit | ResumptionPskUsage::Branch, .. })
    });
    match (usages.next(), usages.next()) {
        (first, None) => Ok(first),
        _ => Err(Rule::WelcomePsks.into()),
    }
}

fn member_secret(
    suite: &dyn Suite,
    secrets: &GroupSecrets<'_>,
    predecessor: Option<&Group>,
    config: &Config,
    inputs: &Inputs<'_>,
) -> Result<MemberSecret, Error> {
    let own = |group_id: &GroupId, epoch| {
        predecessor.filter(|group| group.group_id() == group_id).and_then(|group| group.kept_psk(epoch))
    };
    let psk_secret = psks::combine(suite, &secrets.psks, own, config, inputs)?;
    Ok(JoinerSecret::from_welcome(secrets.joiner_secret).into_member(suite, &psk_secret))
}

fn open_group_info(
    suite: &dyn Suite,
    member: &MemberSecret,
    welcome: &Welcome,
    limits: &Limits,
) -> Result<GroupInfo, Error> {
    let key = member.welcome_key_nonce(suite)?;
    let mut buffer = welcome.encrypted_group_info.as_slice().to_vec();
    suite.aead_open(key.key.expose(), key.nonce.expose(), b"", &mut buffer).map_err(|_| Rule::GroupInfoDecryption)?;
    GroupInfo::from_bytes(&buffer, limits).map_err(|_| Rule::GroupInfoContent.into())
}

/// The leaf that is identical to the one in our key package (checklist row 215).
fn own_leaf(signed: &SignedInfo, bundle: &KeyPackageBundle) -> Result<LeafIndex, Error> {
    let wanted = bundle.key_package.leaf_node.to_bytes();
    for entry in signed.tree.leaves() {
        let (leaf_index, leaf) = entry?;
        if leaf.bytes() == wanted {
            return Ok(leaf_index);
        }
    }
    Err(Rule::OwnLeafAbsent.into())
}

/// The private keys of a joiner: its leaf's, and those that follow from the path secret, each
/// compared with the tree (§12.4.3.1).
fn joiner_keys(
    public: &PublicState,
    bundle: &KeyPackageBundle,
    own_leaf: LeafIndex,
    signer: LeafIndex,
    path_secret: Option<&[u8]>,
) -> Result<PathKeys, Error> {
    let mut keys = PathKeys::leaf(bundle.leaf_private.duplicate());
    let Some(path_secret) = path_secret else { return Ok(keys) };
    if path_secret.len() != public.suite.kdf().output_len() || signer == own_leaf {
        return Err(Rule::GroupSecrets.into());
    }
    let steps: Vec<PathStep> =
        public.tree.filtered_direct_path(signer)?.into_iter().filter(|step| step.node.covers(own_leaf)).collect();
    let mut expected = Vec::with_capacity(steps.len());
    for step in &steps {
        let parent = public.tree.parent(step.node)?.ok_or(Rule::PathSecretNodeBlank)?;
        expected.push(keyroom_wire::HpkePublicKey::from(parent.encryption_key));
    }
    let adopted = path::adopt(public.suite, Secret::copy_of(path_secret), &steps, expected.iter())?;
    keys.advance(adopted.keys, |_| true);
    Ok(keys)
}
