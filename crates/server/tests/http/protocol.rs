//! Real groups against a server that judges them.

use std::sync::Arc;

use keyroom_api::{
    ClientError, Code, CommitBundle, Connection, DeviceUri, Identity, RoomBundle, RoomStatus, WelcomeTo,
};
use keyroom_crypto::{Provider, Signer};
use keyroom_delivery::Protocol;
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, PendingCommit, TreeDelivery};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::{capabilities_for, lifetime_from};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CredentialType, Encode, Extensions, GroupId, LeafIndex, MlsMessage, Proposal, ProposalType};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::world::{NOW, SUITE, World, bundle, device, founding, group_info, key, key_package, room};

pub(crate) const INPUTS: Inputs<'static> = Inputs::at(NOW);
pub(crate) const OUTSIDE: GroupInfoContent =
    GroupInfoContent { tree: TreeDelivery::OutOfBand, external: ExternalJoins::Allowed };

pub(crate) async fn judging() -> World {
    World::with(|config| config.validator = Arc::new(Protocol::new(&RUSTCRYPTO, Config::default()))).await
}

/// A client with its keys and one key package.
pub(crate) struct Client {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) bundle: KeyPackageBundle,
    pub(crate) connection: Connection,
    seed: u64,
}

impl Client {
    pub(crate) fn new(world: &World, name: &str, seed: u64) -> Self {
        let mut rng = keyroom_vectors::rng(seed);
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let signer: Arc<dyn Signer> =
            suite.signer(suite.generate_signature_key(&mut rng).unwrap().expose()).unwrap().into();
        let device = device(&format!("{name}/phone"));
        let mut capabilities = capabilities_for([SUITE], [CredentialType::BASIC]);
        capabilities.proposals.push(ProposalType::SELF_REMOVE);
        let builder = KeyPackageBuilder::new(suite, device.credential(), lifetime_from(NOW, 3_600));
        let bundle = builder.capabilities(capabilities).build(signer.as_ref(), &mut rng).unwrap();
        let connection = connection(world, device, &signer);
        Self { signer, bundle, connection, seed }
    }

    /// The same client, with a connection to a server that was started again.
    fn again(self, world: &World) -> Self {
        let connection = connection(world, self.connection.device().clone(), &self.signer);
        Self { connection, ..self }
    }

    pub(crate) fn key_package(&self) -> Vec<u8> {
        MlsMessage::KeyPackage(self.bundle.key_package.clone()).to_bytes()
    }

    /// Founds a group and its room.
    pub(crate) async fn found(&self, name: &str) -> Group {
        self.found_with(name, Extensions::new()).await
    }

    /// The same with these extensions of its context.
    pub(crate) async fn found_with(&self, name: &str, extensions: Extensions) -> Group {
        let (group, bundle) = self.founding(name, extensions);
        self.connection.create_room(&room(name), &bundle).await.unwrap();
        group
    }

    /// A group, and what its room is created with.
    pub(crate) fn founding(&self, name: &str, extensions: Extensions) -> (Group, RoomBundle) {
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let group_id = GroupId::from(name.as_bytes());
        let bundle = KeyPackageBundle::decode(&self.bundle.encode()).unwrap();
        let founder = Founder { bundle, group_id, extensions };
        let mut rng = keyroom_vectors::rng(self.seed + 100);
        let (group, _) = Group::create(suite, founder, Arc::default(), &INPUTS, &mut rng).unwrap();
        let info = group.group_info(OUTSIDE, self.signer.as_ref(), &mut rng).unwrap();
        let bundle = RoomBundle::new(info, Some(group.ratchet_tree().unwrap()));
        (group, bundle)
    }

    /// A commit that adds these, without ratchet tree anywhere.
    pub(crate) fn add(&self, group: &mut Group, joiners: &[&Self], seed: u64) -> PendingCommit {
        let mut rng = keyroom_vectors::rng(seed);
        let mut commit = group.commit().group_info(OUTSIDE).welcome_tree(TreeDelivery::OutOfBand);
        for joiner in joiners {
            commit = commit.add(joiner.bundle.key_package.clone());
        }
        commit.build(self.signer.as_ref(), &INPUTS, &mut rng).unwrap().0
    }

