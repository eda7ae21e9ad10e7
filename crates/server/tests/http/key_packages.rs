use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use keyroom_api::{Code, Connection, Offer, SuiteStock};
use keyroom_wire::{CipherSuite, Extensions};

use crate::world::{NOW, SUITE, World, device, key_package, key_package_of, last_resort, room};

async fn claim(by: &Connection, user: &str) -> Vec<Offer> {
    let user = device(&format!("{user}/any")).user();
    by.claim_key_packages(&user, SUITE.0).await.unwrap().into_iter().map(|claim| claim.offer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_claims_get_the_same_key_package_however_many_race() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    alice.publish_key_packages((0..40).map(key_package).collect()).await.unwrap();
    let racers = (0..50).map(|number| {
        let racer = world.connect(&format!("bob{number}/phone"));
        tokio::spawn(async move { claim(&racer, "alice").await })
    });
    let mut taken = BTreeSet::new();
    let mut exhausted = 0;
    for racer in racers.collect::<Vec<_>>() {
        for offer in racer.await.unwrap() {
            match offer {
                Offer::OneTime(message) => assert!(taken.insert(message), "given out twice"),
                Offer::Exhausted => exhausted += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((taken.len(), exhausted), (40, 10));
}

#[tokio::test]
async fn the_last_resort_is_given_only_when_the_pool_is_empty_and_stays() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    alice.publish_key_packages(vec![last_resort(1), key_package(2)]).await.unwrap();
    assert_eq!(claim(&bob, "alice").await, [Offer::OneTime(key_package(2))]);
    for _ in 0..3 {
        assert_eq!(claim(&bob, "alice").await, [Offer::LastResort(last_resort(1))]);
    }
    let stock = alice.publish_key_packages(vec![last_resort(3)]).await.unwrap();
    assert_eq!(stock.suites, [SuiteStock { cipher_suite: SUITE.0, one_time: 0, last_resort: 1 }]);
    assert_eq!(claim(&bob, "alice").await, [Offer::LastResort(last_resort(3))]);
    alice.publish_key_packages(vec![key_package(4)]).await.unwrap();
    assert_eq!(claim(&bob, "alice").await, [Offer::OneTime(key_package(4))]);
}

#[tokio::test]
async fn a_claim_yields_one_for_every_device_that_has_the_suite() {
    let world = World::new().await;
    let other = CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
    world.connect("alice/phone").publish_key_packages(vec![key_package(1), key_package(2)]).await.unwrap();
    world.connect("alice/laptop").publish_key_packages(vec![key_package(3)]).await.unwrap();
    let odd = key_package_of(4, other, NOW + 9, Extensions::new());
    world.connect("alice/watch").publish_key_packages(vec![odd]).await.unwrap();
    world.connect("alicia/phone").publish_key_packages(vec![key_package(5)]).await.unwrap();
    let bob = world.connect("bob/phone");
    let claims = bob.claim_key_packages(&device("alice/any").user(), SUITE.0).await.unwrap();
    let named: Vec<_> = claims.iter().map(|claim| (claim.device.name().as_str(), claim.offer.clone())).collect();
    let first = [("laptop", Offer::OneTime(key_package(3))), ("phone", Offer::OneTime(key_package(1)))];
    assert_eq!(named[..2], first);
    assert_eq!(named[2], ("watch", Offer::Incompatible));
    let again = claim(&bob, "alice").await;
    assert_eq!(again, [Offer::Exhausted, Offer::OneTime(key_package(2)), Offer::Incompatible]);
}

#[tokio::test]
async fn a_claimed_key_package_is_never_given_out_again_even_if_published_again() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    alice.publish_key_packages(vec![key_package(1)]).await.unwrap();
    assert_eq!(claim(&bob, "alice").await, [Offer::OneTime(key_package(1))]);
    let stock = alice.publish_key_packages(vec![key_package(1)]).await.unwrap();
    assert_eq!(stock.suites[0].one_time, 0);
    assert_eq!(claim(&bob, "alice").await, [Offer::Exhausted]);
    alice.replace_key_packages(vec![key_package(1), key_package(2)]).await.unwrap();
    assert_eq!(claim(&bob, "alice").await, [Offer::OneTime(key_package(2))]);
    assert_eq!(claim(&bob, "alice").await, [Offer::Exhausted]);
}

#[tokio::test]
async fn publishing_the_same_again_adds_nothing_and_replacing_drops_the_rest() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    alice.publish_key_packages(vec![key_package(1), key_package(2)]).await.unwrap();
    assert_eq!(alice.publish_key_packages(vec![key_package(1), key_package(2)]).await.unwrap().suites[0].one_time, 2);
    assert_eq!(alice.replace_key_packages(vec![key_package(3)]).await.unwrap().suites[0].one_time, 1);
    assert_eq!(claim(&world.connect("bob/phone"), "alice").await, [Offer::OneTime(key_package(3))]);
}

#[tokio::test]
async fn an_expired_key_package_is_neither_taken_nor_given() {
    let world = World::new().await;
    let alice = world.connect("alice/phone");
    let old = key_package_of(1, SUITE, NOW - 1, Extensions::new());
    let error = alice.publish_key_packages(vec![key_package(2), old]).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Invalid));
    let keyroom_api::ClientError::Problem(problem) = error else { panic!() };
    assert_eq!(problem.index, Some(1));
    assert_eq!(alice.stock().await.unwrap().suites, [], "all or nothing");
    alice.publish_key_packages(vec![key_package(3)]).await.unwrap();
    world.clock.0.store(NOW + 1_001, Ordering::SeqCst);
    assert_eq!(claim(&world.connect("bob/phone"), "alice").await, [Offer::Exhausted]);
}

