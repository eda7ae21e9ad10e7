use std::any::Any;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mls_rs::client_builder::{MlsConfig, PaddingMode};
use mls_rs::group::{GroupContext, ReceivedMessage, Roster};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle};
use mls_rs::storage_provider::in_memory::{InMemoryGroupStateStorage, InMemoryKeyPackageStorage};
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group, MlsMessage, MlsRules};
use mls_rs_core::group::GroupStateStorage;
use mls_rs_core::key_package::KeyPackageStorage;

use super::mls_rs_storage::{Count, Counting, size, sqlite};
use super::{Change, Cost, ROOM, SUITE, Storage, Subject, group_file, timed};

/// Every commit brings new keys; the Welcome has the tree inside only where it is asked for.
#[derive(Clone, Debug, Default)]
struct Rules {
    tree_inside: Arc<AtomicBool>,
}

impl MlsRules for Rules {
    type Error = Infallible;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        _: CommitSource,
        _: &Roster<'_>,
        _: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Infallible> {
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, Infallible> {
        let tree_inside = self.tree_inside.load(Ordering::Relaxed);
        Ok(CommitOptions::new().with_path_required(true).with_ratchet_tree_extension(tree_inside))
    }

    fn encryption_options(&self, _: &Roster<'_>, _: &GroupContext) -> Result<EncryptionOptions, Infallible> {
        Ok(EncryptionOptions::new(false, PaddingMode::None))
    }
}

struct MlsRs<C: MlsConfig, S> {
    client: Client<C>,
    group: Option<Group<C>>,
    storage: S,
    count: Count,
    rules: Rules,
    path: Option<PathBuf>,
}

/// A client of mls-rs.
pub fn client(provider: impl CryptoProvider + Clone + 'static, name: &str, storage: Storage<'_>) -> Box<dyn Subject> {
    match storage {
        Storage::Memory => {
            let storages = (InMemoryGroupStateStorage::new(), InMemoryKeyPackageStorage::new());
            build(provider, name, storages, None)
        }
        Storage::Sqlite(path) => build(provider, name, sqlite(path), Some(path.to_owned())),
    }
}

fn build<G, K>(
    provider: impl CryptoProvider + Clone + 'static,
    name: &str,
    (groups, key_packages): (G, K),
    path: Option<PathBuf>,
) -> Box<dyn Subject>
where
    G: GroupStateStorage + Clone + 'static,
    K: KeyPackageStorage + Clone + 'static,
{
    let suite = CipherSuite::new(SUITE);
    let (secret, public) = provider.cipher_suite_provider(suite).unwrap().signature_key_generate().unwrap();
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let (rules, count) = (Rules::default(), Count::default());
    let client = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .group_state_storage(Counting::new(groups.clone(), count.clone()))
        .key_package_repo(Counting::new(key_packages, count.clone()))
        .mls_rules(rules.clone())
        .signing_identity(SigningIdentity::new(credential, public), secret, suite)
        .build();
    Box::new(MlsRs { client, group: None, storage: groups, count, rules, path })
}

/// Opens a group from a file, which loads all of it.
pub fn load<T>(
    provider: impl CryptoProvider + Clone + 'static,
    path: &Path,
    opened: impl FnOnce() -> T,
) -> (T, Box<dyn Any>) {
    let (groups, key_packages) = sqlite(path);
    let client = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .group_state_storage(groups)
        .key_package_repo(key_packages)
        .mls_rules(Rules::default())
        .build();
    let id = std::fs::read(group_file(path)).unwrap();
    let before = opened();
    let group = client.load_group(&id).unwrap();
    (before, Box::new((client, group)))
}

impl<C: MlsConfig, S> MlsRs<C, S> {
    fn group(&mut self) -> &mut Group<C> {
        self.group.as_mut().expect("a member")
    }

    fn keep(&mut self, work: Duration) -> Cost {
        let ((), store) = timed(|| self.group().write_to_storage().unwrap());
        Cost { work, store, bytes: Some(self.count.take()) }
    }

    fn read(&mut self, message: &[u8], expected: &[u8]) {
        let received = self.group().process_incoming_message(parse(message)).unwrap();
        let ReceivedMessage::ApplicationMessage(message) = received else { panic!("data was expected") };
        assert_eq!(message.data(), expected);
    }
}

fn parse(message: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(message).unwrap()
}

impl<C: MlsConfig, S: GroupStateStorage> Subject for MlsRs<C, S> {
    fn key_package(&mut self) -> (Vec<u8>, Cost) {
        let none = ExtensionList::default;
        let (message, work) =
            timed(|| self.client.generate_key_package_message(none(), none(), None).unwrap().to_bytes().unwrap());
        // It stores while it works.
        (message, Cost { work, store: Duration::ZERO, bytes: Some(self.count.take()) })
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> (Vec<u8>, Cost) {
        let none = ExtensionList::default;
        self.rules.tree_inside.store(true, Ordering::Relaxed);
        let ((group, welcome), work) = timed(|| {
            let mut group = self.client.create_group_with_id(ROOM.to_vec(), none(), none(), None).unwrap();
            let mut commit = group.commit_builder();
            for added in key_packages {
                commit = commit.add_member(parse(added)).unwrap();
            }
            let output = commit.build().unwrap();
            let welcome = output.welcome_messages()[0].to_bytes().unwrap();
            group.apply_pending_commit().unwrap();
            (group, welcome)
        });
        self.rules.tree_inside.store(false, Ordering::Relaxed);
        self.group = Some(group);
        (welcome, self.keep(work))
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let (group, work) = timed(|| self.client.join_group(None, &parse(welcome), None).unwrap().0);
        self.group = Some(group);
        self.keep(work)
    }

    fn commit(&mut self, change: Change<'_>) -> (Vec<u8>, Cost) {
        let group = self.group();
        let (message, work) = timed(|| {
            let commit = group.commit_builder();
            let commit = match change {
                Change::Keys => commit,
                Change::Add(added) => commit.add_member(parse(added)).unwrap(),
                Change::Remove(leaf) => commit.remove_member(leaf).unwrap(),
            };
            let output = commit.build().unwrap();
            group.apply_pending_commit().unwrap();
            output.commit_message().to_bytes().unwrap()
        });
        (message, self.keep(work))
    }

    fn receive(&mut self, message: &[u8]) -> Cost {
        let (received, work) = timed(|| self.group().process_incoming_message(parse(message)).unwrap());
        assert!(matches!(received, ReceivedMessage::Commit(_)));
        self.keep(work)
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        let (message, work) =
            timed(|| self.group().encrypt_application_message(data, Vec::new()).unwrap().to_bytes().unwrap());
        (message, self.keep(work))
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let ((), work) = timed(|| self.read(message, expected));
        self.keep(work)
    }

    fn backlog(&mut self, messages: &[Vec<u8>], expected: &[u8]) -> Cost {
        let ((), work) = timed(|| messages.iter().for_each(|message| self.read(message, expected)));
        self.keep(work)
    }

    fn open(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let id = self.group().group_id().to_vec();
        self.group = None;
        let ((), work) = timed(|| {
            self.group = Some(self.client.load_group(&id).unwrap());
            self.read(message, expected);
        });
        self.keep(work)
    }

    fn state(&self) -> Option<usize> {
        Some(size(&self.storage, self.group.as_ref()?.group_id()))
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().expect("a member").epoch_authenticator().unwrap().as_bytes().to_vec()
    }

    fn close(self: Box<Self>) {
        let path = self.path.expect("a file");
        std::fs::write(group_file(&path), self.group.expect("a member").group_id()).unwrap();
    }
}
