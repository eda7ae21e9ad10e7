//! A server in a temporary folder, and messages that have the structure of MLS and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyroom_api::{CommitBundle, Connection, DeviceUri, IdempotencyKey, Identity, RoomBundle, RoomUri, WelcomeTo};
use keyroom_crypto::{Provider as _, Signer};
use keyroom_delivery::{Accounts, Clock, Postgres, Sqlite, Structural};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_server::{Config, Database, Handle, Server};
use keyroom_testbed::require_durable;
use keyroom_wire::{
    Capabilities, CipherSuite, Commit, Content, ContentType, Credential, Encode, EncryptedGroupSecrets, ExtensionType,
    Extensions, FramedContent, FramedContentAuthData, GroupContext, GroupId, GroupInfo, HpkeCiphertext, KeyPackage,
    LeafIndex, LeafNode, LeafNodeSource, Lifetime, Mac, MlsMessage, Opaque, PrivateMessage, Proposal, ProtocolVersion,
    PublicMessage, Sender, Welcome,
};
use tempfile::TempDir;

pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
pub(crate) const NOW: u64 = 1_800_000_000;

/// A clock that stands until it is set.
pub(crate) struct SetClock(pub(crate) AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct World {
    pub(crate) server: Handle,
    pub(crate) clock: Arc<SetClock>,
    database: Database,
    _folder: TempDir,
    change: fn(&mut Config),
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: fn(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
        let database = crate::database(&folder);
        let server = start(&database, &clock, change).await;
        Self { server, clock, database, _folder: folder, change }
    }

    /// Stops the server and starts another one on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.server.shutdown().await;
        let server = start(&self.database, &self.clock, self.change).await;
        Self { server, ..self }
    }

    /// One more server on the same data.
    pub(crate) async fn second(&self) -> Handle {
        start(&self.database, &self.clock, self.change).await
    }

    /// The database, as an operator sees it.
    pub(crate) async fn accounts(&self) -> Arc<dyn Accounts> {
        match &self.database {
            Database::File(path) => Arc::new(Sqlite::open(path).unwrap()),
            Database::Postgres { url, options } => Arc::new(Postgres::open(url, options.clone()).await.unwrap()),
        }
    }

    /// A connection of a device, with the same key each time.
    pub(crate) fn connect(&self, names: &str) -> Connection {
        self.connect_as(device(names))
    }

    pub(crate) fn connect_as(&self, device: DeviceUri) -> Connection {
        let identity = Identity::new(SUITE.0, signer_of(&device));
        Connection::new(&self.server.url(), device, identity).unwrap()
    }

    /// A token of a device.
    pub(crate) async fn token(&self, names: &str) -> String {
        self.connect(names).token().await.unwrap().unwrap().expose().to_owned()
    }
}

/// A key that follows from the name.
pub(crate) fn signer_of(device: &DeviceUri) -> Arc<dyn Signer> {
    signer(device.to_string().bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(257) ^ u64::from(byte)))
}

pub(crate) fn signer(seed: u64) -> Arc<dyn Signer> {
    let suite = RUSTCRYPTO.suite(SUITE).unwrap();
    let private = suite.generate_signature_key(&mut keyroom_vectors::rng(seed)).unwrap();
    suite.signer(private.expose()).unwrap().into()
}

async fn start(database: &Database, clock: &Arc<SetClock>, change: fn(&mut Config)) -> Handle {
    let mut config = Config::new("example.org".parse().unwrap(), database.clone());
    config.clock = clock.clone();
    config.validator = Arc::new(Structural::default());
    change(&mut config);
    durable(Server::start(config).await.unwrap()).await
}

/// A server of which it is known that what it answers is on the disk.
pub(crate) async fn durable(server: Handle) -> Handle {
    let address = server.address().to_string();
    tokio::task::spawn_blocking(move || require_durable(&address)).await.unwrap();
    server
}

/// `alice/phone` as a URI.
pub(crate) fn device(names: &str) -> DeviceUri {
    format!("mimi://example.org/d/{names}").parse().unwrap()
}

pub(crate) fn room(name: &str) -> RoomUri {
    format!("mimi://example.org/r/{name}").parse().unwrap()
}

pub(crate) fn key(text: impl ToString) -> IdempotencyKey {
    text.to_string().parse().unwrap()
}

/// A key package; `id` tells it from others.
pub(crate) fn key_package(id: u64) -> Vec<u8> {
    key_package_of(id, SUITE, NOW + 1_000, Extensions::new())
}

pub(crate) fn last_resort(id: u64) -> Vec<u8> {
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::LAST_RESORT, []);
    key_package_of(id, SUITE, NOW + 1_000, extensions)
}