    pub(crate) fn join(&self, welcome: &[u8], tree: &[u8]) -> Group {
        let suite = RUSTCRYPTO.suite(SUITE).unwrap();
        let bundles = [KeyPackageBundle::decode(&self.bundle.encode()).unwrap()];
        let mut options = JoinOptions::new(&bundles);
        options.ratchet_tree = Some(tree);
        let mut rng = keyroom_vectors::rng(self.seed + 200);
        let joining = Group::join(suite, welcome, &options, Arc::default(), &INPUTS, &mut rng).unwrap();
        let verdict = joining.questions().accept_unseen();
        joining.accept(&verdict).unwrap().0
    }
}

fn connection(world: &World, device: DeviceUri, signer: &Arc<dyn Signer>) -> Connection {
    Connection::new(&world.server.url(), device, Identity::new(SUITE.0, signer.clone())).unwrap()
}

pub(crate) fn apply(group: &mut Group, pending: PendingCommit) {
    let verdict = pending.questions().accept_unseen();
    group.apply(pending.into_staged(), &verdict).unwrap();
}

pub(crate) fn sent(pending: &PendingCommit, to: &[&str]) -> CommitBundle {
    let devices: Vec<_> = to.iter().map(|name| device(&format!("{name}/phone"))).collect();
    let verdict = pending.questions().accept_unseen();
    let delivery = pending.for_atomic_delivery(&verdict).unwrap();
    let welcome = delivery.admission.welcome.clone().map(|welcome| WelcomeTo { devices, welcome });
    CommitBundle {
        commit: delivery.message.to_vec(),
        group_info: delivery.admission.group_info.clone().unwrap(),
        welcomes: welcome.into_iter().collect(),
        access_key: None,
    }
}

#[tokio::test]
async fn a_group_lives_on_a_server_that_keeps_its_tree() {
    let world = judging().await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|n| Client::new(&world, n, u64::from(n.as_bytes()[0])));
    let meeting = room("meeting");
    for client in [&bob, &carol] {
        client.connection.publish_key_packages(vec![client.key_package()]).await.unwrap();
    }
    let mut alices = alice.found("meeting").await;
    let claims = alice.connection.claim_key_packages(&device("bob/any").user(), SUITE.0).await.unwrap();
    assert_eq!(claims[0].offer.key_package(), Some(bob.key_package().as_slice()));

    // A Welcome without a tree: the server has it.
    let pending = alice.add(&mut alices, &[&bob], 1);
    alice.connection.commit(&meeting, &sent(&pending, &["bob"]), &key(1)).await.unwrap();
    apply(&mut alices, pending);
    let item = bob.connection.mailbox(0).await.unwrap().items.remove(0);
    let tree = bob.connection.tree(&meeting, &item.tree_hash).await.unwrap();
    let mut bobs = bob.join(&item.welcome, &tree);

    // A proposal of one, committed by another, on a server that has forgotten all it had in memory.
    let proposal = Proposal::Add { key_package: Box::new(carol.bundle.key_package.clone()) };
    let mut rng = keyroom_vectors::rng(2);
    let proposal = bobs.propose(proposal, b"", bob.signer.as_ref(), &INPUTS, &mut rng).unwrap();
    bob.connection.send_message(&meeting, proposal.message.clone(), &key(2)).await.unwrap();
    let world = world.restart().await;
    let [alice, bob, carol] = [alice, bob, carol].map(|client| client.again(&world));
    alices.process(&proposal.message, &INPUTS).unwrap();
    let pending = alice.add(&mut alices, &[], 3);
    alice.connection.commit(&meeting, &sent(&pending, &["carol"]), &key(3)).await.unwrap();
    apply(&mut alices, pending);
    let item = carol.connection.mailbox(0).await.unwrap().items.remove(0);
    let tree = carol.connection.tree(&meeting, &item.tree_hash).await.unwrap();
    let carols = carol.join(&item.welcome, &tree);
    assert_eq!(carols.epoch_authenticator(), alices.epoch_authenticator());
    assert_eq!(bob.connection.room(&meeting).await.unwrap(), RoomStatus { epoch: 2, head: 3, closed: None });

    // The tree of the epoch before is still the one of then.
    let before = bob.connection.epoch_info_of(&meeting, 1).await.unwrap();
    let now = bob.connection.epoch_info(&meeting).await.unwrap();
    assert_ne!(before.tree_hash, now.tree_hash);
    let trees = [before, now].map(|info| info.tree_hash);
    let [before, now] =
        [bob.connection.tree(&meeting, &trees[0]).await, bob.connection.tree(&meeting, &trees[1]).await];
    assert!(before.unwrap().len() < now.unwrap().len());
    let none = bob.connection.tree(&meeting, &[7; 32]).await.unwrap_err();
    assert_eq!(none.code(), Some(Code::UnknownTree));
}

