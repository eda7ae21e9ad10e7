//! Section M: Welcome and GroupInfo.

use keyroom_crypto::{CryptoRng, labels};
use keyroom_insider::{Alter, Insider, Made, SecretParts};
use keyroom_mls::key_schedule::JoinerSecret;
use keyroom_mls::psk::PskSecret;
use keyroom_mls::tree::Tree;
use keyroom_wire::{
    CipherSuite, Decode, Encode, ExtensionType, GroupContext, GroupInfo, LeafIndex, Limits, MlsMessage, Opaque,
    PreSharedKeyId, ProtocolVersion, Psk, RatchetTree, ResumptionPskUsage, Welcome,
};

use super::{extensions, flip, required};
use crate::book::{Book, Trial};
use crate::stage::{BLANK, BOB, DANA, READER, Stage, add};

/// Bob's commit that adds the reader, made by hand.
pub(super) struct Invitation<'a> {
    stage: &'a Stage,
    pub(super) made: Made,
}

impl<'a> Invitation<'a> {
    pub(super) fn new(stage: &'a Stage, rng: &mut dyn CryptoRng) -> Self {
        Self::altered(stage, &Alter::default(), rng)
    }

    pub(super) fn altered(stage: &'a Stage, change: &Alter<'_>, rng: &mut dyn CryptoRng) -> Self {
        let insider = Insider::new(&stage.before, stage.bob_signer());
        let made = insider.commit(vec![add(&stage.reader.bundle.key_package)], change, rng);
        Self { stage, made }
    }

    /// What the Welcome tells the reader.
    pub(super) fn parts(&self) -> SecretParts {
        SecretParts { path_secret: self.made.path_secret_for(READER), ..SecretParts::default() }
    }

    /// The Welcome, with an altered GroupInfo.
    pub(super) fn welcome(
        &self,
        parts: &SecretParts,
        change: impl FnOnce(&mut GroupInfo),
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let info = self.made.group_info(BOB, self.stage.bob_signer(), change, rng);
        MlsMessage::Welcome(self.made.welcome(self.stage.suite, &info, parts, rng)).to_bytes()
    }

    pub(super) fn honest(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.welcome(&self.parts(), |_| {}, rng)
    }

    /// The Welcome after its making.
    pub(super) fn changed(&self, change: impl FnOnce(&mut Welcome), rng: &mut dyn CryptoRng) -> Vec<u8> {
        let info = self.made.group_info(BOB, self.stage.bob_signer(), |_| {}, rng);
        let mut welcome = self.made.welcome(self.stage.suite, &info, &self.parts(), rng);
        change(&mut welcome);
        MlsMessage::Welcome(welcome).to_bytes()
    }

    /// A Welcome into the same epoch with another context: keys and tag follow from it.
    pub(super) fn with_context(
        &self,
        change: impl FnOnce(&mut GroupContext),
        more: impl FnOnce(&mut GroupInfo),
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let suite = self.stage.suite;
        let mut context = self.made.context.clone();
        change(&mut context);
        let member = JoinerSecret::from_welcome(&self.made.joiner_secret).into_member(suite, &PskSecret::none(suite));
        let (secrets, _) = member.into_epoch(suite, &context.to_bytes()).unwrap().into_secrets(suite).unwrap();
        let tag = secrets.confirmation_tag(suite, context.confirmed_transcript_hash.as_slice());
        let change = |info: &mut GroupInfo| {
            info.group_context = context;
            info.confirmation_tag = tag;
            more(info);
        };
        self.welcome(&self.parts(), change, rng)
    }

    /// A Welcome with another tree, and the tree hash of it if it has one.
    pub(super) fn with_tree(
        &self,
        stage: &Stage,
        change: impl FnOnce(&mut RatchetTree),
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let mut tree = RatchetTree::from_bytes(&self.made.tree.export().unwrap(), &Limits::default()).unwrap();
        change(&mut tree);
        let bytes = tree.to_bytes();
        let hash = Tree::import(stage.suite, &bytes, &Limits::default(), 1 << 20).ok();
        let hash = hash.and_then(|mut tree| tree.tree_hash().ok());
        self.with_context(
            |context| {
                if let Some(hash) = hash {
                    context.tree_hash = hash.as_slice().into();
                }
            },
            |info| info.extensions.set(ExtensionType::RATCHET_TREE, bytes),
            rng,
        )
    }
}

pub(super) fn cases(book: &mut Book, stage: &Stage) {
    outside(book, stage);
    group_secrets(book, stage);
    signers(book, stage);
    infos(book, stage);
    contexts(book, stage);
    trees_beside(book, stage);
    references(book, stage);
    if stage.suite.cipher_suite() == CipherSuite(1) {
        super::successors::cases(book, stage);
    }
}

