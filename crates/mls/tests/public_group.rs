//! An observer that knows no secret follows a group and agrees with its members on all that is
//! public.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_crypto::{CryptoRng, Secret};
use keyroom_insider::Disk;
use keyroom_insider::{Alter, Insider};
use keyroom_insider::{Client, Member, admission, agree, below, commit, config, now, room, sent, suite};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, Rule, Usage};
use keyroom_mls::group::{ExternalJoins, Group, GroupInfoContent, Received, TreeDelivery, propose_externally};
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_mls::record::RecordKind;
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    CipherSuite, Credential, Encode, ExtensionType, Extensions, ExternalSender, Proposal, ProtocolVersion, Psk, ReInit,
};

const INFO: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
const SMALL: GroupInfoContent = GroupInfoContent { tree: TreeDelivery::OutOfBand, ..INFO };

fn info(member: &Member, content: GroupInfoContent, rng: &mut dyn CryptoRng) -> Vec<u8> {
    member.group.group_info(content, member.client.signer.as_ref(), rng).unwrap()
}

fn observe(group_info: &[u8], rng: &mut dyn CryptoRng) -> PublicGroup {
    let observing = PublicGroup::observe(&RUSTCRYPTO, group_info, None, config(), &now(), rng).unwrap();
    let verdict = observing.questions().accept_unseen();
    observing.accept(&verdict).unwrap()
}

/// An observer in memory and the same in storage.
struct Twin {
    memory: PublicGroup,
    disk: Disk,
    /// Proposals of this epoch, which storage does not hold.
    waiting: Vec<Vec<u8>>,
    most: usize,
}

impl Twin {
    fn new(mut memory: PublicGroup) -> Self {
        let disk = Disk::of(memory.store_whole().unwrap());
        Self { memory, disk, waiting: Vec::new(), most: 0 }
    }

    fn proposal(&mut self, message: &[u8]) {
        assert!(matches!(self.memory.process(message, &now()).unwrap(), Observed::Proposal(_)));
        self.waiting.push(message.to_vec());
    }

    fn commit(&mut self, message: &[u8], group_info: &[u8]) {
        let (mut stored, rounds) = self.disk.open::<PublicGroup>(&config()).unwrap();
        assert!(rounds <= 2);
        for proposal in &self.waiting {
            self.disk.attempt(&mut stored, |group| group.process(proposal, &now())).0.unwrap();
        }
        let (staged, rounds) = self.disk.attempt(&mut stored, |group| group.process(message, &now()));
        self.most = self.most.max(rounds);
        let Observed::Commit(from_disk) = staged.unwrap() else { panic!("a commit") };
        let Observed::Commit(staged) = self.memory.process(message, &now()).unwrap() else { panic!("a commit") };
        assert_eq!(staged.next_context(), from_disk.next_context());
        assert_eq!((staged.added(), staged.committer()), (from_disk.added(), from_disk.committer()));
        staged.check_group_info(group_info, &Config::default()).unwrap();
        assert!(self.memory.check_group_info(group_info).is_err(), "that of the next epoch is not this one's");
        let verdict = staged.questions().accept_unseen();
        let changes = self.memory.apply(*staged, &verdict).unwrap();
        let verdict = from_disk.questions().accept_unseen();
        let stored_changes = stored.apply(*from_disk, &verdict).unwrap();
        assert_eq!(changes, stored_changes);
        self.disk.apply(changes);
        self.memory.check_group_info(group_info).unwrap();
        self.waiting.clear();
    }
}

