//! A member who breaks the rules that a server cannot see.

use std::sync::Arc;

use keyroom::{Config, Room};
use keyroom_api::{CommitBundle, Connection, IdempotencyKey};
use keyroom_crypto::{CryptoRng, Provider as _, Signer};
use keyroom_mls::config::Inputs;
use keyroom_mls::group::{ExternalJoins, Group, GroupInfoContent, TreeDelivery};
use keyroom_mls::key_package::KeyPackageBuilder;
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, ExtensionType};
use rand::SeedableRng as _;

use super::World;

/// A member who works with the engine and keeps to no client's ways.
pub(crate) struct Insider {
    pub(crate) group: Group,
    signer: Arc<dyn Signer>,
    pub(crate) connection: Connection,
    rng: Box<dyn CryptoRng + Send>,
    private: bool,
}

impl Insider {
    /// Comes in by external commit.
    pub(crate) async fn enter(world: &World, room: &Room) -> Self {
        Self::enter_as("mallory", world, room).await
    }

    /// The same under this name.
    pub(crate) async fn enter_as(user: &str, world: &World, room: &Room) -> Self {
        let connection = world.connection(user);
        let mut rng = Box::new(rand::make_rng::<rand::rngs::StdRng>());
        let suite = RUSTCRYPTO.suite(CipherSuite(1)).unwrap();
        let signer = super::signer(user);
        let credential = connection.device().credential();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let builder = KeyPackageBuilder::new(suite, credential, lifetime_from(now, 3_600));
        let bundle = builder.build(signer.as_ref(), &mut rng).unwrap();
        let info = connection.epoch_info(room.uri()).await.unwrap();
        let content = GroupInfoContent { tree: TreeDelivery::OutOfBand, external: ExternalJoins::Allowed };
        let tree = connection.tree(room.uri(), &info.tree_hash).await.unwrap();
        let join = Group::join_external(suite, &bundle, Arc::new(Config::default())).group_info(content);
        let join = join.ratchet_tree(&tree);
        let join = join.build(&info.group_info, signer.as_ref(), &Inputs::at(now), &mut rng).unwrap();
        let (commit, group_info) = (join.message.clone(), join.group_info.clone().unwrap());
        let verdict = join.questions().accept_unseen();
        let (group, _) = join.accept(&verdict).unwrap();
        let access_key = world.is_private().then(|| {
            let secret = group.export("keyroom access", room.uri().to_string().as_bytes(), 32).unwrap();
            suite.signer(secret.expose()).unwrap().public_key().as_slice().to_vec()
        });
        let private = access_key.is_some();
        let bundle = CommitBundle { access_key, ..CommitBundle::new(commit, group_info) };
        connection.commit(room.uri(), &bundle, &key(&format!("in-{}", room.uri().name()))).await.unwrap();
        Self { group, signer, connection, rng, private }
    }

    /// Publishes a key package whose keys follow from the seed.
    pub(crate) async fn publishes(&self, seed: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let credential = self.connection.device().credential();
        let builder = KeyPackageBuilder::new(self.group.suite(), credential, lifetime_from(now, 3_600));
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let bundle = builder.build(self.signer.as_ref(), &mut rng).unwrap();
        let message = keyroom_wire::MlsMessage::KeyPackage(bundle.key_package.clone());
        self.connection.publish_key_packages(vec![keyroom_wire::Encode::to_bytes(&message)]).await.unwrap();
    }

    /// Commits with a confirmation tag that is wrong, which the server cannot see, and says where the
    /// commit is in the log.
    pub(crate) async fn breaks(&mut self, room: &Room) -> u64 {
        self.breaks_with(room, keyroom_wire::Extensions::new()).await
    }

    /// The same, with a key for those who want to come in after it.
    pub(crate) async fn breaks_and_lets_in(&mut self, room: &Room) -> u64 {
        let pair = keyroom_mls::leaf_node::generate_key_pair(self.group.suite(), &mut self.rng).unwrap();
        let mut extensions = keyroom_wire::Extensions::new();
        extensions.set(ExtensionType::EXTERNAL_PUB, keyroom_wire::Encode::to_bytes(&pair.public));
        self.breaks_with(room, extensions).await
    }

    async fn breaks_with(&mut self, room: &Room, extensions: keyroom_wire::Extensions) -> u64 {
        let insider = keyroom_insider::Insider::new(&self.group, self.signer.as_ref());
        let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
        let change = keyroom_insider::Alter { auth: Some(Box::new(auth)), ..Default::default() };
        let made = insider.commit(Vec::new(), &change, &mut self.rng);
        let fits = |info: &mut keyroom_wire::GroupInfo| {
            info.confirmation_tag = made.message.auth.confirmation_tag.clone().unwrap();
            info.extensions = extensions;
        };
        let info = made.group_info(self.group.own_leaf(), self.signer.as_ref(), fits, &mut self.rng);
        let group_info = keyroom_wire::Encode::to_bytes(&keyroom_wire::MlsMessage::GroupInfo(info));
        // Nobody follows, so it does not matter which key it is.
        let access_key = self.private.then(|| vec![7; 32]);
        let bundle = CommitBundle { access_key, ..CommitBundle::new(made.bytes(), group_info) };
        self.connection
            .commit(room.uri(), &bundle, &key(&format!("broken-{}", room.uri().name())))
            .await
            .unwrap()
            .sequence
    }

    /// Encrypts a payload with the next key and sends it.
    pub(crate) async fn send(&mut self, room: &Room, payload: &[u8], name: &str) {
        let sealed = self.group.encrypt(payload, b"", self.signer.as_ref(), &mut self.rng).unwrap();
        self.connection.send_message(room.uri(), sealed.message, &key(name)).await.unwrap();
    }
}

fn key(name: &str) -> IdempotencyKey {
    name.parse().unwrap()
}
