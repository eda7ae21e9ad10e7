use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialType, CredentialWithKey, Extension, Extensions, GroupId, KeyPackage,
    KeyPackageVerifyError, LeafNodeIndex, LeafNodeParameters, MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, PreSharedKeyProposal, ProcessedMessageContent, ProtocolVersion, RatchetTreeIn,
    RequiredCapabilitiesExtension, Sender, StagedWelcome, WireFormatPolicy,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use super::{
    Agreement, CONTEXT, Change, Committed, EXPORTED, Event, GroupExtensions, LABEL, PSK, PSK_ID, Peer, Proposal, Style,
};

struct OpenMls {
    name: String,
    suite: Ciphersuite,
    style: Style,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    group: Option<MlsGroup>,
}

pub(super) fn client(name: &str, suite: u16, style: Style) -> Box<dyn Peer> {
    let suite = Ciphersuite::try_from(suite).unwrap();
    let provider = OpenMlsRustCrypto::default();
    let signer = SignatureKeyPair::new(suite.signature_algorithm()).unwrap();
    psk_id(&provider, suite).store(&provider, PSK).unwrap();
    Box::new(OpenMls { name: name.to_owned(), suite, style, provider, signer, group: None })
}

fn psk_id(provider: &OpenMlsRustCrypto, suite: Ciphersuite) -> PreSharedKeyId {
    PreSharedKeyId::new(suite, provider.rand(), Psk::External(ExternalPsk::new(PSK_ID.to_vec()))).unwrap()
}

impl OpenMls {
    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.name.as_bytes().to_vec()).into(),
            signature_key: self.signer.public().into(),
        }
    }

    fn policy(&self) -> WireFormatPolicy {
        match self.style {
            Style::Public => MIXED_PLAINTEXT_WIRE_FORMAT_POLICY,
            Style::Private => PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
        }
    }

    fn join_config(&self) -> MlsGroupJoinConfig {
        MlsGroupJoinConfig::builder()
            .wire_format_policy(self.policy())
            .use_ratchet_tree_extension(self.style == Style::Public)
            .build()
    }

    fn group(&self) -> &MlsGroup {
        self.group.as_ref().expect("a member")
    }

    fn parse_key_package(&self, message: &[u8]) -> KeyPackage {
        validate_key_package(&self.provider, message).unwrap()
    }
}

/// Whether OpenMLS takes a key package for valid.
pub(crate) fn accepts(key_package: &[u8]) -> bool {
    validate_key_package(&OpenMlsRustCrypto::default(), key_package).is_ok()
}

fn validate_key_package(provider: &OpenMlsRustCrypto, message: &[u8]) -> Result<KeyPackage, KeyPackageVerifyError> {
    let MlsMessageBodyIn::KeyPackage(key_package) = parse(message).extract() else {
        panic!("a key package was expected");
    };
    key_package.validate(provider.crypto(), ProtocolVersion::Mls10)
}

fn parse(message: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(message).unwrap()
}

impl Peer for OpenMls {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_package(&mut self) -> Vec<u8> {
        let bundle = KeyPackage::builder().build(self.suite, &self.provider, &self.signer, self.credential()).unwrap();
        MlsMessageOut::from(bundle.key_package().clone()).to_bytes().unwrap()
    }

