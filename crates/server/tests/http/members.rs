//! Who may do what in a room, with real groups.

use std::time::Duration;

use keyroom_api::{ClientError, Code, CommitBundle, Connection, Live, LiveEvent, RoomBundle};
use keyroom_crypto::Provider as _;
use keyroom_mls::group::{ExternalJoins, Group, GroupInfoContent, TreeDelivery};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{Content, Decode as _, Encode as _, Extensions, LeafIndex, Limits, MlsMessage, Proposal, Sender};

use crate::protocol::{Client, INPUTS, OUTSIDE, apply, judging, sent};
use crate::world::{SUITE, World, application, key, public, room};

/// Content of a GroupInfo with which nobody can come in from outside.
pub(crate) const CLOSED: GroupInfoContent =
    GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::NotOffered };

pub(crate) fn client(world: &World, name: &str) -> Client {
    Client::new(world, name, name.bytes().map(u64::from).sum())
}

pub(crate) async fn log(connection: &Connection, after: u64) -> Result<Vec<u64>, Code> {
    match connection.log(&room("meeting"), after, Duration::ZERO).await {
        Ok(page) => Ok(page.entries.iter().map(|entry| entry.sequence).collect()),
        Err(error) => Err(error.code().unwrap_or_else(|| panic!("{error}"))),
    }
}

/// Alice, who has founded the room.
pub(crate) struct Meeting {
    pub(crate) alice: Client,
    pub(crate) group: Group,
    sent: u64,
}

impl Meeting {
    pub(crate) async fn new(world: &World) -> Self {
        Self::with(world, Extensions::new()).await
    }

    /// With these extensions of the group's context.
    pub(crate) async fn with(world: &World, extensions: Extensions) -> Self {
        let alice = client(world, "alice");
        let group = alice.found_with("meeting", extensions).await;
        Self { alice, group, sent: 0 }
    }

    pub(crate) async fn invite(&mut self, who: &Client, name: &str) -> Group {
        self.sent += 1;
        who.connection.publish_key_packages(vec![who.key_package()]).await.unwrap();
        let pending = self.alice.add(&mut self.group, &[who], self.sent);
        self.alice.connection.commit(&room("meeting"), &sent(&pending, &[name]), &key(self.sent)).await.unwrap();
        apply(&mut self.group, pending);
        let item = who.connection.mailbox(0).await.unwrap().items.remove(0);
        let tree = who.connection.tree(&item.room, &item.tree_hash).await.unwrap();
        who.join(&item.welcome, &tree)
    }

    /// A commit that removes the member at a leaf.
    pub(crate) async fn remove(&mut self, leaf: u32, content: GroupInfoContent) {
        self.sent += 1;
        let mut rng = keyroom_vectors::rng(self.sent);
        let commit = self.group.commit().group_info(content).remove(LeafIndex(leaf));
        let (pending, _) = commit.build(self.alice.signer.as_ref(), &INPUTS, &mut rng).unwrap();
        self.alice.connection.commit(&room("meeting"), &sent(&pending, &[]), &key(self.sent)).await.unwrap();
        apply(&mut self.group, pending);
    }

    pub(crate) async fn say(&mut self) {
        self.sent += 1;
        say(&self.alice, &mut self.group, self.sent).await.unwrap();
    }
}

async fn say(who: &Client, group: &mut Group, number: u64) -> Result<u64, ClientError> {
    let mut rng = keyroom_vectors::rng(number);
    let message = group.encrypt(b"hello", b"", who.signer.as_ref(), &mut rng).unwrap().message;
    Ok(who.connection.send_message(&room("meeting"), message, &key(number)).await?.sequence)
}

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Code {
    result.unwrap_err().code().expect("a problem")
}

