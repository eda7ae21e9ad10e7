//! The validator of real rooms: the public half of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use keyroom_api::{ACCESS_LABEL, DeviceUri, REPORT_LABEL};
use keyroom_authority::{Authorities, device_of};
use keyroom_crypto::Provider;
use keyroom_crypto::labels::verify_with_label;
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, NotYet, Rule, Usage};
use keyroom_mls::identity::{Member, Question};
use keyroom_mls::key_package::ValidKeyPackage;
use keyroom_mls::leaf_node::{LeafExpectation, LifetimeCheck};
use keyroom_mls::public::{Observed, PublicGroup, StagedPublicCommit};
use keyroom_mls::record::{ChangeSet, RecordKey, RecordKind, RecordValue};
use keyroom_wire::{
    CipherSuite, Commit, Content, Credential, Decode, ExtensionType, ExternalSender, LeafIndex, LeafNode,
    LeafNodeSource, MlsMessage, Proposal, Reader, Sender, SignaturePublicKey,
};
use rand::rngs::StdRng;

use crate::identities::Identities;
use crate::validator::{
    CheckedKeyPackage, Invalid, Judged, JudgedKeyPackage, Owner, PublicView, Roster, StateChange, StateRecord,
    Validator,
};
use crate::{Place, RosterChange};

/// Judges messages on the [`PublicGroup`] of their epoch: signatures, proposals, the new tree,
/// parent and transcript hashes, GroupInfo. Whether an identity is who it says is the business of the members: a
/// Delivery Service is not trusted with that. [`Protocol::trusting`] lets it refuse what they would refuse, before a
/// room has it.
#[derive(Clone, Debug)]
pub struct Protocol {
    provider: &'static dyn Provider,
    config: Arc<Config>,
    identities: Identities,
}

impl Protocol {
    /// Judges with the suites of this provider, under these limits and policies.
    pub fn new(provider: &'static dyn Provider, config: Config) -> Self {
        Self { provider, config: Arc::new(config), identities: Identities::default() }
    }

    /// Takes nobody in whose certificate does not come from one of these authorities, names another device, or has
    /// lapsed when the server sees it; other types of credentials neither. Their revocation lists may be renewed
    /// meanwhile.
    #[must_use]
    pub fn trusting(self, authorities: Arc<RwLock<Authorities>>) -> Self {
        Self { identities: Identities::of(authorities), ..self }
    }
}

/// The suite whose signatures access proofs have: Ed25519, whatever the suite of the group is.
const ACCESS_SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

impl Validator for Protocol {
    fn key_package(&self, message: &[u8], now: u64) -> Result<JudgedKeyPackage, Invalid> {
        let message = MlsMessage::from_bytes(message, &self.config.limits).map_err(|_| Invalid::Malformed)?;
        let MlsMessage::KeyPackage(package) = message else { return Err(Invalid::WrongKind) };
        let suite = self.provider.suite(package.cipher_suite).map_err(|_| Invalid::UnknownCipherSuite)?;
        let mut expectation = LeafExpectation::new(suite, &self.config.extensions);
        expectation.lifetimes = self.config.lifetime.checking(LifetimeCheck::LengthAndRange);
        expectation.now = Some(now);
        let valid = ValidKeyPackage::validate(package, &expectation).map_err(|rule| invalid(rule.into()))?;
        let package = valid.key_package();
        let not_after = match &package.leaf_node.leaf_node_source {
            LeafNodeSource::KeyPackage(lifetime) => lifetime.not_after,
            LeafNodeSource::Update | LeafNodeSource::Commit { .. } => 0,
        };
        self.identities.check(&package.leaf_node.credential, &package.leaf_node.signature_key, now)?;
        let owner = owner(&package.leaf_node.credential, &package.leaf_node.signature_key);
        let checked = CheckedKeyPackage {
            reference: valid.reference().as_slice().to_vec(),
            cipher_suite: package.cipher_suite.0,
            last_resort: valid.is_last_resort(),
            not_after,
        };
        Ok(JudgedKeyPackage { checked, owner })
    }

    fn open(&self, message: &[u8], ratchet_tree: Option<&[u8]>, now: u64) -> Result<Judged, Invalid> {
        let parsed = MlsMessage::from_bytes(message, &self.config.limits).map_err(|_| Invalid::Malformed)?;
        let MlsMessage::GroupInfo(info) = parsed else { return Err(Invalid::WrongKind) };
        if ratchet_tree.is_none() && !info.extensions.contains(ExtensionType::RATCHET_TREE) {
            return Err(Invalid::NoRatchetTree);
        }
        let mut rng: StdRng = rand::make_rng();
        let inputs = Inputs::at(now);
        let config = self.config.clone();
        let observing =
            PublicGroup::observe(self.provider, message, ratchet_tree, config, &inputs, &mut rng).map_err(invalid)?;
        self.identities.check_all(observing.questions(), now)?;
        let verdict = observing.questions().accept_unseen();
        let mut group = observing.accept(&verdict).map_err(invalid)?;
        let changes = group.store_whole().map_err(invalid)?;
        let roster =
            Roster::Known(RosterChange { removed: Vec::new(), added: places(&group.members().map_err(invalid)?) });
        let view = Arc::new(View { group, identities: self.identities.clone() });
        Ok(Judged { view, change: StateChange::Whole(records(changes)), roster })
    }

