use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keyroom_api::{
    BUNDLE, Bundle, Challenge, Code, DEVICE_HEADER, DeviceUri, Host, KeyProof, Problem, SESSION_LABEL, Session,
    SessionRequest, SessionTbs,
};
use keyroom_crypto::{Provider as _, Signer, labels};
use keyroom_delivery::SignatureKey;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_server::Authentication;
use keyroom_wire::{CipherSuite, Limits};

use crate::world::{NOW, SUITE, World, device, signer};

/// What a client without any manners says to a server.
struct Raw {
    base: String,
    http: reqwest::Client,
}

impl Raw {
    fn of(world: &World) -> Self {
        Self { base: world.server.url(), http: reqwest::Client::new() }
    }

    async fn challenge(&self) -> Challenge {
        let answer = self.http.post(format!("{}/v1/session/challenge", self.base)).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Challenge::from_bytes(&answer.bytes().await.unwrap(), &Limits::default()).unwrap()
    }

    async fn post(&self, body: Vec<u8>) -> Result<Session, Problem> {
        let request = self.http.post(format!("{}/v1/session", self.base)).header("content-type", BUNDLE);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        if status == 201 {
            return Ok(serde_json::from_slice(&body).unwrap());
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.status, status);
        Err(problem)
    }

    async fn open(&self, request: &SessionRequest) -> Result<Session, Code> {
        self.post(request.to_bytes()).await.map_err(|problem| problem.code)
    }

    /// The status of a request for the room that is not there, with this token: 404 once it is let in.
    async fn try_token(&self, token: &str) -> (u16, Code) {
        let request = self.http.get(format!("{}/v1/rooms/nowhere", self.base)).bearer_auth(token);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Problem>(&answer.bytes().await.unwrap()).unwrap().code)
    }
}

const IN: (u16, Code) = (404, Code::UnknownRoom);

fn prove(origin: &str, challenge: &Challenge, device: &DeviceUri, suite: CipherSuite, signer: &dyn Signer) -> KeyProof {
    let origin: Host = origin.parse().unwrap();
    let key = signer.public_key().as_slice();
    let tbs = SessionTbs::bytes(&origin, challenge, device, suite.0, key);
    let signature =
        labels::sign_with_label(signer, SESSION_LABEL, &tbs, &mut keyroom_vectors::rng(1)).unwrap().as_slice().to_vec();
    KeyProof { cipher_suite: suite.0, signature_key: key.to_vec(), signature }
}

fn request(challenge: &Challenge, name: &str, signer: &dyn Signer) -> SessionRequest {
    let device = device(name);
    let proofs = vec![prove("example.org", challenge, &device, SUITE, signer)];
    SessionRequest { challenge: challenge.clone(), device, proofs }
}

async fn keys(world: &World, name: &str) -> Vec<SignatureKey> {
    world.accounts().await.keys(&device(name)).await.unwrap()
}

