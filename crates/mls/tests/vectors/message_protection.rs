use keyroom_crypto::labels::{sign_with_label, verify_with_label};
use keyroom_crypto::{Signer, Suite};
use keyroom_mls::error::Rule;
use keyroom_mls::key_schedule::{MembershipKey, SenderDataSecret};
use keyroom_mls::padding::Padding;
use keyroom_mls::private_message::{SealError, open, open_sender_data, random_reuse_guard, seal};
use keyroom_mls::public_message;
use keyroom_mls::record::ChangeSet;
use keyroom_mls::secret_tree::{MessageKey, RatchetLimits, RatchetType, SecretTree};
use keyroom_vectors::{Hex, load, rng};
use keyroom_wire::{
    AuthenticatedContent, CipherSuite, Commit, Content, ContentType, Decode, Encode, FramedContent,
    FramedContentAuthData, GroupContext, GroupId, LeafIndex, Limits, Mac, MlsMessage, Opaque, PrivateMessage, Proposal,
    PublicMessage, Sender, SenderData, WireFormat,
};
use serde::Deserialize;

use crate::{secret, suite};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    group_id: Hex,
    epoch: u64,
    tree_hash: Hex,
    confirmed_transcript_hash: Hex,
    signature_priv: Hex,
    signature_pub: Hex,
    encryption_secret: Hex,
    sender_data_secret: Hex,
    membership_key: Hex,
    proposal: Hex,
    proposal_priv: Hex,
    proposal_pub: Hex,
    commit: Hex,
    commit_priv: Hex,
    commit_pub: Hex,
    application: Hex,
    application_priv: Hex,
}

/// The group of a case: two members, of whom the one at leaf 1 sends.
struct World {
    suite: &'static dyn Suite,
    context: GroupContext,
    signature_pub: Vec<u8>,
    signer: Box<dyn Signer>,
    sender_data_secret: SenderDataSecret,
    membership_key: MembershipKey,
    encryption_secret: Vec<u8>,
}

impl World {
    fn new(case: &Case) -> Option<Self> {
        let suite = suite(case.cipher_suite)?;
        let mut context = GroupContext::new(CipherSuite(case.cipher_suite), GroupId::from(&*case.group_id));
        context.epoch = case.epoch;
        context.tree_hash = Opaque::from(&*case.tree_hash);
        context.confirmed_transcript_hash = Opaque::from(&*case.confirmed_transcript_hash);
        Some(Self {
            suite,
            context,
            signature_pub: case.signature_pub.to_vec(),
            signer: suite.signer(&crate::private_key(suite, &case.signature_priv)).unwrap(),
            sender_data_secret: secret(&case.sender_data_secret),
            membership_key: secret(&case.membership_key),
            encryption_secret: case.encryption_secret.to_vec(),
        })
    }

    fn tree(&self) -> SecretTree {
        SecretTree::new(self.suite, secret(&self.encryption_secret), 1, self.context.epoch)
    }

    fn sign(&self, wire_format: WireFormat, content: Content) -> AuthenticatedContent {
        let confirmation_tag = matches!(content, Content::Commit(_)).then(|| Mac::from(vec![9; 32]));
        let content = FramedContent {
            group_id: self.context.group_id.clone(),
            epoch: self.context.epoch,
            sender: Sender::Member(LeafIndex(1)),
            authenticated_data: Opaque::from(&b"aad"[..]),
            content,
        };
        let tbs = content.tbs(wire_format, &self.context.to_bytes());
        let signature = sign_with_label(&*self.signer, "FramedContentTBS", &tbs, &mut rng(7)).unwrap();
        AuthenticatedContent { wire_format, content, auth: FramedContentAuthData { signature, confirmation_tag } }
    }

    fn verify(&self, message: &AuthenticatedContent) {
        let tbs = message.content.tbs(message.wire_format, &self.context.to_bytes());
        let signature = message.auth.signature.as_slice();
        verify_with_label(self.suite, &self.signature_pub, "FramedContentTBS", &tbs, signature).unwrap();
    }

