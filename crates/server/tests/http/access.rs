//! What is proposed from inside and outside of a room, and requests that somebody else has made.

use std::time::Duration;

use keyroom_api::{BUNDLE, Bundle as _, Code, Connection, IDEMPOTENCY_HEADER, JSON, KeyPackages, MESSAGE};
use keyroom_insider::Insider;
use keyroom_mls::group::{Received, propose_externally, propose_own_addition};
use keyroom_wire::{
    Content, Credential, Encode as _, ExtensionType, Extensions, ExternalSender, GroupContext, LeafIndex, MlsMessage,
    Proposal, WireFormat,
};
use reqwest::Method;

use crate::members::{CLOSED, Meeting, client, log};
use crate::protocol::{Client, INPUTS, OUTSIDE, apply, judging, sent};
use crate::world::{World, application, bundle, device, founding, key, key_package, room, with_welcome};

/// A group that lets this client propose from outside.
fn letting_propose(who: &Client, credential: Credential) -> Extensions {
    let sender = ExternalSender { signature_key: who.signer.public_key().clone(), credential };
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    extensions
}

async fn send(by: &Connection, message: Vec<u8>, number: u64) -> Result<u64, Code> {
    let sent = by.send_message(&room("meeting"), message, &key(number)).await;
    sent.map(|receipt| receipt.sequence).map_err(|error| error.code().unwrap())
}

#[tokio::test]
async fn who_the_group_lets_propose_from_outside_does_so_under_its_own_name_and_key() {
    let world = judging().await;
    let (carol, eve) = (client(&world, "carol"), client(&world, "eve"));
    let named = device("carol/phone").credential();
    let mut meeting = Meeting::with(&world, letting_propose(&carol, named)).await;
    let bob = client(&world, "bob");
    meeting.invite(&bob, "bob").await;
    // Nobody comes in from outside any more; who may propose, may all the same.
    meeting.remove(1, CLOSED).await;
    let mut rng = keyroom_vectors::rng(1);
    let mut propose = |context: &GroupContext, package: &Client| {
        let add = Proposal::Add { key_package: Box::new(package.bundle.key_package.clone()) };
        propose_externally(context, add, carol.signer.as_ref(), &mut rng).unwrap()
    };
    let context = meeting.group.context().clone();
    let good = propose(&context, &bob);
    // Sent by somebody else; for an epoch that has gone; altered.
    assert_eq!(send(&eve.connection, good.clone(), 1).await, Err(Code::UnknownRoom));
    let stale = propose(&GroupContext { epoch: 1, ..context.clone() }, &bob);
    assert_eq!(send(&carol.connection, stale, 2).await, Err(Code::UnknownRoom));
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(send(&carol.connection, altered, 3).await, Err(Code::Invalid));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2]), "nothing was appended");

    assert_eq!(send(&carol.connection, good.clone(), 4).await, Ok(3));
    // It is a proposal and no more: she reads nothing.
    assert_eq!(log(&carol.connection, 0).await, Err(Code::UnknownRoom));
    meeting.group.process(&good, &INPUTS).unwrap();
    let pending = meeting.alice.add(&mut meeting.group, &[], 5);
    bob.connection.publish_key_packages(vec![bob.key_package()]).await.unwrap();
    meeting.alice.connection.commit(&room("meeting"), &sent(&pending, &["bob"]), &key(5)).await.unwrap();
    apply(&mut meeting.group, pending);
    assert_eq!(log(&bob.connection, 3).await, Ok(vec![4]), "and bob is in");
}

#[tokio::test]
async fn an_external_sender_whose_credential_names_no_device_of_this_server_cannot_send_here() {
    let world = judging().await;
    let carol = client(&world, "carol");
    let meeting = Meeting::with(&world, letting_propose(&carol, Credential::basic("carol"))).await;
    let remove = Proposal::Remove { removed: LeafIndex(0) };
    let mut rng = keyroom_vectors::rng(1);
    let message = propose_externally(meeting.group.context(), remove, carol.signer.as_ref(), &mut rng).unwrap();
    assert_eq!(send(&carol.connection, message, 1).await, Err(Code::NotMember));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![]));
}

