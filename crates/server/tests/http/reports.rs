//! Commits that the server accepts and members cannot follow, and the way out of each.

use std::collections::HashMap;

use keyroom_api::{
    Bundle as _, ClientError, Code, CommitBundle, Connection, EntryKind, Identity, REPORT_LABEL, Receipt, Report,
    ReportContent, ReportReason, ReportReceipt, RoomBundle, RoomUri, WelcomeTo,
};
use keyroom_crypto::{CryptoRng, labels};
use keyroom_insider::{Alter, Client, Insider, Made, Member, agree, config, now, room as group, suite};
use keyroom_mls::error::{Error, NotYet, Rule};
use keyroom_mls::group::{
    ExternalJoins, Founder, Group, GroupInfoContent, JoinOptions, Succession, Successor, TreeDelivery,
};
use keyroom_wire::{Encode, ExtensionType, Extensions, GroupInfo, MlsMessage, PreSharedKeyId, Proposal, Psk};

use crate::protocol::judging;
use crate::world::{World, key, room};

const ALICE: &str = "mimi://example.org/d/alice/phone";
const BOB: &str = "mimi://example.org/d/bob/phone";
const CAROL: &str = "mimi://example.org/d/carol/phone";
const DANA: &str = "mimi://example.org/d/dana/phone";
const EVE: &str = "mimi://example.org/d/eve/phone";
const OUTSIDE: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::OutOfBand, external: ExternalJoins::Allowed };

/// A room of Alice, Carol and Dana, and of Bob, who breaks it.
struct Meeting {
    world: World,
    uri: RoomUri,
    members: Vec<Member>,
    rng: Box<dyn CryptoRng>,
    identities: HashMap<&'static str, Identity>,
}

/// Where Bob's leaf is.
const MALLORY: usize = 1;

impl Meeting {
    async fn new() -> Self {
        Self::asking(0).await
    }

    /// With so many reports that close it.
    async fn asking(reports_needed: u32) -> Self {
        let world = judging().await;
        let mut rng: Box<dyn CryptoRng> = Box::new(keyroom_vectors::rng(5));
        let names = [ALICE, BOB, CAROL, DANA];
        let members = group(&names, 1, config(), &mut *rng);
        // The same keys once more: those of the clients are what a group draws first.
        let mut again = keyroom_vectors::rng(5);
        let identity = |name| (name, Identity::new(1, Client::new(name, suite(1), &mut again).signer.into()));
        let identities = names.map(identity).into();
        let founder = &members[0];
        let info = founder.group.group_info(OUTSIDE, founder.client.signer.as_ref(), &mut *rng).unwrap();
        let tree = Some(founder.group.ratchet_tree().unwrap());
        let meeting = Self { world, uri: room("meeting"), members, rng, identities };
        let bundle = RoomBundle { reports_needed, ..RoomBundle::new(info, tree) };
        meeting.connect(ALICE).create_room(&meeting.uri, &bundle).await.unwrap();
        meeting
    }

    fn connection(&self, member: usize) -> Connection {
        self.connect(self.members[member].client.name)
    }

    fn connect(&self, name: &str) -> Connection {
        Connection::new(&self.world.server.url(), name.parse().unwrap(), self.identities[name].clone()).unwrap()
    }

    /// A commit of Bob that is wrong in one way, with a GroupInfo that fits it.
    async fn breaks(&mut self, proposals: Vec<Proposal>, change: &Alter<'_>) -> (Made, Receipt) {
        let bob = &self.members[MALLORY];
        let insider = Insider::new(&bob.group, bob.client.signer.as_ref());
        let made = insider.commit(proposals, change, &mut *self.rng);
        let fits = |info: &mut GroupInfo| {
            info.confirmation_tag = made.message.auth.confirmation_tag.clone().unwrap();
            info.extensions = Extensions::new();
        };
        let signer = bob.client.signer.as_ref();
        let info = made.group_info(bob.group.own_leaf(), signer, fits, &mut *self.rng);
        let group_info = MlsMessage::GroupInfo(info).to_bytes();
        let bundle = CommitBundle::new(made.bytes(), group_info);
        let receipt = self.connection(MALLORY).commit(&self.uri, &bundle, &key("broken")).await.unwrap();
        (made, receipt)
    }