#[tokio::test]
async fn a_device_gets_in_by_the_key_that_it_came_with_first_and_by_no_other() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let (own, other) = (signer(1), signer(2));
    let session = raw.open(&request(&raw.challenge().await, "alice/phone", own.as_ref())).await.unwrap();
    assert_eq!(session.lifetime, 15 * 60);
    assert_eq!(raw.try_token(session.token.expose()).await, IN);
    let refused =
        raw.post(request(&raw.challenge().await, "alice/phone", other.as_ref()).to_bytes()).await.unwrap_err();
    assert_eq!((refused.code, refused.status), (Code::KeyMismatch, 403));
    let known = [SignatureKey { cipher_suite: SUITE.0, public: own.public_key().as_slice().to_vec() }];
    assert_eq!(keys(&world, "alice/phone").await, known);
    // Also on the next day.
    let world = world.restart().await;
    let raw = Raw::of(&world);
    let refused = raw.open(&request(&raw.challenge().await, "alice/phone", other.as_ref())).await;
    assert_eq!(refused.unwrap_err(), Code::KeyMismatch);
    raw.open(&request(&raw.challenge().await, "alice/phone", own.as_ref())).await.unwrap();
    // Another device of the user has a key of its own.
    raw.open(&request(&raw.challenge().await, "alice/laptop", other.as_ref())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_brings_one_session_however_many_try_and_on_whatever_node() {
    let world = World::new().await;
    let (raw, second) = (Raw::of(&world), world.second().await);
    let other = Raw { base: second.url(), http: reqwest::Client::new() };
    let own = signer(1);
    let asked = request(&raw.challenge().await, "alice/phone", own.as_ref());
    let (raw, other) = (Arc::new(raw), Arc::new(other));
    let tries = (0..10).map(|number| {
        let (raw, asked) = (if number % 2 == 0 { raw.clone() } else { other.clone() }, asked.clone());
        tokio::spawn(async move { raw.open(&asked).await.err() })
    });
    let mut outcomes = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        outcomes.push(one.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Some(Code::ChallengeUsed)).count(), 9);
    second.shutdown().await;
    // Nor for another device, nor after a restart.
    let mut stolen = request(&asked.challenge, "eve/phone", signer(2).as_ref());
    assert_eq!(raw.open(&stolen).await.unwrap_err(), Code::ChallengeUsed);
    let world = world.restart().await;
    assert_eq!(Raw::of(&world).open(&asked).await.unwrap_err(), Code::ChallengeUsed);
    world.clock.0.store(NOW + 61, Ordering::SeqCst);
    stolen.device = device("eve/phone");
    assert_eq!(Raw::of(&world).open(&stolen).await.unwrap_err(), Code::ChallengeExpired);
    assert_eq!(keys(&world, "eve/phone").await, []);
}

#[tokio::test]
async fn a_challenge_that_is_old_altered_or_of_another_server_brings_none() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let own = signer(1);
    let old = raw.challenge().await;
    assert_eq!(old.expires, NOW + 60);
    world.clock.0.store(NOW + 61, Ordering::SeqCst);
    assert_eq!(raw.open(&request(&old, "alice/phone", own.as_ref())).await.unwrap_err(), Code::ChallengeExpired);
    let prolonged = Challenge { expires: NOW + 600, ..old };
    assert_eq!(raw.open(&request(&prolonged, "alice/phone", own.as_ref())).await.unwrap_err(), Code::ChallengeInvalid);

    let elsewhere = Raw::of(&World::with(|config| config.host = "other.org".parse().unwrap()).await).challenge().await;
    assert_eq!(raw.open(&request(&elsewhere, "alice/phone", own.as_ref())).await.unwrap_err(), Code::ChallengeInvalid);
    let same_name = Raw::of(&World::new().await).challenge().await;
    assert_eq!(raw.open(&request(&same_name, "alice/phone", own.as_ref())).await.unwrap_err(), Code::ChallengeInvalid);
    for bytes in [vec![], vec![0; 64], vec![0; 5_000]] {
        let made_up = Challenge { challenge: bytes, expires: NOW + 70 };
        let error = raw.open(&request(&made_up, "alice/phone", own.as_ref())).await.unwrap_err();
        assert_eq!(error, Code::ChallengeInvalid);
    }
    assert_eq!(keys(&world, "alice/phone").await, []);
}

#[tokio::test]
async fn what_is_signed_for_another_server_device_challenge_or_key_brings_no_session() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let (own, other) = (signer(1), signer(2));
    let challenge = raw.challenge().await;
    let (alice, eve) = (device("alice/phone"), device("eve/phone"));
    let good = prove("example.org", &challenge, &alice, SUITE, own.as_ref());
    let of =
        |proof: KeyProof| SessionRequest { challenge: challenge.clone(), device: alice.clone(), proofs: vec![proof] };
    let next = raw.challenge().await;
    let others_key = KeyProof { signature_key: other.public_key().as_slice().to_vec(), ..good.clone() };
    let chacha = CipherSuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519;
    let mut wrong = vec![
        prove("other.org", &challenge, &alice, SUITE, own.as_ref()),
        prove("example.org", &challenge, &eve, SUITE, own.as_ref()),
        prove("example.org", &next, &alice, SUITE, own.as_ref()),
        others_key,
        KeyProof { cipher_suite: chacha.0, ..good.clone() },
        KeyProof { cipher_suite: CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256.0, ..good.clone() },
        KeyProof { signature: Vec::new(), ..good.clone() },
        KeyProof { signature_key: Vec::new(), ..good.clone() },
    ];
    for place in 0..good.signature.len() {
        let mut flipped = good.clone();
        flipped.signature[place] ^= 0x40;
        wrong.push(flipped);
    }
    for (number, proof) in wrong.into_iter().enumerate() {
        let problem = raw.post(of(proof).to_bytes()).await.unwrap_err();
        assert_eq!((problem.code, problem.index), (Code::SignatureInvalid, Some(0)), "{number}");
    }
    let label = labels::sign_with_label(
        own.as_ref(),
        "FramedContentTBS",
        &SessionTbs::bytes(&"example.org".parse().unwrap(), &challenge, &alice, SUITE.0, &good.signature_key),
        &mut keyroom_vectors::rng(1),
    );
    let as_a_message = KeyProof { signature: label.unwrap().as_slice().to_vec(), ..good.clone() };
    assert_eq!(raw.open(&of(as_a_message)).await.unwrap_err(), Code::SignatureInvalid);
    assert_eq!(keys(&world, "alice/phone").await, []);
    // None of this has spent the challenge.
    raw.open(&of(good)).await.unwrap();
}