/// Passes connections on to a server, and breaks each after so many bytes of its answer.
async fn breaking(to: String, after: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move {
                let (mut ask, mut hear) = client.split();
                let (answer, mut question) = server.split();
                let mut answer = answer.take(after);
                tokio::select! {
                    _ = tokio::io::copy(&mut ask, &mut question) => {}
                    _ = tokio::io::copy(&mut answer, &mut hear) => {}
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_tree_is_fetched_in_parts_over_a_line_that_breaks() {
    let world = judging().await;
    let alice = Client::new(&world, "alice", 1);
    let names: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    let joiners: Vec<Client> = (100..).zip(&names).map(|(seed, name)| Client::new(&world, name, seed)).collect();
    for joiner in &joiners {
        joiner.connection.publish_key_packages(vec![joiner.key_package()]).await.unwrap();
    }
    let mut group = alice.found("meeting").await;
    let pending = alice.add(&mut group, &joiners.iter().collect::<Vec<_>>(), 1);
    let to: Vec<&str> = names.iter().map(String::as_str).collect();
    alice.connection.commit(&room("meeting"), &sent(&pending, &to), &key(1)).await.unwrap();
    let item = joiners[19].connection.mailbox(0).await.unwrap().items.remove(0);

    let server = world.server.address().to_string();
    let connect = async |after| {
        let url = breaking(server.clone(), after).await;
        let identity = Identity::new(SUITE.0, joiners[19].signer.clone());
        Connection::new(&url, joiners[19].connection.device().clone(), identity).unwrap()
    };
    let tree = connect(1_000).await.tree(&room("meeting"), &item.tree_hash).await.unwrap();
    assert_eq!(tree, joiners[19].connection.tree(&room("meeting"), &item.tree_hash).await.unwrap());
    joiners[19].join(&item.welcome, &tree);
    // Where nothing comes through, it ends.
    let error = connect(100).await.tree(&room("meeting"), &item.tree_hash).await.unwrap_err();
    assert_eq!(error, ClientError::Unavailable);

    let path = format!("{}/v1/rooms/meeting/trees/{}", world.server.url(), hex::encode(&item.tree_hash));
    let token = joiners[19].connection.token().await.unwrap().unwrap();
    let ask = async |headers: &[(&str, &str)]| {
        let request = reqwest::Client::new().get(&path).bearer_auth(token.expose());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.bytes().await.unwrap())
    };
    let (status, headers, whole) = ask(&[]).await;
    assert_eq!((status, headers["content-type"].as_bytes()), (200, b"application/gzip".as_slice()));
    assert!(whole.len() < tree.len() && whole.len() > 1_000, "{} of {}", whole.len(), tree.len());
    let tag = headers["etag"].to_str().unwrap();
    let (status, headers, part) = ask(&[("range", "bytes=7-"), ("if-range", tag)]).await;
    assert_eq!((status, part), (206, whole.slice(7..)));
    let range = format!("bytes 7-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(headers["content-range"].to_str().unwrap(), range);
    let (status, _, all) = ask(&[("range", "bytes=7-"), ("if-range", "\"other\"")]).await;
    assert_eq!((status, all), (200, whole.clone()), "another file is not completed with parts of this one");
    let (status, ..) = ask(&[("range", &format!("bytes={}-", whole.len()))]).await;
    assert_eq!(status, 416);
}

#[tokio::test]
async fn what_is_not_signed_by_a_member_does_not_move_the_room() {
    let world = judging().await;
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|n| Client::new(&world, n, u64::from(n.as_bytes()[0])));
    let meeting = room("meeting");
    bob.connection.publish_key_packages(vec![bob.key_package()]).await.unwrap();
    let mut group = alice.found("meeting").await;

    let by_eve = eve.connection.commit(&meeting, &bundle("meeting", 0, 1), &key("e")).await.unwrap_err();
    assert_eq!(by_eve.code(), Some(Code::NotMember));
    // Even from a member's device.
    let refused = async |bundle: &CommitBundle| {
        let error = alice.connection.commit(&meeting, bundle, &key("e")).await.unwrap_err();
        error.code().unwrap()
    };
    assert_eq!(refused(&bundle("meeting", 0, 1)).await, Code::Invalid);

    let pending = alice.add(&mut group, &[&bob], 1);
    let good = sent(&pending, &["bob"]);
    let mut forged = good.clone();
    let last = forged.commit.len() - 1;
    // The membership tag is for members only; the byte before it belongs to the confirmation tag, which
    // the GroupInfo repeats.
    forged.commit[last - 40] ^= 1;
    assert_eq!(refused(&forged).await, Code::Invalid);
    let mut forged = good.clone();
    let last = forged.group_info.len() - 1;
    forged.group_info[last] ^= 1;
    assert_eq!(refused(&forged).await, Code::Invalid);
    assert_eq!(refused(&CommitBundle { group_info: group_info("meeting", 1), ..good.clone() }).await, Code::Invalid);

    let mut rng = keyroom_vectors::rng(5);
    let mut evil = eve.found("other").await;
    let remove = Proposal::Remove { removed: LeafIndex(0) };
    let foreign = evil.propose(remove, b"", eve.signer.as_ref(), &INPUTS, &mut rng).unwrap();
    let error = alice.connection.send_message(&meeting, foreign.message, &key("f")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Invalid));

    assert_eq!(alice.connection.room(&meeting).await.unwrap(), RoomStatus { epoch: 0, head: 0, closed: None });
    alice.connection.commit(&meeting, &good, &key("a")).await.unwrap();
}

#[tokio::test]
async fn a_room_and_a_key_package_must_be_genuine() {
    let world = judging().await;
    let alice = Client::new(&world, "alice", 1);
    let error = alice.connection.create_room(&room("meeting"), &founding("g", 0)).await.unwrap_err();
    assert!(matches!(error.code(), Some(Code::Invalid | Code::Malformed)), "{error}");
    assert!(alice.connection.publish_key_packages(vec![key_package(1)]).await.is_err());
    let mut forged = alice.key_package();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let error = alice.connection.publish_key_packages(vec![alice.key_package(), forged]).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Invalid));
    alice.connection.publish_key_packages(vec![alice.key_package()]).await.unwrap();
}

