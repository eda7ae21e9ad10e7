//! One member of one group.

use std::collections::BTreeMap;

use keyroom_crypto::Signer;
use keyroom_mls::config::{HandshakePolicy, Inputs};
use keyroom_mls::group::{Group, PathChoice, PendingCommit, Received, StagedCommit, Status, TreeDelivery, Waiting};
use keyroom_mls::identity::Verdict;
use keyroom_wire::{Proposal, ProposalRef};

use super::describe::Target;
use super::identity::{find_member, judge};
use super::{Psks, Setup};
use crate::Failure;
use crate::messages::{CommitRequest, CommitResponse, ProposalDescription};

/// A member with everything that belongs to it alone.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) identity: Vec<u8>,
    pub(super) handshakes: HandshakePolicy,
    pub(super) signer: Box<dyn Signer>,
    pub(super) group: Group,
    pub(super) psks: Psks,
    pending: Option<PendingCommit>,
    /// The proposals of this epoch that have been made or read, by their bytes: runners hand out all
    /// of them with each commit, own ones too, and a private message opens only once.
    known: BTreeMap<Vec<u8>, ProposalRef>,
}

/// Which commits a call applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Any.
    Any,
    /// Those that end the group.
    ReInit,
}

impl Member {
    pub(super) fn new(
        identity: Vec<u8>,
        handshakes: HandshakePolicy,
        signer: Box<dyn Signer>,
        group: Group,
        psks: Psks,
    ) -> Self {
        Self { identity, handshakes, signer, group, psks, pending: None, known: BTreeMap::new() }
    }

    /// Equal for all who agree on the epoch; empty after the own removal.
    pub(super) fn epoch_authenticator(&self) -> Vec<u8> {
        match self.group.status() {
            Status::Removed => Vec::new(),
            Status::Active | Status::Reinitialised(_) => self.group.epoch_authenticator().to_vec(),
        }
    }

    /// The proposal that a description means.
    pub(super) fn described(&self, description: &ProposalDescription, setup: &mut Setup) -> Result<Proposal, Failure> {
        let find = |identity: &[u8]| find_member(&self.group, identity);
        let target = Target { suite: self.group.suite(), group_id: self.group.group_id(), find: &find };
        target.proposal(description, setup.rng())
    }

    /// Makes a proposal and keeps it for a commit.
    pub(super) fn propose(&mut self, proposal: Proposal, setup: &mut Setup) -> Result<Vec<u8>, Failure> {
        let inputs = Inputs::at(setup.now());
        let outgoing = self.group.propose(proposal, b"", self.signer.as_ref(), &inputs, setup.rng())?;
        self.known.insert(outgoing.message.clone(), outgoing.reference);
        Ok(outgoing.message)
    }

    /// Proposes a new key for the own leaf.
    pub(super) fn propose_update(&mut self, setup: &mut Setup) -> Result<Vec<u8>, Failure> {
        let inputs = Inputs::at(setup.now());
        let outgoing = self.group.propose_update(b"", self.signer.as_ref(), None, &inputs, setup.rng())?;
        self.known.insert(outgoing.message.clone(), outgoing.reference);
        Ok(outgoing.message)
    }

    /// Makes a commit that covers exactly what the request says. It replaces an earlier one.
    pub(super) fn commit(&mut self, request: &CommitRequest, setup: &mut Setup) -> Result<CommitResponse, Failure> {
        let now = setup.now();
        let references = self.learn(&request.by_reference, now)?;
        let values = request.by_value.iter().map(|description| self.described(description, setup));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if let Some(earlier) = self.pending.take() {
            self.group.discard(earlier.id)?;
        }
        let mut builder = self
            .group
            .commit()
            .waiting(Waiting::Only(references))
            .path(if request.force_path { PathChoice::Always } else { PathChoice::WhenRequired })
            .welcome_tree(tree_delivery(request.external_tree));
        for proposal in values {
            builder = builder.propose(proposal);
        }
        let inputs = Inputs { now, psks: &self.psks };
        let (pending, _) = builder.build(self.signer.as_ref(), &inputs, setup.rng())?;
        let ratchet_tree = if request.external_tree { pending.staged().next_ratchet_tree()? } else { None };
        let verdict = judge(pending.questions())?;
        // The runner hands out the Welcome when it has applied the commit.
        let delivery = pending.for_atomic_delivery(&verdict)?;
        let response = CommitResponse {
            commit: delivery.message.to_vec(),
            welcome: delivery.admission.welcome.clone().unwrap_or_default(),
            ratchet_tree: ratchet_tree.unwrap_or_default(),
        };
        self.pending = Some(pending);
        Ok(response)
    }

    /// Applies the own commit. If it cannot be applied this way, it goes on waiting.
    pub(super) fn apply_pending(&mut self, expected: Expected) -> Result<(), Failure> {
        let verdict = accepted(self.pending.as_ref().ok_or(Failure::NothingPending)?.staged(), expected)?;
        let pending = self.pending.take().ok_or(Failure::NothingPending)?;
        self.enter(pending.into_staged(), &verdict)
    }

    /// Reads the proposals that a commit names, then the commit, and applies it.
    pub(super) fn follow(
        &mut self,
        proposals: &[Vec<u8>],
        commit: &[u8],
        expected: Expected,
        now: u64,
    ) -> Result<(), Failure> {
        self.learn(proposals, now)?;
        let inputs = Inputs { now, psks: &self.psks };
        match self.group.process(commit, &inputs)?.received {
            Received::Commit(staged) => {
                let verdict = accepted(&staged, expected)?;
                self.enter(staged, &verdict)
            }
            Received::OwnCommit(_) => self.apply_pending(expected),
            _ => Err(Failure::WrongMessage { field: "commit", expected: "commit" }),
        }
    }

    fn enter(&mut self, staged: StagedCommit, verdict: &Verdict) -> Result<(), Failure> {
        self.group.apply(staged, verdict)?;
        // Proposals and own commits go with their epoch.
        self.known.clear();
        self.pending = None;
        Ok(())
    }

    /// Reads those proposals that are not known yet, and says how commits name all of them.
    fn learn(&mut self, proposals: &[Vec<u8>], now: u64) -> Result<Vec<ProposalRef>, Failure> {
        let mut references = Vec::with_capacity(proposals.len());
        for message in proposals {
            if !self.known.contains_key(message) {
                let inputs = Inputs { now, psks: &self.psks };
                let Received::Proposal(proposal) = self.group.process(message, &inputs)?.received else {
                    return Err(Failure::WrongMessage { field: "proposal", expected: "proposal" });
                };
                self.known.insert(message.clone(), proposal.reference);
            }
            references.extend(self.known.get(message).cloned());
        }
        Ok(references)
    }
}

/// The verdict on a commit that is one of those expected.
fn accepted(staged: &StagedCommit, expected: Expected) -> Result<Verdict, Failure> {
    if expected == Expected::ReInit && staged.reinit().is_none() {
        return Err(Failure::NotReInit);
    }
    judge(staged.questions())
}

/// How a tree reaches those who need it.
pub(super) fn tree_delivery(external: bool) -> TreeDelivery {
    if external { TreeDelivery::OutOfBand } else { TreeDelivery::Inside }
}
