//! Which proposals a commit covers (RFC 9420 §12.4.1): the waiting ones that go together, and the
//! committer's own.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret};
use keyroom_wire::{Encode, LeafIndex, PreSharedKeyId, Proposal, ProposalRef, Sender};

use super::commit::CommitBuilder;
use super::propose::check_list;
use crate::config::{Config, Inputs};
use crate::error::Error;
use crate::proposals::{ProposalEntry, ProposalList};
use crate::public::{Change, Committer};

/// Which of the waiting proposals a commit covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// All that this member may commit; of those that touch one leaf a SelfRemove wins, then a Remove,
    /// then the latest. An own Remove by value gives way to a SelfRemove too.
    #[default]
    All,
    /// Only these.
    Only(Vec<ProposalRef>),
}

impl CommitBuilder<'_> {
    /// The proposals of the commit: waiting ones by reference, then own ones by value.
    pub(super) fn list(&mut self, inputs: &Inputs<'_>, rng: &mut dyn CryptoRng) -> Result<ProposalList, Error> {
        let mut values = self.own_entries(rng);
        let mut waiting = self.group.proposals.listed();
        match &self.waiting {
            Waiting::Only(references) => {
                let wanted = |reference: &ProposalRef| references.contains(reference);
                waiting.retain(|entry| entry.reference.as_ref().is_some_and(wanted));
            }
            Waiting::All => {
                // A Remove of who goes by itself would be invalid.
                let removes = split_removes(&mut values, &waiting);
                waiting = committable(waiting, &values, self.group.own_leaf);
                waiting.retain(|entry| self.has_psk(&entry.proposal, inputs));
                waiting = fitting(waiting, &values, &self.group.config);
                self.leave_out_invalid(&mut waiting, &values, inputs)?;
                // If its SelfRemove has to stay out, it is removed after all.
                values.extend(removes.into_iter().filter(|entry| !goes_by_itself(entry, &waiting)));
            }
        }
        waiting.extend(values);
        self.check(waiting)
    }

    fn own_entries(&mut self, rng: &mut dyn CryptoRng) -> Vec<ProposalEntry> {
        let nonce_length = self.group.suite().kdf().output_len();
        let psks = core::mem::take(&mut self.psks).into_iter().map(|psk| {
            let nonce = Secret::random(nonce_length, rng);
            Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: nonce.expose().into() } }
        });
        let sender = Sender::Member(self.group.own_leaf);
        let values = core::mem::take(&mut self.values).into_iter().chain(psks);
        values.map(|proposal| ProposalEntry { proposal: Arc::new(proposal), sender, reference: None }).collect()
    }

    fn check(&self, entries: Vec<ProposalEntry>) -> Result<ProposalList, Error> {
        let committer = Committer::Member(self.group.own_leaf);
        check_list(entries, committer, &self.group.public, &self.group.config, self.succeeding)
    }

    /// A waiting proposal that breaks a rule must not keep the group from committing: if the list
    /// fails as a whole, those that fail on their own stay out.
    fn leave_out_invalid(
        &self,
        waiting: &mut Vec<ProposalEntry>,
        values: &[ProposalEntry],
        inputs: &Inputs<'_>,
    ) -> Result<(), Error> {
        let all = waiting.iter().chain(values).cloned().collect();
        if waiting.is_empty() || !matches!(self.try_out(all, inputs), Err(Error::Rule(_))) {
            return Ok(());
        }
        let mut valid = Vec::with_capacity(waiting.len());
        for entry in waiting.drain(..) {
            match self.try_out(Vec::from([entry.clone()]), inputs) {
                Ok(()) => valid.push(entry),
                Err(Error::Rule(_)) => {}
                Err(error) => return Err(error),
            }
        }
        *waiting = valid;
        Ok(())
    }

    fn try_out(&self, entries: Vec<ProposalEntry>, inputs: &Inputs<'_>) -> Result<(), Error> {
        let list = self.check(entries)?;
        let (public, config) = (&self.group.public, &self.group.config);
        let committer = Committer::Member(self.group.own_leaf);
        Change::new(public, &list, committer, config, config.lifetime.check, inputs)?.finish()?;
        Ok(())
    }

    fn has_psk(&self, proposal: &Proposal, inputs: &Inputs<'_>) -> bool {
        let Proposal::PreSharedKey { psk } = proposal else { return true };
        !matches!(self.group.combine_psks(core::slice::from_ref(psk), inputs), Err(Error::NotYet(_)))
    }
}