#[tokio::test]
async fn only_members_read_and_write_and_a_removed_one_reads_up_to_its_removal() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let (bob, eve) = (client(&world, "bob"), client(&world, "eve"));
    meeting.say().await;
    assert_eq!(log(&bob.connection, 0).await, Err(Code::NotMember));
    let mut bobs = meeting.invite(&bob, "bob").await;
    assert_eq!(say(&bob, &mut bobs, 50).await, Ok(3));
    // From the commit that brought him in, which is entry 2.
    assert_eq!(log(&bob.connection, 0).await, Err(Code::NotThen));
    assert_eq!(log(&bob.connection, 1).await, Ok(vec![2, 3]));
    assert_eq!(log(&eve.connection, 0).await, Err(Code::NotMember));
    let mut rng = keyroom_vectors::rng(60);
    let message = bobs.encrypt(b"x", b"", bob.signer.as_ref(), &mut rng).unwrap().message;
    let by_eve = eve.connection.send_message(&room("meeting"), message.clone(), &key("e")).await;
    assert_eq!(refused(by_eve), Code::NotMember);
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2, 3]), "nothing was appended");

    meeting.remove(1, OUTSIDE).await;
    meeting.say().await;
    assert_eq!(log(&bob.connection, 1).await, Ok(vec![2, 3, 4]));
    assert_eq!(log(&bob.connection, 4).await, Ok(vec![]));
    let page = bob.connection.log(&room("meeting"), 3, Duration::from_secs(20)).await.unwrap();
    assert_eq!((page.head, page.epoch), (4, 2), "and nothing of what came after");
    assert_eq!(refused(bob.connection.send_message(&room("meeting"), message, &key("late")).await), Code::NotMember);
    assert_eq!(say(&bob, &mut bobs, 51).await.unwrap_err().code(), Some(Code::NotMember));
    // What was taken while he was in the room is answered as then, and stays what it was.
    assert_eq!(refused(bob.connection.epoch_info_of(&room("meeting"), 1).await), Code::NotMember);
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn a_repetition_after_a_removal_gets_the_answer_of_then() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let bob = client(&world, "bob");
    let mut bobs = meeting.invite(&bob, "bob").await;
    let mut rng = keyroom_vectors::rng(60);
    let message = bobs.encrypt(b"x", b"", bob.signer.as_ref(), &mut rng).unwrap().message;
    let send = async || bob.connection.send_message(&room("meeting"), message.clone(), &key("b")).await;
    let receipt = send().await.unwrap();
    meeting.remove(1, OUTSIDE).await;
    assert_eq!(send().await, Ok(receipt));
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2, 3]));
}

#[tokio::test]
async fn a_room_that_admits_nobody_does_not_exist_for_strangers() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let (bob, eve) = (client(&world, "bob"), client(&world, "eve"));
    let mut bobs = meeting.invite(&bob, "bob").await;
    // While newcomers are let in, a stranger sees the present epoch, and no other.
    let open = eve.connection.epoch_info(&room("meeting")).await.unwrap();
    let tree = eve.connection.tree(&room("meeting"), &open.tree_hash).await.unwrap();
    assert_eq!(refused(eve.connection.epoch_info_of(&room("meeting"), 0).await), Code::NotMember);
    meeting.remove(1, CLOSED).await;
    for (who, code) in [(&eve, Code::UnknownRoom), (&bob, Code::NotMember)] {
        let connection = &who.connection;
        assert_eq!(refused(connection.room(&room("meeting")).await), code);
        assert_eq!(refused(connection.epoch_info(&room("meeting")).await), code);
        assert_eq!(refused(connection.epoch_info_of(&room("meeting"), 1).await), code);
        assert_eq!(refused(connection.tree(&room("meeting"), &open.tree_hash).await), code);
    }
    assert_eq!(log(&eve.connection, 0).await, Err(Code::UnknownRoom));
    let mut rng = keyroom_vectors::rng(60);
    let message = bobs.encrypt(b"x", b"", bob.signer.as_ref(), &mut rng).unwrap().message;
    let by_eve = eve.connection.send_message(&room("meeting"), message, &key("e")).await;
    assert_eq!(refused(by_eve), Code::UnknownRoom);
    let mut live = eve.connection.live().await.unwrap();
    live.subscribe(&room("meeting"), 0).await.unwrap();
    assert_eq!(live.next().await.unwrap_err().code(), Some(Code::UnknownRoom));
    // Nor does a message of another group say more, or one that pretends to be of an external sender.
    let foreign = application("other", 0, 1);
    assert_eq!(refused(eve.connection.send_message(&room("meeting"), foreign, &key("f")).await), Code::UnknownRoom);
    for group in ["meeting", "other"] {
        let proposal = from_outside(group, 2);
        let by_eve = eve.connection.send_message(&room("meeting"), proposal, &key("x")).await;
        assert_eq!(refused(by_eve), Code::UnknownRoom);
    }
    // Who founds the group once more is told what its founder was told then.
    for who in [&eve, &bob] {
        let (_, again) = who.founding("meeting", Extensions::new());
        let told = who.connection.create_room(&room("meeting"), &again).await.unwrap();
        assert_eq!((told.epoch, told.head, told.closed), (0, 0, None));
    }
    // The GroupInfo of before does not help.
    let join = external(&eve, &open.group_info, &tree, 70);
    assert_eq!(refused(eve.connection.commit(&room("meeting"), &join, &key("j")).await), Code::UnknownRoom);
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![1, 2]));
}