#[tokio::test]
async fn a_device_publishes_only_key_packages_of_its_own_name_and_key() {
    let world = judging().await;
    let [alice, bob] = ["alice", "bob"].map(|n| Client::new(&world, n, u64::from(n.as_bytes()[0])));
    // The name of one under the key of the other, made by its holder.
    let suite = RUSTCRYPTO.suite(SUITE).unwrap();
    let of_alice = |signer: &Arc<dyn Signer>, name: &str| {
        let builder = KeyPackageBuilder::new(suite, device(name).credential(), lifetime_from(NOW, 3_600));
        let bundle = builder.build(signer.as_ref(), &mut keyroom_vectors::rng(50)).unwrap();
        MlsMessage::KeyPackage(bundle.key_package).to_bytes()
    };
    for (package, why) in [
        (bob.key_package(), "credential"),
        (of_alice(&alice.signer, "alice/laptop"), "credential"),
        (of_alice(&bob.signer, "alice/phone"), "key"),
    ] {
        let error = alice.connection.publish_key_packages(vec![alice.key_package(), package]).await.unwrap_err();
        let ClientError::Problem(problem) = error else { panic!("{error}") };
        assert_eq!((problem.code, problem.index), (Code::Invalid, Some(1)));
        assert!(problem.detail.unwrap().contains(why));
        assert_eq!(alice.connection.stock().await.unwrap().suites, [], "all or nothing");
    }
    alice.connection.publish_key_packages(vec![of_alice(&alice.signer, "alice/phone")]).await.unwrap();
}