#[tokio::test]
async fn a_newcomer_asks_to_be_added_where_newcomers_are_let_in_and_nowhere_else() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let (dana, eve) = (client(&world, "dana"), client(&world, "eve"));
    let mut rng = keyroom_vectors::rng(1);
    let mut ask = |context: &GroupContext| {
        let package = dana.bundle.key_package.clone();
        propose_own_addition(context, package, dana.signer.as_ref(), &mut rng).unwrap()
    };
    let good = ask(meeting.group.context());
    // Dana's wish, sent by Eve; and altered.
    assert_eq!(send(&eve.connection, good.clone(), 1).await, Err(Code::Invalid));
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(send(&dana.connection, altered, 2).await, Err(Code::Invalid));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![]));
    assert_eq!(send(&dana.connection, good.clone(), 3).await, Ok(1));
    assert_eq!(log(&dana.connection, 0).await, Err(Code::NotMember), "she has asked and is not in");

    // Nobody takes it up, and the next epoch lets nobody in.
    let commit = meeting.group.commit().group_info(CLOSED);
    let (pending, _) = commit.build(meeting.alice.signer.as_ref(), &INPUTS, &mut keyroom_vectors::rng(2)).unwrap();
    meeting.alice.connection.commit(&room("meeting"), &sent(&pending, &[]), &key(4)).await.unwrap();
    apply(&mut meeting.group, pending);
    let again = ask(meeting.group.context());
    assert_eq!(send(&dana.connection, again, 5).await, Err(Code::UnknownRoom));
    // A repetition of what was taken says no more than that either.
    assert_eq!(send(&dana.connection, good, 3).await, Err(Code::UnknownRoom));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2]));
}

#[tokio::test]
async fn a_member_takes_itself_out_once_in_an_epoch_and_may_say_so_again_in_the_next() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let bob = client(&world, "bob");
    let mut bobs = meeting.invite(&bob, "bob").await;
    let leave = |data: &[u8]| {
        // By hand: a client of ours says it once.
        let insider = Insider::new(&bobs, bob.signer.as_ref());
        let mut content = insider.framed(insider.sender(), Content::Proposal(Proposal::SelfRemove));
        content.authenticated_data = data.into();
        let mut rng = keyroom_vectors::rng(1);
        let signed = insider.sign(content, WireFormat::PUBLIC_MESSAGE, insider.signer, &mut rng);
        MlsMessage::PublicMessage(insider.tagged(signed.content, signed.auth)).to_bytes()
    };
    let (first, second) = (leave(b""), leave(b"again"));
    assert_eq!(send(&bob.connection, first.clone(), 10).await, Ok(2));
    assert_eq!(send(&bob.connection, first.clone(), 10).await, Ok(2), "the same request again");
    for (message, number) in [(&first, 11), (&second, 12)] {
        assert_eq!(send(&bob.connection, message.clone(), number).await, Err(Code::Invalid));
    }
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2]));
    let waiting = meeting.alice.connection.epoch_info(&room("meeting")).await.unwrap().self_removes;
    assert_eq!(waiting, [first]);

    // Alice commits without having seen it: in the next epoch nothing of it is left.
    let commit = meeting.group.commit().group_info(OUTSIDE);
    let (pending, _) = commit.build(meeting.alice.signer.as_ref(), &INPUTS, &mut keyroom_vectors::rng(3)).unwrap();
    let commit = sent(&pending, &[]);
    meeting.alice.connection.commit(&room("meeting"), &commit, &key(13)).await.unwrap();
    apply(&mut meeting.group, pending);
    // Whoever comes with one of the epoch before is told where the room is, and by what.
    let error = bob.connection.send_message(&room("meeting"), second, &key(14)).await.unwrap_err();
    let conflict = error.conflict().unwrap();
    assert_eq!((conflict.epoch, conflict.head, conflict.commit.as_ref()), (2, 3, Some(&commit.commit)));
    let waiting = meeting.alice.connection.epoch_info(&room("meeting")).await.unwrap().self_removes;
    assert!(waiting.is_empty());
    follow(&mut bobs, &commit.commit);
    let next = bobs.propose_self_remove(b"", bob.signer.as_ref(), &INPUTS, &mut keyroom_vectors::rng(4)).unwrap();
    assert_eq!(send(&bob.connection, next.message, 15).await, Ok(4));
}

fn follow(group: &mut keyroom_mls::group::Group, commit: &[u8]) {
    let Received::Commit(staged) = group.process(commit, &INPUTS).unwrap().received else { panic!("not a commit") };
    let verdict = staged.questions().accept_unseen();
    group.apply(staged, &verdict).unwrap();
}