    fn open_private(&self, message: PrivateMessage) -> Result<AuthenticatedContent, Rule> {
        let sender = open_sender_data(self.suite, &self.sender_data_secret, &message)?;
        let ratchet_type = RatchetType::from(message.content_type);
        let limits = RatchetLimits::default();
        let (key, puncture) =
            self.tree().open_key(sender.leaf_index, ratchet_type, sender.generation, &limits).unwrap();
        drop(puncture);
        open(self.suite, message, &key, &sender, &Limits::default())
    }

    fn seal_private(&self, message: &AuthenticatedContent, padding: Padding) -> PrivateMessage {
        let mut tree = self.tree();
        let ratchet_type = RatchetType::from(message.content.content.content_type());
        let (key, puncture) = tree.next_key(LeafIndex(1), ratchet_type).unwrap();
        tree.apply(puncture, &mut ChangeSet::new(self.context.group_id.clone(), 0)).unwrap();
        let guard = random_reuse_guard(&mut rng(8));
        seal(self.suite, &self.sender_data_secret, key, guard, message, padding).unwrap()
    }

    fn open_public(&self, message: PublicMessage) -> Result<AuthenticatedContent, Rule> {
        public_message::unprotect(self.suite, &self.membership_key, message, &self.context.to_bytes())
    }
}

fn private(bytes: &[u8]) -> PrivateMessage {
    match MlsMessage::from_bytes(bytes, &Limits::default()).unwrap() {
        MlsMessage::PrivateMessage(message) => message,
        other => panic!("{other:?}"),
    }
}

fn public(bytes: &[u8]) -> PublicMessage {
    match MlsMessage::from_bytes(bytes, &Limits::default()).unwrap() {
        MlsMessage::PublicMessage(message) => message,
        other => panic!("{other:?}"),
    }
}

fn contents(case: &Case) -> [Content; 3] {
    [
        Content::Proposal(Proposal::from_bytes(&case.proposal, &Limits::default()).unwrap()),
        Content::Commit(Commit::from_bytes(&case.commit, &Limits::default()).unwrap()),
        Content::Application(Opaque::from(&*case.application)),
    ]
}

fn worlds() -> Vec<(Case, World)> {
    let cases = load::<Vec<Case>>("mls/message-protection.json").unwrap_or_default();
    cases.into_iter().filter_map(|case| World::new(&case).map(|world| (case, world))).collect()
}

#[test]
fn messages_of_the_vectors_open_and_verify() {
    for (case, world) in worlds() {
        let [proposal, commit, application] = contents(&case);
        for (sealed, content) in
            [(&case.proposal_priv, &proposal), (&case.commit_priv, &commit), (&case.application_priv, &application)]
        {
            let opened = world.open_private(private(sealed)).unwrap();
            world.verify(&opened);
            assert_eq!(&opened.content.content, content);
        }
        for (tagged, content) in [(&case.proposal_pub, &proposal), (&case.commit_pub, &commit)] {
            let opened = world.open_public(public(tagged)).unwrap();
            world.verify(&opened);
            assert_eq!(&opened.content.content, content);
        }
    }
}

#[test]
fn what_is_sealed_opens_again_with_every_padding() {
    let step = core::num::NonZeroU32::new(100).unwrap();
    for (case, world) in worlds() {
        for content in contents(&case) {
            let message = world.sign(WireFormat::PRIVATE_MESSAGE, content);
            for padding in [Padding::None, Padding::ToMultiple(step), Padding::ToPowerOfTwo, Padding::Proportional] {
                let sealed = world.seal_private(&message, padding);
                let plain = sealed.ciphertext.len() - world.suite.aead_tag_len();
                assert_eq!(plain, padding.padded_len(plain));
                assert_eq!(world.open_private(sealed).unwrap(), message);
            }
        }
    }
}

