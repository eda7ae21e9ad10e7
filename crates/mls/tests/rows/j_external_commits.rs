//! Section J: external commits (RFC 9420 §12.2, §12.4.3.2).

use std::sync::Arc;

use keyroom_crypto::Secret;
use keyroom_insider::proposals::{add, extensions, external_psk, group_context, psk, reinit, remove, resumption_psk};
use keyroom_insider::{
    Alter, BLANK, Bench, Client, EXTENSION, INFO, Init, Made, Member, NOW, PROPOSAL, config, now, suite,
};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::{Error, NotYet, Rule, Usage};
use keyroom_mls::group::{ExternalJoin, Group};
use keyroom_mls::identity::{Judgement, Question, Questions};
use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
use keyroom_mls::leaf_node::lifetime_from;
use keyroom_mls::proposals::{CommitUse, PathNeed, ProposalTable, ProposalTypeEntry, SenderType};
use keyroom_mls::public::Observed;
use keyroom_wire::{
    Credential, CredentialType, Encode, ExtensionType, LeafIndex, LeafNodeSource, Proposal, ProposalOrRef, ProposalRef,
    ProposalType, Psk, RequiredCapabilities, ResumptionPskUsage, Sender,
};

/// Without a key: the insider puts in the one that it encapsulates.
fn init() -> Proposal {
    Proposal::ExternalInit { kem_output: Vec::new().into() }
}

/// Eve, who comes from outside.
struct Eve {
    client: Client,
    bundle: KeyPackageBundle,
}

impl Eve {
    fn new(bench: &mut Bench) -> Self {
        let (client, bundle) = bench.newcomer("eve");
        Self { client, bundle }
    }

    /// Her external commit, made by Bob who knows the secrets of the group.
    fn made(&self, bench: &Bench, entries: Vec<ProposalOrRef>, change: &Alter<'_>) -> Made {
        let leaf = &self.bundle.key_package.leaf_node;
        let rng = &mut keyroom_vectors::rng(30);
        bench.bob().commit_of(Sender::NewMemberCommit, leaf, self.client.signer.as_ref(), entries, change, rng)
    }

    fn commits(&self, bench: &Bench, proposals: Vec<Proposal>, change: &Alter<'_>) -> Vec<u8> {
        self.made(bench, proposals.into_iter().map(ProposalOrRef::Proposal).collect(), change).bytes()
    }

    /// Members and observers refuse her commit.
    #[track_caller]
    fn refused(&self, bench: &mut Bench, name: &str, proposals: Vec<Proposal>, expected: impl Into<Error>) {
        let message = self.commits(bench, proposals, &Alter::default());
        bench.refuses(name, &message, expected);
    }

    /// As an honest client of this implementation.
    fn joins(&self, bench: &mut Bench, resync: Option<u32>, psks: &[(Psk, Secret)]) -> Result<ExternalJoin, Error> {
        let Bench { members, rng, .. } = bench;
        let Member { client, group } = &members[0];
        let info = group.group_info(INFO, client.signer.as_ref(), &mut **rng).unwrap();
        let mut builder = Group::join_external(suite(1), &self.bundle, config());
        if let Some(leaf) = resync {
            builder = builder.resync(LeafIndex(leaf));
        }
        for (psk, _) in psks {
            builder = builder.psk(psk.clone());
        }
        builder.build(&info, self.client.signer.as_ref(), &Inputs { psks, ..now() }, &mut **rng)
    }
}

#[test]
fn row_155_an_external_commit_has_an_external_init() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    eve.refused(&mut bench, "nothing", vec![], Rule::ExternalInitCount);
    eve.refused(&mut bench, "a Remove", vec![remove(3)], Rule::ExternalInitCount);
    eve.refused(&mut bench, "a PSK", vec![psk(external_psk(b"a"), 32)], Rule::ExternalInitCount);
    let message = eve.commits(&bench, vec![init()], &Alter::default());
    bench.accepts(&message);
    bench.goes_on();
}

