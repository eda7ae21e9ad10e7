use std::any::Any;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openmls::prelude::tls_codec::Deserialize;
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, LeafNodeIndex,
    MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, OpenMlsCrypto, OpenMlsProvider, OpenMlsRand, ProcessedMessageContent, ProtocolVersion,
    StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_memory_storage::MemoryStorage;

use super::openmls_storage::{Content, Holder, Sqlite};
use super::{Change, Cost, ROOM, SUITE, Storage, Subject, group_file, timed};

/// Primitives and storage.
struct Provider<C, S> {
    crypto: C,
    storage: S,
}

impl<C: OpenMlsCrypto + OpenMlsRand, S: Holder> OpenMlsProvider for Provider<C, S> {
    type CryptoProvider = C;
    type RandProvider = C;
    type StorageProvider = S::Storage;

    fn storage(&self) -> &S::Storage {
        self.storage.storage()
    }

    fn crypto(&self) -> &C {
        &self.crypto
    }

    fn rand(&self) -> &C {
        &self.crypto
    }
}

struct OpenMls<C, S> {
    name: String,
    suite: Ciphersuite,
    provider: Provider<C, S>,
    signer: SignatureKeyPair,
    group: Option<MlsGroup>,
    /// What was in the storage, if the next operation's bytes are to be counted.
    before: Option<Content>,
    path: Option<PathBuf>,
}

/// A client of OpenMLS.
pub fn client<C: OpenMlsCrypto + OpenMlsRand + 'static>(
    crypto: C,
    name: &str,
    storage: Storage<'_>,
) -> Box<dyn Subject> {
    match storage {
        Storage::Memory => build(crypto, name, MemoryStorage::default(), None),
        Storage::Sqlite(path) => build(crypto, name, Sqlite::open(path), Some(path.to_owned())),
    }
}

fn build<C, S>(crypto: C, name: &str, storage: S, path: Option<PathBuf>) -> Box<dyn Subject>
where
    C: OpenMlsCrypto + OpenMlsRand + 'static,
    S: Holder + 'static,
{
    let suite = Ciphersuite::try_from(SUITE).unwrap();
    let signer = SignatureKeyPair::new(suite.signature_algorithm()).unwrap();
    let provider = Provider { crypto, storage };
    Box::new(OpenMls { name: name.to_owned(), suite, provider, signer, group: None, before: None, path })
}

/// Opens a group from a file, which loads all of it.
pub fn load<T>(path: &Path, opened: impl FnOnce() -> T) -> (T, Box<dyn Any>) {
    let storage = Sqlite::open(path);
    let id = GroupId::from_slice(&std::fs::read(group_file(path)).unwrap());
    let before = opened();
    let group = MlsGroup::load(storage.storage(), &id).unwrap().unwrap();
    (before, Box::new((storage, group)))
}

fn parse(message: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(message).unwrap()
}

impl<C: OpenMlsCrypto + OpenMlsRand, S: Holder> OpenMls<C, S> {
    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.name.as_bytes().to_vec()).into(),
            signature_key: self.signer.public().into(),
        }
    }

    fn parse_key_package(&self, message: &[u8]) -> KeyPackage {
        let MlsMessageBodyIn::KeyPackage(key_package) = parse(message).extract() else {
            panic!("a key package was expected");
        };
        key_package.validate(self.provider.crypto(), ProtocolVersion::Mls10).unwrap()
    }

    /// Takes the time. It writes while it works, in one transaction.
    fn run<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, Cost) {
        let (value, work) = timed(|| {
            self.provider.storage.begin();
            let value = work(self);
            self.provider.storage.commit();
            value
        });
        let before = self.before.take();
        let bytes = before.and_then(|before| Some(self.provider.storage.content()?.written_since(&before)));
        (value, Cost { work, store: Duration::ZERO, bytes })
    }

    fn read(&mut self, message: &[u8], expected: &[u8]) {
        let group = self.group.as_mut().expect("a member");
        let message = parse(message).try_into_protocol_message().unwrap();
        let content = group.process_message(&self.provider, message).unwrap().into_content();
        let ProcessedMessageContent::ApplicationMessage(message) = content else { panic!("data was expected") };
        assert_eq!(message.into_bytes(), expected);
    }
}