#[test]
fn what_is_tagged_opens_again_and_application_data_is_refused() {
    for (case, world) in worlds() {
        let group_context = world.context.to_bytes();
        let protect = |message| public_message::protect(world.suite, &world.membership_key, message, &group_context);
        for content in contents(&case) {
            let is_application = matches!(content, Content::Application(_));
            let message = world.sign(WireFormat::PUBLIC_MESSAGE, content);
            if is_application {
                assert_eq!(protect(message.clone()), Err(Rule::ApplicationInPublicMessage));
                let public = PublicMessage { content: message.content, auth: message.auth, membership_tag: None };
                assert_eq!(world.open_public(public), Err(Rule::ApplicationInPublicMessage));
            } else {
                assert_eq!(world.open_public(protect(message.clone()).unwrap()), Ok(message));
            }
        }
    }
}

#[test]
fn rows_095_096_097_a_membership_tag_that_is_wrong_cut_absent_or_out_of_place_is_refused() {
    for (case, world) in worlds() {
        let good = public(&case.proposal_pub);
        let tag = good.membership_tag.clone().unwrap();
        let mut changed = tag.as_slice().to_vec();
        changed[0] ^= 1;
        let cut = Mac::from(&tag.as_slice()[..tag.len() - 1]);
        for bad in [changed.into(), cut, Mac::default()] {
            let message = PublicMessage { membership_tag: Some(bad), ..good.clone() };
            assert_eq!(world.open_public(message), Err(Rule::MembershipTag));
        }
        let without = PublicMessage { membership_tag: None, ..good.clone() };
        assert_eq!(world.open_public(without), Err(Rule::MembershipTagAbsent));
        let mut stranger = good;
        stranger.content.sender = Sender::NewMemberProposal;
        assert_eq!(world.open_public(stranger.clone()), Err(Rule::MembershipTagOfNonMember));
        stranger.membership_tag = None;
        assert!(world.open_public(stranger).is_ok());
    }
}

#[test]
fn rows_016_108_short_and_empty_ciphertexts_are_refused_without_panic() {
    for (case, world) in worlds() {
        let good = private(&case.application_priv);
        for length in [0, 1, 15, 16, 17, 31, 32, good.ciphertext.len() - 1] {
            let cut = PrivateMessage { ciphertext: good.ciphertext.as_slice()[..length].into(), ..good.clone() };
            assert!(world.open_private(cut).is_err());
        }
        for length in 0..good.encrypted_sender_data.len() {
            let cut = good.encrypted_sender_data.as_slice()[..length].into();
            let cut = PrivateMessage { encrypted_sender_data: cut, ..good.clone() };
            assert_eq!(world.open_private(cut), Err(Rule::SenderData));
        }
    }
}

#[test]
fn rows_105_107_any_change_of_header_or_ciphertext_is_refused() {
    for (case, world) in worlds() {
        let good = private(&case.application_priv);
        let change = |edit: fn(&mut PrivateMessage)| {
            let mut changed = good.clone();
            edit(&mut changed);
            world.open_private(changed)
        };
        assert_eq!(change(|message| message.epoch += 1), Err(Rule::SenderData));
        assert_eq!(change(|message| message.group_id = GroupId::from(&b"other"[..])), Err(Rule::SenderData));
        assert_eq!(change(|message| message.content_type = ContentType::Commit), Err(Rule::SenderData));
        let aad = change(|message| message.authenticated_data = Opaque::from(&b"other"[..]));
        assert_eq!(aad, Err(Rule::ContentDecryption));
        // The sample is the head of the ciphertext: a change there hits the sender data.
        assert_eq!(change(|message| flip(&mut message.ciphertext, 0)), Err(Rule::SenderData));
        let last = change(|message| {
            let last = message.ciphertext.len() - 1;
            flip(&mut message.ciphertext, last);
        });
        assert_eq!(last, Err(Rule::ContentDecryption));
        assert_eq!(change(|message| flip(&mut message.encrypted_sender_data, 3)), Err(Rule::SenderData));
    }
}

