//! Who is trusted.

use keyroom_api::DeviceUri;
use keyroom_mls::identity::{Judgement, Member, Question, Questions, Verdict};
use keyroom_wire::{Credential, Sender};

use crate::Error;

/// Decides whether a credential belongs to its key, and whether a proposal may take effect.
///
/// It is asked before a commit is sent, before one is applied and before a room is joined. It must
/// not block for long: the client waits.
pub trait Judge: Send + Sync {
    /// Answers one question.
    fn judge(&self, question: &Question) -> Judgement;
}

/// Trusts names: a member is who its credential says, if that is the URI of a device, and stays it.
///
/// **This is the trust of a closed deployment**, where whoever can reach the server is known: nothing
/// proves that a key belongs to the name beside it. Use a judge that asks an Authentication Service
/// where that is not so.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrustNames;

impl Judge for TrustNames {
    fn judge(&self, question: &Question) -> Judgement {
        let accept = match question {
            Question::Present(member) | Question::Joins(member) => device_of(member).is_some(),
            Question::Changes { old, new } | Question::Rejoins { old, new } => {
                device_of(new).is_some() && device_of(old) == device_of(new)
            }
            Question::Proposal { proposer, .. } => matches!(proposer, Sender::Member(_) | Sender::NewMemberCommit),
            _ => false,
        };
        if accept { Judgement::Accept } else { Judgement::Reject }
    }
}

/// The device that a member's credential names.
pub(crate) fn device_of(member: &Member) -> Option<DeviceUri> {
    credential_device(&member.credential().ok()?)
}

/// The device that a basic credential names.
pub(crate) fn credential_device(credential: &Credential) -> Option<DeviceUri> {
    match credential {
        Credential::Basic { identity } => std::str::from_utf8(identity.as_slice()).ok()?.parse().ok(),
        _ => None,
    }
}

/// Asks the judge about everything.
pub(crate) fn ask(judge: &dyn Judge, questions: &Questions) -> Result<Verdict, Error> {
    questions.judge(|question| judge.judge(question)).map_err(|_| Error::Rejected)
}