#[test]
fn row_156_an_external_commit_has_one_external_init() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    eve.refused(&mut bench, "two", vec![init(), init()], Rule::ExternalInitCount);
    eve.refused(&mut bench, "two and a Remove", vec![init(), remove(3), init()], Rule::ExternalInitCount);
    bench.goes_on();
}

#[test]
fn row_157_an_external_commit_removes_at_most_one() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    eve.refused(&mut bench, "two members", vec![init(), remove(3), remove(4)], Rule::ExternalRemoveCount);
    eve.refused(&mut bench, "one twice", vec![remove(3), init(), remove(3)], Rule::ExternalRemoveCount);
    bench.goes_on();
}

#[test]
fn an_external_commit_removes_only_members() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    eve.refused(&mut bench, "a blank leaf", vec![init(), remove(BLANK.0)], Rule::RemovedNotMember);
    eve.refused(&mut bench, "no leaf", vec![init(), remove(u32::MAX)], Rule::RemovedNotMember);
    let own = eve.joins(&mut bench, Some(BLANK.0), &[]).map(drop);
    assert_eq!(own.unwrap_err(), Error::Rule(Rule::RemovedNotMember), "nor does the joiner make it");
}

/// A joiner must be the client that it removes, told by its credential.
fn same_client(question: &Question) -> Judgement {
    match question {
        Question::Rejoins { old, new } if old.credential() != new.credential() => Judgement::Reject,
        _ => Judgement::Accept,
    }
}

#[test]
fn row_158_nobody_takes_the_place_of_another_unless_the_application_says_so() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let message = eve.commits(&bench, vec![init(), remove(3)], &Alter::default());
    let staged = bench.accepts(&message);
    assert!(staged.questions().judge(same_client).is_err(), "Eve is not Dana");
    let Ok(Observed::Commit(observed)) = bench.observer.as_mut().unwrap().process(&message, &now()) else { panic!() };
    assert!(observed.questions().judge(same_client).is_err(), "a server is asked too");

    let (client, bundle) = bench.newcomer("dana");
    let dana = Eve { client, bundle };
    let message = dana.commits(&bench, vec![init(), remove(3)], &Alter::default());
    let honest = bench.accepts(&message);
    assert!(honest.questions().judge(same_client).is_ok(), "Dana comes back with new keys");
    // The answer to one commit says nothing of the other.
    let verdict = honest.questions().judge(same_client).unwrap();
    let group = &mut bench.members[0].group;
    let before = group.snapshot().unwrap();
    assert_eq!(group.apply(staged, &verdict).unwrap_err(), Error::Usage(Usage::WrongVerdict));
    assert!(group.snapshot().unwrap() == before);
    bench.goes_on();
}

#[test]
fn row_159_who_rejoins_brings_what_an_update_would_have_to() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let danas = bench.leaf(3).encryption_key;
    let same_key =
        Alter { parts: Some(Box::new(move |parts| parts.encryption_key = danas.clone())), ..Alter::default() };
    let message = eve.commits(&bench, vec![init(), remove(3)], &same_key);
    bench.refuses("the key of the leaf removed", &message, Rule::EncryptionKeyUnchanged);
    let no_suite =
        Alter { parts: Some(Box::new(|parts| parts.capabilities.cipher_suites.clear())), ..Alter::default() };
    let message = eve.commits(&bench, vec![init(), remove(3)], &no_suite);
    bench.refuses("without the suite", &message, Rule::LeafLacksCipherSuite);
    let foreign = Alter {
        parts: Some(Box::new(|parts| {
            let credential_type = CredentialType(0xf100);
            parts.credential = Credential::Other { credential_type, body: b"x"[..].into() };
            parts.capabilities.credentials.push(credential_type);
        })),
        ..Alter::default()
    };
    let message = eve.commits(&bench, vec![init(), remove(3)], &foreign);
    bench.refuses("a credential that nobody reads", &message, Rule::CredentialNotSupportedByMembers);
    let as_update =
        Alter { parts: Some(Box::new(|parts| parts.leaf_node_source = LeafNodeSource::Update)), ..Alter::default() };
    let message = eve.commits(&bench, vec![init(), remove(3)], &as_update);
    bench.refuses("the source of an Update", &message, Rule::LeafSource);
    bench.goes_on();
}

