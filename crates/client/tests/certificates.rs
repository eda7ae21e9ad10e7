//! Rooms whose members are known by certificates.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod world;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyroom::transport::{Answer, Feed, Later, Request, Transport};
use keyroom::{
    Applicant, Authorities, Client, ClientError, Code, Config, CredentialError, Enrolment, Error, Lapse, MemoryStore,
    Options, Room, TrustAuthorities, Untrusted,
};
use keyroom_authority::{Issuer, Revoked, Serial, Validity};
use keyroom_delivery::Protocol;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::Credential;
use tokio::time::{sleep, timeout};

use world::{World, agree, hears, reaches};

const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An Authentication Service in this process.
struct Authority {
    issuer: Issuer,
    /// Certificates are good still, and should be renewed.
    ageing: AtomicBool,
    /// It answers nobody.
    closed: AtomicBool,
    issued: AtomicU8,
}

impl Authority {
    fn new() -> Arc<Self> {
        let validity = Validity { not_before: now() - YEAR, not_after: now() + YEAR };
        let issuer = Issuer::open(&Issuer::create("localhost", validity).unwrap()).unwrap();
        let (ageing, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { issuer, ageing, closed, issued: AtomicU8::new(0) })
    }

    fn authorities(&self) -> Authorities {
        Authorities::new(&RUSTCRYPTO, [self.issuer.certificate()]).unwrap()
    }

    /// A server that takes nobody else.
    async fn world(&self) -> World {
        let authorities = Arc::new(RwLock::new(self.authorities()));
        World::with(|config| {
            config.validator = Arc::new(Protocol::new(&RUSTCRYPTO, Config::default()).trusting(authorities));
        })
        .await
    }

    fn options(self: &Arc<Self>, world: &World, user: &str) -> Options {
        world.options(user).certificates(self.clone(), Arc::new(TrustAuthorities::new(self.authorities())))
    }

    async fn client(self: &Arc<Self>, world: &World, user: &str) -> Client {
        let store = Arc::new(MemoryStore::new());
        let client = Client::open(store, &world.server.url(), self.options(world, user)).await.unwrap();
        client.reachable().await.unwrap();
        client
    }

    fn issued(&self) -> u8 {
        self.issued.load(Ordering::SeqCst)
    }
}

impl Enrolment for Authority {
    fn credential<'a>(&'a self, applicant: &'a Applicant) -> Later<'a, Result<Credential, Error>> {
        if self.closed.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Error::Unreachable) });
        }
        let serial = Serial::new([self.issued.fetch_add(1, Ordering::SeqCst); 16]);
        let before = if self.ageing.load(Ordering::SeqCst) { 30 * DAY } else { 60 };
        let validity = Validity { not_before: now() - before, not_after: now() + DAY };
        let issued = self.issuer.issue(&applicant.device, &applicant.signature_key, serial, validity);
        Box::pin(async move { issued.map_err(|_| Error::Answer) })
    }
}

/// The same, which does not answer once it has certified somebody.
struct Closing(Arc<Authority>);

impl Enrolment for Closing {
    fn credential<'a>(&'a self, applicant: &'a Applicant) -> Later<'a, Result<Credential, Error>> {
        let issued = self.0.credential(applicant);
        let first = self.0.ageing.load(Ordering::SeqCst);
        self.0.closed.store(first, Ordering::SeqCst);
        issued
    }
}

/// An authority that certifies somebody else.
struct Mistaken(Arc<Authority>);

impl Enrolment for Mistaken {
    fn credential<'a>(&'a self, applicant: &'a Applicant) -> Later<'a, Result<Credential, Error>> {
        let device = "mimi://localhost/d/eve/main".parse().unwrap();
        let other = Applicant { device, ..applicant.clone() };
        Box::pin(async move { self.0.credential(&other).await })
    }
}