#[tokio::test]
async fn a_request_for_a_session_that_makes_no_sense_is_refused_in_types() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let own = signer(1);
    let challenge = raw.challenge().await;
    let good = request(&challenge, "alice/phone", own.as_ref());
    let proof = good.proofs[0].clone();
    let with = |proofs: Vec<KeyProof>| SessionRequest { proofs, ..good.clone() };
    assert_eq!(raw.open(&with(vec![])).await.unwrap_err(), Code::Malformed);
    assert_eq!(raw.open(&with(vec![proof.clone(), proof.clone()])).await.unwrap_err(), Code::Malformed);
    let many = (0..9).map(|cipher_suite| KeyProof { cipher_suite, ..proof.clone() }).collect();
    assert_eq!(raw.open(&with(many)).await.unwrap_err(), Code::Malformed);
    for cipher_suite in [0, 0x0a0a, u16::MAX] {
        let unknown = with(vec![KeyProof { cipher_suite, ..proof.clone() }]);
        assert_eq!(raw.open(&unknown).await.unwrap_err(), Code::UnknownCipherSuite);
    }
    let foreign: DeviceUri = "mimi://other.org/d/alice/phone".parse().unwrap();
    let foreign = SessionRequest { device: foreign, ..good.clone() };
    assert_eq!(raw.open(&foreign).await.unwrap_err(), Code::WrongName);
    let long = with(vec![KeyProof { signature: vec![0; 70_000], ..proof }]);
    assert_eq!(raw.open(&long).await.unwrap_err(), Code::TooLarge);
    let bytes = good.to_bytes();
    for end in 0..bytes.len() {
        assert_eq!(raw.post(bytes[..end].to_vec()).await.unwrap_err().code, Code::Malformed, "cut at {end}");
    }
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x81;
        assert!((400..500).contains(&raw.post(flipped).await.unwrap_err().status), "flipped at {place}");
    }
    assert_eq!(keys(&world, "alice/phone").await, []);
    raw.open(&good).await.unwrap();
}

#[tokio::test]
async fn a_key_for_another_suite_is_taken_beside_a_known_one_only() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let p256 = CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
    let suite = RUSTCRYPTO.suite(p256).unwrap();
    let second = |seed| {
        let private = suite.generate_signature_key(&mut keyroom_vectors::rng(seed)).unwrap();
        suite.signer(private.expose()).unwrap()
    };
    let (own, thief, first, phone) = (signer(1), second(8), second(9), device("alice/phone"));
    let asking = async |keys: &[(CipherSuite, &dyn Signer)]| {
        let challenge = raw.challenge().await;
        let prove =
            |(suite, signer): &(CipherSuite, &dyn Signer)| prove("example.org", &challenge, &phone, *suite, *signer);
        let proofs = keys.iter().map(prove).collect();
        raw.open(&SessionRequest { challenge: challenge.clone(), device: phone.clone(), proofs }).await.err()
    };
    assert_eq!(asking(&[(SUITE, own.as_ref())]).await, None);
    assert_eq!(asking(&[(p256, thief.as_ref())]).await, Some(Code::KeyMismatch));
    assert_eq!(keys(&world, "alice/phone").await.len(), 1);
    assert_eq!(asking(&[(SUITE, own.as_ref()), (p256, first.as_ref())]).await, None);
    assert_eq!(keys(&world, "alice/phone").await.len(), 2);
    // From now on either will do, and neither is replaced.
    assert_eq!(asking(&[(p256, first.as_ref())]).await, None);
    assert_eq!(asking(&[(SUITE, own.as_ref()), (p256, thief.as_ref())]).await, Some(Code::KeyMismatch));
    assert_eq!(keys(&world, "alice/phone").await.len(), 2);
}