#[tokio::test]
async fn whoever_proposes_for_an_epoch_that_has_gone_is_told_by_what() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let (bob, dana) = (client(&world, "bob"), client(&world, "dana"));
    let mut bobs = meeting.invite(&bob, "bob").await;
    let mut rng = keyroom_vectors::rng(9);
    let remove = Proposal::Remove { removed: LeafIndex(0) };
    let late = bobs.propose(remove, b"", bob.signer.as_ref(), &INPUTS, &mut rng).unwrap().message;
    let package = dana.bundle.key_package.clone();
    let asks = propose_own_addition(meeting.group.context(), package, dana.signer.as_ref(), &mut rng).unwrap();
    let commit = meeting.group.commit().group_info(OUTSIDE);
    let (pending, _) = commit.build(meeting.alice.signer.as_ref(), &INPUTS, &mut rng).unwrap();
    let commit = sent(&pending, &[]);
    meeting.alice.connection.commit(&room("meeting"), &commit, &key(2)).await.unwrap();

    let told = async |by: &Connection, message: &[u8]| {
        let error = by.send_message(&room("meeting"), message.to_vec(), &key("late")).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::WrongEpoch));
        error.conflict().unwrap().clone()
    };
    let conflict = told(&bob.connection, &late).await;
    assert_eq!(
        (conflict.epoch, conflict.commit_sequence, conflict.commit.as_ref()),
        (2, Some(2), Some(&commit.commit))
    );
    // A newcomer learns where the room is, and not by what.
    let conflict = told(&dana.connection, &asks).await;
    assert_eq!((conflict.epoch, conflict.commit_sequence, conflict.commit), (2, None, None));
    assert_eq!(log(&bob.connection, 1).await.unwrap_or_default(), [2]);
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2]));
}

/// Requests by hand.
struct Raw {
    http: reqwest::Client,
    base: String,
}

impl Raw {
    fn of(world: &World) -> Self {
        Self { http: reqwest::Client::new(), base: world.server.url() }
    }

    /// Status and code.
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, Code) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.body(body.to_vec()).send().await.unwrap();
        let status = answer.status().as_u16();
        let problem = serde_json::from_slice::<keyroom_api::Problem>(&answer.bytes().await.unwrap_or_default());
        (status, problem.map_or(Code::Other, |problem| problem.code))
    }
}

#[tokio::test]
async fn a_mailbox_is_read_and_emptied_by_its_owner_whoever_knows_the_cursor() {
    let world = World::new().await;
    let (alice, bob) = (world.connect("alice/phone"), world.connect("bob/phone"));
    let meeting = room("meeting");
    alice.create_room(&meeting, &founding("g", 0)).await.unwrap();
    bob.publish_key_packages(vec![key_package(1)]).await.unwrap();
    let add = with_welcome(bundle("g", 0, 1), &["bob/phone"], 1);
    alice.commit(&meeting, &add, &key("add")).await.unwrap();
    let mailbox = bob.mailbox(0).await.unwrap();
    let (raw, item) = (Raw::of(&world), mailbox.items[0].sequence);
    // Another device of Bob is another device.
    for thief in ["alice/phone", "bob/laptop", "eve/pc"] {
        let token = world.token(thief).await;
        for (method, path) in [
            (Method::GET, "mailbox?after=0".to_owned()),
            (Method::GET, format!("mailbox?after={item}")),
            (Method::DELETE, format!("mailbox/{item}")),
            (Method::GET, "key-packages".to_owned()),
        ] {
            let path = format!("/v1/users/bob/devices/phone/{path}");
            let answer = raw.send(method, &path, &token, &[], b"").await;
            assert_eq!(answer, (403, Code::Forbidden), "{thief} {path}");
        }
    }
    assert_eq!(bob.mailbox(0).await.unwrap(), mailbox);
    bob.acknowledge(item).await.unwrap();
    assert!(bob.mailbox(0).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_request_that_is_sent_again_by_whomever_is_carried_out_once() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let bob = client(&world, "bob");
    meeting.invite(&bob, "bob").await;
    let mut rng = keyroom_vectors::rng(1);
    let message = meeting.group.encrypt(b"pay 100", b"", meeting.alice.signer.as_ref(), &mut rng).unwrap().message;
    let raw = Raw::of(&world);
    let token = async |who: &Client| who.connection.token().await.unwrap().unwrap().expose().to_owned();
    let (alices, bobs, eves) = (token(&meeting.alice).await, token(&bob).await, token(&client(&world, "eve")).await);
    let path = "/v1/rooms/meeting/messages";
    let headers = [("content-type", MESSAGE), (IDEMPOTENCY_HEADER, "pay")];
    assert_eq!(raw.send(Method::POST, path, &alices, &headers, &message).await.0, 201);
    for _ in 0..3 {
        assert_eq!(raw.send(Method::POST, path, &alices, &headers, &message).await.0, 200);
    }
    // Without a good token, with another's, and with other bytes under the same key.
    assert_eq!(raw.send(Method::POST, path, "x", &headers, &message).await, (401, Code::Unauthenticated));
    assert_eq!(raw.send(Method::POST, path, &eves, &headers, &message).await, (403, Code::NotMember));
    let mut other = message.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(raw.send(Method::POST, path, &alices, &headers, &other).await.1, Code::KeyReused);
    assert_eq!(
        raw.send(Method::POST, "/v1/rooms/other/messages", &alices, &headers, &message).await.1,
        Code::UnknownRoom
    );
    assert_eq!(log(&bob.connection, 1).await, Ok(vec![2]));
    // A commit, by somebody who saw it go by.
    let commit = meeting.group.commit().group_info(OUTSIDE);
    let (pending, _) = commit.build(meeting.alice.signer.as_ref(), &INPUTS, &mut rng).unwrap();
    let bundle = sent(&pending, &[]).to_bytes();
    let headers = [("content-type", BUNDLE), (IDEMPOTENCY_HEADER, "commit")];
    let path = "/v1/rooms/meeting/commits";
    assert_eq!(raw.send(Method::POST, path, &alices, &headers, &bundle).await.0, 201);
    assert_eq!(raw.send(Method::POST, path, &alices, &headers, &bundle).await.0, 200);
    assert_eq!(raw.send(Method::POST, path, &bobs, &headers, &bundle).await, (409, Code::WrongEpoch));
    assert_eq!(raw.send(Method::POST, path, &eves, &headers, &bundle).await, (403, Code::NotMember));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2, 3]));
}