#[test]
fn row_160_an_external_commit_proposes_nothing_else() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let gina = bench.newcomer("gina").1.key_package;
    let danas = bench.insider(2).update(|_| {}, &mut keyroom_vectors::rng(3));
    for (name, proposal) in [
        ("Add", add(&gina)),
        ("Update", Proposal::Update { leaf_node: Box::new(danas) }),
        ("ReInit", reinit(1)),
        ("GroupContextExtensions", group_context(extensions(&[]))),
        ("unknown", Proposal::Custom { proposal_type: ProposalType(0xff00), body: b"x"[..].into() }),
    ] {
        eve.refused(&mut bench, name, vec![init(), proposal], Rule::ExternalProposalType);
    }
    bench.goes_on();
}

#[test]
fn row_161_an_external_commit_names_no_proposal() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let unknown = ProposalRef::from(&[5; 32][..]);
    let message = bench.insider(2).proposal(remove(4), &mut keyroom_vectors::rng(3));
    let known = bench.keep(2, &message);
    for (name, reference) in [("unknown", unknown), ("known", known)] {
        let entries = vec![ProposalOrRef::Proposal(init()), ProposalOrRef::Reference(reference)];
        let message = eve.made(&bench, entries, &Alter::default()).bytes();
        bench.refuses(name, &message, Rule::ExternalProposalByReference);
    }
}

#[test]
fn row_161_a_type_that_joiners_may_name_is_waited_for() {
    let entry = ProposalTypeEntry {
        proposal_type: PROPOSAL,
        senders: &[SenderType::Member],
        path: PathNeed::Required,
        member_commit: CommitUse::ByReference,
        external_commit: CommitUse::ByReference,
        order: 25,
    };
    let table = ProposalTable::new().with(entry);
    let mut bench = Bench::new(1, Arc::new(Config { proposals: table, ..Config::default() }));
    let eve = Eve::new(&mut bench);
    let unknown = ProposalRef::from(&[5; 32][..]);
    let entries = vec![ProposalOrRef::Proposal(init()), ProposalOrRef::Reference(unknown.clone())];
    let message = eve.made(&bench, entries, &Alter::default()).bytes();
    bench.refuses("it may still come", &message, NotYet::UnknownProposal(unknown));
    bench.goes_on();
}

#[test]
fn row_162_an_external_commit_has_a_path() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let change = Alter { without_path: true, ..Alter::default() };
    for (name, proposals) in [("a join", vec![init()]), ("a resync", vec![init(), remove(3)])] {
        let message = eve.commits(&bench, proposals, &change);
        bench.refuses(name, &message, Rule::PathMissing);
    }
    bench.goes_on();
}

