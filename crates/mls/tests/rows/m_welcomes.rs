//! Section M: Welcome and GroupInfo.

use keyroom_crypto::{Secret, labels};
use keyroom_insider::{
    Alter, BLANK, Bench, Client, Forged, INFO, Made, NOW, SecretParts, commit, config, flipped, now, suite,
};
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error, NotYet, Rule};
use keyroom_mls::group::{Group, JoinOptions};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_mls::public::PublicGroup;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Credential, CredentialType, Decode, Encode, ExtensionType, Extensions, ExternalPub, GroupId,
    GroupInfo, LeafIndex, LeafNode, MlsMessage, Opaque, PreSharedKeyId, Proposal, ProposalType, ProtocolVersion, Psk,
    ReInit, RequiredCapabilities, ResumptionPskUsage, Welcome,
};

use super::readers::{Readers, change_leaf, rng};

/// The leaf of Gina.
const GINA: usize = 2;

/// Bob adds Gina by hand.
struct Invitation {
    bench: Bench,
    bundle: KeyPackageBundle,
    made: Made,
    path_secret: Option<Vec<u8>>,
}

impl Invitation {
    fn new() -> Self {
        let mut bench = Bench::open();
        let (_, bundle) = bench.newcomer("gina");
        let add = Proposal::Add { key_package: Box::new(bundle.key_package.clone()) };
        let made = bench.bob().commit(vec![add], &Alter::default(), &mut rng());
        let path_secret = made.path_secret_for(LeafIndex(2));
        assert!(path_secret.is_some());
        Self { bench, bundle, made, path_secret }
    }

    fn parts(&self) -> SecretParts {
        SecretParts { path_secret: self.path_secret.clone(), ..SecretParts::default() }
    }

    fn info(&self, change: impl FnOnce(&mut GroupInfo)) -> GroupInfo {
        self.made.group_info(LeafIndex(1), self.bench.bob().signer, change, &mut rng())
    }

    fn welcome(&self, parts: &SecretParts) -> Welcome {
        self.made.welcome(suite(1), &self.info(|_| {}), parts, &mut rng())
    }

    /// The Welcome that Bob would send, changed on its way, is refused; without the change it is not.
    #[track_caller]
    fn refuses(&self, expected: impl Into<Error>, change: impl FnOnce(&mut Welcome)) {
        let mut welcome = self.welcome(&self.parts());
        self.joins(welcome.clone()).unwrap();
        change(&mut welcome);
        assert_eq!(self.joins(welcome).err(), Some(expected.into()));
    }

    /// A Welcome in which Bob says something else is refused.
    #[track_caller]
    fn refuses_secrets(&self, expected: impl Into<Error>, parts: SecretParts) {
        self.joins(self.welcome(&self.parts())).unwrap();
        assert_eq!(self.joins(self.welcome(&parts)).err(), Some(expected.into()));
    }

    fn joins(&self, welcome: Welcome) -> Result<Group, Error> {
        let bundles = std::slice::from_ref(&self.bundle);
        join(&MlsMessage::Welcome(welcome).to_bytes(), &JoinOptions::new(bundles), &now())
    }
}

fn join(welcome: &[u8], options: &JoinOptions<'_>, inputs: &Inputs<'_>) -> Result<Group, Error> {
    let joining = Group::join(suite(1), welcome, options, config(), inputs, &mut rng())?;
    let verdict = joining.questions().accept_unseen();
    joining.accept(&verdict).map(|(group, _)| group)
}

fn external_psk(nonce: usize) -> PreSharedKeyId {
    PreSharedKeyId { psk: Psk::External { psk_id: b"x"[..].into() }, psk_nonce: vec![0; nonce].into() }
}

fn resumption(usage: ResumptionPskUsage) -> PreSharedKeyId {
    let psk = Psk::Resumption { usage, psk_group_id: b"old"[..].into(), psk_epoch: 4 };
    PreSharedKeyId { psk, psk_nonce: vec![0; 32].into() }
}