    fn restore(&self, stored: Vec<StateRecord>) -> Result<Arc<dyn PublicView>, Invalid> {
        let mut records: BTreeMap<RecordKey, RecordValue> = BTreeMap::new();
        for (key, value) in stored {
            records.insert(read_key(&key).ok_or(Invalid::Malformed)?, value.into());
        }
        let mut group = PublicGroup::open(self.provider, self.config.clone(), 1, &records).map_err(invalid)?;
        let rest: Vec<(RecordKey, Option<RecordValue>)> = records
            .into_iter()
            .filter(|(key, _)| !matches!(key.kind, RecordKind::Head | RecordKind::Counts))
            .map(|(key, value)| (key, Some(value)))
            .collect();
        group.supply(&rest).map_err(invalid)?;
        Ok(Arc::new(View { group, identities: self.identities.clone() }))
    }

    fn check_access(&self, key: &[u8], content: &[u8], signature: &[u8]) -> Result<(), Invalid> {
        let suite = self.provider.suite(ACCESS_SUITE).map_err(|_| Invalid::UnknownCipherSuite)?;
        verify_with_label(suite, key, ACCESS_LABEL, content, signature)
            .map_err(|_| invalid(Rule::MessageSignature.into()))
    }
}

/// What is known of one epoch of a room. The whole state is in memory.
struct View {
    group: PublicGroup,
    identities: Identities,
}

impl PublicView for View {
    fn group_id(&self) -> &[u8] {
        self.group.context().group_id.as_slice()
    }

    fn epoch(&self) -> u64 {
        self.group.epoch()
    }

    fn tree_hash(&self) -> &[u8] {
        self.group.context().tree_hash.as_slice()
    }

    fn members(&self) -> u64 {
        self.group.members_count().into()
    }

    fn leaves(&self, device: &DeviceUri) -> Option<Vec<u32>> {
        let places = places(&self.group.members().ok()?);
        Some(places.into_iter().filter(|place| place.device == *device).map(|place| place.leaf).collect())
    }

    fn check_report(&self, leaf: u32, content: &[u8], signature: &[u8]) -> Result<(), Invalid> {
        let member = self.group.member(LeafIndex(leaf)).map_err(invalid)?;
        let member = member.ok_or(Rule::SenderNotMember).map_err(|rule| invalid(rule.into()))?;
        let key = member.signature_key();
        verify_with_label(self.group.suite(), key.as_slice(), REPORT_LABEL, content, signature)
            .map_err(|_| invalid(Rule::MessageSignature.into()))
    }

    fn is_ended(&self) -> bool {
        self.group.reinit().is_some()
    }

    fn check_proposal(&self, message: &[u8], now: u64) -> Result<(), Invalid> {
        match self.group.clone().process(message, &Inputs::at(now)).map_err(invalid)? {
            Observed::Proposal(_) => Ok(()),
            _ => Err(Invalid::WrongKind),
        }
    }

    fn check_commit(&self, message: &[u8], proposals: &[Vec<u8>], now: u64) -> Result<Judged, Invalid> {
        let mut group = self.group.clone();
        let inputs = Inputs::at(now);
        for proposal in proposals {
            // What was refused then, or is private, cannot be named by a commit that is judged here.
            let _known = group.process(proposal, &inputs);
        }
        let Observed::Commit(staged) = group.process(message, &inputs).map_err(invalid)? else {
            return Err(Invalid::WrongKind);
        };
        self.identities.check_all(staged.questions(), now)?;
        let verdict = staged.questions().accept_unseen();
        let roster = Roster::Known(roster(&staged));
        let changes = group.apply(*staged, &verdict).map_err(invalid)?;
        let change = StateChange::Part {
            cleared: changes.cleared.iter().map(|(kind, major)| key_prefix(*kind, *major)).collect(),
            writes: writes(changes),
        };
        let view = Arc::new(Self { group, identities: self.identities.clone() });
        Ok(Judged { view, change, roster })
    }

