//! Groups that succeed another: reinitialisation (RFC 9420 §11.2) and branching (§11.3).
//!
//! A successor is a new group whose first commit adds all members and carries one resumption PSK of
//! the old group; its first shared epoch is 1.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Secret, Signer, Suite};
use keyroom_wire::{Extensions, GroupId, KeyPackage, Psk, ResumptionPskUsage};

use super::commit::{PathChoice, PendingCommit};
use super::create::Founder;
use super::info::{GroupInfoContent, TreeDelivery};
use super::{Group, Status};
use crate::config::{Config, Inputs};
use crate::error::{Error, Rule, Usage};
use crate::key_package::KeyPackageBundle;
use crate::proposals::PskContext;
use crate::public::SignedInfo;
use crate::record::ChangeSet;
use crate::tree::Tree;

/// How a group succeeds another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// It takes the place of a group that a ReInit commit has ended, with the same members.
    ReInit,
    /// It exists beside the group, with some of its members.
    Branch {
        /// Its id.
        group_id: GroupId,
        /// Its extensions: those of the old group are not taken over.
        extensions: Extensions,
    },
}

/// What founds a successor.
#[derive(Debug)]
pub struct Succession {
    /// How it succeeds the group.
    pub successor: Successor,
    /// The founder's key package for the new group, with its private keys.
    pub bundle: KeyPackageBundle,
    /// Key packages of the other members, for the new suite.
    pub members: Vec<KeyPackage>,
    /// How the tree reaches them.
    pub welcome_tree: TreeDelivery,
    /// Whether the first commit also makes a GroupInfo.
    pub group_info: Option<GroupInfoContent>,
}

impl Group {
    /// Founds a successor of this group: a new group and its first commit, which adds the members.
    /// `signer` signs with the key of the founder's key package; `suite` is that of the new group.
    ///
    /// # Errors
    /// [`Usage::NotReinitialised`] for a ReInit successor of a group that has none; otherwise as
    /// [`Group::create`] and [`CommitBuilder::build`](super::CommitBuilder::build).
    pub fn succeed(
        &self,
        suite: &'static dyn Suite,
        succession: Succession,
        signer: &dyn Signer,
        config: Arc<Config>,
        inputs: &Inputs<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, ChangeSet, PendingCommit, ChangeSet), Error> {
        let (group_id, extensions, usage, context) = match (&succession.successor, &self.status) {
            (Successor::ReInit, Status::Reinitialised(reinit)) if reinit.cipher_suite == suite.cipher_suite() => {
                (reinit.group_id.clone(), reinit.extensions.clone(), ResumptionPskUsage::ReInit, PskContext::ReInit)
            }
            (Successor::Branch { group_id, extensions }, Status::Active)
                if suite.cipher_suite() == self.context().cipher_suite =>
            {
                (group_id.clone(), extensions.clone(), ResumptionPskUsage::Branch, PskContext::Branch)
            }
            _ => return Err(Usage::NotReinitialised.into()),
        };
        let psk = Psk::Resumption { usage, psk_group_id: self.group_id().clone(), psk_epoch: self.epoch() };
        let secret = self.secrets.resumption_psk().as_secret().duplicate();
        let psks = [(psk.clone(), secret)];
        let inputs = Inputs { psks: &psks, ..*inputs };
        let founder = Founder { bundle: succession.bundle, group_id, extensions };
        let (mut group, created) = Self::create(suite, founder, config, &inputs, rng)?;
        let mut commit = group.commit().path(PathChoice::Always).psk(psk).succeeding(context);
        commit = commit.welcome_tree(succession.welcome_tree);
        for key_package in succession.members {
            commit = commit.add(key_package);
        }
        if let Some(content) = succession.group_info {
            commit = commit.group_info(content);
        }
        let (pending, committed) = commit.build(signer, &inputs, rng)?;
        Ok((group, created, pending, committed))
    }

    /// The resumption PSK of a current or past epoch, as a joiner of a successor needs it.
    pub(super) fn kept_psk(&self, epoch: u64) -> Option<&Secret> {
        if epoch == self.epoch() { Some(self.secrets.resumption_psk().as_secret()) } else { self.resumption.at(epoch) }
    }
}

/// Checks a group that is joined as a successor against its predecessor (§12.4.3.1, rows 219–221).
pub(super) fn check_joined(usage: Option<&Psk>, predecessor: Option<&Group>, signed: &SignedInfo) -> Result<(), Error> {
    let Some(Psk::Resumption { usage, psk_group_id, psk_epoch }) = usage else { return Ok(()) };
    let old = predecessor.filter(|group| group.group_id() == psk_group_id).ok_or(Rule::SuccessorOfAnother)?;
    let context = &signed.info.group_context;
    if context.epoch != 1 {
        return Err(Rule::SuccessorEpoch.into());
    }
    match usage {
        ResumptionPskUsage::ReInit => {
            let Status::Reinitialised(reinit) = &old.status else { return Err(Rule::SuccessorNotAnnounced.into()) };
            if *psk_epoch != old.epoch() {
                return Err(Rule::SuccessorNotAnnounced.into());
            }
            let as_announced = reinit.group_id == context.group_id
                && reinit.version == context.version
                && reinit.cipher_suite == context.cipher_suite
                && reinit.extensions == context.extensions;
            if !as_announced {
                return Err(Rule::SuccessorParameters.into());
            }
            if credentials(&old.public.tree)? == credentials(&signed.tree)? {
                Ok(())
            } else {
                Err(Rule::SuccessorMembers.into())
            }
        }
        ResumptionPskUsage::Branch => {
            let same = context.version == old.context().version && context.cipher_suite == old.context().cipher_suite;
            if !same {
                return Err(Rule::BranchParameters.into());
            }
            let known = credentials(&old.public.tree)?;
            let is_known = |(credential, count)| known.get(credential).is_some_and(|members| members >= count);
            if credentials(&signed.tree)?.iter().all(is_known) { Ok(()) } else { Err(Rule::BranchMembers.into()) }
        }
        ResumptionPskUsage::Application => Ok(()),
    }
}

/// The credentials of a tree and how many members have each. Members are compared by credential:
/// whether two credentials are one client beyond that is asked of the application, which judges
/// every member of the new group.
fn credentials(tree: &Tree) -> Result<BTreeMap<Vec<u8>, usize>, Error> {
    let mut credentials = BTreeMap::new();
    for entry in tree.leaves() {
        *credentials.entry(entry?.1.node().credential.to_vec()).or_default() += 1;
    }
    Ok(credentials)
}