#[tokio::test]
async fn only_the_device_itself_publishes_and_counts() {
    let world = World::new().await;
    let http = reqwest::Client::new();
    let url = format!("{}/v1/users/alice/devices/phone/key-packages", world.server.url());
    let by_bob = http.get(&url).bearer_auth(world.token("bob/phone").await).send().await.unwrap();
    assert_eq!(by_bob.status(), 403);
    let by_a_claim = http.get(&url).header("keyroom-device", "mimi://example.org/d/alice/phone").send().await.unwrap();
    assert_eq!(by_a_claim.status(), 401);
    let by_nobody = http.get(&url).send().await.unwrap();
    assert_eq!(
        (by_nobody.status().as_u16(), &by_nobody.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let by_alice = http.get(&url).bearer_auth(world.token("alice/phone").await).send().await.unwrap();
    assert_eq!(by_alice.status(), 200);
}

#[tokio::test]
async fn a_device_has_a_bounded_pool() {
    let world = World::with(|config| config.limits.key_packages = 3).await;
    let alice = world.connect("alice/phone");
    let error = alice.publish_key_packages((0..4).map(key_package).collect()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::TooManyKeyPackages));
    assert_eq!(alice.stock().await.unwrap().suites, []);
    alice.publish_key_packages((0..3).map(key_package).collect()).await.unwrap();
}

#[tokio::test]
async fn unknown_users_and_strangers_are_refused() {
    let world = World::new().await;
    let bob = world.connect("bob/phone");
    let error = bob.claim_key_packages(&device("nobody/any").user(), SUITE.0).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::UnknownUser));
    let stranger = world.connect_as("mimi://other.org/d/eve/pc".parse().unwrap());
    let error = stranger.room(&room("meeting")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::WrongName));
}

#[tokio::test]
async fn who_claims_too_often_is_told_when_to_come_back() {
    let world = World::with(|config| config.limits.claims = 2).await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    alice.publish_key_packages((0..5).map(key_package).collect()).await.unwrap();
    claim(&bob, "alice").await;
    claim(&bob, "alice").await;
    let http = reqwest::Client::new();
    let request = http.post(format!("{}/v1/users/alice/key-packages/claim", world.server.url()));
    let request = request.bearer_auth(world.token("bob/phone").await).header("content-type", "application/json");
    let answer = request.body(format!(r#"{{"cipher_suite":{}}}"#, SUITE.0)).send().await.unwrap();
    let next_hour = 3_600 - NOW % 3_600;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &next_hour.into()));
    assert_eq!(alice.stock().await.unwrap().suites[0].one_time, 3);
    claim(&world.connect("carol/phone"), "alice").await;
    world.clock.0.store(NOW + next_hour, Ordering::SeqCst);
    let error = bob.claim_key_packages(&device("alice/any").user(), SUITE.0).await;
    assert!(error.is_ok(), "{error:?}");
}