    fn outsider(&self, message: &[u8]) -> Result<Owner, Invalid> {
        let limits = keyroom_wire::Limits { message: message.len(), ..keyroom_wire::Limits::default() };
        let message = MlsMessage::from_bytes(message, &limits).map_err(|_| Invalid::Malformed)?;
        let MlsMessage::PublicMessage(message) = message else { return Err(Invalid::WrongKind) };
        let leaf = |leaf: &LeafNode| owner(&leaf.credential, &leaf.signature_key);
        match (message.content.sender, &message.content.content) {
            (Sender::NewMemberCommit, Content::Commit(Commit { path: Some(path), .. })) => Ok(leaf(&path.leaf_node)),
            (Sender::NewMemberProposal, Content::Proposal(Proposal::Add { key_package })) => {
                Ok(leaf(&key_package.leaf_node))
            }
            (Sender::External(index), _) => {
                let senders = self.group.context().extensions.get(ExtensionType::EXTERNAL_SENDERS);
                let sender = senders.and_then(|bytes| external_sender(bytes, index)).ok_or(Invalid::WrongKind)?;
                Ok(owner(&sender.credential, &sender.signature_key))
            }
            _ => Err(Invalid::WrongKind),
        }
    }

    fn check_group_info(&self, message: &[u8]) -> Result<(), Invalid> {
        self.group.check_group_info(message).map_err(invalid)
    }

    fn ratchet_tree(&self) -> Option<Vec<u8>> {
        self.group.ratchet_tree().ok()
    }
}

fn owner(credential: &Credential, key: &SignaturePublicKey) -> Owner {
    Owner::Signed { device: device_of(credential), signature_key: key.as_slice().to_vec() }
}

fn places<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<Place> {
    members.into_iter().filter_map(place).collect()
}

fn place(member: &Member) -> Option<Place> {
    let device = device_of(&member.credential().ok()?)?;
    Some(Place { leaf: member.leaf_index.0, device })
}

/// Who comes and goes by a commit that has been checked: all this is asked when identities are judged.
fn roster(staged: &StagedPublicCommit) -> RosterChange {
    let mut removed: BTreeSet<u32> = staged.removed().iter().map(|member| member.leaf_index.0).collect();
    let mut added = BTreeMap::new();
    for question in staged.questions().iter() {
        let new = match question {
            Question::Joins(new) | Question::Rejoins { new, .. } => new,
            Question::Changes { old, new } if place(old) != place(new) => {
                removed.insert(old.leaf_index.0);
                new
            }
            _ => continue,
        };
        added.extend(place(new).map(|place| (place.leaf, place)));
    }
    RosterChange { removed: removed.into_iter().collect(), added: added.into_values().collect() }
}

fn key_prefix(kind: RecordKind, major: u64) -> Vec<u8> {
    let mut prefix = vec![kind.code()];
    prefix.extend_from_slice(&major.to_be_bytes());
    prefix
}

fn key_bytes(key: RecordKey) -> Vec<u8> {
    let mut bytes = key_prefix(key.kind, key.major);
    bytes.extend_from_slice(&key.minor.to_be_bytes());
    bytes
}

fn read_key(bytes: &[u8]) -> Option<RecordKey> {
    let (code, rest) = bytes.split_first()?;
    let (major, minor) = rest.split_first_chunk::<8>()?;
    let minor = <[u8; 8]>::try_from(minor).ok()?;
    Some(RecordKey::new(RecordKind::from_code(*code)?, u64::from_be_bytes(*major), u64::from_be_bytes(minor)))
}

fn writes(changes: ChangeSet) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    changes.writes.into_iter().map(|(key, value)| (key_bytes(key), value.map(|value| value.to_vec()))).collect()
}

fn records(changes: ChangeSet) -> Vec<StateRecord> {
    writes(changes).into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// The external sender with this index in an extension that has been checked (§12.1.8.1).
fn external_sender(extension: &[u8], index: u32) -> Option<ExternalSender> {
    let mut reader = Reader::new(extension, keyroom_wire::Limits::default());
    let mut senders = reader.vector().ok()?;
    for _ in 0..index {
        ExternalSender::decode(&mut senders).ok()?;
    }
    ExternalSender::decode(&mut senders).ok()
}

/// What an error of the protocol means to the sender of a message.
fn invalid(error: Error) -> Invalid {
    match error {
        Error::Rule(Rule::WrongGroup) => Invalid::WrongGroup,
        Error::Rule(Rule::WrongEpoch) => Invalid::WrongEpoch,
        Error::NotYet(NotYet::FutureEpoch { .. }) => Invalid::WrongEpoch,
        Error::NotYet(_) => Invalid::UnknownProposal,
        Error::Rule(rule) => Invalid::Rule { code: rule.code(), section: rule.section() },
        Error::Refused(_) => Invalid::OverLimit,
        Error::Usage(Usage::UnknownCipherSuite) => Invalid::UnknownCipherSuite,
        Error::Usage(_) => Invalid::WrongKind,
        _ => Invalid::Malformed,
    }
}