#[test]
fn row_204_a_welcome_that_names_none_of_our_key_packages_is_refused() {
    let invitation = Invitation::new();
    invitation.refuses(Rule::WelcomeNotForUs, |w| w.secrets[0].new_member = vec![0; 32].as_slice().into());
    invitation.refuses(Rule::WelcomeNotForUs, |w| w.secrets.clear());
    let welcome = MlsMessage::Welcome(invitation.welcome(&invitation.parts())).to_bytes();
    assert_eq!(join(&welcome, &JoinOptions::new(&[]), &now()).err(), Some(Rule::WelcomeNotForUs.into()));
}

#[test]
fn row_205_a_welcome_of_another_cipher_suite_than_the_key_package_is_refused() {
    let invitation = Invitation::new();
    invitation.refuses(Rule::WelcomeCipherSuite, |w| w.cipher_suite = CipherSuite(3));
    // Suites 1 and 3 share the hash, so that the reference fits, and the key package is of suite 1.
    let mut welcome = invitation.welcome(&invitation.parts());
    welcome.cipher_suite = CipherSuite(3);
    let bundles = std::slice::from_ref(&invitation.bundle);
    let bytes = MlsMessage::Welcome(welcome).to_bytes();
    let joined = Group::join(suite(3), &bytes, &JoinOptions::new(bundles), config(), &now(), &mut rng());
    assert_eq!(joined.map(|_| ()), Err(Rule::WelcomeCipherSuite.into()));
}

#[test]
fn row_206_group_secrets_that_do_not_open_or_are_no_secrets_are_refused() {
    let invitation = Invitation::new();
    invitation.refuses(Rule::GroupSecretsDecryption, |w| {
        let sealed = &mut w.secrets[0].encrypted_group_secrets;
        sealed.ciphertext = flipped(sealed.ciphertext.as_slice(), 0).into();
    });
    invitation.refuses(Rule::GroupSecretsDecryption, |w| {
        w.secrets[0].encrypted_group_secrets.kem_output = Opaque::default();
    });
    // They are bound to the encrypted GroupInfo.
    invitation.refuses(Rule::GroupSecretsDecryption, |w| {
        w.encrypted_group_info = flipped(w.encrypted_group_info.as_slice(), 9).into();
    });
    let parts = || invitation.parts();
    for length in [0, 31, 33] {
        let joiner_secret = Some(vec![1; length]);
        invitation.refuses_secrets(Rule::GroupSecrets, SecretParts { joiner_secret, ..parts() });
    }
    invitation.refuses_secrets(Rule::GroupSecrets, SecretParts { path_secret: Some(vec![1; 31]), ..parts() });
    invitation.refuses_secrets(Rule::GroupSecrets, SecretParts { trailing: vec![0], ..parts() });
}

#[test]
fn row_207_a_welcome_with_a_psk_that_is_not_held_is_refused() {
    let invitation = Invitation::new();
    let needed = NotYet::Psks(vec![external_psk(32).psk]);
    invitation.refuses_secrets(needed, SecretParts { psks: vec![external_psk(32)], ..invitation.parts() });
}

#[test]
fn row_208_a_psk_of_a_predecessor_must_be_the_only_one_and_be_there_for_a_successor() {
    let invitation = Invitation::new();
    for other in [ResumptionPskUsage::Branch, ResumptionPskUsage::ReInit] {
        let psks = vec![resumption(ResumptionPskUsage::ReInit), external_psk(32), resumption(other)];
        invitation.refuses_secrets(Rule::WelcomePsks, SecretParts { psks, ..invitation.parts() });
    }
    // Who expects a successor is not led into any other group.
    let welcome = MlsMessage::Welcome(invitation.welcome(&invitation.parts())).to_bytes();
    let bundles = std::slice::from_ref(&invitation.bundle);
    let predecessor = Some(&invitation.bench.members[0].group);
    let options = JoinOptions { predecessor, ..JoinOptions::new(bundles) };
    assert_eq!(join(&welcome, &options, &now()).err(), Some(Rule::WelcomePsks.into()));
}

#[test]
fn row_209_a_psk_nonce_of_the_wrong_length_in_a_welcome_is_refused() {
    let invitation = Invitation::new();
    for length in [0, 31, 33] {
        let psks = vec![external_psk(length)];
        invitation.refuses_secrets(Rule::PskNonceLength, SecretParts { psks, ..invitation.parts() });
    }
}

