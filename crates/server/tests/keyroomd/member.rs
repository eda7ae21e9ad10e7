//! Devices with real groups.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyroom_api::{CommitBundle, Connection, DeviceUri, IdempotencyKey, Identity, RoomBundle, RoomUri, WelcomeTo};
use keyroom_crypto::{Provider as _, Signer};
use keyroom_mls::config::Inputs;
use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, TreeDelivery};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, ContentType, Encode as _, Extensions, GroupId, MlsMessage, Opaque, PrivateMessage};

pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
const OUTSIDE: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::OutOfBand, external: ExternalJoins::Allowed };

/// A device with its keys, one key package and a connection.
pub(crate) struct Member {
    pub(crate) connection: Connection,
    signer: Arc<dyn Signer>,
    bundle: KeyPackageBundle,
    now: u64,
    seed: u64,
}

impl Member {
    /// The device `names`, such as `alice/phone`, on the server at this address.
    pub(crate) fn new(address: &str, names: &str, seed: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut rng = keyroom_vectors::rng(seed);
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let private = suite.generate_signature_key(&mut rng).unwrap();
        let signer: Arc<dyn Signer> = suite.signer(private.expose()).unwrap().into();
        let device: DeviceUri = format!("mimi://example.org/d/{names}").parse().unwrap();
        let builder = KeyPackageBuilder::new(suite, device.credential(), lifetime_from(now, 3_600));
        let bundle = builder.build(signer.as_ref(), &mut rng).unwrap();
        let identity = Identity::new(SUITE.0, signer.clone());
        let connection = Connection::new(&format!("http://{address}"), device, identity).unwrap();
        Self { connection, signer, bundle, now, seed }
    }

    pub(crate) fn key_package(&self) -> Vec<u8> {
        MlsMessage::KeyPackage(self.bundle.key_package.clone()).to_bytes()
    }

    /// Founds a group and its room.
    pub(crate) async fn found(&self, name: &str) -> Group {
        let mut rng = keyroom_vectors::rng(self.seed + 1);
        let bundle = KeyPackageBundle::decode(&self.bundle.encode()).unwrap();
        let founder = Founder { bundle, group_id: GroupId::from(name.as_bytes()), extensions: Extensions::new() };
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let (group, _) = Group::create(suite, founder, Arc::default(), &Inputs::at(self.now), &mut rng).unwrap();
        let info = group.group_info(OUTSIDE, self.signer.as_ref(), &mut rng).unwrap();
        let bundle = RoomBundle::new(info, Some(group.ratchet_tree().unwrap()));
        self.connection.create_room(&room(name), &bundle).await.unwrap();
        group
    }

    /// Adds another device to a group.
    pub(crate) async fn add(&self, group: &mut Group, name: &str, joiner: &Self) {
        let mut rng = keyroom_vectors::rng(self.seed + 2);
        let commit = group.commit().group_info(OUTSIDE).welcome_tree(TreeDelivery::OutOfBand);
        let commit = commit.add(joiner.bundle.key_package.clone());
        let (pending, _) = commit.build(self.signer.as_ref(), &Inputs::at(self.now), &mut rng).unwrap();
        let verdict = pending.questions().accept_unseen();
        let delivery = pending.for_atomic_delivery(&verdict).unwrap();
        let welcome = delivery.admission.welcome.clone().unwrap();
        let bundle = CommitBundle {
            commit: delivery.message.to_vec(),
            group_info: delivery.admission.group_info.clone().unwrap(),
            welcomes: vec![WelcomeTo { devices: vec![joiner.connection.device().clone()], welcome }],
            access_key: None,
        };
        self.connection.commit(&room(name), &bundle, &key("add")).await.unwrap();
    }

    /// Sends a message that is told from others by its mark. The server cannot tell that nobody can open it.
    pub(crate) async fn say(&self, name: &str, epoch: u64, mark: u64) {
        let message = MlsMessage::PrivateMessage(PrivateMessage {
            group_id: GroupId::from(name.as_bytes()),
            epoch,
            content_type: ContentType::Application,
            authenticated_data: Opaque::default(),
            encrypted_sender_data: vec![1; 16].into(),
            ciphertext: mark.to_be_bytes().to_vec().into(),
        });
        self.connection.send_message(&room(name), message.to_bytes(), &key(&format!("{name}-{mark}"))).await.unwrap();
    }

    /// All messages of a room.
    pub(crate) async fn log(&self, name: &str) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let after = messages.len() as u64;
            let page = self.connection.log(&room(name), after, Duration::ZERO).await.unwrap();
            if page.entries.is_empty() {
                return messages;
            }
            messages.extend(page.entries.into_iter().map(|entry| entry.message));
        }
    }
}

pub(crate) fn room(name: &str) -> RoomUri {
    format!("mimi://example.org/r/{name}").parse().unwrap()
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}
