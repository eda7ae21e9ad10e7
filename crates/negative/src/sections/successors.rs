//! Section M, other ways in: into a second group, into the successor of a group, from outside.

use keyroom_crypto::{CryptoRng, Secret, labels};
use keyroom_insider::{Alter, Insider, SecretParts, now};
use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, TreeDelivery};
use keyroom_wire::{
    Decode, Encode, ExtensionType, Extensions, GroupId, GroupInfo, LeafIndex, Limits, MlsMessage, PreSharedKeyId,
    Proposal, Psk, ResumptionPskUsage,
};

use super::h_proposals::reinit;
use crate::book::{Book, Trial};
use crate::reader::config;
use crate::stage::{Outsider, Stage, add, outsider};

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    book.add(212, "a Welcome into the group that the reader is in", stage, |stage, rng| {
        let bob = stage.outsider("bob", rng);
        let other = Heritage { group_id: b"other", founder: &bob, guests: &[], age: 0, psk: None };
        Trial::second_welcome(stage.opening.welcome.to_vec(), other.welcome(stage, rng))
    });
    branches(book, stage);
    reinitialisations(book, stage);
    book.add(224, "a GroupInfo without external_pub", stage, |stage, rng| {
        let content = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
        let good = stage.before.group_info(content, stage.bob_signer(), rng).unwrap();
        let Ok(MlsMessage::GroupInfo(info)) = MlsMessage::from_bytes(&good, &Limits::default()) else {
            panic!("a GroupInfo was expected");
        };
        Trial::group_info(without_external_pub(stage, info, rng), good)
    });
}

fn without_external_pub(stage: &Stage, mut info: GroupInfo, rng: &mut dyn CryptoRng) -> Vec<u8> {
    info.extensions.list.retain(|extension| extension.extension_type != ExtensionType::EXTERNAL_PUB);
    info.signature = labels::sign_with_label(stage.bob_signer(), "GroupInfoTBS", &info.tbs(), rng).unwrap();
    MlsMessage::GroupInfo(info).to_bytes()
}

/// Another group, into which its founder lets the reader and these guests.
struct Heritage<'a> {
    group_id: &'a [u8],
    founder: &'a Outsider,
    guests: &'a [Outsider],
    /// The epoch in which they come in is one more.
    age: u64,
    /// Of the group that is succeeded.
    psk: Option<(PreSharedKeyId, &'a Secret)>,
}

impl Heritage<'_> {
    fn welcome(&self, stage: &Stage, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut group = self.founded(stage, rng);
        let signer = self.founder.client.signer.as_ref();
        for _ in 0..self.age {
            let (pending, _) = group.commit().build(signer, &now(), rng).unwrap();
            let verdict = pending.questions().accept_unseen();
            group.apply(pending.into_staged(), &verdict).unwrap();
        }
        let guests = self.guests.iter().map(|guest| add(&guest.bundle.key_package));
        let psks = self.psk.iter().map(|(id, _)| Proposal::PreSharedKey { psk: id.clone() });
        let reader = add(&stage.reader.bundle.key_package);
        let proposals = std::iter::once(reader).chain(guests).chain(psks).collect();
        let psks: Vec<_> = self.psk.iter().map(|(id, psk)| (id.clone(), psk.duplicate())).collect();
        let named = psks.iter().map(|(id, _)| id.clone()).collect();
        let made = Insider::new(&group, signer).commit(proposals, &Alter { psks, ..Alter::default() }, rng);
        let info = made.group_info(LeafIndex(0), signer, |_| {}, rng);
        let path_secret = made.path_secret_for(LeafIndex(1));
        let parts = SecretParts { path_secret, psks: named, ..SecretParts::default() };
        MlsMessage::Welcome(made.welcome(stage.suite, &info, &parts, rng)).to_bytes()
    }

    fn founded(&self, stage: &Stage, rng: &mut dyn CryptoRng) -> Group {
        let bundle = keyroom_mls::key_package::KeyPackageBundle::decode(&self.founder.bundle.encode()).unwrap();
        let founder = Founder { bundle, group_id: GroupId::from(self.group_id), extensions: Extensions::new() };
        Group::create(stage.suite, founder, config(), &now(), rng).unwrap().0
    }
}