fn flip(bytes: &mut Opaque, place: usize) {
    let mut changed = bytes.as_slice().to_vec();
    changed[place] ^= 1;
    *bytes = changed.into();
}

#[test]
fn row_110_a_plaintext_that_does_not_parse_as_its_type_is_refused() {
    for (case, world) in worlds() {
        let key = || world.tree().next_key(LeafIndex(1), RatchetType::Application).unwrap().0;
        for plaintext in [&b""[..], &[0x3f], &[0xff; 40], &[0], &[1, 7, 0x40], &[0, 4, 1]] {
            let mut message = private(&case.application_priv);
            let mut buffer = plaintext.to_vec();
            let MessageKey { key: aead_key, nonce, .. } = key();
            world.suite.aead_seal(aead_key.expose(), nonce.expose(), &message.content_aad(), &mut buffer).unwrap();
            message.ciphertext = buffer.into();
            let sender = SenderData { leaf_index: LeafIndex(1), generation: 0, reuse_guard: [0; 4] };
            assert_eq!(open(world.suite, message, &key(), &sender, &Limits::default()), Err(Rule::PrivateContent));
        }
    }
}

#[test]
fn row_114_a_key_of_the_other_ratchet_does_not_open() {
    for (case, world) in worlds() {
        let message = private(&case.application_priv);
        let sender = open_sender_data(world.suite, &world.sender_data_secret, &message).unwrap();
        let limits = RatchetLimits::default();
        let key = |ratchet_type| {
            world.tree().open_key(sender.leaf_index, ratchet_type, sender.generation, &limits).unwrap().0
        };
        let opened = |key| open(world.suite, message.clone(), &key, &sender, &Limits::default());
        assert_eq!(opened(key(RatchetType::Handshake)), Err(Rule::ContentDecryption));
        assert!(opened(key(RatchetType::Application)).is_ok());
    }
}

#[test]
fn row_118_the_reuse_guard_keeps_nonces_apart_when_a_generation_comes_twice() {
    let mut rng = rng(9);
    assert_ne!(random_reuse_guard(&mut rng), random_reuse_guard(&mut rng));
    for (case, world) in worlds() {
        let message = world.sign(WireFormat::PRIVATE_MESSAGE, Content::Application(Opaque::from(&*case.application)));
        let sealed = |guard| {
            let key = world.tree().next_key(LeafIndex(1), RatchetType::Application).unwrap().0;
            seal(world.suite, &world.sender_data_secret, key, guard, &message, Padding::None).unwrap().ciphertext
        };
        assert_eq!(sealed([1, 2, 3, 4]), sealed([1, 2, 3, 4]));
        assert_ne!(sealed([1, 2, 3, 4]), sealed([1, 2, 3, 5]));
    }
}

#[test]
fn row_109_padding_that_is_not_zero_is_refused() {
    for (case, world) in worlds() {
        let mut message =
            world.sign(WireFormat::PRIVATE_MESSAGE, Content::Application(Opaque::from(&*case.application)));
        // A confirmation tag does not belong to application data: its bytes stand where padding does.
        message.auth.confirmation_tag = Some(Mac::from(vec![1; 4]));
        assert_eq!(world.open_private(world.seal_private(&message, Padding::None)), Err(Rule::PaddingNotZero));
    }
}

#[test]
fn rows_099_119_messages_of_others_than_members_or_signed_for_the_open_are_not_sealed() {
    for (case, world) in worlds() {
        let key = || world.tree().next_key(LeafIndex(1), RatchetType::Application).unwrap().0;
        let attempt = |message: &AuthenticatedContent| {
            seal(world.suite, &world.sender_data_secret, key(), [0; 4], message, Padding::None).unwrap_err()
        };
        let application = Content::Application(Opaque::from(&*case.application));
        let mut message = world.sign(WireFormat::PUBLIC_MESSAGE, application);
        assert_eq!(attempt(&message), SealError::WireFormat);
        message.content.sender = Sender::External(0);
        assert_eq!(attempt(&message), SealError::SenderNotMember);
    }
}
