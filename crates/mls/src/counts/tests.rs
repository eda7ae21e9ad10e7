use alloc::vec;

use keyroom_wire::{Extensions, ExternalSender, GroupId, RequiredCapabilities};

use super::*;
use crate::fingerprint::Seed;
use crate::record::ChangeSet;

fn capabilities(extensions: &[u16], proposals: &[u16], credentials: &[u16]) -> Capabilities {
    Capabilities {
        versions: vec![ProtocolVersion::MLS10],
        cipher_suites: vec![CipherSuite(1)],
        extensions: extensions.iter().map(|v| ExtensionType(*v)).collect(),
        proposals: proposals.iter().map(|v| ProposalType(*v)).collect(),
        credentials: credentials.iter().map(|v| CredentialType(*v)).collect(),
    }
}

fn seed() -> Seed {
    Seed::from_bytes([7; 16])
}

fn recount(leaves: &[(Capabilities, CredentialType)]) -> Counts {
    let mut counts = Counts::new();
    leaves.iter().for_each(|(c, t)| counts.add(LeafClass::new(c, *t)));
    counts
}

/// A small generator of numbers, so that histories are the same on every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn values(&mut self, from: u16, count: u64) -> Vec<u16> {
        (0..self.below(count)).map(|_| from + u16::try_from(self.below(6)).unwrap()).collect()
    }

    fn leaf(&mut self) -> (Capabilities, CredentialType) {
        let mut c = capabilities(&self.values(100, 5), &self.values(200, 5), &self.values(1, 4));
        c.extensions.push(ExtensionType(0x0a0a));
        (c, CredentialType(u16::try_from(1 + self.below(3)).unwrap()))
    }
}

#[test]
fn counts_equal_a_recount_after_any_history_and_survive_storage() {
    let mut rng = Lcg(1);
    let mut leaves: Vec<(Capabilities, CredentialType)> = Vec::new();
    let mut counts = Counts::new();
    let mut store: BTreeMap<crate::record::RecordKey, Vec<u8>> = BTreeMap::new();
    for step in 0..400 {
        let stored = counts.clone();
        let place = usize::try_from(rng.below(10)).unwrap();
        match (rng.below(3), place < leaves.len()) {
            (0, true) => {
                let (c, t) = leaves.remove(place);
                counts.remove(LeafClass::new(&c, t));
            }
            (1, true) => {
                let new = rng.leaf();
                let (old, kind) = &leaves[place];
                counts.replace(LeafClass::new(old, *kind), LeafClass::new(&new.0, new.1));
                leaves[place] = new;
            }
            _ => {
                let leaf = rng.leaf();
                counts.add(LeafClass::new(&leaf.0, leaf.1));
                leaves.push(leaf);
            }
        }
        assert_eq!(counts, recount(&leaves));
        let mut changes = ChangeSet::new(GroupId::default(), 0);
        counts.write((step > 0).then_some(&stored), &mut changes);
        for (key, value) in changes.writes {
            match value {
                Some(value) => drop(store.insert(key, value.to_vec())),
                None => drop(store.remove(&key)),
            }
        }
        let summary = counts.summary(&seed());
        let values = summary.records().0.iter().map(|key| store[key].clone()).collect::<Vec<_>>();
        assert_eq!(values.len(), store.len());
        assert_eq!(summary.load(&seed(), values.iter().map(Vec::as_slice)).unwrap(), counts);
    }
}

#[test]
fn many_counts_are_split_into_records_below_a_thousand_bytes() {
    let extensions: Vec<u16> = (1_000..2_000).collect();
    let c = capabilities(&extensions, &[], &[1]);
    let mut counts = Counts::new();
    counts.add(LeafClass::new(&c, CredentialType::BASIC));
    let mut changes = ChangeSet::new(GroupId::default(), 0);
    counts.write(None, &mut changes);
    assert_eq!(changes.writes.len(), 8);
    assert!(changes.writes.values().flatten().all(|value| value.len() < 1_000));
    let mut smaller = counts.clone();
    smaller.remove(LeafClass::new(&c, CredentialType::BASIC));
    let mut changes = ChangeSet::new(GroupId::default(), 1);
    smaller.write(Some(&counts), &mut changes);
    assert_eq!(changes.writes.values().filter(|value| value.is_none()).count(), 8);
}

#[test]
fn nothing_is_written_when_nothing_that_is_counted_changed() {
    let a = capabilities(&[100, 0x0a0a], &[], &[1]);
    let b = capabilities(&[0x1a1a, 100, 100], &[0x2a2a], &[1]);
    let mut counts = Counts::new();
    counts.add(LeafClass::new(&a, CredentialType::BASIC));
    let stored = counts.clone();
    counts.replace(LeafClass::new(&a, CredentialType::BASIC), LeafClass::new(&b, CredentialType::BASIC));
    let mut changes = ChangeSet::new(GroupId::default(), 0);
    counts.write(Some(&stored), &mut changes);
    assert!(changes.writes.is_empty());
}

