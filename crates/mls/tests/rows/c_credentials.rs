//! Section C: what the application is asked about credentials. The engine cannot judge them; it
//! asks, and nothing takes effect without the answer: `apply` and `accept` take a verdict that only
//! the answers to exactly these questions can make.

use keyroom_insider::{Alter, Bench, Client, INFO, Insider, Member as Person, NOW, config, now, suite};
use keyroom_mls::config::Inputs;
use keyroom_mls::error::{Error, Usage};
use keyroom_mls::group::{CommitBuilder, Group, JoinOptions, Received, StagedCommit, Waiting};
use keyroom_mls::identity::{Judgement, Question, Questions, Rejected};
use keyroom_mls::public::{Observed, PublicGroup};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{
    Credential, Encode, ExtensionType, ExternalSender, KeyPackage, LeafIndex, MlsMessage, Opaque, Proposal, Sender,
};

use super::leaves::{BOB, add, committed, extensions, faulty_package, group_info, proposed, update};

/// A verdict on nothing, which nobody can pass off as the answer to something.
fn verdict_on_nothing(bench: &mut Bench) -> keyroom_mls::identity::Verdict {
    let alice = &mut bench.members[0];
    let signer = alice.client.signer.as_ref();
    let commit = alice.group.commit().waiting(Waiting::Only(Vec::new()));
    let (pending, _) = commit.build(signer, &now(), &mut keyroom_vectors::rng(1)).unwrap();
    assert!(pending.questions().is_empty());
    let verdict = pending.questions().accept_unseen();
    alice.group.discard(pending.id).unwrap();
    verdict
}

/// Exactly one question is such; with a no to it there is no verdict.
#[track_caller]
fn asked(questions: &Questions, about: impl Fn(&Question) -> bool) {
    let position = questions.iter().position(&about).expect("the question");
    assert_eq!(questions.iter().filter(|question| about(question)).count(), 1);
    let judge = |question: &Question| if about(question) { Judgement::Reject } else { Judgement::Accept };
    assert_eq!(questions.judge(judge).unwrap_err(), Rejected { question: position });
    let all_but_the_last = questions.iter().skip(1).map(|_| Judgement::Accept);
    assert!(questions.verdict(all_but_the_last).is_err(), "an answer is missing");
}