/// What is not the hash of the very key package.
fn references(book: &mut Book, stage: &Stage) {
    let package = stage.reader.bundle.key_package.clone();
    let message = MlsMessage::KeyPackage(package.clone()).to_bytes();
    let suite = stage.suite;
    let proposal = labels::ref_hash(suite, "MLS 1.0 Proposal Reference", &package.to_bytes());
    for (what, reference) in [
        ("the hash of a message with the key package", labels::key_package_ref(suite, &message)),
        ("the hash of the key package under another label", proposal.as_slice().into()),
        ("the hash of the key package without a label", suite.hash(&[&package.to_bytes()]).as_slice().into()),
    ] {
        book.add(81, &format!("a Welcome that names {what}"), stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            let bad = invitation.changed(|welcome| welcome.secrets[0].new_member = reference, rng);
            Trial::welcome(bad, invitation.honest(rng))
        });
    }
}

fn outside(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut Welcome);
    let changes: [(u16, &str, Change); 7] = [
        (204, "a Welcome for another key package", |w| {
            let reference = flip(w.secrets[0].new_member.as_slice(), 0);
            w.secrets[0].new_member = reference.as_slice().into();
        }),
        (204, "a Welcome for nobody", |w| w.secrets.clear()),
        (205, "a Welcome of another cipher suite", |w| {
            w.cipher_suite = CipherSuite(if w.cipher_suite.0 == 1 { 3 } else { 1 });
        }),
        (206, "group secrets with one bit changed", |w| {
            let sealed = &mut w.secrets[0].encrypted_group_secrets;
            sealed.ciphertext = flip(sealed.ciphertext.as_slice(), 0).into();
        }),
        (206, "group secrets without an encapsulation", |w| {
            w.secrets[0].encrypted_group_secrets.kem_output = Opaque::default();
        }),
        (206, "a GroupInfo with one bit changed, to which the group secrets are bound", |w| {
            w.encrypted_group_info = flip(w.encrypted_group_info.as_slice(), 9).into();
        }),
        (206, "an empty GroupInfo", |w| w.encrypted_group_info = Opaque::default()),
    ];
    for (row, what, change) in changes {
        book.add(row, what, stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            Trial::welcome(invitation.changed(change, rng), invitation.honest(rng))
        });
    }
}

fn group_secrets(book: &mut Book, stage: &Stage) {
    let nh = stage.nh();
    let psk = |psk, nonce| PreSharedKeyId { psk, psk_nonce: vec![0; nonce].into() };
    let external = |id: &[u8], nonce| psk(Psk::External { psk_id: id.into() }, nonce);
    let resumption = |usage| psk(Psk::Resumption { usage, psk_group_id: b"old"[..].into(), psk_epoch: 4 }, nh);
    let mut parts = |row, what: &str, change: &dyn Fn(&mut SecretParts)| {
        book.add(row, what, stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            let mut parts = invitation.parts();
            change(&mut parts);
            Trial::welcome(invitation.welcome(&parts, |_| {}, rng), invitation.honest(rng))
        });
    };
    parts(206, "a joiner secret without its last byte", &|parts| parts.joiner_secret = Some(vec![1; nh - 1]));
    parts(206, "a joiner secret of no bytes", &|parts| parts.joiner_secret = Some(Vec::new()));
    parts(207, "a PSK that the reader does not have", &|parts| parts.psks = vec![external(b"unknown", nh)]);
    parts(208, "two PSKs for successors of groups", &|parts| {
        parts.psks = vec![resumption(ResumptionPskUsage::ReInit), resumption(ResumptionPskUsage::Branch)];
    });
    parts(209, "a PSK with a shorter nonce", &|parts| parts.psks = vec![external(b"known", nh - 1)]);
    parts(210, "another joiner secret than the one that opens the GroupInfo", &|parts| {
        parts.joiner_secret = Some(vec![1; nh]);
    });
    parts(210, "a PSK that is not in the key schedule", &|parts| parts.psks = vec![external(b"known", nh)]);
    parts(216, "a path secret that leads to other keys", &|parts| parts.path_secret = Some(vec![1; nh]));
    parts(216, "a path secret without its last byte", &|parts| parts.path_secret = Some(vec![1; nh - 1]));
    book.add(217, "a path secret for a node that is blank", stage, |stage, rng| {
        let change = Alter { without_path: true, ..Alter::default() };
        let invitation = Invitation::altered(stage, &change, rng);
        let parts = SecretParts { path_secret: Some(vec![1; nh]), ..SecretParts::default() };
        Trial::welcome(invitation.welcome(&parts, |_| {}, rng), invitation.honest(rng))
    });
}