#[test]
fn a_stale_swapped_or_damaged_record_is_refused() {
    let extensions: Vec<u16> = (1_000..1_200).collect();
    let c = capabilities(&extensions, &[], &[1]);
    let mut counts = Counts::new();
    counts.add(LeafClass::new(&c, CredentialType::BASIC));
    let old: Vec<Vec<u8>> = counts.encode_records();
    counts.add(LeafClass::new(&capabilities(&[100], &[], &[1]), CredentialType::BASIC));
    let new = counts.encode_records();
    let summary = counts.summary(&seed());
    let load = |values: &[&[u8]]| summary.load(&seed(), values.iter().copied());
    assert!(load(&[&new[0], &new[1]]).is_ok());
    assert_eq!(load(&[&old[0], &new[1]]), Err(CountsError::Damaged));
    assert_eq!(load(&[&new[1], &new[0]]), Err(CountsError::Damaged));
    assert_eq!(load(&[&new[0]]), Err(CountsError::Damaged));
    assert_eq!(load(&[&new[0], &new[1][..20]]), Err(CountsError::Damaged));
}

#[test]
fn rows_057_058_201_credential_types_must_be_understood_by_all() {
    let both = capabilities(&[], &[], &[1, 2]);
    let basic = capabilities(&[], &[], &[1]);
    let (b, x) = (CredentialType::BASIC, CredentialType::X509);
    let mut counts = recount(&[(both.clone(), b), (basic.clone(), b)]);
    assert_eq!(counts.check_credentials(2), Ok(()));
    let new = LeafClass::new(&both, x);
    counts.add(new.clone());
    assert_eq!(counts.check_leaf(new, 3), Err(Rule::CredentialNotSupportedByMembers));
    assert_eq!(counts.check_credentials(3), Err(Rule::CredentialNotSupportedByMembers));

    let mut counts = recount(&[(both.clone(), x), (both, b)]);
    let new = LeafClass::new(&basic, b);
    counts.add(new.clone());
    assert_eq!(counts.check_leaf(new, 3), Err(Rule::LeafLacksCredentialInUse));
}

fn group(extensions: &[(ExtensionType, Vec<u8>)]) -> GroupExtensions {
    let mut list = Extensions::new();
    extensions.iter().for_each(|(t, data)| list.set(*t, data.clone()));
    GroupExtensions::unchecked(list)
}

#[test]
fn rows_131_132_234_group_extensions_must_be_supported_by_all() {
    use keyroom_wire::{Credential, Encode, SignaturePublicKey};
    let counts = recount(&[
        (capabilities(&[100, 101], &[200], &[1, 2]), CredentialType::BASIC),
        (capabilities(&[100], &[200, 201], &[1]), CredentialType::BASIC),
    ]);
    let check = |list: &[(ExtensionType, Vec<u8>)]| counts.check_group_extensions(&group(list), 2);
    let required = |extensions: &[u16], proposals: &[u16], credentials: &[u16]| {
        let required = RequiredCapabilities {
            extension_types: extensions.iter().map(|v| ExtensionType(*v)).collect(),
            proposal_types: proposals.iter().map(|v| ProposalType(*v)).collect(),
            credential_types: credentials.iter().map(|v| CredentialType(*v)).collect(),
        };
        [(ExtensionType::REQUIRED_CAPABILITIES, required.to_bytes())]
    };
    assert_eq!(check(&[(ExtensionType(100), vec![])]), Ok(()));
    assert_eq!(check(&[(ExtensionType(101), vec![])]), Err(Rule::GroupExtensionNotSupported));
    assert_eq!(check(&required(&[100, 1], &[200, 3], &[1])), Ok(()));
    assert_eq!(check(&required(&[101], &[], &[])), Err(Rule::RequiredCapabilityNotSupported));
    assert_eq!(check(&required(&[], &[201], &[])), Err(Rule::RequiredCapabilityNotSupported));
    assert_eq!(check(&required(&[], &[], &[2])), Err(Rule::RequiredCapabilityNotSupported));
    let sender =
        |credential| vec![ExternalSender { signature_key: SignaturePublicKey::default(), credential }].to_bytes();
    let x509 = Credential::X509 { certificates: vec![] };
    assert_eq!(check(&[(ExtensionType::EXTERNAL_SENDERS, sender(Credential::basic("a")))]), Ok(()));
    assert_eq!(check(&[(ExtensionType::EXTERNAL_SENDERS, sender(x509))]), Err(Rule::ExternalSenderCredential));
}

#[test]
fn a_grease_value_is_never_supported_by_every_member() {
    let counts = recount(&[(capabilities(&[0x0a0a], &[0x0a0a], &[1]), CredentialType::BASIC)]);
    assert!(!counts.every_member_supports_extension(ExtensionType(0x0a0a), 1));
    assert!(!counts.every_member_supports_proposal(ProposalType(0x0a0a), 1));
}