#[test]
fn an_observer_follows_a_long_history_and_agrees_with_the_members() {
    let rng = &mut keyroom_vectors::rng(1);
    let mut members = room(&["a", "b", "c", "d", "e"], 1, config(), rng);
    let mut twin = Twin::new(observe(&info(&members[0], INFO, rng), rng));
    let names = ["f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"];
    let psk = (Psk::External { psk_id: b"x"[..].into() }, Secret::copy_of(b"y"));
    for step in 0..60 {
        let from = below(rng, members.len());
        match below(rng, 8) {
            0 | 1 => {
                let member = &mut members[from];
                let signer = member.client.signer.as_ref();
                let out = match below(rng, 3) {
                    0 => {
                        let package = Client::new("ghost", suite(1), rng).bundle(rng).key_package;
                        member.group.propose(Proposal::Add { key_package: Box::new(package) }, b"", signer, &now(), rng)
                    }
                    _ => member.group.propose_update(b"", signer, None, &now(), rng),
                };
                let message = out.unwrap().message;
                for (position, member) in members.iter_mut().enumerate() {
                    if position != from {
                        member.group.process(&message, &now()).unwrap();
                    }
                }
                twin.proposal(&message);
                continue;
            }
            2 if members.len() < 12 => {
                let client = Client::new(names[step % names.len()], suite(1), rng);
                let bundle = client.bundle(rng);
                let context = info(&members[from], INFO, rng);
                let builder = Group::join_external(suite(1), &bundle, config());
                let join = builder.group_info(SMALL).build(&context, client.signer.as_ref(), &now(), rng).unwrap();
                for member in &mut members {
                    member.follow(&join.message);
                }
                twin.commit(&join.message, join.group_info.as_ref().unwrap());
                let verdict = join.questions().accept_unseen();
                members.push(Member { client, group: join.accept(&verdict).unwrap().0 });
            }
            choice => {
                let live: Vec<_> = members.iter().map(|member| member.group.own_leaf()).collect();
                let others = members[from].group.members().unwrap();
                let ghost = others.iter().map(|member| member.leaf_index).find(|leaf| !live.contains(leaf));
                let packages: Vec<_> =
                    (0..below(rng, 4)).map(|_| Client::new("ghost", suite(1), rng).bundle(rng).key_package).collect();
                let psks = [psk.0.clone()].map(|name| (name, psk.1.duplicate()));
                let inputs = Inputs { psks: &psks, ..now() };
                let member = &mut members[from];
                let mut builder = member.group.commit().group_info(INFO);
                for package in packages {
                    builder = builder.add(package);
                }
                if let (3..=4, Some(ghost)) = (choice, ghost) {
                    builder = builder.remove(ghost);
                }
                if choice == 5 {
                    builder = builder.psk(psk.0.clone());
                }
                let (pending, _) = builder.build(member.client.signer.as_ref(), &inputs, rng).unwrap();
                let (message, info) = (sent(&pending), admission(&pending).group_info.unwrap());
                member.apply(pending);
                for (position, member) in members.iter_mut().enumerate() {
                    if position != from {
                        let Received::Commit(staged) = member.group.process(&message, &inputs).unwrap().received else {
                            panic!("a commit")
                        };
                        let verdict = staged.questions().accept_unseen();
                        member.group.apply(staged, &verdict).unwrap();
                    }
                }
                twin.commit(&message, &info);
            }
        }
        agree(&members);
        let group = &members[0].group;
        assert_eq!(twin.memory.context(), group.context());
        assert_eq!(twin.memory.members().unwrap(), group.members().unwrap());
        assert!(twin.memory.ratchet_tree().unwrap() == group.ratchet_tree().unwrap());
    }
    assert!(twin.most <= 4, "{} rounds", twin.most);
    let kinds: Vec<RecordKind> = twin.disk.records.keys().map(|key| key.kind).collect();
    let secret = [RecordKind::Epoch, RecordKind::PathKeys, RecordKind::Secrets, RecordKind::Ratchet];
    assert!(kinds.iter().all(|kind| !secret.contains(kind)));
}

#[test]
fn what_an_observer_cannot_see_shows_in_the_next_group_info() {
    let rng = &mut keyroom_vectors::rng(2);
    let mut members = room(&["a", "b", "c", "d"], 1, config(), rng);
    let mut observer = observe(&info(&members[0], INFO, rng), rng);
    let before = info(&members[0], INFO, rng);
    let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
    let garbage = Alter { secret: Some(Box::new(|_, secret| secret.fill(1))), ..Alter::default() };
    let unreadable = bob.commit(Vec::new(), &garbage, rng).bytes();
    let wrong_tag = Alter {
        auth: Some(Box::new(|auth| auth.confirmation_tag = Some(vec![0; 32].as_slice().into()))),
        ..Alter::default()
    };
    let wrong_tag = bob.commit(Vec::new(), &wrong_tag, rng).bytes();
    let short_tag = Alter {
        auth: Some(Box::new(|auth| auth.confirmation_tag = Some(vec![0; 31].as_slice().into()))),
        ..Alter::default()
    };
    let short_tag = bob.commit(Vec::new(), &short_tag, rng).bytes();
    assert_eq!(observer.process(&short_tag, &now()).map(|_| ()), Err(Error::Rule(Rule::ConfirmationTag)));
    let (honest, _) = commit(&mut members, 0, rng, |builder| builder);
    let after = info(&members[0], INFO, rng);
    let mut staged = Vec::new();
    for message in [&unreadable, &wrong_tag, &honest] {
        let Observed::Commit(commit) = observer.process(message, &now()).unwrap() else { panic!("a commit") };
        staged.push(*commit);
    }
    let honest = staged.pop().unwrap();
    for wrong in &staged {
        assert!(wrong.check_group_info(&after, &Config::default()).is_err());
        assert!(wrong.check_group_info(&before, &Config::default()).is_err());
    }
    honest.check_group_info(&after, &Config::default()).unwrap();
    let verdict = honest.questions().accept_unseen();
    observer.apply(honest, &verdict).unwrap();
    let stale = staged.pop().unwrap();
    let verdict = stale.questions().accept_unseen();
    assert_eq!(observer.apply(stale, &verdict).unwrap_err(), Error::Usage(Usage::StaleCommit));
    assert_eq!(observer.check_group_info(&before), Err(Error::Rule(Rule::GroupInfoContext)));
    for cut in 0..after.len() {
        assert!(observer.check_group_info(&after[..cut]).is_err());
        let mut damaged = after.clone();
        damaged[cut] ^= 1 << (cut % 8);
        assert!(observer.check_group_info(&damaged).is_err(), "a bit of byte {cut}");
    }
}