pub(crate) fn key_package_of(id: u64, cipher_suite: CipherSuite, not_after: u64, extensions: Extensions) -> Vec<u8> {
    let leaf_node = LeafNode {
        encryption_key: vec![1; 32].into(),
        signature_key: vec![2; 32].into(),
        credential: Credential::basic("someone"),
        capabilities: Capabilities::default(),
        leaf_node_source: LeafNodeSource::KeyPackage(Lifetime { not_before: 0, not_after }),
        extensions: Extensions::new(),
        signature: vec![3; 64].into(),
    };
    let package = KeyPackage {
        version: ProtocolVersion::MLS10,
        cipher_suite,
        init_key: id.to_be_bytes().to_vec().into(),
        leaf_node,
        extensions,
        signature: vec![4; 64].into(),
    };
    MlsMessage::KeyPackage(package).to_bytes()
}

/// The GroupInfo of an epoch, with something in the place of a ratchet tree.
pub(crate) fn group_info(group: &str, epoch: u64) -> Vec<u8> {
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::RATCHET_TREE, [0]);
    group_info_with(group, epoch, extensions)
}

pub(crate) fn group_info_with(group: &str, epoch: u64, extensions: Extensions) -> Vec<u8> {
    let context = GroupContext { epoch, ..GroupContext::new(SUITE, group_id(group)) };
    MlsMessage::GroupInfo(GroupInfo {
        group_context: context,
        extensions,
        confirmation_tag: vec![5; 32].into(),
        signer: LeafIndex(0),
        signature: vec![6; 64].into(),
    })
    .to_bytes()
}

pub(crate) fn group_id(group: &str) -> GroupId {
    group.as_bytes().into()
}

/// A commit; `mark` tells it from others.
pub(crate) fn commit(group: &str, epoch: u64, mark: u64) -> Vec<u8> {
    public(group, epoch, Content::Commit(Commit { proposals: Vec::new(), path: None }), mark)
}

pub(crate) fn proposal(group: &str, epoch: u64, mark: u64) -> Vec<u8> {
    public(group, epoch, Content::Proposal(Proposal::Remove { removed: LeafIndex(1) }), mark)
}

pub(crate) fn public(group: &str, epoch: u64, content: Content, mark: u64) -> Vec<u8> {
    let confirmation_tag = matches!(content, Content::Commit(_)).then(|| Mac::from(vec![8; 32]));
    let content = FramedContent {
        group_id: group_id(group),
        epoch,
        sender: Sender::Member(LeafIndex(0)),
        authenticated_data: Opaque::from(mark.to_be_bytes().to_vec()),
        content,
    };
    let auth = FramedContentAuthData { signature: vec![7; 64].into(), confirmation_tag };
    MlsMessage::PublicMessage(PublicMessage { content, auth, membership_tag: Some(vec![9; 32].into()) }).to_bytes()
}

pub(crate) fn application(group: &str, epoch: u64, mark: u64) -> Vec<u8> {
    private(group, epoch, ContentType::Application, mark)
}

pub(crate) fn private(group: &str, epoch: u64, content_type: ContentType, mark: u64) -> Vec<u8> {
    MlsMessage::PrivateMessage(PrivateMessage {
        group_id: group_id(group),
        epoch,
        content_type,
        authenticated_data: Opaque::default(),
        encrypted_sender_data: vec![1; 16].into(),
        ciphertext: mark.to_be_bytes().to_vec().into(),
    })
    .to_bytes()
}

/// A Welcome with one secret for each of these marks; `info` tells it from others.
pub(crate) fn welcome(marks: impl IntoIterator<Item = u8>, info: u8) -> Vec<u8> {
    let secret = |mark: u8| EncryptedGroupSecrets {
        new_member: vec![mark; 32].into(),
        encrypted_group_secrets: HpkeCiphertext {
            kem_output: vec![mark; 32].into(),
            ciphertext: vec![mark; 90].into(),
        },
    };
    let secrets = marks.into_iter().map(secret).collect();
    let welcome = Welcome { cipher_suite: SUITE, secrets, encrypted_group_info: vec![info].into() };
    MlsMessage::Welcome(welcome).to_bytes()
}

/// A room that begins in this epoch of a group.
pub(crate) fn founding(group: &str, epoch: u64) -> RoomBundle {
    RoomBundle::new(group_info(group, epoch), None)
}

/// A commit with the GroupInfo that belongs to it, without Welcomes.
pub(crate) fn bundle(group: &str, epoch: u64, mark: u64) -> CommitBundle {
    CommitBundle::new(commit(group, epoch, mark), group_info(group, epoch + 1))
}

pub(crate) fn with_welcome(bundle: CommitBundle, devices: &[&str], mark: u8) -> CommitBundle {
    let devices: Vec<_> = devices.iter().map(|names| device(names)).collect();
    let welcome = welcome((0..).take(devices.len()), mark);
    CommitBundle { welcomes: vec![WelcomeTo { devices, welcome }], ..bundle }
}