impl<C: OpenMlsCrypto + OpenMlsRand, S: Holder> Subject for OpenMls<C, S> {
    fn key_package(&mut self) -> (Vec<u8>, Cost) {
        self.run(|this| {
            let builder = KeyPackage::builder();
            let bundle = builder.build(this.suite, &this.provider, &this.signer, this.credential()).unwrap();
            MlsMessageOut::from(bundle.key_package().clone()).to_bytes().unwrap()
        })
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> (Vec<u8>, Cost) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        self.run(|this| {
            let id = GroupId::from_slice(ROOM);
            let provider = &this.provider;
            let mut group =
                MlsGroup::new_with_group_id(provider, &this.signer, &config, id, this.credential()).unwrap();
            let adds: Vec<KeyPackage> = key_packages.iter().map(|added| this.parse_key_package(added)).collect();
            let bundle = group
                .commit_builder()
                .force_self_update(true)
                .propose_adds(adds)
                .load_psks(provider.storage())
                .unwrap()
                .build(provider.rand(), provider.crypto(), &this.signer, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            let welcome = bundle.to_welcome_msg().unwrap().to_bytes().unwrap();
            group.merge_pending_commit(provider).unwrap();
            this.group = Some(group);
            welcome
        })
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let joined = self.run(|this| {
            let MlsMessageBodyIn::Welcome(welcome) = parse(welcome).extract() else {
                panic!("a Welcome was expected");
            };
            let staged = StagedWelcome::new_from_welcome(&this.provider, &config, welcome, None).unwrap();
            this.group = Some(staged.into_group(&this.provider).unwrap());
        });
        joined.1
    }

    fn commit(&mut self, change: Change<'_>) -> (Vec<u8>, Cost) {
        self.run(|this| {
            let added = match change {
                Change::Add(added) => Some(this.parse_key_package(added)),
                Change::Keys | Change::Remove(_) => None,
            };
            let removed = match change {
                Change::Remove(leaf) => Some(LeafNodeIndex::new(leaf)),
                Change::Keys | Change::Add(_) => None,
            };
            let (group, provider) = (this.group.as_mut().expect("a member"), &this.provider);
            let bundle = group
                .commit_builder()
                .force_self_update(true)
                .propose_adds(added)
                .propose_removals(removed)
                .load_psks(provider.storage())
                .unwrap()
                .create_group_info(false)
                .use_ratchet_tree_extension(false)
                .build(provider.rand(), provider.crypto(), &this.signer, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            group.merge_pending_commit(provider).unwrap();
            bundle.into_commit().to_bytes().unwrap()
        })
    }

    fn receive(&mut self, message: &[u8]) -> Cost {
        let received = self.run(|this| {
            let group = this.group.as_mut().expect("a member");
            let message = parse(message).try_into_protocol_message().unwrap();
            let processed = group.process_message(&this.provider, message).unwrap();
            let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
                panic!("a commit was expected");
            };
            group.merge_staged_commit(&this.provider, *staged).unwrap();
        });
        received.1
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        self.run(|this| {
            let group = this.group.as_mut().expect("a member");
            group.create_message(&this.provider, &this.signer, data).unwrap().to_bytes().unwrap()
        })
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        self.run(|this| this.read(message, expected)).1
    }

    fn backlog(&mut self, messages: &[Vec<u8>], expected: &[u8]) -> Cost {
        self.run(|this| messages.iter().for_each(|message| this.read(message, expected))).1
    }

    fn open(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let id = self.group.take().expect("a member").group_id().clone();
        let opened = self.run(|this| {
            this.group = MlsGroup::load(this.provider.storage(), &id).unwrap();
            this.read(message, expected);
        });
        opened.1
    }

    fn count_bytes(&mut self) {
        self.before = self.provider.storage.content();
    }

    fn state(&self) -> Option<usize> {
        Some(self.provider.storage.content()?.size())
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().expect("a member").epoch_authenticator().as_slice().to_vec()
    }

    fn close(self: Box<Self>) {
        let path = self.path.expect("a file");
        std::fs::write(group_file(&path), self.group.expect("a member").group_id().as_slice()).unwrap();
    }
}