#[test]
fn row_210_a_group_info_that_does_not_open_or_is_none_is_refused() {
    let invitation = Invitation::new();
    let joiner_secret = Some(vec![1; 32]);
    let parts = SecretParts { joiner_secret, ..invitation.parts() };
    invitation.refuses_secrets(Rule::GroupInfoDecryption, parts);
    let readers = Readers::new();
    let sealed = readers.forged().seal(&mut rng());
    let info = sealed.info(|_| {}, &mut rng()).to_bytes();
    let guests = std::slice::from_ref(&readers.guest);
    let outcome = |info: &[u8]| {
        let welcome = sealed.welcome(info, &readers.guest.key_package, SecretParts::default(), &mut rng());
        join(&MlsMessage::Welcome(welcome).to_bytes(), &JoinOptions::new(guests), &now()).map(|_| ())
    };
    assert_eq!(outcome(&info), Ok(()));
    for damaged in [[info.as_slice(), &[0]].concat(), info[..info.len() - 1].to_vec(), Vec::new()] {
        assert_eq!(outcome(&damaged), Err(Rule::GroupInfoContent.into()));
    }
}

#[test]
fn row_211_a_group_info_that_its_signer_has_not_signed_is_refused() {
    let readers = Readers::new();
    for signer in [6, 8, u32::MAX] {
        readers.refuse(Rule::GroupInfoSigner, |forged| forged.signer = LeafIndex(signer));
    }
    let forged = readers.forged();
    let as_dana = |info: &mut GroupInfo| info.signer = LeafIndex(3);
    let refused = || Err(Error::Rule(Rule::GroupInfoSignature));
    assert_eq!(readers.outcomes(&forged, as_dana), [refused(), refused(), refused()]);
    // What a Delivery Service is told of an epoch.
    let Bench { members, observer, .. } = &readers.bench;
    let honest = members[1].group.group_info(INFO, members[1].client.signer.as_ref(), &mut rng()).unwrap();
    let observer = observer.as_ref().unwrap();
    assert_eq!(observer.check_group_info(&honest), Ok(()));
    let Ok(MlsMessage::GroupInfo(info)) = MlsMessage::from_bytes(&honest, &config().limits) else { panic!() };
    let check = |change: &dyn Fn(&mut GroupInfo)| {
        let mut info = info.clone();
        change(&mut info);
        observer.check_group_info(&MlsMessage::GroupInfo(info).to_bytes())
    };
    assert_eq!(check(&|info| info.signer = BLANK), Err(Rule::GroupInfoSigner.into()));
    assert_eq!(check(&|info| info.signer = LeafIndex(3)), Err(Rule::GroupInfoSignature.into()));
    let unsigned = |info: &mut GroupInfo| info.signature = flipped(info.signature.as_slice(), 5).as_slice().into();
    assert_eq!(check(&unsigned), Err(Rule::GroupInfoSignature.into()));
}

#[test]
fn a_group_info_that_does_not_fit_the_epoch_is_refused_though_a_member_has_signed_it() {
    let readers = Readers::new();
    let Bench { members, observer, .. } = &readers.bench;
    let honest = members[1].group.group_info(INFO, members[1].client.signer.as_ref(), &mut rng()).unwrap();
    let observer = observer.as_ref().unwrap();
    let Ok(MlsMessage::GroupInfo(info)) = MlsMessage::from_bytes(&honest, &config().limits) else { panic!() };
    let signed = |change: &dyn Fn(&mut GroupInfo)| {
        let mut info = info.clone();
        change(&mut info);
        let signer = members[1].client.signer.as_ref();
        info.signature = labels::sign_with_label(signer, "GroupInfoTBS", &info.tbs(), &mut rng()).unwrap();
        observer.check_group_info(&MlsMessage::GroupInfo(info).to_bytes())
    };
    assert_eq!(signed(&|_| {}), Ok(()));
    let tag = |info: &mut GroupInfo| info.confirmation_tag = vec![0; 32].as_slice().into();
    assert_eq!(signed(&tag), Err(Rule::ConfirmationTag.into()));
    let old = members[0].group.tree().clone();
    let tree = |info: &mut GroupInfo| {
        let mut other = old.clone();
        other.remove(LeafIndex(3)).unwrap();
        info.extensions.set(ExtensionType::RATCHET_TREE, other.export().unwrap());
    };
    assert_eq!(signed(&tree), Err(Rule::TreesDiffer.into()));
    let external_pub = |info: &mut GroupInfo| {
        let key = ExternalPub { external_pub: vec![9; 31].into() };
        info.extensions.set(ExtensionType::EXTERNAL_PUB, key.to_bytes());
    };
    assert_eq!(signed(&external_pub), Err(Rule::InvalidPublicKey.into()));
}