    fn create(&mut self, group_id: &[u8]) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .wire_format_policy(self.policy())
            .use_ratchet_tree_extension(self.style == Style::Public)
            .build();
        let group_id = GroupId::from_slice(group_id);
        let group =
            MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, group_id, self.credential()).unwrap();
        self.group = Some(group);
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) {
        let MlsMessageBodyIn::Welcome(welcome) = parse(welcome).extract() else {
            panic!("a Welcome was expected");
        };
        let tree = tree.map(|tree| RatchetTreeIn::tls_deserialize_exact(tree).unwrap());
        let staged = StagedWelcome::new_from_welcome(&self.provider, &self.join_config(), welcome, tree).unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
    }

    fn group_info(&mut self) -> Vec<u8> {
        self.group().export_group_info(self.provider.crypto(), &self.signer, true).unwrap().to_bytes().unwrap()
    }

    fn join_external(&mut self, group_info: &[u8]) -> Vec<u8> {
        let MlsMessageBodyIn::GroupInfo(group_info) = parse(group_info).extract() else {
            panic!("a GroupInfo was expected");
        };
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(self.join_config())
            .build_group(&self.provider, group_info, self.credential())
            .unwrap()
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        self.group = Some(group);
        bundle.into_commit().to_bytes().unwrap()
    }

    fn commit(&mut self, change: &Change) -> Committed {
        let adds: Vec<KeyPackage> = change.adds.iter().map(|added| self.parse_key_package(added)).collect();
        let group = self.group.as_mut().unwrap();
        let mut builder = group
            .commit_builder()
            .force_self_update(true)
            .propose_adds(adds)
            .propose_removals(change.removes.iter().map(|leaf| LeafNodeIndex::new(*leaf)));
        if change.psk {
            let proposal = PreSharedKeyProposal::new(psk_id(&self.provider, self.suite));
            builder = builder.add_proposal(openmls::prelude::Proposal::PreSharedKey(Box::new(proposal)));
        }
        if let Some(extensions) = change.extensions {
            let list = match extensions {
                GroupExtensions::None => Vec::new(),
                GroupExtensions::BasicRequired => {
                    let required = RequiredCapabilitiesExtension::new(&[], &[], &[CredentialType::Basic]);
                    vec![Extension::RequiredCapabilities(required)]
                }
            };
            builder = builder.propose_group_context_extensions(Extensions::from_vec(list).unwrap()).unwrap();
        }
        let bundle = builder
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        let welcome = bundle.to_welcome_msg().map(|welcome| welcome.to_bytes().unwrap());
        let apart = self.style == Style::Private && welcome.is_some();
        let tree = apart.then(|| group.export_ratchet_tree().tls_serialize_detached().unwrap());
        Committed { message: bundle.into_commit().to_bytes().unwrap(), welcome, tree }
    }

    fn propose(&mut self, proposal: &Proposal) -> Vec<u8> {
        let added = match proposal {
            Proposal::Add(key_package) => Some(self.parse_key_package(key_package)),
            _ => None,
        };
        let (group, provider, signer) = (self.group.as_mut().unwrap(), &self.provider, &self.signer);
        let message = match (proposal, added) {
            (Proposal::Update, _) => {
                group.propose_self_update(provider, signer, LeafNodeParameters::default()).unwrap().0
            }
            (Proposal::Remove(leaf), _) => {
                group.propose_remove_member(provider, signer, LeafNodeIndex::new(*leaf)).unwrap().0
            }
            (Proposal::Add(_), added) => group.propose_add_member(provider, signer, &added.unwrap()).unwrap().0,
        };
        message.to_bytes().unwrap()
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        group.create_message(&self.provider, &self.signer, text).unwrap().to_bytes().unwrap()
    }

    fn receive(&mut self, message: &[u8]) -> Result<Event, String> {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(|error| format!("{error:?}"))?;
        let message = message.try_into_protocol_message().map_err(|error| format!("{error:?}"))?;
        let group = self.group.as_mut().unwrap();
        let processed = group.process_message(&self.provider, message).map_err(|error| format!("{error:?}"))?;
        let sender = processed.sender().clone();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                let Sender::Member(sender) = sender else { return Err(format!("{sender:?}")) };
                Ok(Event::Text { sender: sender.u32(), text: message.into_bytes() })
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal).unwrap();
                Ok(Event::Proposal)
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let removed = staged.self_removed();
                group.merge_staged_commit(&self.provider, *staged).map_err(|error| format!("{error:?}"))?;
                Ok(if removed { Event::Removed } else { Event::NewEpoch })
            }
            other => Err(format!("{other:?}")),
        }
    }

    fn own_leaf(&self) -> u32 {
        self.group().own_leaf_index().u32()
    }

    fn agreement(&self) -> Agreement {
        let group = self.group();
        let exported = group.export_secret(self.provider.crypto(), LABEL, CONTEXT, EXPORTED).unwrap();
        Agreement {
            epoch: group.epoch().as_u64(),
            epoch_authenticator: group.epoch_authenticator().as_slice().to_vec(),
            exported,
            tree: group.export_ratchet_tree().tls_serialize_detached().unwrap(),
            members: group
                .members()
                .map(|member| (member.index.u32(), member.credential.serialized_content().to_vec()))
                .collect(),
        }
    }
}