/// What proves that somebody was in an epoch of the group.
fn proof(usage: ResumptionPskUsage, group: &Group, nonce: u8) -> (PreSharedKeyId, Secret) {
    let psk_epoch = group.epoch();
    let psk = Psk::Resumption { usage, psk_group_id: group.group_id().clone(), psk_epoch };
    let psk_nonce = vec![nonce; group.suite().kdf().output_len()].into();
    (PreSharedKeyId { psk, psk_nonce }, Secret::copy_of(group.resumption_psk(psk_epoch).unwrap()))
}

fn branches(book: &mut Book, stage: &Stage) {
    let heritage = |stage: &Stage, name, age, rng: &mut dyn CryptoRng| {
        let founder = outsider(name, stage.suite, rng);
        let (id, psk) = proof(ResumptionPskUsage::Branch, &stage.members[1].group, 1);
        let psk = Some((id, &psk));
        Heritage { group_id: b"branch", founder: &founder, guests: &[], age, psk }.welcome(stage, rng)
    };
    book.add(219, "a branch into whose second epoch the reader is welcomed", stage, |stage, rng| {
        Trial::successor(heritage(stage, "bob", 1, rng), heritage(stage, "bob", 0, rng))
    });
    book.add(221, "a branch with a member who was not in the group", stage, |stage, rng| {
        Trial::successor(heritage(stage, "mallory", 0, rng), heritage(stage, "bob", 0, rng))
    });
}

fn reinitialisations(book: &mut Book, stage: &Stage) {
    #[derive(Clone, Copy)]
    struct Fault {
        group_id: &'static [u8],
        guests: &'static [&'static str],
        age: u64,
    }
    const ALL: &[&str] = &["alice", "dana", "erin", "gina"];
    let good = Fault { group_id: b"next", guests: ALL, age: 0 };
    let heritage = |stage: &Stage, old: &Group, fault: &Fault, rng: &mut dyn CryptoRng| {
        let founder = outsider("bob", stage.suite, rng);
        let guests: Vec<_> = fault.guests.iter().map(|name| outsider(name, stage.suite, rng)).collect();
        let (id, psk) = proof(ResumptionPskUsage::ReInit, old, 2);
        let (psk, Fault { group_id, age, .. }) = (Some((id, &psk)), *fault);
        Heritage { group_id, founder: &founder, guests: &guests, age, psk }.welcome(stage, rng)
    };
    let cases: [(u16, &str, Fault); 4] = [
        (219, "into whose second epoch the reader is welcomed", Fault { age: 1, ..good }),
        (220, "with another identifier than was announced", Fault { group_id: b"elsewhere", ..good }),
        (220, "without one of the members", Fault { guests: &["alice", "dana", "erin"], ..good }),
        (220, "with a member more", Fault { guests: &["alice", "dana", "erin", "gina", "mallory"], ..good }),
    ];
    for (row, what, fault) in cases {
        book.add(row, &format!("a reinitialised group {what}"), stage, |stage, rng| {
            // Without a blank leaf, which a peer that compares the sizes of trees would count.
            let gina = stage.outsider("gina", rng);
            let fill = stage.commit(vec![add(&gina.bundle.key_package)], rng);
            let dana = stage.dana_after(&fill);
            let dana = Insider::new(&dana.group, dana.client.signer.as_ref());
            let end = dana.commit(vec![reinit(1)], &Alter::default(), rng).bytes();
            let old = stage.after(0, &[&fill, &end]).group;
            let bad = heritage(stage, &old, &fault, rng);
            Trial::successor(bad, heritage(stage, &old, &good, rng)).after(fill).after(end)
        });
    }
    book.add(220, "a reinitialised group that nobody announced", stage, |stage, rng| {
        let old = &stage.members[1].group;
        let branch = proof(ResumptionPskUsage::Branch, old, 3);
        let founder = outsider("bob", stage.suite, rng);
        let psk = Some((branch.0, &branch.1));
        let twin = Heritage { group_id: b"branch", founder: &founder, guests: &[], age: 0, psk };
        Trial::successor(heritage(stage, old, &good, rng), twin.welcome(stage, rng))
    });
}