#[test]
fn row_212_nobody_joins_a_group_twice() {
    let invitation = Invitation::new();
    let welcome = MlsMessage::Welcome(invitation.welcome(&invitation.parts())).to_bytes();
    let bundles = std::slice::from_ref(&invitation.bundle);
    let (here, elsewhere) = ([GroupId::from(&b"room"[..])], [GroupId::from(&b"other room"[..])]);
    let joined = |groups: &[GroupId]| {
        let options = JoinOptions { groups, ..JoinOptions::new(bundles) };
        join(&welcome, &options, &now()).map(|_| ())
    };
    assert_eq!(joined(&elsewhere), Ok(()));
    assert_eq!(joined(&here), Err(Rule::AlreadyMember.into()));
    let bob = &invitation.bench.members[1];
    let info = bob.group.group_info(INFO, bob.client.signer.as_ref(), &mut rng()).unwrap();
    let hugo = Client::new("hugo", suite(1), &mut rng());
    let bundle = hugo.bundle(&mut rng());
    let external = |groups: &[GroupId], resync: Option<LeafIndex>| {
        let mut builder = Group::join_external(suite(1), &bundle, config()).groups(groups);
        if let Some(leaf) = resync {
            builder = builder.resync(leaf);
        }
        builder.build(&info, hugo.signer.as_ref(), &now(), &mut rng()).map(|_| ())
    };
    assert_eq!(external(&elsewhere, None), Ok(()));
    assert_eq!(external(&here, None), Err(Rule::AlreadyMember.into()));
    assert_eq!(external(&here, Some(LeafIndex(3))), Ok(()), "in the place of an own earlier leaf");
}

#[test]
fn row_213_a_group_info_of_another_cipher_suite_than_the_key_package_is_refused() {
    let readers = Readers::new();
    let mut forged = readers.forged();
    forged.context.cipher_suite = CipherSuite(3);
    let [joined, external, observed] = readers.outcomes(&forged, |_| {});
    assert_eq!(joined, Err(Rule::GroupCipherSuite.into()));
    assert_eq!(external, Err(Rule::GroupCipherSuite.into()));
    // An observer has no key package; to it the leaves are those of another suite.
    assert_eq!(observed, Err(Rule::LeafLacksCipherSuite.into()));
}

#[test]
fn row_214_a_group_of_another_protocol_version_is_refused() {
    let readers = Readers::new();
    readers.refuse(Rule::GroupVersion, |forged| forged.context.version = ProtocolVersion(2));
}

#[test]
fn row_215_a_tree_without_the_leaf_of_our_key_package_is_refused() {
    let readers = Readers::new();
    let mut forged = readers.forged();
    assert_eq!(readers.outcomes(&forged, |_| {})[0], Ok(()));
    change_leaf(&mut forged, GINA);
    forged.hash();
    assert_eq!(readers.outcomes(&forged, |_| {}), [Err(Rule::OwnLeafAbsent.into()), Ok(()), Ok(())]);
}

#[test]
fn row_216_a_path_secret_that_does_not_give_the_keys_of_the_tree_is_refused() {
    let invitation = Invitation::new();
    let wrong = SecretParts { path_secret: Some(vec![1; 32]), ..SecretParts::default() };
    invitation.refuses_secrets(Rule::PathKeyMismatch, wrong);
    // The secret of a node below, which Gina has no business with.
    let below = invitation.made.path_secret_for(LeafIndex(0));
    invitation.refuses_secrets(Rule::PathKeyMismatch, SecretParts { path_secret: below, ..SecretParts::default() });
    // Without one she joins, and with the right one she reads what is encrypted to the nodes above.
    let without = invitation.welcome(&SecretParts::default());
    assert!(invitation.joins(without).is_ok());
    let group = invitation.joins(invitation.welcome(&invitation.parts())).unwrap();
    assert_eq!(group.epoch_authenticator(), invitation.made.secrets.epoch_authenticator().expose());
}