/// A proposal of an external sender that the group does not know.
fn from_outside(group: &str, epoch: u64) -> Vec<u8> {
    let content = Content::Proposal(Proposal::Remove { removed: LeafIndex(0) });
    let MlsMessage::PublicMessage(mut message) =
        MlsMessage::from_bytes(&public(group, epoch, content, 1), &Limits::default()).unwrap()
    else {
        panic!("not public")
    };
    message.content.sender = Sender::External(0);
    message.membership_tag = None;
    MlsMessage::PublicMessage(message).to_bytes()
}

/// An external commit of this client.
fn external(who: &Client, info: &[u8], tree: &[u8], seed: u64) -> CommitBundle {
    let suite = RUSTCRYPTO.suite(SUITE).unwrap();
    let join = Group::join_external(suite, &who.bundle, Default::default()).group_info(OUTSIDE).ratchet_tree(tree);
    let join = join.build(info, who.signer.as_ref(), &INPUTS, &mut keyroom_vectors::rng(seed)).unwrap();
    CommitBundle::new(join.message.clone(), join.group_info.clone().unwrap())
}

#[tokio::test]
async fn one_comes_in_from_outside_under_its_own_name_and_key_only() {
    let world = judging().await;
    let meeting = Meeting::new(&world).await;
    let (dana, eve) = (client(&world, "dana"), client(&world, "eve"));
    let info = dana.connection.epoch_info(&room("meeting")).await.unwrap();
    let tree = dana.connection.tree(&room("meeting"), &info.tree_hash).await.unwrap();
    let join = external(&dana, &info.group_info, &tree, 70);
    // Dana's commit, sent by somebody else; and one in Dana's name under another key, sent by Dana's device.
    assert_eq!(refused(eve.connection.commit(&room("meeting"), &join, &key("e")).await), Code::Invalid);
    let mut thief = Client::new(&world, "dana", 999);
    thief.connection = dana.connection.clone();
    let stolen = external(&thief, &info.group_info, &tree, 71);
    assert_eq!(refused(thief.connection.commit(&room("meeting"), &stolen, &key("t")).await), Code::Invalid);
    assert_eq!(log(&meeting.alice.connection, 0).await, Ok(vec![]));

    assert_eq!(dana.connection.commit(&room("meeting"), &join, &key("d")).await.unwrap().sequence, 1);
    assert_eq!(log(&dana.connection, 0).await, Ok(vec![1]));
    // Who comes too late learns where the room is, and not who was first.
    let late = external(&eve, &info.group_info, &tree, 72);
    let error = eve.connection.commit(&room("meeting"), &late, &key("l")).await.unwrap_err();
    let conflict = error.conflict().unwrap();
    assert_eq!((conflict.epoch, &conflict.commit, conflict.commit_sequence), (1, &None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_delivery_to_a_removed_device_ends_with_its_removal() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let bob = client(&world, "bob");
    meeting.say().await;
    meeting.invite(&bob, "bob").await;
    let mut live = bob.connection.live().await.unwrap();
    live.subscribe(&room("meeting"), 0).await.unwrap();
    assert_eq!(live.next().await.unwrap_err().code(), Some(Code::NotThen));
    live.subscribe(&room("meeting"), 1).await.unwrap();
    meeting.say().await;
    meeting.remove(1, OUTSIDE).await;
    meeting.say().await;
    let mut seen = Vec::new();
    let end = loop {
        let event = tokio::time::timeout(Duration::from_secs(10), live.next()).await.expect("in time");
        match event.unwrap().unwrap() {
            LiveEvent::Entry { entry, .. } => seen.push(entry.sequence),
            LiveEvent::Left { head, .. } => break head,
            LiveEvent::CaughtUp { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((seen, end), (vec![2, 3, 4], 4));
    meeting.say().await;
    let silence = tokio::time::timeout(Duration::from_millis(300), live.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    // And again, from wherever.
    live.subscribe(&room("meeting"), 4).await.unwrap();
    assert_eq!(live.next().await.unwrap(), Some(LiveEvent::CaughtUp { room: room("meeting"), head: 4 }));
    assert_eq!(live.next().await.unwrap(), Some(LiveEvent::Left { room: room("meeting"), head: 4 }));
}

/// A cursor beyond the head lets nobody pass by the commit that removes it, whatever others have read since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_ahead_of_the_log_does_not_outlive_a_removal() {
    let world = judging().await;
    let mut meeting = Meeting::new(&world).await;
    let bob = client(&world, "bob");
    meeting.invite(&bob, "bob").await;
    let mut others = Vec::new();
    for _ in 0..5 {
        let mut live = meeting.alice.connection.live().await.unwrap();
        live.subscribe(&room("meeting"), 0).await.unwrap();
        assert_eq!(seen(&mut live, 1).await, [1]);
        others.push(live);
    }
    let mut live = bob.connection.live().await.unwrap();
    live.subscribe(&room("meeting"), 3).await.unwrap();
    assert_eq!(live.next().await.unwrap(), Some(LiveEvent::CaughtUp { room: room("meeting"), head: 1 }));
    meeting.remove(1, OUTSIDE).await;
    for _ in 3..=6 {
        meeting.say().await;
    }
    for live in &mut others {
        assert_eq!(seen(live, 6).await, [2, 3, 4, 5, 6]);
    }
    assert_eq!(live.next().await.unwrap(), Some(LiveEvent::Left { room: room("meeting"), head: 2 }));
    let silence = tokio::time::timeout(Duration::from_millis(300), live.next()).await;
    assert!(silence.is_err(), "{silence:?}");
}

/// The sequence numbers of the next entries, up to and including `last`.
async fn seen(live: &mut Live, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        let event = tokio::time::timeout(Duration::from_secs(10), live.next()).await.expect("in time");
        if let LiveEvent::Entry { entry, .. } = event.unwrap().unwrap() {
            seen.push(entry.sequence);
        }
    }
    seen
}

#[tokio::test]
async fn nobody_registers_a_room_in_which_it_is_not() {
    let world = judging().await;
    let meeting = Meeting::new(&world).await;
    let eve = client(&world, "eve");
    let mut rng = keyroom_vectors::rng(3);
    let content = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
    let info = meeting.group.group_info(content, meeting.alice.signer.as_ref(), &mut rng).unwrap();
    let bundle = RoomBundle::new(info, None);
    assert_eq!(refused(eve.connection.create_room(&room("mine"), &bundle).await), Code::NotMember);
    assert_eq!(refused(eve.connection.room(&room("mine")).await), Code::UnknownRoom);
}