#[test]
fn row_163_an_external_commit_is_signed_by_the_key_of_its_leaf() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let honest = eve.made(&bench, vec![ProposalOrRef::Proposal(init())], &Alter::default());
    let bob = bench.bob();
    let rng = &mut keyroom_vectors::rng(3);
    let mut forged = honest.message.clone();
    let by_bob = bob.sign(forged.content.clone(), keyroom_wire::WireFormat::PUBLIC_MESSAGE, bob.signer, rng);
    forged.auth.signature = by_bob.auth.signature;
    let forged = Encode::to_bytes(&keyroom_wire::MlsMessage::PublicMessage(forged));
    bench.refuses("by a member", &forged, Rule::MessageSignature);
    // Who removes Dana does not sign with the key of Dana's leaf either, but with that of the new one.
    let resync =
        eve.made(&bench, vec![ProposalOrRef::Proposal(init()), ProposalOrRef::Proposal(remove(3))], &Alter::default());
    let dana = bench.insider(2);
    let mut forged = resync.message.clone();
    let by_dana = dana.sign(forged.content.clone(), keyroom_wire::WireFormat::PUBLIC_MESSAGE, dana.signer, rng);
    forged.auth.signature = by_dana.auth.signature;
    let forged = Encode::to_bytes(&keyroom_wire::MlsMessage::PublicMessage(forged));
    bench.refuses("by the member removed", &forged, Rule::MessageSignature);
    let private = Alter { wire_format: Some(keyroom_wire::WireFormat::PRIVATE_MESSAGE), ..Alter::default() };
    let message = eve.commits(&bench, vec![init()], &private);
    bench.refuses("for a private message", &message, Rule::MessageSignature);
    bench.accepts(&honest.bytes());
    bench.goes_on();
}

#[test]
fn row_164_only_a_joiner_sends_an_external_commit() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let rng = &mut keyroom_vectors::rng(3);
    let filled = Proposal::ExternalInit { kem_output: vec![9; 32].into() };
    let message = bench.bob().commit(vec![filled.clone()], &Alter::default(), rng).bytes();
    bench.refuses("a member", &message, Rule::ExternalInitByMember);
    for (name, sender, expected) in [
        ("an external sender", Sender::External(0), Rule::ExternalSenderContent),
        ("a proposer", Sender::NewMemberProposal, Rule::NewMemberProposalContent),
    ] {
        let leaf = &eve.bundle.key_package.leaf_node;
        let entries = [ProposalOrRef::Proposal(filled.clone())];
        let signer = eve.client.signer.as_ref();
        let message = bench.bob().commit_of(sender, leaf, signer, entries, &Alter::default(), rng).bytes();
        bench.refuses(name, &message, expected);
    }
    let as_bob =
        Alter { content: Some(Box::new(|content| content.sender = Sender::Member(LeafIndex(1)))), ..Alter::default() };
    let message = eve.commits(&bench, vec![init()], &as_bob);
    bench.refuses("a joiner in the name of a member", &message, Rule::MessageSignature);
    bench.goes_on();
}

#[test]
fn row_165_a_joiner_takes_the_leftmost_leaf_that_is_free_after_the_remove() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let message = eve.commits(&bench, vec![init(), remove(1)], &Alter::default());
    let staged = bench.accepts(&message);
    let at = |leaf| staged.next_member(leaf).unwrap().map(|member| member.credential().unwrap());
    assert_eq!(at(LeafIndex(1)), Some(Credential::basic(&b"eve"[..])), "the leaf that Bob has left");
    assert_eq!(at(BLANK), None);
    let join = eve.joins(&mut bench, Some(1), &[]).unwrap();
    assert_eq!(join.group().own_leaf(), LeafIndex(1), "the joiner counts in the same way");

    let elsewhere = |leaf| Alter { place: Some(LeafIndex(leaf)), ..Alter::default() };
    let message = eve.commits(&bench, vec![init(), remove(1)], &elsewhere(BLANK.0));
    bench.refuses("the leaf that was free before", &message, Rule::LeafSignature);
    let message = eve.commits(&bench, vec![init()], &elsewhere(6));
    bench.refuses("not the leftmost", &message, Rule::PathLength);
    let signed_here = Alter { leaf_index: Some(BLANK), ..elsewhere(6) };
    let message = eve.commits(&bench, vec![init()], &signed_here);
    bench.refuses("a path of another leaf", &message, Rule::PathLength);
    bench.goes_on();
}