#[test]
fn row_217_a_path_secret_for_a_node_that_is_blank_is_refused() {
    let mut bench = Bench::open();
    let (_, bundle) = bench.newcomer("gina");
    let add = Proposal::Add { key_package: Box::new(bundle.key_package.clone()) };
    let remove = Proposal::Remove { removed: LeafIndex(3) };
    let bob = bench.bob();
    // Dana's removal blanks what is above Bob and Gina, and without a path it stays blank.
    let change = Alter { without_path: true, ..Alter::default() };
    let made = bob.commit(vec![remove, add], &change, &mut rng());
    let info = made.group_info(LeafIndex(1), bob.signer, |_| {}, &mut rng());
    let outcome = |path_secret| {
        let parts = SecretParts { path_secret, ..SecretParts::default() };
        let welcome = made.welcome(suite(1), &info, &parts, &mut rng());
        let bundles = std::slice::from_ref(&bundle);
        join(&MlsMessage::Welcome(welcome).to_bytes(), &JoinOptions::new(bundles), &now()).map(|_| ())
    };
    assert_eq!(outcome(None), Ok(()));
    assert_eq!(outcome(Some(vec![1; 32])), Err(Rule::PathSecretNodeBlank.into()));
}

#[test]
fn row_218_a_group_info_with_a_wrong_confirmation_tag_is_refused() {
    let invitation = Invitation::new();
    invitation.joins(invitation.welcome(&invitation.parts())).unwrap();
    let tag = invitation.made.tag.as_slice();
    for damaged in [Vec::new(), tag[..31].to_vec(), [tag, &[0]].concat(), vec![0; 32], flipped(tag, 31)] {
        let info = invitation.info(|info| info.confirmation_tag = damaged.as_slice().into());
        let welcome = invitation.made.welcome(suite(1), &info, &invitation.parts(), &mut rng());
        assert_eq!(invitation.joins(welcome).err(), Some(Rule::ConfirmationTag.into()));
    }
}

/// A group that claims to succeed that of a bench: Alice, Bob, Dana, Erin and Frank again.
struct Heirs {
    bench: Bench,
    dana: Client,
    bundle: KeyPackageBundle,
}

impl Heirs {
    /// The old group; with a ReInit it ends.
    fn new(reinit: Option<ReInit>) -> Self {
        let mut bench = Bench::open();
        if let Some(reinit) = reinit {
            commit(&mut bench.members, 0, &mut *bench.rng, |builder| builder.reinit(reinit));
        }
        let (dana, bundle) = bench.newcomer("dana");
        Self { bench, dana, bundle }
    }

    fn old(&self) -> &Group {
        &self.bench.members[0].group
    }