    /// What a member says of a commit: it stays where it is.
    fn refuses(&mut self, member: usize, commit: &[u8]) -> Error {
        let before = self.members[member].group.snapshot().unwrap();
        let error = self.members[member].group.process(commit, &now()).unwrap_err();
        assert_eq!(self.members[member].group.snapshot().unwrap(), before);
        error
    }

    async fn reports(&mut self, member: usize, commit: &[u8], receipt: &Receipt, reason: ReportReason) -> Report {
        let Receipt { sequence, epoch, .. } = *receipt;
        let Member { client, group } = &self.members[member];
        let (leaf, room) = (group.own_leaf().0, self.uri.clone());
        let content = ReportContent { room, commit: commit.to_vec(), sequence, epoch, leaf, reason };
        let signer = client.signer.as_ref();
        let signature = labels::sign_with_label(signer, REPORT_LABEL, &content.to_bytes(), &mut *self.rng).unwrap();
        Report { sequence, epoch, leaf, reason, signature: signature.as_slice().to_vec() }
    }

    async fn report(
        &mut self,
        member: usize,
        commit: &[u8],
        receipt: &Receipt,
        reason: ReportReason,
    ) -> Result<ReportReceipt, ClientError> {
        let report = self.reports(member, commit, receipt, reason).await;
        self.connection(member).report(&self.uri, &report).await
    }

    /// Two of three report the commit; the room ends there, and goes on in a branch of the epoch before.
    async fn goes_on_without_bob_after(mut self, commit: &[u8], receipt: Receipt, reason: ReportReason) {
        let (alice, carol) = (self.connection(0), self.connection(2));
        let first = self.report(0, commit, &receipt, reason).await.unwrap();
        assert_eq!(first, ReportReceipt { reports: 1, needed: 2, closed: None });
        assert_eq!(self.report(0, commit, &receipt, reason).await.unwrap().reports, 1, "each member once");
        let closed = self.report(2, commit, &receipt, reason).await.unwrap().closed.unwrap();
        assert_eq!((closed.at, closed.successor), (receipt.sequence, None));
        let late = self.report(3, commit, &receipt, reason).await.unwrap_err();
        assert_eq!(late.code(), Some(Code::Closed));
        let more = self.members[0].send("too late", &mut *self.rng);
        assert_eq!(alice.send_message(&self.uri, more, &key("late")).await.unwrap_err().code(), Some(Code::Closed));

        assert_eq!(self.names_its_own(&self.members[MALLORY].client).await, Some(Code::NotMember), "who broke it");
        let successor = self.branch().await;
        assert_eq!(carol.room(&self.uri).await.unwrap().closed.unwrap().successor, Some(successor.clone()));
        let text = self.members[0].send("here we are", &mut *self.rng);
        alice.send_message(&successor, text.clone(), &key("text")).await.unwrap();
        for member in [1, 2] {
            assert_eq!(self.members[member].read(&text).0, b"here we are");
        }
        assert_eq!(carol.room(&successor).await.unwrap().epoch, 1);
    }

    /// What the server says to somebody who says that the room goes on in one of its own.
    async fn names_its_own(&self, client: &Client) -> Option<Code> {
        let mut rng = keyroom_vectors::rng(33);
        let (group_id, extensions) = (b"own".as_slice().into(), Extensions::new());
        let founder = Founder { bundle: client.bundle(&mut rng), group_id, extensions };
        let (group, _) = Group::create(client.suite, founder, config(), &now(), &mut rng).unwrap();
        let info = group.group_info(OUTSIDE, client.signer.as_ref(), &mut rng).unwrap();
        let tree = Some(group.ratchet_tree().unwrap());
        let bundle = RoomBundle { predecessor: Some(self.uri.clone()), ..RoomBundle::new(info, tree) };
        self.connect(client.name).create_room(&room("own"), &bundle).await.err()?.code()
    }