/// The waiting proposals that this member may commit beside `values` (§12.2): not its own Update, not
/// its own removal; of those that touch one leaf a SelfRemove, then a Remove, else the latest; no client and no PSK
/// twice; the latest extensions; a ReInit only if nothing else is there.
fn committable(waiting: Vec<ProposalEntry>, values: &[ProposalEntry], own_leaf: LeafIndex) -> Vec<ProposalEntry> {
    let mut taken: BTreeSet<Claim> = values.iter().flat_map(claims).collect();
    taken.insert(Claim::Leaf(own_leaf));
    let (self_removes, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|entry| entry.leaving().is_some());
    let (removes, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|entry| entry.removed().is_some());
    let mut kept: Vec<ProposalEntry> = Vec::new();
    let latest_first = others.into_iter().rev();
    for entry in self_removes.into_iter().chain(removes).chain(latest_first) {
        let wanted = claims(&entry);
        if wanted.iter().all(|claim| !taken.contains(claim)) {
            taken.extend(wanted);
            kept.push(entry);
        }
    }
    let is_reinit = |entry: &ProposalEntry| matches!(*entry.proposal, Proposal::ReInit(_));
    let alone = values.is_empty() && kept.len() == 1;
    kept.retain(|entry| alone || !is_reinit(entry));
    let out = kept.iter().take_while(|entry| entry.leaving().or(entry.removed()).is_some()).count();
    kept.get_mut(out..).unwrap_or_default().reverse();
    kept
}

/// Takes the Removes of members whose SelfRemove waits out of `values`.
fn split_removes(values: &mut Vec<ProposalEntry>, waiting: &[ProposalEntry]) -> Vec<ProposalEntry> {
    let (removes, others) = core::mem::take(values).into_iter().partition(|entry| goes_by_itself(entry, waiting));
    *values = others;
    removes
}

/// Whether an entry removes a member whose SelfRemove is among those that wait.
fn goes_by_itself(entry: &ProposalEntry, waiting: &[ProposalEntry]) -> bool {
    entry.removed().is_some_and(|removed| waiting.iter().any(|entry| entry.leaving() == Some(removed)))
}

/// As many of the waiting proposals, the first first, as the limits leave room for beside `values`:
/// who proposes much must not keep others from committing.
fn fitting(waiting: Vec<ProposalEntry>, values: &[ProposalEntry], config: &Config) -> Vec<ProposalEntry> {
    let is_psk = |entry: &ProposalEntry| matches!(*entry.proposal, Proposal::PreSharedKey { .. });
    let size = |entry: &ProposalEntry| entry.proposal.to_bytes().len();
    let mut number = config.max_proposals.saturating_sub(values.len());
    let mut bytes = config.max_proposal_bytes.saturating_sub(values.iter().map(size).sum());
    let mut psks = config.max_psks.saturating_sub(values.iter().filter(|entry| is_psk(entry)).count());
    let mut kept = Vec::with_capacity(waiting.len());
    for entry in waiting {
        let (size, psk) = (size(&entry), usize::from(is_psk(&entry)));
        if number > 0 && size <= bytes && psk <= psks {
            (number, bytes, psks) = (number - 1, bytes - size, psks - psk);
            kept.push(entry);
        }
    }
    kept
}

/// What at most one proposal of a list may concern.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Leaf(LeafIndex),
    Key(Vec<u8>),
    Psk(PreSharedKeyId),
    Extensions,
}

fn claims(entry: &ProposalEntry) -> Vec<Claim> {
    match (&*entry.proposal, entry.sender) {
        (Proposal::Remove { removed }, _) => Vec::from([Claim::Leaf(*removed)]),
        (Proposal::Update { .. } | Proposal::SelfRemove, Sender::Member(leaf_index)) => {
            Vec::from([Claim::Leaf(leaf_index)])
        }
        (Proposal::Add { key_package }, _) => Vec::from([
            Claim::Key(key_package.init_key.as_slice().to_vec()),
            Claim::Key(key_package.leaf_node.signature_key.as_slice().to_vec()),
            Claim::Key(key_package.leaf_node.encryption_key.as_slice().to_vec()),
        ]),
        (Proposal::PreSharedKey { psk }, _) => Vec::from([Claim::Psk(psk.clone())]),
        (Proposal::GroupContextExtensions { .. }, _) => Vec::from([Claim::Extensions]),
        _ => Vec::new(),
    }
}