#[tokio::test]
async fn what_comes_as_something_else_or_is_too_large_is_refused_everywhere_and_not_stored() {
    let world = World::with(|config| {
        config.limits.message = 4_000;
        config.limits.body = 6_000;
        config.limits.batch = 5_000;
    })
    .await;
    let alice = world.connect("alice/phone");
    alice.create_room(&room("meeting"), &founding("g", 0)).await.unwrap();
    let (raw, token) = (Raw::of(&world), world.token("alice/phone").await);
    let packages = KeyPackages { key_packages: vec![key_package(1)] }.to_bytes();
    let all = [
        (Method::PUT, "/v1/rooms/second", BUNDLE, founding("h", 0).to_bytes(), 6_000),
        (Method::POST, "/v1/rooms/meeting/commits", BUNDLE, bundle("g", 0, 1).to_bytes(), 6_000),
        (Method::POST, "/v1/rooms/meeting/messages", MESSAGE, application("g", 0, 1), 4_000),
        (Method::POST, "/v1/users/alice/devices/phone/key-packages", BUNDLE, packages.clone(), 5_000),
        (Method::PUT, "/v1/users/alice/devices/phone/key-packages", BUNDLE, packages, 5_000),
    ];
    for (method, path, media, body, limit) in &all {
        for wrong in [JSON, "text/plain", if *media == BUNDLE { MESSAGE } else { BUNDLE }] {
            let answer = raw.send(method.clone(), path, &token, &[("content-type", wrong)], body).await;
            assert_eq!(answer, (415, Code::MediaType), "{method} {path} as {wrong}");
        }
        let large = [body.as_slice(), &vec![0; *limit]].concat();
        let answer = raw.send(method.clone(), path, &token, &[("content-type", media)], &large).await;
        assert_eq!(answer, (413, Code::TooLarge), "{method} {path}");
    }
    let status = alice.room(&room("meeting")).await.unwrap();
    assert_eq!((status.epoch, status.head), (0, 0));
    assert_eq!(alice.room(&room("second")).await.unwrap_err().code(), Some(Code::UnknownRoom));
    assert_eq!(alice.stock().await.unwrap().suites, []);
    let page = alice.log(&room("meeting"), 0, Duration::ZERO).await.unwrap();
    assert!(page.entries.is_empty());
    for (method, path, media, body, _) in &all {
        let (status, _) = raw.send(method.clone(), path, &token, &[("content-type", media)], body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
}