#[test]
fn row_166_a_joiner_brings_keys_that_no_remaining_member_has() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let with_key = |key: Vec<u8>| Alter {
        parts: Some(Box::new(move |parts| parts.encryption_key = key.clone().into())),
        ..Alter::default()
    };
    let danas = bench.leaf(3).encryption_key.as_slice().to_vec();
    let message = eve.commits(&bench, vec![init()], &with_key(danas.clone()));
    bench.refuses("Dana's encryption key", &message, Rule::EncryptionKeyNotUnique);
    let message = eve.commits(&bench, vec![init(), remove(4)], &with_key(danas));
    bench.refuses("Dana's encryption key in Erin's place", &message, Rule::EncryptionKeyNotUnique);
    let parents: Vec<_> = bench.members[0].group.tree().parents().map(|entry| entry.unwrap()).collect();
    let aside = parents.iter().find(|(node, _)| !node.covers(BLANK)).unwrap().1.encryption_key.to_vec();
    drop(parents);
    let message = eve.commits(&bench, vec![init()], &with_key(aside));
    bench.refuses("the key of a parent", &message, Rule::ParentKeyNotUnique);

    // With Dana's signature key only Dana's own place can be taken.
    let dana = &bench.members[2].client;
    let bundle = dana.bundle(&mut keyroom_vectors::rng(3));
    let leaf = &bundle.key_package.leaf_node;
    let (joiner, rng) = (Sender::NewMemberCommit, &mut keyroom_vectors::rng(4));
    let signer = dana.signer.as_ref();
    let value = ProposalOrRef::Proposal;
    let beside = bench.bob().commit_of(joiner, leaf, signer, [value(init())], &Alter::default(), rng).bytes();
    let entries = [value(init()), value(remove(3))];
    let instead = bench.bob().commit_of(joiner, leaf, signer, entries, &Alter::default(), rng).bytes();
    bench.refuses("Dana's signature key", &beside, Rule::SignatureKeyNotUnique);
    bench.accepts(&instead);
    bench.goes_on();
}

#[test]
fn row_167_the_init_secret_is_the_one_that_was_encapsulated() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let old = Alter { init: Init::OfOldEpoch, ..Alter::default() };
    let message = eve.commits(&bench, vec![init()], &old);
    bench.refuses("that of the old epoch", &message, Rule::ConfirmationTag);
    let other = Proposal::ExternalInit { kem_output: vec![9; 32].into() };
    let message = eve.commits(&bench, vec![other], &Alter::default());
    bench.refuses("that of another encapsulation", &message, Rule::ConfirmationTag);
    let message = eve.commits(&bench, vec![init()], &Alter::default());
    bench.accepts(&message);
    bench.goes_on();
}

/// A group that nobody enters by external commit.
fn closed(question: &Question) -> Judgement {
    match question {
        Question::Proposal { proposal, .. } if matches!(**proposal, Proposal::ExternalInit { .. }) => Judgement::Reject,
        _ => Judgement::Accept,
    }
}

/// A group into which members come back with a secret of an earlier epoch.
fn proves_membership(questions: &Questions) -> bool {
    let resumes = |question: &Question| match question {
        Question::Proposal { proposal, .. } => matches!(
            &**proposal,
            Proposal::PreSharedKey { psk } if matches!(psk.psk, Psk::Resumption { .. })
        ),
        _ => false,
    };
    !questions.iter().any(|question| matches!(question, Question::Rejoins { .. })) || questions.iter().any(resumes)
}

#[test]
fn row_168_the_application_may_close_a_group_to_external_commits() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let message = eve.commits(&bench, vec![init()], &Alter::default());
    let staged = bench.accepts(&message);
    assert!(staged.questions().judge(closed).is_err());
    let Ok(Observed::Commit(observed)) = bench.observer.as_mut().unwrap().process(&message, &now()) else { panic!() };
    assert!(observed.questions().judge(closed).is_err());
    let honest = bench.bob().commit(vec![remove(3)], &Alter::default(), &mut keyroom_vectors::rng(3)).bytes();
    let staged = bench.accepts(&honest);
    assert!(staged.questions().judge(closed).is_ok(), "members commit as ever");
    bench.goes_on();
}

