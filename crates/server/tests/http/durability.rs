use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyroom_api::{Code, Connection, Identity, Offer};
use keyroom_crypto::Provider as _;
use keyroom_mls::key_package::KeyPackageBuilder;
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_server::Database;
use keyroom_wire::{Encode as _, MlsMessage};

use crate::world::{
    SUITE, World, application, bundle, device, founding, group_info, key, key_package, last_resort, room, signer,
    with_welcome,
};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    bob.publish_key_packages(vec![key_package(1), key_package(2), last_resort(3)]).await.unwrap();
    alice.claim_key_packages(&device("bob/any").user(), SUITE.0).await.unwrap();
    let add = with_welcome(bundle("g", 0, 1), &["bob/phone"], 1);
    let committed = alice.commit(&meeting, &add, &key("add")).await.unwrap();
    alice.send_message(&meeting, application("g", 1, 2), &key("hello")).await.unwrap();
    let log = alice.log(&meeting, 0, Duration::ZERO).await.unwrap();
    let mailbox = bob.mailbox(0).await.unwrap();

    let world = world.restart().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    assert_eq!(alice.log(&meeting, 0, Duration::ZERO).await.unwrap(), log);
    assert_eq!(bob.mailbox(0).await.unwrap(), mailbox);
    assert_eq!(alice.epoch_info(&meeting).await.unwrap().group_info, group_info("g", 1));
    assert_eq!(alice.commit(&meeting, &add, &key("add")).await.unwrap(), committed);
    assert_eq!(alice.create_room(&meeting, &founding("x", 0)).await.unwrap_err().code(), Some(Code::NameTaken));
    let claims = alice.claim_key_packages(&device("bob/any").user(), SUITE.0).await.unwrap();
    assert_eq!(claims[0].offer, Offer::OneTime(key_package(2)));
    alice.commit(&meeting, &bundle("g", 1, 3), &key("next")).await.unwrap();
    assert_eq!(alice.room(&meeting).await.unwrap().head, 3);
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye_and_is_unavailable_after() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    let mut live = alice.live().await.unwrap();
    let waiting = {
        let (alice, meeting) = (alice.clone(), meeting.clone());
        tokio::spawn(async move { alice.log(&meeting, 0, Duration::from_secs(25)).await })
    };
    // In many small steps, each of which lets the others go on: one long one may be over before any of them has.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::timeout(Duration::from_secs(8), world.server.shutdown()).await.unwrap();
    assert_eq!(live.next().await, Ok(None));
    assert!(waiting.await.unwrap().unwrap().entries.is_empty());
    assert!(alice.room(&meeting).await.unwrap_err().is_retryable());
}

/// `keyroomd` as a process of its own.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(database: &Database) -> Self {
        let database = match database {
            Database::File(path) => path.to_str().unwrap(),
            Database::Postgres { url, .. } => url,
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyroomd"))
            .args(["--listen", "127.0.0.1:0", "--host", "example.org"])
            .env("KEYROOM_DATABASE", database)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address =
            lines.map_while(Result::ok).find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned()));
        Self { child, address: address.expect("it says where it listens") }
    }

    /// Ends it without any warning.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_kill_and_a_key_package_is_not_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let database = crate::database(&folder);
    let suite = RUSTCRYPTO.suite(SUITE).unwrap();
    let mut rng = keyroom_vectors::rng(9);
    let signer = signer(9);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut package = || {
        let builder = KeyPackageBuilder::new(suite, device("alice/phone").credential(), lifetime_from(now, 3_600));
        let made = builder.build(signer.as_ref(), &mut rng).unwrap();
        MlsMessage::KeyPackage(made.key_package).to_bytes()
    };
    let identity = Identity::new(SUITE.0, signer.clone());
    let mut left = std::collections::BTreeSet::new();
    let mut claimed = 0;
    for round in 0..4u32 {
        let process = Process::start(&database);
        let alice =
            Connection::new(&format!("http://{}", process.address), device("alice/phone"), identity.clone()).unwrap();
        let stock = alice.stock().await.unwrap();
        assert_eq!(stock.suites.iter().map(|s| s.one_time).sum::<u64>(), left.len() as u64, "round {round}");
        for _ in 0..5 {
            let one = package();
            alice.publish_key_packages(vec![one.clone()]).await.unwrap();
            left.insert(one);
        }
        for _ in 0..3 {
            let offers = alice.claim_key_packages(&device("alice/any").user(), SUITE.0).await.unwrap();
            let Offer::OneTime(given) = &offers[0].offer else { panic!("{offers:?}") };
            assert!(left.remove(given), "given out twice");
            claimed += 1;
        }
        process.kill();
    }
    assert_eq!((claimed, left.len()), (12, 8));
}