async fn expires(room: &Room, leaf: usize) -> u64 {
    room.view().await.unwrap().members[leaf].expires.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_with_certificates_meet_and_talk() {
    let authority = Authority::new();
    let world = authority.world().await;
    let (alice, bob) = (authority.client(&world, "alice").await, authority.client(&world, "bob").await);
    let room = alice.create_room("meeting").await.unwrap();
    assert_eq!(room.invite("bob").await, Ok(1));
    let there = bob.entered("meeting").await.unwrap();
    there.send("hello").await.unwrap();
    hears(&room, "hello").await;
    let carol = authority.client(&world, "carol").await.join_room("meeting").await.unwrap();
    reaches(&room, 2).await;
    reaches(&there, 2).await;
    agree(&[&room, &there, &carol]).await;
    let view = room.view().await.unwrap();
    let names: Vec<String> = view.members.iter().map(|it| it.device.as_ref().unwrap().to_string()).collect();
    let device = |user: &str| format!("mimi://localhost/d/{user}/main");
    assert_eq!(names, [device("alice"), device("bob"), device("carol")]);
    assert!(view.members.iter().all(|member| member.expires.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_takes_nobody_without_a_certificate() {
    let authority = Authority::new();
    let world = authority.world().await;
    let alice = authority.client(&world, "alice").await;
    let room = alice.create_room("meeting").await.unwrap();
    let eve = world.open("eve", MemoryStore::new()).await.unwrap();
    assert_eq!(eve.reachable().await, Err(Error::Refused(Code::Invalid)));
    assert_eq!(eve.join_room("meeting").await.unwrap_err(), Error::Refused(Code::Invalid));
    let stranger = Authority::new();
    let (url, options) = (world.server.url(), stranger.options(&world, "mallory"));
    let mallory = Client::open(MemoryStore::new(), &url, options).await.unwrap();
    assert_eq!(mallory.reachable().await, Err(Error::Refused(Code::Invalid)));
    assert_eq!(mallory.create_room("other").await.unwrap_err(), Error::Refused(Code::Invalid));
    // The room goes on.
    room.send("alone").await.unwrap();
    room.flush().await.unwrap();
    assert_eq!(room.view().await.unwrap().epoch, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_good_certificate_is_not_invited_whatever_the_server_says() {
    let authority = Authority::new();
    // This server checks no identities.
    let world = World::new().await;
    let judge = Arc::new(TrustAuthorities::new(authority.authorities()));
    let options = world.options("alice").certificates(authority.clone(), judge.clone());
    let alice = Client::open(MemoryStore::new(), &world.server.url(), options).await.unwrap();
    let room = alice.create_room("meeting").await.unwrap();
    world.client("eve").await;
    let unproved = Error::Untrusted(Untrusted::Credential(CredentialError::NotX509));
    assert_eq!(room.invite("eve").await, Err(unproved));
    let stranger = Authority::new();
    stranger.client(&world, "mallory").await;
    let forged = Error::Untrusted(Untrusted::Credential(CredentialError::Signature));
    assert_eq!(room.invite("mallory").await, Err(forged));
    let revoked = authority.issued();
    authority.client(&world, "bob").await;
    let list = Validity { not_before: now() - 1, not_after: now() + 60 };
    let entry = Revoked { serial: Serial::new([revoked; 16]), at: now() };
    judge.revoke(&authority.issuer.revocations(1, [entry], list).unwrap()).unwrap();
    assert_eq!(room.invite("bob").await, Err(Error::Untrusted(Untrusted::Lapsed(Lapse::Revoked))));
    assert_eq!(room.view().await.unwrap().epoch, 0);
    authority.client(&world, "carol").await;
    assert_eq!(room.invite("carol").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_in_time_and_rooms_and_key_packages_have_the_new_one() {
    let authority = Authority::new();
    let world = authority.world().await;
    let alice = authority.client(&world, "alice").await;
    let room = alice.create_room("meeting").await.unwrap();
    authority.ageing.store(true, Ordering::SeqCst);
    let (store, options) = (Arc::new(MemoryStore::new()), authority.options(&world, "bob"));
    let bob = Closing(authority.clone());
    let options = options.certificates(Arc::new(bob), Arc::new(TrustAuthorities::new(authority.authorities())));
    let bob = Client::open(store, &world.server.url(), options).await.unwrap();
    bob.reachable().await.unwrap();
    assert_eq!(room.invite("bob").await, Ok(1));
    let there = bob.entered("meeting").await.unwrap();
    let first = expires(&room, 1).await;
    // A second later, so that the new one differs.
    sleep(Duration::from_millis(1_100)).await;
    authority.ageing.store(false, Ordering::SeqCst);
    authority.closed.store(false, Ordering::SeqCst);
    reaches(&there, 2).await;
    reaches(&room, 2).await;
    agree(&[&room, &there]).await;
    assert!(expires(&room, 1).await > first);
    assert_eq!(authority.issued(), 3);
    // Whoever invites Bob from now on gets the new one too.
    let invited = async {
        for number in 0.. {
            let other = alice.create_room(&format!("other{number}")).await.unwrap();
            assert_eq!(other.invite("bob").await, Ok(1));
            let view = other.view().await.unwrap();
            if view.epoch == 1 && view.members[1].expires.unwrap() > first {
                break;
            }
        }
    };
    timeout(Duration::from_secs(10), invited).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_closed_when_it_should_have_renewed_does_so_when_it_is_opened() {
    let authority = Authority::new();
    let world = authority.world().await;
    let store = Arc::new(MemoryStore::new());
    authority.ageing.store(true, Ordering::SeqCst);
    let url = world.server.url();
    let open = |enrolment: Arc<dyn Enrolment>| {
        let judge = Arc::new(TrustAuthorities::new(authority.authorities()));
        let options = world.options("bob").certificates(enrolment, judge);
        Client::open(store.clone(), &url, options)
    };
    let bob = open(Arc::new(Closing(authority.clone()))).await.unwrap();
    let room = bob.create_room("meeting").await.unwrap();
    let first = expires(&room, 0).await;
    drop(room);
    bob.close().await.unwrap();
    sleep(Duration::from_millis(1_100)).await;
    authority.ageing.store(false, Ordering::SeqCst);
    authority.closed.store(false, Ordering::SeqCst);
    let bob = open(authority.clone()).await.unwrap();
    let room = bob.room("meeting").await.unwrap();
    reaches(&room, 1).await;
    assert!(expires(&room, 0).await > first);
    // It is done once.
    assert_eq!(authority.issued(), 2);
}

/// Loses the first requests to replace key packages.
struct Lossy {
    inner: Arc<dyn Transport>,
    replacements: Arc<AtomicU8>,
}

impl Transport for Lossy {
    fn request(&self, request: Request) -> Later<'_, Result<Answer, ClientError>> {
        let lost = matches!(request, Request::Replace { .. }) && self.replacements.fetch_add(1, Ordering::SeqCst) < 2;
        if lost { Box::pin(async { Err(ClientError::Unavailable) }) } else { self.inner.request(request) }
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        self.inner.live()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_key_packages_are_replaced_although_requests_are_lost() {
    let authority = Authority::new();
    let world = authority.world().await;
    let (store, replacements) = (Arc::new(MemoryStore::new()), Arc::new(AtomicU8::new(0)));
    let counted = replacements.clone();
    let lossy = |inner| Arc::new(Lossy { inner, replacements: counted }) as Arc<dyn Transport>;
    let options = authority.options(&world, "bob").transport(lossy);
    let bob = Client::open(store.clone(), &world.server.url(), options).await.unwrap();
    bob.reachable().await.unwrap();
    assert_eq!(replacements.load(Ordering::SeqCst), 3);
    bob.close().await.unwrap();
    // Once they are new, they stay.
    let counted = replacements.clone();
    let lossy = |inner| Arc::new(Lossy { inner, replacements: counted }) as Arc<dyn Transport>;
    let options = authority.options(&world, "bob").transport(lossy);
    let again = Client::open(store, &world.server.url(), options).await.unwrap();
    again.reachable().await.unwrap();
    assert_eq!(replacements.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_somebody_else_is_not_taken() {
    let authority = Authority::new();
    let world = authority.world().await;
    let judge = Arc::new(TrustAuthorities::new(authority.authorities()));
    let store = Arc::new(MemoryStore::new());
    let mistaken = world.options("bob").certificates(Arc::new(Mistaken(authority.clone())), judge);
    assert_eq!(Client::open(store.clone(), &world.server.url(), mistaken).await.unwrap_err(), Error::Answer);
    // Nothing of it stays.
    let right = Client::open(store, &world.server.url(), authority.options(&world, "bob")).await.unwrap();
    right.reachable().await.unwrap();
}