    /// A successor in which Dana has another leaf, changed before its members sign.
    fn joined(
        &self,
        usage: ResumptionPskUsage,
        predecessor: &Group,
        change: impl Fn(&mut Forged<'_>),
    ) -> Result<(), Error> {
        let (psk_group_id, psk_epoch) = (self.old().group_id().clone(), self.old().epoch());
        let secret = Secret::copy_of(self.old().resumption_psk(psk_epoch).unwrap());
        let psk = Psk::Resumption { usage, psk_group_id, psk_epoch };
        let id = PreSharedKeyId { psk, psk_nonce: vec![3; 32].into() };
        let mut forged = Forged::of(&self.bench, &self.dana, &self.bundle.key_package);
        forged.tree.remove(3);
        forged.context.epoch = 1;
        forged.context.group_id = successor().group_id;
        forged.psks = vec![(id, secret)];
        change(&mut forged);
        forged.tree.members().into_iter().for_each(|leaf| forged.sign(leaf, &mut rng()));
        for (parent, leaf) in [(1, 0), (9, 5)] {
            if forged.tree.parent(parent).is_some() {
                forged.chain(&[parent], leaf, &mut rng());
            }
        }
        forged.hash();
        let sealed = forged.seal(&mut rng());
        let info = sealed.info(|_| {}, &mut rng()).to_bytes();
        let welcome = sealed.welcome(&info, &self.bundle.key_package, SecretParts::default(), &mut rng());
        let bundles = std::slice::from_ref(&self.bundle);
        let options = JoinOptions { predecessor: Some(predecessor), ..JoinOptions::new(bundles) };
        // As if the application had kept the PSKs.
        let psks: Vec<(Psk, Secret)> = forged.psks.iter().map(|(id, psk)| (id.psk.clone(), psk.duplicate())).collect();
        join(&MlsMessage::Welcome(welcome).to_bytes(), &options, &Inputs { now: NOW, psks: &psks }).map(|_| ())
    }
}

/// What the old group announces.
fn successor() -> ReInit {
    ReInit {
        group_id: GroupId::from(&b"next room"[..]),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(1),
        extensions: Extensions::new(),
    }
}

/// Erin calls herself something else.
fn stranger(forged: &mut Forged<'_>) {
    forged.tree.leaf_mut(4).credential = Credential::basic(b"mallory".to_vec());
}

#[test]
fn row_219_a_successor_in_another_epoch_than_the_first_is_refused() {
    for (reinit, usage) in [(None, ResumptionPskUsage::Branch), (Some(successor()), ResumptionPskUsage::ReInit)] {
        let heirs = Heirs::new(reinit);
        assert_eq!(heirs.joined(usage, heirs.old(), |_| {}), Ok(()));
        for epoch in [2, 7] {
            let later = heirs.joined(usage, heirs.old(), |forged| forged.context.epoch = epoch);
            assert_eq!(later, Err(Rule::SuccessorEpoch.into()));
        }
    }
}

#[test]
fn row_220_a_reinitialised_group_is_what_the_last_commit_of_the_old_one_announced() {
    let usage = ResumptionPskUsage::ReInit;
    let going_on = Heirs::new(None);
    assert_eq!(going_on.joined(usage, going_on.old(), |_| {}), Err(Rule::SuccessorNotAnnounced.into()));
    let heirs = Heirs::new(Some(successor()));
    assert_eq!(heirs.joined(usage, heirs.old(), |_| {}), Ok(()));
    let refused = |expected: Rule, change: &dyn Fn(&mut Forged<'_>)| {
        assert_eq!(heirs.joined(usage, heirs.old(), change), Err(expected.into()));
    };
    // An earlier epoch than the one that the ReInit began.
    refused(Rule::SuccessorNotAnnounced, &|forged| {
        let Psk::Resumption { psk_epoch, .. } = &mut forged.psks[0].0.psk else { panic!() };
        *psk_epoch -= 1;
        forged.psks[0].1 = Secret::copy_of(heirs.old().resumption_psk(*psk_epoch).unwrap());
    });
    refused(Rule::SuccessorParameters, &|forged| forged.context.group_id = b"elsewhere"[..].into());
    refused(Rule::SuccessorParameters, &|forged| {
        forged.context.extensions.set(ExtensionType::REQUIRED_CAPABILITIES, vec![0, 0, 0]);
    });
    refused(Rule::SuccessorMembers, &stranger);
    refused(Rule::SuccessorMembers, &|forged| {
        forged.tree.remove(1);
        forged.signer = LeafIndex(0);
    });
    let alice = Client::new("alice", suite(1), &mut rng());
    let other = alice.found(b"another room", config(), &mut rng());
    assert_eq!(heirs.joined(usage, &other, |_| {}), Err(Rule::SuccessorOfAnother.into()));
}

#[test]
fn row_221_a_branch_has_the_suite_and_no_other_members_than_its_group() {
    let usage = ResumptionPskUsage::Branch;
    let heirs = Heirs::new(None);
    assert_eq!(heirs.joined(usage, heirs.old(), |_| {}), Ok(()));
    assert_eq!(heirs.joined(usage, heirs.old(), stranger), Err(Rule::BranchMembers.into()));
    // A member twice is one more than there was.
    let twice = heirs.joined(usage, heirs.old(), |forged| {
        forged.tree.leaf_mut(4).credential = Credential::basic(b"frank".to_vec());
    });
    assert_eq!(twice, Err(Rule::BranchMembers.into()));
    // The group that is branched off was of another suite.
    let client = Client::new("alice", suite(3), &mut rng());
    let other = client.found(b"room", config(), &mut rng());
    assert_eq!(heirs.joined(usage, &other, |_| {}), Err(Rule::BranchParameters.into()));
}

#[test]
fn row_222_a_joiner_that_does_not_support_an_extension_of_the_group_is_refused() {
    let readers = Readers::new();
    let unknown = ExtensionType(0xff05);
    readers.refuse(Rule::LeafLacksGroupExtension, |forged| {
        forged.context.extensions.set(unknown, Vec::new());
        all_but_gina(forged, |leaf| leaf.capabilities.extensions.push(unknown));
    });
}

/// A change that all members make to their leaves.
fn all_but_gina(forged: &mut Forged<'_>, change: impl Fn(&mut LeafNode)) {
    for member in forged.tree.members() {
        if member != GINA {
            change(forged.tree.leaf_mut(member));
            forged.sign(member, &mut rng());
        }
    }
    forged.mend(&mut rng());
}

#[test]
fn row_223_a_joiner_without_a_required_capability_is_refused() {
    let readers = Readers::new();
    let (extension, proposal) = (ExtensionType(0xff05), ProposalType(0xff06));
    let credential = CredentialType(0xff01);
    let required = |change: fn(&mut RequiredCapabilities)| {
        let mut required = RequiredCapabilities::default();
        change(&mut required);
        required.to_bytes()
    };
    let cases = [
        (required(|r| r.extension_types.push(ExtensionType(0xff05))), Rule::LeafLacksRequiredExtension),
        (required(|r| r.proposal_types.push(ProposalType(0xff06))), Rule::LeafLacksRequiredProposal),
        (required(|r| r.credential_types.push(CredentialType(0xff01))), Rule::LeafLacksRequiredCredential),
    ];
    for (required, expected) in cases {
        readers.refuse(expected, |forged| {
            forged.context.extensions.set(ExtensionType::REQUIRED_CAPABILITIES, required.clone());
            all_but_gina(forged, |leaf| {
                leaf.capabilities.extensions.push(extension);
                leaf.capabilities.proposals.push(proposal);
                leaf.capabilities.credentials.push(credential);
            });
        });
    }
}

#[test]
fn row_224_nobody_joins_from_outside_without_the_key_for_it() {
    let readers = Readers::new();
    let forged = readers.forged();
    let closed = |info: &mut GroupInfo| {
        info.extensions.list.retain(|extension| extension.extension_type != ExtensionType::EXTERNAL_PUB);
    };
    assert_eq!(readers.outcomes(&forged, closed), [Ok(()), Err(Rule::ExternalPubAbsent.into()), Ok(())]);
}

#[test]
fn row_225_an_external_commit_from_a_stale_group_info_is_refused_by_all_who_have_moved_on() {
    let mut bench = Bench::open();
    let (hugo, bundle) = bench.newcomer("hugo");
    let stale = bench.members[1].group.group_info(INFO, bench.members[1].client.signer.as_ref(), &mut rng()).unwrap();
    let observer = |bench: &Bench| bench.observer.as_ref().unwrap().check_group_info(&stale);
    assert_eq!(observer(&bench), Ok(()));
    bench.goes_on();
    assert_eq!(observer(&bench), Err(Rule::GroupInfoContext.into()), "a server does not hand it out any more");
    let builder = Group::join_external(suite(1), &bundle, config());
    let join = builder.build(&stale, hugo.signer.as_ref(), &now(), &mut rng()).unwrap();
    bench.refuses("225", &join.message, Rule::WrongEpoch);
    bench.goes_on();
}

#[test]
fn row_226_a_group_info_holds_what_belongs_there_and_no_second_tree() {
    let readers = Readers::new();
    let forged = readers.forged();
    let refused = || Err(Error::Rule(Rule::ExtensionNotAllowedHere));
    for (extension_type, data) in [
        (ExtensionType::REQUIRED_CAPABILITIES, vec![0, 0, 0]),
        (ExtensionType::APPLICATION_ID, vec![0]),
        (ExtensionType::EXTERNAL_SENDERS, vec![0]),
    ] {
        let misplaced = |info: &mut GroupInfo| info.extensions.set(extension_type, data.clone());
        assert_eq!(readers.outcomes(&forged, misplaced), [refused(), refused(), refused()]);
    }
    let sealed = forged.seal(&mut rng());
    let info = sealed.info(|_| {}, &mut rng());
    let welcome = sealed.welcome(&info.to_bytes(), &readers.guest.key_package, SecretParts::default(), &mut rng());
    let (welcome, info) = (MlsMessage::Welcome(welcome).to_bytes(), MlsMessage::GroupInfo(info).to_bytes());
    let hugo = Client::new("hugo", suite(1), &mut rng());
    let bundle = hugo.bundle(&mut rng());
    let outcomes = |tree: &[u8]| {
        let bundles = std::slice::from_ref(&readers.guest);
        let options = JoinOptions { ratchet_tree: Some(tree), ..JoinOptions::new(bundles) };
        let external = Group::join_external(suite(1), &bundle, config()).ratchet_tree(tree);
        let observed = PublicGroup::observe(&RUSTCRYPTO, &info, Some(tree), config(), &now(), &mut rng());
        [
            join(&welcome, &options, &now()).map(|_| ()),
            external.build(&info, hugo.signer.as_ref(), &now(), &mut rng()).map(|_| ()),
            observed.map(|_| ()),
        ]
    };
    assert_eq!(outcomes(&sealed.tree.to_bytes()), [Ok(()), Ok(()), Ok(())]);
    let old = readers.bench.members[0].group.ratchet_tree().unwrap();
    let differ = || Err(Error::Rule(Rule::TreesDiffer));
    assert_eq!(outcomes(&old), [differ(), differ(), differ()]);
}

#[test]
fn row_227_what_opened_the_welcome_is_not_kept() {
    let invitation = Invitation::new();
    let welcome = MlsMessage::Welcome(invitation.welcome(&invitation.parts())).to_bytes();
    let bundles = std::slice::from_ref(&invitation.bundle);
    let options = JoinOptions::new(bundles);
    let joining = Group::join(suite(1), &welcome, &options, config(), &now(), &mut rng()).unwrap();
    let used = bundles[0].reference(suite(1));
    assert_eq!(joining.key_package(), Some(&used), "whoever keeps key packages is told which one is spent");
    let verdict = joining.questions().accept_unseen();
    let (group, changes) = joining.accept(&verdict).unwrap();
    let path_secret = invitation.path_secret.as_deref().unwrap();
    let init_private = invitation.bundle.init_private.expose();
    let stored: Vec<_> =
        changes.writes.into_values().flatten().chain(group.snapshot().unwrap().into_values()).collect();
    let kept = |secret: &[u8]| stored.iter().any(|record| record.windows(secret.len()).any(|part| part == secret));
    assert!(kept(invitation.bundle.leaf_private.expose()), "the search finds what is kept");
    for spent in [init_private, &invitation.made.joiner_secret, path_secret] {
        assert!(!kept(spent));
    }
}

#[test]
fn row_228_nothing_is_shown_of_a_group_before_its_signature_and_tag_are_right() {
    let readers = Readers::new();
    // A tree with a leaf that is not valid, which a reader finds last.
    let mut forged = readers.forged();
    let mut signature = forged.tree.leaf(3).signature.as_slice().to_vec();
    signature[9] ^= 1;
    forged.tree.leaf_mut(3).signature = signature.into();
    forged.mend(&mut rng());
    let invalid = || Err(Error::Rule(Rule::LeafSignature));
    assert_eq!(readers.outcomes(&forged, |_| {}), [invalid(), invalid(), invalid()]);
    // With a wrong tag nothing of it is looked at by whoever can tell, and nobody is asked about it.
    let wrong_tag = |info: &mut GroupInfo| info.confirmation_tag = vec![0; 32].as_slice().into();
    assert_eq!(readers.outcomes(&forged, wrong_tag)[0], Err(Rule::ConfirmationTag.into()));
    // With a wrong signature not even the tag.
    let unsigned = |info: &mut GroupInfo| {
        wrong_tag(info);
        info.signer = LeafIndex(3);
    };
    let refused = || Err(Error::Rule(Rule::GroupInfoSignature));
    assert_eq!(readers.outcomes(&forged, unsigned), [refused(), refused(), refused()]);
}