#[test]
fn row_168_the_application_may_ask_for_a_resumption_psk_of_who_comes_back() {
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("dana");
    let dana = Eve { client, bundle };
    let message = dana.commits(&bench, vec![init(), remove(3)], &Alter::default());
    let staged = bench.accepts(&message);
    assert!(!proves_membership(staged.questions()));

    let epoch = bench.members[2].group.epoch();
    let secret = Secret::copy_of(bench.members[2].group.resumption_psk(epoch).unwrap());
    let known = [(resumption_psk(ResumptionPskUsage::Application, epoch), secret)];
    let join = dana.joins(&mut bench, Some(3), &known).unwrap();
    let staged = bench.accepts(&join.message);
    assert!(proves_membership(staged.questions()));
    let guessed = [(known[0].0.clone(), Secret::copy_of(&[7; 32]))];
    let forged = dana.joins(&mut bench, Some(3), &guessed).unwrap();
    bench.refuses("a PSK that was guessed", &forged.message, Rule::ConfirmationTag);
}

#[test]
fn row_168_a_psk_of_a_reinitialisation_proves_nothing_in_a_resync() {
    // §12.4.3.2 suggests such a PSK, §12.1.4 forbids it; the latter holds.
    let mut bench = Bench::open();
    let (client, bundle) = bench.newcomer("dana");
    let dana = Eve { client, bundle };
    let epoch = bench.members[2].group.epoch();
    for (usage, expected) in
        [(ResumptionPskUsage::ReInit, Rule::ReInitPsk), (ResumptionPskUsage::Branch, Rule::BranchPsk)]
    {
        let list = vec![init(), remove(3), psk(resumption_psk(usage, epoch), 32)];
        dana.refused(&mut bench, "by hand", list, expected);
        let secret = Secret::copy_of(bench.members[2].group.resumption_psk(epoch).unwrap());
        let own = dana.joins(&mut bench, Some(3), &[(resumption_psk(usage, epoch), secret)]);
        assert_eq!(own.map(drop).unwrap_err(), Error::Rule(expected));
    }
    bench.goes_on();
}

#[test]
fn a_joiner_signs_with_the_key_of_its_key_package() {
    let mut bench = Bench::open();
    let eve = Eve::new(&mut bench);
    let rng = &mut keyroom_vectors::rng(31);
    let info = bench.members[0].group.group_info(INFO, bench.members[0].client.signer.as_ref(), rng).unwrap();
    let other = Client::new("eve", suite(1), rng);
    let join = |signer| {
        let join = Group::join_external(suite(1), &eve.bundle, config());
        join.build(&info, signer, &now(), &mut keyroom_vectors::rng(32)).map(drop)
    };
    assert_eq!(join(other.signer.as_ref()), Err(Usage::WrongSigner.into()));
    assert_eq!(join(eve.client.signer.as_ref()), Ok(()));
}

#[test]
fn a_joiner_who_lacks_what_the_group_requires_makes_no_commit() {
    let mut bench = Bench::open();
    let required = RequiredCapabilities { extension_types: vec![EXTENSION], ..RequiredCapabilities::default() };
    bench.commit(0, |commit| {
        commit.extensions(extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())]))
    });
    let rng = &mut keyroom_vectors::rng(33);
    let info = bench.members[0].group.group_info(INFO, bench.members[0].client.signer.as_ref(), rng).unwrap();
    let eve = Client::new("eve", suite(1), rng);
    let builder = KeyPackageBuilder::new(suite(1), Credential::basic(b"eve"), lifetime_from(NOW, 1000));
    let bundle = builder.build(eve.signer.as_ref(), rng).unwrap();
    let join = Group::join_external(suite(1), &bundle, config()).build(&info, eve.signer.as_ref(), &now(), rng);
    assert_eq!(join.map(drop), Err(Rule::LeafLacksRequiredExtension.into()));
}