    /// Alice, Carol and Dana go on without Bob, in a branch of the epoch that they are in.
    async fn branch(&mut self) -> RoomUri {
        self.members.remove(MALLORY);
        let connections: Vec<Connection> = (0..self.members.len()).map(|member| self.connection(member)).collect();
        let Self { members, rng, .. } = self;
        let bundles: Vec<_> = members.iter().map(|member| member.client.bundle(&mut **rng)).collect();
        for (connection, bundle) in connections.iter().zip(&bundles).skip(1) {
            let package = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
            connection.publish_key_packages(vec![package]).await.unwrap();
        }
        let mut bundles = bundles.into_iter();
        let (own, joiners): (_, Vec<_>) = (bundles.next().unwrap(), bundles.collect());
        let succession = Succession {
            successor: Successor::Branch { group_id: b"again".as_slice().into(), extensions: Extensions::new() },
            bundle: own,
            members: joiners.iter().map(|bundle| bundle.key_package.clone()).collect(),
            welcome_tree: TreeDelivery::OutOfBand,
            group_info: Some(OUTSIDE),
        };
        let alice = &members[0];
        let signer = alice.client.signer.as_ref();
        let (mut group, _, pending, _) =
            alice.group.succeed(alice.client.suite, succession, signer, config(), &now(), &mut **rng).unwrap();
        let verdict = pending.questions().accept_unseen();
        let admission = pending.for_atomic_delivery(&verdict).unwrap().admission.clone();
        group.apply(pending.into_staged(), &verdict).unwrap();
        let devices = members[1..].iter().map(|member| member.client.name.parse().unwrap()).collect();
        let bundle = RoomBundle {
            welcomes: vec![WelcomeTo { devices, welcome: admission.welcome.unwrap() }],
            predecessor: Some(self.uri.clone()),
            ..RoomBundle::new(admission.group_info.unwrap(), Some(group.ratchet_tree().unwrap()))
        };
        let successor = room("meeting.2");
        connections[0].create_room(&successor, &bundle).await.unwrap();

        let mut groups = vec![group];
        for ((member, connection), bundle) in members.iter().zip(&connections).skip(1).zip(joiners) {
            let item = connection.mailbox(0).await.unwrap().items.remove(0);
            assert_eq!((&item.room, item.epoch, item.cursor), (&successor, 1, 0));
            let tree = connection.tree(&successor, &item.tree_hash).await.unwrap();
            let bundles = [bundle];
            let options = JoinOptions {
                ratchet_tree: Some(&tree),
                predecessor: Some(&member.group),
                ..JoinOptions::new(&bundles)
            };
            let suite = member.client.suite;
            let joining = Group::join(suite, &item.welcome, &options, config(), &now(), &mut **rng).unwrap();
            let verdict = joining.questions().accept_unseen();
            groups.push(joining.accept(&verdict).unwrap().0);
        }
        for (member, group) in members.iter_mut().zip(groups) {
            member.group = group;
        }
        agree(members);
        successor
    }
}

#[tokio::test]
async fn a_wrong_confirmation_tag_ends_the_room_and_a_branch_goes_on() {
    let mut meeting = Meeting::new().await;
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    assert_eq!(meeting.refuses(0, &made.bytes()), Rule::ConfirmationTag.into());
    meeting.goes_on_without_bob_after(&made.bytes(), receipt, ReportReason::ConfirmationTag).await;
}