/// A staged commit does not take effect by a verdict on something else.
#[track_caller]
fn not_applied_unanswered(bench: &mut Bench, staged: StagedCommit) {
    let other = verdict_on_nothing(bench);
    let alice = &mut bench.members[0].group;
    let before = alice.snapshot().unwrap();
    assert_eq!(alice.apply(staged, &other).map(drop).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    assert!(alice.snapshot().unwrap() == before, "the group has changed");
}

fn staged(person: &mut Person, message: &[u8]) -> StagedCommit {
    match person.group.process(message, &now()).unwrap().received {
        Received::Commit(staged) => staged,
        other => panic!("a commit was expected, not {other:?}"),
    }
}

/// What Alice and the observer ask about a commit; Alice cannot apply it unanswered, nor can he.
#[track_caller]
fn commit_is_asked_about(bench: &mut Bench, message: &[u8], about: impl Fn(&Question) -> bool) {
    let commit = staged(&mut bench.members[0], message);
    asked(commit.questions(), &about);
    not_applied_unanswered(bench, commit);
    let other = verdict_on_nothing(bench);
    let observer = bench.observer.as_mut().unwrap();
    let Observed::Commit(commit) = observer.process(message, &now()).unwrap() else { panic!("a commit") };
    asked(commit.questions(), &about);
    let before = observer.context().clone();
    assert_eq!(observer.apply(*commit, &other).map(drop).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    assert_eq!(*observer.context(), before);
}

/// The same for a commit of Alice herself.
#[track_caller]
fn own_commit_is_asked_about(
    bench: &mut Bench,
    build: impl FnOnce(CommitBuilder<'_>) -> CommitBuilder<'_>,
    about: impl Fn(&Question) -> bool,
) {
    let alice = &mut bench.members[0];
    let commit = build(alice.group.commit());
    let (pending, _) = commit.build(alice.client.signer.as_ref(), &now(), &mut keyroom_vectors::rng(2)).unwrap();
    asked(pending.questions(), &about);
    let id = pending.id;
    not_applied_unanswered(bench, pending.into_staged());
    bench.members[0].group.discard(id).unwrap();
}

fn is_of(member: &keyroom_mls::identity::Member, credential: &Credential) -> bool {
    member.credential().unwrap() == *credential
}

fn joins(question: &Question, package: &KeyPackage) -> bool {
    matches!(question, Question::Joins(member) if is_of(member, &package.leaf_node.credential)
        && member.signature_key() == package.leaf_node.signature_key)
}

#[test]
fn row_034_whom_we_add_is_asked_about() {
    let mut bench = Bench::open();
    let (_, bundle) = bench.newcomer("faye");
    let package = bundle.key_package.clone();
    own_commit_is_asked_about(&mut bench, |commit| commit.add(package), |q| joins(q, &bundle.key_package));
    bench.goes_on();
}

#[test]
fn row_035_everybody_in_a_group_that_we_join_is_asked_about() {
    let mut bench = Bench::open();
    let (_, bundle) = bench.newcomer("faye");
    let made = committed(&bench, vec![add(&bundle.key_package)], &Alter::default());
    let info = group_info(&bench, &made, |_| {});
    let rng = &mut keyroom_vectors::rng(3);
    let others: Vec<Credential> = [0, 1, 3, 4, 5].map(|leaf| bench.leaf(leaf).credential).into_iter().collect();
    let of = |questions: &Questions| -> Vec<Credential> {
        let present = questions.iter().filter_map(|question| match question {
            Question::Present(member) => Some(member.credential().unwrap()),
            _ => None,
        });
        present.collect()
    };
    let other = verdict_on_nothing(&mut bench);
    let wrong = Error::Usage(Usage::WrongVerdict);

    let welcome = made.welcome(suite(1), &info, &keyroom_insider::SecretParts::default(), rng);
    let welcome = MlsMessage::Welcome(welcome).to_bytes();
    let bundles = [bundle];
    let joining = Group::join(suite(1), &welcome, &JoinOptions::new(&bundles), config(), &now(), rng).unwrap();
    assert!(others.iter().all(|member| of(joining.questions()).contains(member)));
    assert_eq!(of(joining.questions()).len(), others.len());
    for member in &others {
        asked(joining.questions(), |q| matches!(q, Question::Present(present) if is_of(present, member)));
    }
    assert_eq!(joining.accept(&other).map(drop).unwrap_err(), wrong);

    let (hugo, hugo_bundle) = bench.newcomer("hugo");
    let info = MlsMessage::GroupInfo(info).to_bytes();
    let join = Group::join_external(suite(1), &hugo_bundle, config());
    let join = join.build(&info, hugo.signer.as_ref(), &now(), rng).unwrap();
    assert_eq!(of(join.questions()).len(), others.len() + 1, "Faye is in it as well");
    assert!(others.iter().all(|member| of(join.questions()).contains(member)));
    assert_eq!(join.accept(&other).map(drop).unwrap_err(), wrong);

    let observing = PublicGroup::observe(&RUSTCRYPTO, &info, None, config(), &now(), rng).unwrap();
    assert_eq!(of(observing.questions()).len(), others.len() + 1);
    assert_eq!(observing.accept(&other).map(drop).unwrap_err(), wrong);
}

#[test]
fn row_036_whom_others_add_is_asked_about() {
    let mut bench = Bench::open();
    let (_, bundle) = bench.newcomer("faye");
    let message = committed(&bench, vec![add(&bundle.key_package)], &Alter::default()).bytes();
    commit_is_asked_about(&mut bench, &message, |q| joins(q, &bundle.key_package));
    bench.goes_on();
}

#[test]
fn row_036_who_joins_from_outside_is_asked_about() {
    let mut bench = Bench::open();
    let (eve, bundle) = bench.newcomer("eve");
    let message = external_commit(&mut bench, &eve, &bundle, None);
    commit_is_asked_about(&mut bench, &message, |q| joins(q, &bundle.key_package));
    bench.goes_on();
}

fn external_commit(
    bench: &mut Bench,
    client: &Client,
    bundle: &keyroom_mls::key_package::KeyPackageBundle,
    resync: Option<LeafIndex>,
) -> Vec<u8> {
    let rng = &mut keyroom_vectors::rng(4);
    let info = bench.members[0].group.group_info(INFO, bench.members[0].client.signer.as_ref(), rng).unwrap();
    let mut join = Group::join_external(suite(1), bundle, config());
    if let Some(removed) = resync {
        join = join.resync(removed);
    }
    join.build(&info, client.signer.as_ref(), &now(), rng).unwrap().message
}

fn robert() -> Credential {
    Credential::basic("robert")
}

/// A question about Bob's new credential that also shows the old one.
fn bob_becomes_robert(question: &Question) -> bool {
    matches!(question, Question::Changes { old, new }
        if old.leaf_index == BOB && new.leaf_index == BOB
            && is_of(old, &Credential::basic("bob")) && is_of(new, &robert()))
}

/// Alice's commit of Bob's Update, which she has kept.
#[track_caller]
fn update_is_asked_about(bench: &mut Bench, message: &[u8], about: impl Fn(&Question) -> bool) {
    for member in [0, 2] {
        bench.members[member].group.process(message, &now()).unwrap();
    }
    bench.observer.as_mut().unwrap().process(message, &now()).unwrap();
    own_commit_is_asked_about(bench, |commit| commit, &about);
    let dana = &mut bench.members[2];
    let signer = dana.client.signer.as_ref();
    let (pending, _) = dana.group.commit().build(signer, &now(), &mut keyroom_vectors::rng(5)).unwrap();
    let commit = keyroom_insider::sent(&pending);
    let received = staged(&mut bench.members[0], &commit);
    asked(received.questions(), &about);
    let observer = bench.observer.as_mut().unwrap();
    let Observed::Commit(observed) = observer.process(&commit, &now()).unwrap() else { panic!("a commit") };
    asked(observed.questions(), &about);
}

#[test]
fn row_037_an_update_with_a_new_credential_is_asked_about() {
    let mut bench = Bench::open();
    let message = update(&bench, &|parts| parts.credential = robert());
    update_is_asked_about(&mut bench, &message, bob_becomes_robert);
}

#[test]
fn row_038_a_path_with_a_new_credential_is_asked_about() {
    let mut bench = Bench::open();
    let alter = Alter { parts: Some(Box::new(|parts| parts.credential = robert())), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &alter).bytes();
    commit_is_asked_about(&mut bench, &message, bob_becomes_robert);
    bench.goes_on();
}

fn external_sender(name: &str) -> ExternalSender {
    let client = Client::new("service", suite(1), &mut keyroom_vectors::rng(6));
    ExternalSender { signature_key: client.signer.public_key().clone(), credential: Credential::basic(name) }
}

fn trusting(senders: &[ExternalSender]) -> keyroom_wire::Extensions {
    extensions(&[(ExtensionType::EXTERNAL_SENDERS, &senders.to_vec().to_bytes())])
}

fn trusts(question: &Question, wanted: &ExternalSender) -> bool {
    matches!(question, Question::ExternalSender(sender) if sender == wanted)
}

#[test]
fn row_039_an_external_sender_that_is_added_is_asked_about() {
    let mut bench = Bench::open();
    let sender = external_sender("service");
    let proposal = Proposal::GroupContextExtensions { extensions: trusting(std::slice::from_ref(&sender)) };
    let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
    commit_is_asked_about(&mut bench, &message, |q| trusts(q, &sender));
    let new = trusting(std::slice::from_ref(&sender));
    own_commit_is_asked_about(&mut bench, |commit| commit.extensions(new), |q| trusts(q, &sender));

    // Who joins later is asked as well.
    let (_, bundle) = bench.newcomer("faye");
    let (new, package) = (trusting(std::slice::from_ref(&sender)), bundle.key_package.clone());
    let welcome = bench.commit(0, |commit| commit.extensions(new).add(package)).unwrap();
    let rng = &mut keyroom_vectors::rng(7);
    let joining = Group::join(suite(1), &welcome, &JoinOptions::new(&[bundle]), config(), &now(), rng).unwrap();
    asked(joining.questions(), |q| trusts(q, &sender));
}

#[test]
fn row_040_an_external_sender_that_is_changed_is_asked_about() {
    let mut bench = Bench::open();
    let (old, other) = (external_sender("service"), external_sender("other"));
    let before = trusting(&[old.clone(), other.clone()]);
    bench.commit(0, |commit| commit.extensions(before));
    let mut new_credential = old.clone();
    new_credential.credential = Credential::basic("somebody else");
    let stranger = Client::new("stranger", suite(1), &mut keyroom_vectors::rng(8));
    let new_key = ExternalSender { signature_key: stranger.signer.public_key().clone(), ..old.clone() };
    for changed in [new_credential, new_key] {
        let after = trusting(&[changed.clone(), other.clone()]);
        let proposal = Proposal::GroupContextExtensions { extensions: after.clone() };
        let message = committed(&bench, vec![proposal], &Alter::default()).bytes();
        commit_is_asked_about(&mut bench, &message, |q| trusts(q, &changed));
        let commit = staged(&mut bench.members[0], &message);
        assert!(!commit.questions().iter().any(|q| trusts(q, &other)), "who stays is not asked about again");
        own_commit_is_asked_about(&mut bench, |commit| commit.extensions(after), |q| trusts(q, &changed));
    }
    bench.goes_on();
}

#[test]
fn row_041_a_successor_is_asked_about_together_with_whom_it_succeeds() {
    let mut bench = Bench::open();
    // A path, an own commit, an Update.
    let alter = Alter { parts: Some(Box::new(|parts| parts.credential = robert())), ..Alter::default() };
    let message = committed(&bench, Vec::new(), &alter).bytes();
    commit_is_asked_about(&mut bench, &message, bob_becomes_robert);
    let new = Client::new("alice", suite(1), &mut keyroom_vectors::rng(9));
    let changes = |q: &Question| {
        matches!(q, Question::Changes { old, new: after } if old.leaf_index == LeafIndex(0)
            && after.signature_key() == *new.signer.public_key() && old.signature_key() != after.signature_key())
    };
    let same_name = Credential::basic("alice");
    let alice = &mut bench.members[0];
    let commit = alice.group.commit().new_identity(new.signer.as_ref(), same_name);
    let (own, _) = commit.build(alice.client.signer.as_ref(), &now(), &mut keyroom_vectors::rng(10)).unwrap();
    asked(own.questions(), changes);
    let id = own.id;
    not_applied_unanswered(&mut bench, own.into_staged());
    bench.members[0].group.discard(id).unwrap();
    // Somebody comes from outside and takes Bob's place.
    let (eve, bundle) = bench.newcomer("eve");
    let message = external_commit(&mut bench, &eve, &bundle, Some(BOB));
    commit_is_asked_about(&mut bench, &message, |q| {
        matches!(q, Question::Rejoins { old, new } if is_of(old, &Credential::basic("bob"))
            && is_of(new, &Credential::basic("eve")))
    });
    let message = update(&bench, &|parts| parts.credential = robert());
    update_is_asked_about(&mut bench, &message, bob_becomes_robert);
}

/// Whoever joins brings an end entity and an issuer.
fn chain() -> Vec<Opaque> {
    [&b"the end entity"[..], b"its issuer", b"the root"].map(Opaque::from).to_vec()
}

/// What an application is shown of an X.509 credential that comes in: the chain in its order and
/// the key of the leaf.
fn shown_chain(bench: &mut Bench) -> (Vec<Opaque>, Vec<u8>, KeyPackage) {
    let (faye, _) = bench.newcomer("faye");
    let bundle = faye.bundle_for(Credential::X509 { certificates: chain() }, &mut keyroom_vectors::rng(10));
    let message = committed(bench, vec![add(&bundle.key_package)], &Alter::default()).bytes();
    commit_is_asked_about(bench, &message, |q| joins(q, &bundle.key_package));
    let package = bundle.key_package.clone();
    own_commit_is_asked_about(bench, |commit| commit.add(package), |q| joins(q, &bundle.key_package));
    let commit = staged(&mut bench.members[0], &message);
    let shown = commit.questions().iter().find_map(|question| match question {
        Question::Joins(member) => Some((member.credential().unwrap(), member.signature_key().into_vec())),
        _ => None,
    });
    let Some((Credential::X509 { certificates }, key)) = shown else { panic!("an X.509 credential") };
    (certificates, key, bundle.key_package)
}

#[test]
fn row_042_the_application_sees_the_end_entity_beside_the_key_of_the_leaf() {
    let mut bench = Bench::open();
    let (certificates, key, package) = shown_chain(&mut bench);
    assert_eq!(certificates[0].as_slice(), b"the end entity");
    assert_eq!(key, package.leaf_node.signature_key.as_slice());
    bench.goes_on();
}

#[test]
fn row_043_the_application_sees_the_whole_chain_in_the_order_in_which_it_was_sent() {
    let mut bench = Bench::open();
    let (certificates, _, _) = shown_chain(&mut bench);
    assert_eq!(certificates, chain());
    bench.goes_on();
}

#[test]
fn row_044_the_application_can_compare_the_algorithm_of_the_certificate_with_the_suite() {
    let mut bench = Bench::open();
    let (certificates, key, package) = shown_chain(&mut bench);
    assert_eq!((certificates, key.len()), (chain(), 32));
    assert_eq!(package.cipher_suite, bench.members[0].group.context().cipher_suite);
    // The engine's own part: a key of the leaf that is none of the suite's scheme never comes so far.
    let (faye, bundle) = bench.newcomer("faye");
    let mut package = faulty_package(&faye, &bundle, &|parts| {
        parts.credential = Credential::X509 { certificates: chain() };
    });
    package.leaf_node.signature_key = vec![4; 65].into();
    let message = proposed(&bench.bob(), add(&package));
    bench.refuses("a P-256 key", &message, keyroom_mls::error::Rule::InvalidPublicKey);
    bench.goes_on();
}

#[test]
fn row_045_a_member_whose_credential_has_run_out_goes_on_updating_and_committing() {
    let mut bench = Bench::open();
    // Erin's leaf still stands as it came in her key package; years later that is long past.
    let late = Inputs::at(NOW + 10 * 366 * 24 * 3600);
    let unchanged = update(&bench, &|_| {});
    bench.members[0].group.process(&unchanged, &late).unwrap();
    let commit = committed(&bench, Vec::new(), &Alter::default()).bytes();
    let received = bench.members[0].group.process(&commit, &late).unwrap().received;
    let Received::Commit(staged) = received else { panic!("a commit") };
    assert!(staged.questions().is_empty(), "nobody is asked about a credential that stays");
    let verdict = staged.questions().verdict([]).unwrap();
    let text = bench.members[1].send("sent before", &mut keyroom_vectors::rng(11));
    bench.members[0].group.apply(staged, &verdict).unwrap();
    // What was sent under the credential of that time is still verified with it.
    let received = bench.members[0].group.process(&text, &now()).unwrap().received;
    let Received::Application { sender, data, .. } = received else { panic!("application data") };
    assert_eq!((sender.credential().unwrap(), data.as_slice()), (Credential::basic("bob"), &b"sent before"[..]));
}

#[test]
fn row_046_an_application_id_makes_nobody_anybody() {
    let mut bench = Bench::open();
    let id = b"\x05alice";
    let as_alice = |parts: &mut keyroom_mls::leaf_node::LeafNodeParts| {
        parts.extensions.set(ExtensionType::APPLICATION_ID, id);
    };
    let (faye, mut bundle) = bench.newcomer("faye");
    bundle.key_package = faulty_package(&faye, &bundle, &as_alice);
    let (gina, gina_bundle) = bench.newcomer("gina");
    let second = faulty_package(&gina, &gina_bundle, &as_alice);
    // Two clients with one application id are two clients, and each is shown by its credential.
    let message = committed(&bench, vec![add(&bundle.key_package), add(&second)], &Alter::default()).bytes();
    commit_is_asked_about(&mut bench, &message, |q| joins(q, &bundle.key_package));
    commit_is_asked_about(&mut bench, &message, |q| joins(q, &second));
    let welcome = bench.commit(0, |commit| commit.add(bundle.key_package.clone())).unwrap();
    let group = faye.join(&welcome, bundle, config(), &mut keyroom_vectors::rng(12));
    let mut faye = Person { client: faye, group };
    let text = faye.send("I am Alice", &mut keyroom_vectors::rng(13));
    assert_eq!(bench.members[1].read(&text).1, "faye");
    // To take on an application id is no change of identity, and to have Alice's gives no right.
    let bob = Insider::new(&bench.members[1].group, bench.members[1].client.signer.as_ref());
    let alter = Alter { parts: Some(Box::new(as_alice)), ..Alter::default() };
    let commit = bob.commit(Vec::new(), &alter, &mut keyroom_vectors::rng(14)).bytes();
    let commit = staged(&mut bench.members[0], &commit);
    assert!(commit.questions().is_empty());
    assert_eq!(commit.committer(), Sender::Member(BOB));
}

#[test]
fn questions_cannot_be_answered_in_part() {
    let mut bench = Bench::open();
    let (_, one) = bench.newcomer("faye");
    let (_, two) = bench.newcomer("gina");
    let message = committed(&bench, vec![add(&one.key_package), add(&two.key_package)], &Alter::default()).bytes();
    let commit = staged(&mut bench.members[0], &message);
    let questions = commit.questions();
    assert_eq!(questions.len(), 4, "two proposals, two clients");
    for answered in 0..questions.len() {
        let answers = std::iter::repeat_n(Judgement::Accept, answered);
        assert_eq!(questions.verdict(answers).unwrap_err(), Rejected { question: answered });
    }
    assert!(questions.verdict([Judgement::Accept; 4]).is_ok());
}
