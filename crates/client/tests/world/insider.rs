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
use keyroom_wire::CipherSuite;

use super::World;

/// A member who works with the engine and keeps to no client's ways.
pub(crate) struct Insider {
    pub(crate) group: Group,
    signer: Arc<dyn Signer>,
    pub(crate) connection: Connection,
    rng: Box<dyn CryptoRng + Send>,
}

impl Insider {
    /// Comes in by external commit.
    pub(crate) async fn enter(world: &World, room: &Room) -> Self {
        let connection = world.connection("mallory");
        let mut rng = Box::new(rand::make_rng::<rand::rngs::StdRng>());
        let suite = RUSTCRYPTO.suite(CipherSuite(1)).unwrap();
        let signer = super::signer("mallory");
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
        let bundle = CommitBundle::new(commit, group_info);
        connection.commit(room.uri(), &bundle, &key(&format!("in-{}", room.uri().name()))).await.unwrap();
        let verdict = join.questions().accept_unseen();
        let (group, _) = join.accept(&verdict).unwrap();
        Self { group, signer, connection, rng }
    }

    /// Commits with a confirmation tag that is wrong, which the server cannot see, and says where the
    /// commit is in the log.
    pub(crate) async fn breaks(&mut self, room: &Room) -> u64 {
        let insider = keyroom_insider::Insider::new(&self.group, self.signer.as_ref());
        let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
        let change = keyroom_insider::Alter { auth: Some(Box::new(auth)), ..Default::default() };
        let made = insider.commit(Vec::new(), &change, &mut self.rng);
        let fits = |info: &mut keyroom_wire::GroupInfo| {
            info.confirmation_tag = made.message.auth.confirmation_tag.clone().unwrap();
            info.extensions = keyroom_wire::Extensions::new();
        };
        let info = made.group_info(self.group.own_leaf(), self.signer.as_ref(), fits, &mut self.rng);
        let group_info = keyroom_wire::Encode::to_bytes(&keyroom_wire::MlsMessage::GroupInfo(info));
        let bundle = CommitBundle::new(made.bytes(), group_info);
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
