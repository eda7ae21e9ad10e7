use std::collections::HashMap;

use openmls::prelude::tls_codec::Deserialize;
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider,
    ProcessedMessageContent, ProtocolVersion, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use super::{Cost, SUITE, Subject, timed};

struct OpenMls {
    name: String,
    suite: Ciphersuite,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    group: Option<MlsGroup>,
    /// The values of its storage after the last operation.
    before: HashMap<Vec<u8>, Vec<u8>>,
}

pub fn client(name: &str) -> Box<dyn Subject> {
    let suite = Ciphersuite::try_from(SUITE).unwrap();
    let signer = SignatureKeyPair::new(suite.signature_algorithm()).unwrap();
    let provider = OpenMlsRustCrypto::default();
    Box::new(OpenMls { name: name.to_owned(), suite, provider, signer, group: None, before: HashMap::new() })
}

impl OpenMls {
    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.name.as_bytes().to_vec()).into(),
            signature_key: self.signer.public().into(),
        }
    }

    /// It writes while it works. The bytes of all values that are not what they were: no more than it
    /// has really written.
    fn keep(&mut self, work: std::time::Duration) -> Cost {
        let values = self.provider.storage().values.read().unwrap();
        let changed = values.iter().filter(|(key, value)| self.before.get(*key) != Some(*value));
        let bytes = changed.map(|(_, value)| value.len()).sum();
        let now = values.clone();
        drop(values);
        self.before = now;
        Cost { work, store: std::time::Duration::ZERO, bytes }
    }
}

fn parse(message: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(message).unwrap()
}

impl Subject for OpenMls {
    fn key_package(&mut self) -> Vec<u8> {
        let bundle = KeyPackage::builder().build(self.suite, &self.provider, &self.signer, self.credential()).unwrap();
        MlsMessageOut::from(bundle.key_package().clone()).to_bytes().unwrap()
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> Cost {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let (group, work) = timed(|| {
            let id = GroupId::from_slice(b"room");
            let mut group =
                MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, self.credential()).unwrap();
            let adds = key_packages.iter().map(|added| {
                let MlsMessageBodyIn::KeyPackage(added) = parse(added).extract() else {
                    panic!("a key package was expected");
                };
                added.validate(self.provider.crypto(), ProtocolVersion::Mls10).unwrap()
            });
            let adds: Vec<KeyPackage> = adds.collect();
            let bundle = group
                .commit_builder()
                .force_self_update(true)
                .propose_adds(adds)
                .load_psks(self.provider.storage())
                .unwrap()
                .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
                .unwrap()
                .stage_commit(&self.provider)
                .unwrap();
            assert!(!bundle.to_welcome_msg().unwrap().to_bytes().unwrap().is_empty());
            group.merge_pending_commit(&self.provider).unwrap();
            group
        });
        self.group = Some(group);
        self.keep(work)
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let (group, work) = timed(|| {
            let MlsMessageBodyIn::Welcome(welcome) = parse(welcome).extract() else {
                panic!("a Welcome was expected");
            };
            let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None).unwrap();
            staged.into_group(&self.provider).unwrap()
        });
        self.group = Some(group);
        self.keep(work)
    }

    fn commit(&mut self) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().unwrap();
        let (message, work) = timed(|| {
            let bundle = group
                .commit_builder()
                .force_self_update(true)
                .load_psks(self.provider.storage())
                .unwrap()
                .create_group_info(false)
                .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
                .unwrap()
                .stage_commit(&self.provider)
                .unwrap();
            assert!(bundle.group_info().is_none());
            group.merge_pending_commit(&self.provider).unwrap();
            bundle.into_commit().to_bytes().unwrap()
        });
        (message, self.keep(work))
    }

    fn process(&mut self, message: &[u8]) -> Cost {
        let group = self.group.as_mut().unwrap();
        let ((), work) = timed(|| {
            let message = parse(message).try_into_protocol_message().unwrap();
            let processed = group.process_message(&self.provider, message).unwrap();
            let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
                panic!("a commit was expected");
            };
            group.merge_staged_commit(&self.provider, *staged).unwrap();
        });
        self.keep(work)
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().unwrap();
        let (message, work) =
            timed(|| group.create_message(&self.provider, &self.signer, data).unwrap().to_bytes().unwrap());
        (message, self.keep(work))
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let group = self.group.as_mut().unwrap();
        let (content, work) = timed(|| {
            let message = parse(message).try_into_protocol_message().unwrap();
            group.process_message(&self.provider, message).unwrap().into_content()
        });
        let ProcessedMessageContent::ApplicationMessage(message) = content else { panic!("data was expected") };
        assert_eq!(message.into_bytes(), expected);
        self.keep(work)
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().unwrap().epoch_authenticator().as_slice().to_vec()
    }
}