#[test]
fn an_observer_knows_external_senders_and_accepts_nothing_after_the_end() {
    let rng = &mut keyroom_vectors::rng(3);
    let mut members = room(&["a", "b", "c"], 1, config(), rng);
    let mut observer = observe(&info(&members[0], INFO, rng), rng);
    let server = Client::new("server", suite(1), rng);
    let sender = ExternalSender {
        signature_key: server.signer.public_key().clone(),
        credential: Credential::basic(b"server".to_vec()),
    };
    let mut extensions = Extensions::new();
    extensions.set(ExtensionType::EXTERNAL_SENDERS, vec![sender].to_bytes());
    let (message, _) = commit(&mut members, 0, rng, |builder| builder.extensions(extensions));
    let follow = |observer: &mut PublicGroup, message: &[u8]| {
        let Observed::Commit(staged) = observer.process(message, &now()).unwrap() else { panic!("a commit") };
        let verdict = staged.questions().accept_unseen();
        observer.apply(*staged, &verdict).unwrap();
    };
    follow(&mut observer, &message);
    let removal = Proposal::Remove { removed: members[2].group.own_leaf() };
    let removal = propose_externally(observer.context(), removal, server.signer.as_ref(), rng).unwrap();
    assert!(matches!(observer.process(&removal, &now()).unwrap(), Observed::Proposal(_)));
    for member in &mut members {
        member.group.process(&removal, &now()).unwrap();
    }
    let gone = members.pop().unwrap();
    let (message, _) = commit(&mut members, 1, rng, |builder| builder);
    follow(&mut observer, &message);
    assert_eq!(observer.member(gone.group.own_leaf()).unwrap(), None);
    assert_eq!(observer.context(), members[0].group.context());

    let mut disk = Disk::of(observer.store_whole().unwrap());
    // Stored late, it is stored whole.
    let (mut stored, _) = disk.open::<PublicGroup>(&config()).unwrap();
    let member = &mut members[1];
    let unused = member.group.commit().build(member.client.signer.as_ref(), &now(), rng).unwrap().0;
    let unused = sent(&unused);
    disk.attempt(&mut stored, |group| group.process(&unused, &now())).0.unwrap();
    let reinit = ReInit {
        group_id: b"next"[..].into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(3),
        extensions: Extensions::new(),
    };
    let (message, _) = commit(&mut members, 0, rng, |builder| builder.reinit(reinit.clone()));
    let Observed::Commit(staged) = observer.process(&message, &now()).unwrap() else { panic!("a commit") };
    assert_eq!(staged.reinit(), Some(&reinit));
    let verdict = staged.questions().accept_unseen();
    disk.apply(observer.apply(*staged, &verdict).unwrap());
    assert_eq!(observer.reinit(), Some(&reinit));
    let (mut reopened, _) = disk.open::<PublicGroup>(&config()).unwrap();
    // Members refuse to make it; one who does so by hand is refused.
    let bob = Insider::new(&members[1].group, members[1].client.signer.as_ref());
    let more = bob.commit(Vec::new(), &Alter::default(), rng).bytes();
    for observer in [&mut observer, &mut reopened] {
        let more = observer.process(&more, &now()).map(|_| ());
        assert_eq!(more, Err(Error::Rule(Rule::GroupReinitialised)));
    }
}

#[test]
fn an_observer_reads_no_private_messages() {
    let rng = &mut keyroom_vectors::rng(4);
    let mut members = room(&["a", "b"], 1, config(), rng);
    let mut observer = observe(&info(&members[0], INFO, rng), rng);
    let sent = members[0].send("hello", rng);
    assert_eq!(observer.process(&sent, &now()).map(|_| ()), Err(Error::Usage(Usage::WrongMessageKind)));
}
