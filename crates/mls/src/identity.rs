//! Whom the application must judge before an operation takes effect (RFC 9420 §5.3.1).
//!
//! `process`, `join` and `commit` return [`Questions`]; `apply` and `accept` take the [`Verdict`],
//! which only an answer to exactly those questions can make. So a certificate chain, a log over the
//! network or a person may answer, in their own time, and nobody can forget to ask.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use keyroom_wire::{CipherSuite, Credential, ExternalSender, LeafIndex, Proposal, Sender, SignaturePublicKey};

use crate::tree::Leaf;

/// A member, as its leaf shows it. Nothing here has been authenticated beyond the leaf's own
/// signature: that the credential belongs to the key is what the application judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its place in the tree.
    pub leaf_index: LeafIndex,
    leaf: Leaf,
}

impl Member {
    pub(crate) fn new(leaf_index: LeafIndex, leaf: Leaf) -> Self {
        Self { leaf_index, leaf }
    }

    /// The credential.
    ///
    /// # Errors
    /// None for a leaf that has been parsed.
    pub fn credential(&self) -> Result<Credential, keyroom_wire::DecodeError> {
        self.leaf.credential()
    }

    /// The key that verifies what the member signs.
    pub fn signature_key(&self) -> SignaturePublicKey {
        self.leaf.signature_key().into()
    }

    /// The whole leaf.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }
}

/// One thing to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Someone who is in the group that we are about to join (rows 35 and 195 of the checklist).
    Present(Member),
    /// Someone new: by Add, by our own Add, or by external commit.
    Joins(Member),
    /// A member whose credential or signature key changes: is the new one valid and a successor of
    /// the old one?
    Changes {
        /// Before.
        old: Member,
        /// After.
        new: Member,
    },
    /// An external committer who takes the place of a member that it removes: is it the same client?
    Rejoins {
        /// The member removed.
        old: Member,
        /// The member that joins.
        new: Member,
    },
    /// An external sender that the group starts to trust with proposals.
    ExternalSender(ExternalSender),
    /// The first members of a new group all support other cipher suites too: is the one chosen the best
    /// of them (§11)? A founder is asked who adds somebody in epoch 0, and so is an observer.
    CipherSuite {
        /// The group's.
        chosen: CipherSuite,
        /// The others, without reserved values.
        others: Vec<CipherSuite>,
    },
    /// A proposal that takes effect: may its proposer make it, and may the committer commit it?
    Proposal {
        /// What is proposed.
        proposal: Arc<Proposal>,
        /// Who proposed it.
        proposer: Sender,
        /// Who committed it.
        committer: Sender,
    },
}

/// The answer to one [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Go on.
    Accept,
    /// Refuse the whole operation.
    Reject,
}

/// Everything that must be judged before one operation takes effect.
#[derive(Clone, Debug)]
pub struct Questions(Arc<[Question]>);

impl Questions {
    pub(crate) fn new(questions: Vec<Question>) -> Self {
        Self(questions.into())
    }

    /// The questions in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Question> {
        self.0.iter()
    }

    /// Number of questions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to judge.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the verdict from one judgement per question, in the order of [`Questions::iter`].
    ///
    /// # Errors
    /// [`Rejected`] names the first question that was answered with [`Judgement::Reject`] or not
    /// answered at all.
    pub fn verdict(&self, answers: impl IntoIterator<Item = Judgement>) -> Result<Verdict, Rejected> {
        let mut answers = answers.into_iter();
        match self.0.iter().position(|_| answers.next() != Some(Judgement::Accept)) {
            None => Ok(Verdict(self.0.clone())),
            Some(question) => Err(Rejected { question }),
        }
    }

    /// Asks `judge` for each question.
    ///
    /// # Errors
    /// [`Rejected`] names the first question that was rejected.
    pub fn judge(&self, mut judge: impl FnMut(&Question) -> Judgement) -> Result<Verdict, Rejected> {
        self.verdict(self.0.iter().map(&mut judge))
    }

    /// Accepts everything unseen. Right only where identities are settled outside, as in tests and
    /// benchmarks: with it, whoever can reach the group can pose as anyone.
    pub fn accept_unseen(&self) -> Verdict {
        Verdict(self.0.clone())
    }
}

/// Proof that the [`Questions`] of one operation were answered, and all with yes.
#[derive(Debug)]
pub struct Verdict(Arc<[Question]>);

impl Verdict {
    pub(crate) fn answers(&self, questions: &Questions) -> bool {
        Arc::ptr_eq(&self.0, &questions.0)
    }
}

/// A question was answered with no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its position in the list.
    pub question: usize,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "question {} was answered with no", self.question)
    }
}

impl core::error::Error for Rejected {}