#[tokio::test]
async fn a_wrong_membership_tag_ends_the_room_and_a_branch_goes_on() {
    let mut meeting = Meeting::new().await;
    let message = |message: &mut keyroom_wire::PublicMessage| message.membership_tag = Some(vec![7; 32].into());
    let change = Alter { message: Some(Box::new(message)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    assert_eq!(meeting.refuses(2, &made.bytes()), Rule::MembershipTag.into());
    meeting.goes_on_without_bob_after(&made.bytes(), receipt, ReportReason::MembershipTag).await;
}

#[tokio::test]
async fn a_psk_that_nobody_has_ends_the_room_and_a_branch_goes_on() {
    let mut meeting = Meeting::new().await;
    let psk = Psk::External { psk_id: b"nobody's".as_slice().into() };
    let id = PreSharedKeyId { psk, psk_nonce: vec![1; 32].into() };
    let secret = keyroom_crypto::Secret::new(vec![9; 32]);
    let change = Alter { psks: vec![(id.clone(), secret)], ..Alter::default() };
    let (made, receipt) = meeting.breaks(vec![Proposal::PreSharedKey { psk: id }], &change).await;
    let error = meeting.refuses(0, &made.bytes());
    assert!(matches!(error, Error::NotYet(NotYet::Psks(_))), "{error:?}");
    meeting.goes_on_without_bob_after(&made.bytes(), receipt, ReportReason::Psk).await;
}

#[tokio::test]
async fn a_commit_can_be_reported_although_many_have_followed_it_meanwhile() {
    let mut meeting = Meeting::new().await;
    let mut first = None;
    for number in 0..40 {
        let connection = meeting.connection(MALLORY);
        let bob = &mut meeting.members[MALLORY];
        let signer = bob.client.signer.as_ref();
        let (pending, _) = bob.group.commit().group_info(OUTSIDE).build(signer, &now(), &mut *meeting.rng).unwrap();
        let verdict = pending.questions().accept_unseen();
        let delivery = pending.for_atomic_delivery(&verdict).unwrap();
        let (message, info) = (delivery.message.to_vec(), delivery.admission.group_info.clone().unwrap());
        bob.group.apply(pending.into_staged(), &verdict).unwrap();
        let bundle = CommitBundle::new(message.clone(), info);
        let receipt = connection.commit(&meeting.uri, &bundle, &key(format!("commit{number}"))).await.unwrap();
        first.get_or_insert((message, receipt));
    }
    let (commit, receipt) = first.unwrap();
    meeting.goes_on_without_bob_after(&commit, receipt, ReportReason::Path).await;
}

#[tokio::test]
async fn path_secrets_that_open_for_nobody_end_the_room_and_a_branch_goes_on() {
    let mut meeting = Meeting::new().await;
    let spoil = |path: &mut keyroom_wire::UpdatePath| {
        let sealed = path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret);
        sealed.for_each(|secret| secret.ciphertext = vec![7; 48].into());
    };
    let change = Alter { path: Some(Box::new(spoil)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    for member in [0, 2, 3] {
        assert!(matches!(meeting.refuses(member, &made.bytes()), Error::Rule(_)), "{member}");
    }
    meeting.goes_on_without_bob_after(&made.bytes(), receipt, ReportReason::Path).await;
}

#[tokio::test]
async fn who_alone_missed_a_path_secret_comes_in_again_and_the_room_stays() {
    let mut meeting = Meeting::new().await;
    let spoil = |path: &mut keyroom_wire::UpdatePath| {
        // Bob's sibling is Alice; her secret is the only one at the lowest node.
        path.nodes[0].encrypted_path_secret[0].ciphertext = vec![7; 48].into();
    };
    let change = Alter { path: Some(Box::new(spoil)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    assert!(matches!(meeting.refuses(0, &made.bytes()), Error::Rule(_)));
    for member in [2, 3] {
        meeting.members[member].follow(&made.bytes());
    }
    let alone = meeting.report(0, &made.bytes(), &receipt, ReportReason::Path).await.unwrap();
    assert_eq!(alone, ReportReceipt { reports: 1, needed: 2, closed: None });

    let alice = meeting.connection(0);
    let info = alice.epoch_info(&meeting.uri).await;
    // Bob's GroupInfo has no external_pub: an honest commit brings one.
    assert!(info.is_ok());
    let carol = &mut meeting.members[2];
    let commit = carol.group.commit().group_info(OUTSIDE);
    let (pending, _) = commit.build(carol.client.signer.as_ref(), &now(), &mut *meeting.rng).unwrap();
    let verdict = pending.questions().accept_unseen();
    let delivery = pending.for_atomic_delivery(&verdict).unwrap();
    let (commit, group_info) = (delivery.message.to_vec(), delivery.admission.group_info.clone().unwrap());
    carol.apply(pending);
    let bundle = CommitBundle::new(commit.clone(), group_info);
    meeting.connection(2).commit(&meeting.uri, &bundle, &key("honest")).await.unwrap();
    meeting.members[3].follow(&commit);

    let commit = meeting.comes_in(ALICE, Some(0), "again").await;
    for member in [2, 3] {
        meeting.members[member].follow(&commit.0);
    }
    let Meeting { mut members, .. } = meeting;
    members.remove(MALLORY);
    agree(&members);
}

impl Meeting {
    /// Comes in by external commit with what the server serves; a member that is still in the tree takes
    /// its old leaf out. Returns the commit and its receipt.
    async fn comes_in(&mut self, name: &'static str, member: Option<usize>, mark: &str) -> (Vec<u8>, Receipt) {
        let seed = |identity: &'static str| Client::new(identity, suite(1), &mut keyroom_vectors::rng(77));
        if member.is_none() {
            self.identities.insert(name, Identity::new(1, seed(name).signer.into()));
        }
        let connection = self.connect(name);
        let info = connection.epoch_info(&self.uri).await.unwrap();
        let tree = connection.tree(&self.uri, &info.tree_hash).await.unwrap();
        let newcomer = seed(name);
        let client = member.map_or(&newcomer, |member| &self.members[member].client);
        let bundle = client.bundle(&mut *self.rng);
        let mut builder = Group::join_external(client.suite, &bundle, config()).group_info(OUTSIDE).ratchet_tree(&tree);
        if let Some(member) = member {
            builder = builder.resync(self.members[member].group.own_leaf());
        }
        let join = builder.build(&info.group_info, client.signer.as_ref(), &now(), &mut *self.rng).unwrap();
        let verdict = join.questions().accept_unseen();
        let (commit, group_info) = (join.message.clone(), join.group_info.clone().unwrap());
        let (group, _) = join.accept(&verdict).unwrap();
        let bundle = CommitBundle::new(commit.clone(), group_info);
        let receipt = connection.commit(&self.uri, &bundle, &key(mark)).await.unwrap();
        if let Some(member) = member {
            self.members[member].group = group;
        }
        (commit, receipt)
    }
}

#[tokio::test]
async fn a_false_external_pub_ends_the_room_at_the_commit_of_who_believed_it() {
    let mut meeting = Meeting::new().await;
    // Bob commits as he should, and only the key that he tells newcomers is his own invention.
    let bob = &mut meeting.members[MALLORY];
    let (pending, _) =
        bob.group.commit().group_info(OUTSIDE).build(bob.client.signer.as_ref(), &now(), &mut *meeting.rng).unwrap();
    let verdict = pending.questions().accept_unseen();
    let delivery = pending.for_atomic_delivery(&verdict).unwrap();
    let commit = delivery.message.to_vec();
    let honest = delivery.admission.group_info.clone().unwrap();
    bob.apply(pending);
    let limits = keyroom_wire::Limits::default();
    let Ok(MlsMessage::GroupInfo(mut info)) = keyroom_wire::Decode::from_bytes(&honest, &limits) else { panic!() };
    let false_key = keyroom_mls::leaf_node::generate_key_pair(bob.client.suite, &mut *meeting.rng).unwrap().public;
    info.extensions.set(ExtensionType::EXTERNAL_PUB, false_key.to_bytes());
    let signer = bob.client.signer.as_ref();
    info.signature = labels::sign_with_label(signer, "GroupInfoTBS", &info.tbs(), &mut *meeting.rng).unwrap();
    let bundle = CommitBundle {
        commit: commit.clone(),
        group_info: MlsMessage::GroupInfo(info).to_bytes(),
        welcomes: Vec::new(),
        access_key: None,
    };
    meeting.connection(MALLORY).commit(&meeting.uri, &bundle, &key("false")).await.unwrap();
    for member in [0, 2, 3] {
        meeting.members[member].follow(&commit);
    }

    let (commit, receipt) = meeting.comes_in(EVE, None, "eve").await;
    for member in [0, 2, 3] {
        assert_eq!(meeting.refuses(member, &commit), Rule::ConfirmationTag.into());
    }
    // Nobody of the epoch is the committer: three of four it takes.
    let mut last = None;
    for member in [0, 2, 3] {
        last = Some(meeting.report(member, &commit, &receipt, ReportReason::ConfirmationTag).await.unwrap());
    }
    let last = last.unwrap();
    assert_eq!((last.reports, last.needed, last.closed.unwrap().at), (3, 3, receipt.sequence));
    let eve = Client::new(EVE, suite(1), &mut keyroom_vectors::rng(77));
    assert_eq!(meeting.names_its_own(&eve).await, Some(Code::NotMember), "who has only come in by that commit");
    meeting.branch().await;
}

#[tokio::test]
async fn a_report_counts_only_with_the_signature_of_another_member_about_a_commit() {
    let mut meeting = Meeting::new().await;
    let text = meeting.members[0].send("hello", &mut *meeting.rng);
    let connection = meeting.connection(0);
    let said = connection.send_message(&meeting.uri, text.clone(), &key("text")).await.unwrap();
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    let reason = ReportReason::ConfirmationTag;
    let good = meeting.reports(0, &made.bytes(), &receipt, reason).await;
    let mut flipped = good.clone();
    flipped.signature[9] ^= 1;
    let about_text = meeting.reports(0, &text, &said, reason).await;
    let own = meeting.reports(MALLORY, &made.bytes(), &receipt, reason).await;
    let other_commit = meeting.reports(0, b"other", &receipt, reason).await;
    let bad = [
        ("a flipped bit", flipped),
        ("another's leaf", Report { leaf: 2, ..good.clone() }),
        ("a leaf outside the tree", Report { leaf: 77, ..good.clone() }),
        ("another reason", Report { reason: ReportReason::Psk, ..good.clone() }),
        ("a message that is no commit", about_text),
        ("nothing that is there", Report { sequence: 99, ..good.clone() }),
        ("before the log", Report { sequence: 0, ..good.clone() }),
        ("another epoch", Report { epoch: 0, ..good.clone() }),
        ("the committer's own", own),
        ("a signature about another commit", other_commit),
    ];
    for (what, report) in bad {
        assert_eq!(connection.report(&meeting.uri, &report).await.unwrap_err().code(), Some(Code::Invalid), "{what}");
    }
    let log = connection.log(&meeting.uri, 0, std::time::Duration::ZERO).await.unwrap();
    assert!(log.closed.is_none() && log.entries.iter().filter(|entry| entry.kind == EntryKind::Commit).count() == 1);
    // None of them was counted.
    assert_eq!(connection.report(&meeting.uri, &good).await.unwrap().reports, 1);
}

impl Meeting {
    /// Somebody who is not in the room.
    fn stranger(&mut self) -> (Client, Connection) {
        let eve = Client::new(EVE, suite(1), &mut keyroom_vectors::rng(77));
        let again = Client::new(EVE, suite(1), &mut keyroom_vectors::rng(77));
        self.identities.insert(EVE, Identity::new(1, again.signer.into()));
        (eve, self.connect(EVE))
    }
}

#[tokio::test]
async fn only_who_has_a_place_in_the_room_reports_even_with_a_members_signature() {
    let mut meeting = Meeting::new().await;
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    let reason = ReportReason::ConfirmationTag;
    let by_alice = meeting.reports(0, &made.bytes(), &receipt, reason).await;
    let by_carol = meeting.reports(2, &made.bytes(), &receipt, reason).await;
    let (_, eve) = meeting.stranger();
    for report in [&by_alice, &by_carol] {
        let code = eve.report(&meeting.uri, report).await.unwrap_err().code();
        // After Bob's commit nobody is let in: to her there is no such room.
        assert_eq!(code, Some(Code::UnknownRoom));
    }
    let counted = meeting.connection(3).report(&meeting.uri, &by_alice).await.unwrap();
    assert_eq!((counted.reports, counted.closed), (1, None), "hers were not counted, and a member may carry another's");
    assert!(meeting.connection(2).report(&meeting.uri, &by_carol).await.unwrap().closed.is_some());
}

#[tokio::test]
async fn only_who_was_in_the_room_to_its_end_registers_where_it_goes_on() {
    let mut meeting = Meeting::new().await;
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    let (eve, connection) = meeting.stranger();
    let own = eve.bundle(&mut *meeting.rng);
    let founder = Founder { bundle: own, group_id: b"hers".as_slice().into(), extensions: Extensions::new() };
    let (group, _) = Group::create(eve.suite, founder, config(), &now(), &mut *meeting.rng).unwrap();
    let info = group.group_info(OUTSIDE, eve.signer.as_ref(), &mut *meeting.rng).unwrap();
    let hers = RoomBundle::new(info, Some(group.ratchet_tree().unwrap()));
    let bundle = RoomBundle { predecessor: Some(meeting.uri.clone()), ..hers.clone() };
    let mine = room("mine");
    let refused = async || connection.create_room(&mine, &bundle).await.unwrap_err().code();
    assert_eq!(refused().await, Some(Code::Invalid), "before it is closed");
    for member in [0, 2] {
        meeting.report(member, &made.bytes(), &receipt, ReportReason::ConfirmationTag).await.unwrap();
    }
    // Whether it is closed now is nothing that she is told.
    assert_eq!(refused().await, Some(Code::Invalid));
    assert_eq!(connection.room(&mine).await.unwrap_err().code(), Some(Code::UnknownRoom));
    let closed = meeting.connection(0).room(&meeting.uri).await.unwrap().closed.unwrap();
    assert_eq!((closed.at, closed.successor), (receipt.sequence, None));
    // The members' own is the first and the only one; her room is one of its own.
    let old = meeting.uri.clone();
    let successor = meeting.branch().await;
    assert_eq!(meeting.connection(1).room(&old).await.unwrap().closed.unwrap().successor, Some(successor));
    connection.create_room(&mine, &hers).await.unwrap();
}

#[tokio::test]
async fn a_room_that_asks_for_more_reports_than_can_come_is_closed_by_all() {
    let mut meeting = Meeting::asking(30).await;
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    for (member, closed) in [(0, false), (2, false), (3, true)] {
        let told = meeting.report(member, &made.bytes(), &receipt, ReportReason::ConfirmationTag).await.unwrap();
        assert_eq!((told.needed, told.closed.is_some()), (3, closed));
    }
}

#[tokio::test]
async fn a_room_may_ask_for_more_reports_than_half() {
    let mut meeting = Meeting::asking(3).await;
    let auth = |auth: &mut keyroom_wire::FramedContentAuthData| auth.confirmation_tag = Some(vec![7; 32].into());
    let change = Alter { auth: Some(Box::new(auth)), ..Alter::default() };
    let (made, receipt) = meeting.breaks(Vec::new(), &change).await;
    for (member, closed) in [(0, false), (2, false), (3, true)] {
        let told = meeting.report(member, &made.bytes(), &receipt, ReportReason::ConfirmationTag).await.unwrap();
        assert_eq!((told.needed, told.closed.is_some()), (3, closed));
    }
    let evidence = meeting.connection(0).room(&meeting.uri).await.unwrap().closed.unwrap();
    assert_eq!(evidence.at, receipt.sequence);
}