fn signers(book: &mut Book, stage: &Stage) {
    type Change = fn(&mut GroupInfo);
    let changes: [(&str, Change); 3] = [
        ("a blank leaf", |info| info.signer = BLANK),
        ("a leaf outside the tree", |info| info.signer = LeafIndex(1 << 20)),
        ("another member than the one who signed", |info| info.signer = DANA),
    ];
    for (what, change) in changes {
        book.add(211, &format!("a GroupInfo that names as its signer {what}"), stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            Trial::welcome(invitation.welcome(&invitation.parts(), change, rng), invitation.honest(rng))
        });
    }
    book.add(211, "a GroupInfo with a wrong signature", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let mut info = invitation.made.group_info(BOB, stage.bob_signer(), |_| {}, rng);
        info.signature = flip(info.signature.as_slice(), 9).into();
        let bad = invitation.made.welcome(stage.suite, &info, &invitation.parts(), rng);
        Trial::welcome(MlsMessage::Welcome(bad).to_bytes(), invitation.honest(rng))
    });
}

fn infos(book: &mut Book, stage: &Stage) {
    let nh = stage.nh();
    let mut change = |row, what: &str, change: &dyn Fn(&mut GroupInfo)| {
        book.add(row, what, stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            Trial::welcome(invitation.welcome(&invitation.parts(), change, rng), invitation.honest(rng))
        });
    };
    change(218, "a GroupInfo with an empty confirmation tag", &|info| info.confirmation_tag = [].as_slice().into());
    change(218, "a GroupInfo with a shorter confirmation tag", &|info| {
        info.confirmation_tag = info.confirmation_tag.as_slice()[..nh - 1].into();
    });
    change(218, "a GroupInfo with a wrong confirmation tag", &|info| {
        info.confirmation_tag = vec![0; nh].as_slice().into();
    });
    change(226, "a GroupInfo with required_capabilities beside its context", &|info| {
        info.extensions.set(ExtensionType::REQUIRED_CAPABILITIES, vec![0, 0, 0]);
    });
    change(232, "a GroupInfo with an extension twice", &|info| {
        info.extensions.list.push(info.extensions.list[0].clone());
    });
}

fn contexts(book: &mut Book, stage: &Stage) {
    let nh = stage.nh();
    let needs = |required: keyroom_wire::RequiredCapabilities| {
        extensions(&[(ExtensionType::REQUIRED_CAPABILITIES, &required.to_bytes())])
    };
    let mut change = |row, what: &str, change: &dyn Fn(&mut GroupContext)| {
        book.add(row, what, stage, |stage, rng| {
            let invitation = Invitation::new(stage, rng);
            Trial::welcome(invitation.with_context(change, |_| {}, rng), invitation.honest(rng))
        });
    };
    change(213, "a group of another cipher suite than the Welcome's", &|context| {
        context.cipher_suite = CipherSuite(if context.cipher_suite.0 == 1 { 3 } else { 1 });
    });
    change(214, "a group of another protocol version", &|context| context.version = ProtocolVersion(2));
    change(190, "a group with another tree hash", &|context| {
        context.tree_hash = flip(context.tree_hash.as_slice(), 0).into();
    });
    change(190, "a group with an empty tree hash", &|context| context.tree_hash = Opaque::default());
    change(15, "a group with a shorter transcript hash", &|context| {
        context.confirmed_transcript_hash = vec![0; nh - 1].into();
    });
    change(187, "a group in the last of all epochs", &|context| context.epoch = u64::MAX);
    change(222, "a group with an extension that the reader does not support", &|context| {
        context.extensions = extensions(&[(ExtensionType(0xf108), b"x")]);
    });
    change(223, "a group that requires an extension that the reader does not support", &|context| {
        context.extensions = needs(required(Some(0xf108), None, None));
    });
    change(223, "a group that requires a credential that the reader does not support", &|context| {
        context.extensions = needs(required(None, None, Some(0xf108)));
    });
    change(235, "a group that requires a proposal type which its members do not support", &|context| {
        context.extensions = needs(required(None, Some(0xf108), None));
    });
    change(232, "a group with an extension twice in its context", &|context| {
        let one = (crate::stage::KNOWN_EXTENSION, &b"x"[..]);
        context.extensions = extensions(&[one, one]);
    });
}

fn trees_beside(book: &mut Book, stage: &Stage) {
    book.add(188, "no tree, neither in the GroupInfo nor beside it", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let without = invitation.welcome(&invitation.parts(), |info| info.extensions.list.clear(), rng);
        let tree = invitation.made.tree.export().unwrap();
        Trial::welcome(without.clone(), without).beside(None, Some(tree))
    });
    book.add(215, "a tree without the leaf of the reader", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let without = invitation.welcome(&invitation.parts(), |info| info.extensions.list.clear(), rng);
        let tree = invitation.made.tree.export().unwrap();
        let old = stage.before.ratchet_tree().unwrap();
        Trial::welcome(without.clone(), without).beside(Some(old), Some(tree))
    });
    book.add(226, "two trees that differ, in the GroupInfo and beside it", stage, |stage, rng| {
        let invitation = Invitation::new(stage, rng);
        let tree = invitation.made.tree.export().unwrap();
        let old = stage.before.ratchet_tree().unwrap();
        let welcome = invitation.honest(rng);
        Trial::welcome(welcome.clone(), welcome).beside(Some(old), Some(tree))
    });
}