#[tokio::test]
async fn a_token_is_good_on_every_node_until_it_expires_and_the_client_gets_another() {
    let world = World::new().await;
    let (raw, second) = (Raw::of(&world), world.second().await);
    let other = Raw { base: second.url(), http: reqwest::Client::new() };
    let alice = world.connect("alice/phone");
    let token = alice.token().await.unwrap().unwrap();
    assert_eq!((raw.try_token(token.expose()).await, other.try_token(token.expose()).await), (IN, IN));
    second.shutdown().await;
    assert_eq!(alice.token().await.unwrap().unwrap().expose(), token.expose(), "one session for all requests");
    world.clock.0.store(NOW + 15 * 60 - 1, Ordering::SeqCst);
    assert_eq!(raw.try_token(token.expose()).await, IN);
    world.clock.0.store(NOW + 15 * 60, Ordering::SeqCst);
    assert_eq!(raw.try_token(token.expose()).await, (401, Code::SessionExpired));
    // The client hears it and goes on.
    assert_eq!(alice.stock().await.unwrap().suites, []);
    assert_ne!(alice.token().await.unwrap().unwrap().expose(), token.expose());
    world.clock.0.store(NOW + 60 * 60, Ordering::SeqCst);
    alice.live().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_altered_or_of_another_server_is_refused() {
    let world = World::new().await;
    let raw = Raw::of(&world);
    let token = world.token("alice/phone").await;
    for place in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(raw.try_token(&altered).await, (401, Code::Unauthenticated), "at {place}");
    }
    let foreign = World::new().await.token("alice/phone").await;
    assert_eq!(raw.try_token(&foreign).await, (401, Code::Unauthenticated));
    for text in ["", "a b", "=", &"A".repeat(2_000)] {
        assert_eq!(raw.try_token(text).await, (401, Code::Unauthenticated));
    }
    assert_eq!(raw.try_token(&token).await, IN);
    // A token is nowhere but in the header.
    let in_query = raw.http.get(format!("{}/v1/rooms/nowhere?token={token}", raw.base)).send().await.unwrap();
    assert_eq!(in_query.status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_connection_ends_with_the_session_that_opened_it() {
    let world = World::with(|config| config.limits.session = Duration::from_secs(1)).await;
    let alice = world.connect("alice/phone");
    let mut live = alice.live().await.unwrap();
    // On a busy machine the second may be over by now.
    let _ = live.mailbox(0).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(event) = live.next().await.unwrap() {
            assert!(matches!(event, keyroom_api::LiveEvent::KeyPackagesLow { .. }), "{event:?}");
        }
    });
    ended.await.expect("it ends");
    alice.live().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_told_to_trust_the_header_opens_no_sessions() {
    let world = World::with(|config| config.authentication = Authentication::TrustedHeader).await;
    let raw = Raw::of(&world);
    let status = async |device: Option<&str>| {
        let request = raw.http.get(format!("{}/v1/users/alice/devices/phone/key-packages", raw.base));
        let request = device.into_iter().fold(request, |request, device| request.header(DEVICE_HEADER, device));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(Some("mimi://example.org/d/alice/phone")).await, 200);
    assert_eq!(status(Some("mimi://example.org/d/bob/phone")).await, 403);
    assert_eq!(status(Some("mimi://example.org/u/alice")).await, 401);
    assert_eq!(status(None).await, 401);
    let challenge = raw.http.post(format!("{}/v1/session/challenge", raw.base)).send().await.unwrap();
    assert_eq!(challenge.status(), 404);
}
