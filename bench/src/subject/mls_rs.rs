use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mls_rs::client_builder::{MlsConfig, PaddingMode};
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group, MlsMessage};
use mls_rs_core::group::{EpochRecord, GroupState, GroupStateStorage};
use zeroize::Zeroizing;

use super::{Cost, SUITE, Subject, timed};

/// The storage in memory that comes with mls-rs, and a count of the bytes that it is given.
#[derive(Clone, Debug)]
struct CountingStorage {
    inner: InMemoryGroupStateStorage,
    bytes: Arc<AtomicUsize>,
}

impl GroupStateStorage for CountingStorage {
    type Error = Infallible;

    fn state(&self, group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.inner.state(group_id).unwrap())
    }

    fn epoch(&self, group_id: &[u8], epoch_id: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.inner.epoch(group_id, epoch_id).unwrap())
    }

    fn write(
        &mut self,
        state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        let epochs = inserts.iter().chain(&updates).map(|epoch| epoch.data.len());
        self.bytes.fetch_add(state.data.len() + epochs.sum::<usize>(), Ordering::Relaxed);
        self.inner.write(state, inserts, updates).unwrap();
        Ok(())
    }

    fn max_epoch_id(&self, group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(self.inner.max_epoch_id(group_id).unwrap())
    }
}

struct MlsRs<C: MlsConfig> {
    client: Client<C>,
    group: Option<Group<C>>,
    bytes: Arc<AtomicUsize>,
}

pub fn client(provider: impl CryptoProvider + Clone + 'static, name: &str) -> Box<dyn Subject> {
    let suite = CipherSuite::new(SUITE);
    let (secret, public) = provider.cipher_suite_provider(suite).unwrap().signature_key_generate().unwrap();
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_path_required(true))
        .with_encryption_options(EncryptionOptions::new(false, PaddingMode::None));
    let bytes = Arc::new(AtomicUsize::new(0));
    let storage = CountingStorage { inner: InMemoryGroupStateStorage::new(), bytes: bytes.clone() };
    let client = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .group_state_storage(storage)
        .mls_rules(rules)
        .signing_identity(SigningIdentity::new(credential, public), secret, suite)
        .build();
    Box::new(MlsRs { client, group: None, bytes })
}

impl<C: MlsConfig> MlsRs<C> {
    fn keep(&mut self, work: std::time::Duration) -> Cost {
        self.bytes.store(0, Ordering::Relaxed);
        let ((), store) = timed(|| self.group.as_mut().unwrap().write_to_storage().unwrap());
        Cost { work, store, bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

fn parse(message: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(message).unwrap()
}

impl<C: MlsConfig> Subject for MlsRs<C> {
    fn key_package(&mut self) -> Vec<u8> {
        let none = ExtensionList::default;
        self.client.generate_key_package_message(none(), none(), None).unwrap().to_bytes().unwrap()
    }

    fn create(&mut self, key_packages: &[Vec<u8>]) -> Cost {
        let none = ExtensionList::default;
        let (group, work) = timed(|| {
            let mut group = self.client.create_group_with_id(b"room".to_vec(), none(), none(), None).unwrap();
            let mut commit = group.commit_builder();
            for added in key_packages {
                commit = commit.add_member(parse(added)).unwrap();
            }
            let output = commit.build().unwrap();
            assert_eq!(output.welcome_messages[0].to_bytes().map(|bytes| bytes.is_empty()).ok(), Some(false));
            group.apply_pending_commit().unwrap();
            group
        });
        self.group = Some(group);
        self.keep(work)
    }

    fn join(&mut self, welcome: &[u8]) -> Cost {
        let (group, work) = timed(|| self.client.join_group(None, &parse(welcome), None).unwrap().0);
        self.group = Some(group);
        self.keep(work)
    }

    fn commit(&mut self) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().unwrap();
        let (message, work) = timed(|| {
            let output = group.commit_builder().build().unwrap();
            group.apply_pending_commit().unwrap();
            output.commit_message.to_bytes().unwrap()
        });
        (message, self.keep(work))
    }

    fn process(&mut self, message: &[u8]) -> Cost {
        let group = self.group.as_mut().unwrap();
        let (received, work) = timed(|| group.process_incoming_message(parse(message)).unwrap());
        assert!(matches!(received, ReceivedMessage::Commit(_)));
        self.keep(work)
    }

    fn encrypt(&mut self, data: &[u8]) -> (Vec<u8>, Cost) {
        let group = self.group.as_mut().unwrap();
        let (message, work) =
            timed(|| group.encrypt_application_message(data, Vec::new()).unwrap().to_bytes().unwrap());
        (message, self.keep(work))
    }

    fn decrypt(&mut self, message: &[u8], expected: &[u8]) -> Cost {
        let group = self.group.as_mut().unwrap();
        let (received, work) = timed(|| group.process_incoming_message(parse(message)).unwrap());
        let ReceivedMessage::ApplicationMessage(message) = received else { panic!("data was expected") };
        assert_eq!(message.data(), expected);
        self.keep(work)
    }

    fn epoch_authenticator(&self) -> Vec<u8> {
        self.group.as_ref().unwrap().epoch_authenticator().unwrap().as_bytes().to_vec()
    }
}
