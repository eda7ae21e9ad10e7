//! Who is trusted.

use keyroom_api::DeviceUri;
use keyroom_authority::{CredentialError, Lapse};
use keyroom_mls::identity::{Judgement, Member, Question, Questions, Verdict};
use keyroom_wire::{Credential, LeafNode, Sender};

use crate::Error;

/// Decides whether a credential belongs to its key, and whether a proposal may take effect.
///
/// It is asked before a commit is sent, before one is applied and before a room is joined. It must
/// not block for long: the client waits.
pub trait Judge: Send + Sync {
    /// Answers one question. All members must answer it alike, whenever they are asked, or they part ways.
    fn judge(&self, question: &Question) -> Judgement;

    /// Whether this device may add whoever has this leaf, which came from the server. Nobody else is asked, so that
    /// the time of day may count.
    ///
    /// # Errors
    /// [`Untrusted`], which the invitation fails with.
    fn invite(&self, leaf: &LeafNode) -> Result<(), Untrusted> {
        let _ = leaf;
        Ok(())
    }
}

/// Why somebody is not believed to be who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// The credential does not verify.
    #[error("{0}")]
    Credential(#[from] CredentialError),
    /// It verifies, and is not good now.
    #[error("{0}")]
    Lapsed(#[from] Lapse),
}

/// Trusts names: a member is who its credential says, if that is the URI of a device, and stays it. Its
/// place is taken from outside only under the key that it had.
///
/// **This is the trust of a closed deployment**, where whoever can reach the server is known: nothing
/// proves that a key belongs to the name beside it. Use a judge that asks an Authentication Service
/// where that is not so.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrustNames;

impl Judge for TrustNames {
    fn judge(&self, question: &Question) -> Judgement {
        judgement(match question {
            Question::Present(member) | Question::Joins(member) => device_of(member).is_some(),
            Question::Changes { old, new } => is_same_device(old, new),
            // A member that changes its key has signed for it with the old one; who comes from outside has not.
            Question::Rejoins { old, new } => is_same_device(old, new) && old.signature_key() == new.signature_key(),
            other => is_of_members(other),
        })
    }
}

/// What does not depend on how members are known: proposals count if they come from within.
pub(crate) fn is_of_members(question: &Question) -> bool {
    let Question::Proposal { proposer, .. } = question else { return false };
    matches!(proposer, Sender::Member(_) | Sender::NewMemberCommit)
}

pub(crate) fn judgement(accept: bool) -> Judgement {
    if accept { Judgement::Accept } else { Judgement::Reject }
}

fn is_same_device(old: &Member, new: &Member) -> bool {
    device_of(new).is_some() && device_of(old) == device_of(new)
}

/// The device that a member's credential names.
pub(crate) fn device_of(member: &Member) -> Option<DeviceUri> {
    credential_device(&member.credential().ok()?)
}

/// The device that a credential names.
pub(crate) fn credential_device(credential: &Credential) -> Option<DeviceUri> {
    keyroom_authority::device_of(credential)
}

/// Asks the judge about everything.
pub(crate) fn ask(judge: &dyn Judge, questions: &Questions) -> Result<Verdict, Error> {
    questions.judge(|question| judge.judge(question)).map_err(|_| Error::Rejected)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyroom_crypto::{Provider as _, Signer, Suite};
    use keyroom_mls::config::{Config, Inputs};
    use keyroom_mls::group::{ExternalJoins, Founder, Group, GroupInfoContent, Received, TreeDelivery};
    use keyroom_mls::key_package::{KeyPackageBuilder, KeyPackageBundle};
    use keyroom_mls::leaf_node::lifetime_from;
    use keyroom_rustcrypto::RUSTCRYPTO;
    use keyroom_wire::{CipherSuite, Extensions, LeafIndex};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DEVICE: &str = "mimi://example.org/d/alice/phone";

    fn signer(suite: &dyn Suite, rng: &mut StdRng) -> Box<dyn Signer> {
        suite.signer(suite.generate_signature_key(rng).unwrap().expose()).unwrap()
    }

    fn bundle(suite: &'static dyn Suite, signer: &dyn Signer, rng: &mut StdRng) -> KeyPackageBundle {
        let credential = Credential::basic(DEVICE.as_bytes());
        KeyPackageBuilder::new(suite, credential, lifetime_from(NOW, 1_000)).build(signer, rng).unwrap()
    }

    #[test]
    fn the_place_of_a_device_is_taken_from_outside_only_under_its_key() {
        let (suite, rng) = (RUSTCRYPTO.suite(CipherSuite(1)).unwrap(), &mut StdRng::seed_from_u64(1));
        let (config, now) = (Arc::new(Config::default()), Inputs::at(NOW));
        let (phone, stranger) = (signer(suite, rng), signer(suite, rng));
        let founded = bundle(suite, phone.as_ref(), rng);
        assert!(DEVICE.parse::<DeviceUri>().is_ok());
        let founder = Founder { bundle: founded, group_id: b"room"[..].into(), extensions: Extensions::new() };
        let (mut group, _) = Group::create(suite, founder, config.clone(), &now, rng).unwrap();
        let content = GroupInfoContent { tree: TreeDelivery::Inside, external: ExternalJoins::Allowed };
        let info = group.group_info(content, phone.as_ref(), rng).unwrap();
        for (signer, expected) in [(phone.as_ref(), Judgement::Accept), (stranger.as_ref(), Judgement::Reject)] {
            let bundle = bundle(suite, signer, rng);
            let join = Group::join_external(suite, &bundle, config.clone()).resync(LeafIndex(0));
            let join = join.build(&info, signer, &now, rng).unwrap();
            let rejoins = |question: &&Question| matches!(question, Question::Rejoins { .. });
            let received = group.process(&join.message, &now).unwrap().received;
            let Received::Commit(staged) = received else { panic!("a commit was expected, not {received:?}") };
            let question = staged.questions().iter().find(rejoins).unwrap();
            assert_eq!(TrustNames.judge(question), expected);
        }
    }
}
