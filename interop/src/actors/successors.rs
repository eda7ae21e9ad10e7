//! Groups that succeed others: by reinitialisation (§11.2) and as branches (§11.3).

use keyroom_crypto::Signer;
use keyroom_mls::config::Inputs;
use keyroom_mls::group::{Applied, Group, JoinOptions, Status, Succession, Successor, TreeDelivery};
use keyroom_mls::key_package::KeyPackageBundle;
use keyroom_wire::{Encode, KeyPackage, MlsMessage};

use super::identity::judge;
use super::join::{ByWelcome, duplicate};
use super::member::{Expected, Member, tree_delivery};
use super::setup::Client;
use super::{Actors, Setup, decode};
use crate::messages::{
    CommitRequest, CommitResponse, CreateBranchRequest, CreateSubgroupResponse, HandleBranchRequest,
    HandleBranchResponse, HandleCommitRequest, HandlePendingCommitRequest, HandleReInitCommitResponse,
    HandleReInitWelcomeRequest, JoinGroupResponse, ReInitWelcomeRequest,
};
use crate::{Failure, IdKind};

/// A member of a group that has ended, with its keys for the successor.
#[derive(Debug)]
pub(super) struct Ended {
    old: Member,
    signer: Box<dyn Signer>,
    bundle: KeyPackageBundle,
}

impl Actors {
    pub(crate) fn re_init_commit(&mut self, request: CommitRequest) -> Result<CommitResponse, Failure> {
        self.commit(request)
    }

    pub(crate) fn handle_pending_re_init_commit(
        &mut self,
        request: HandlePendingCommitRequest,
    ) -> Result<HandleReInitCommitResponse, Failure> {
        self.member_mut(request.state_id)?.0.apply_pending(Expected::ReInit)?;
        self.end(request.state_id)
    }

    pub(crate) fn handle_re_init_commit(
        &mut self,
        request: HandleCommitRequest,
    ) -> Result<HandleReInitCommitResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        member.follow(&request.proposal, &request.commit, Expected::ReInit, setup.now())?;
        self.end(request.state_id)
    }

    /// Makes the key package for the successor; the old state is good for nothing else any more.
    fn end(&mut self, state_id: u32) -> Result<HandleReInitCommitResponse, Failure> {
        let member = self.member(state_id)?;
        let Status::Reinitialised(reinit) = member.group.status() else { return Err(Failure::NotReInit) };
        let suite = self.setup.suite(reinit.cipher_suite.0.into())?;
        let identity = member.identity.clone();
        let Client { signer, bundle, .. } = self.setup.client(suite, &identity)?;
        let key_package = MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes();
        let reinit_id = self.fresh_id()?;
        let unknown = Failure::UnknownId { kind: IdKind::State, id: state_id };
        let old = self.members.remove(&state_id).ok_or(unknown)?;
        let epoch_authenticator = old.epoch_authenticator();
        self.ended.insert(reinit_id, Ended { old, signer, bundle });
        Ok(HandleReInitCommitResponse { reinit_id, key_package, epoch_authenticator })
    }

    pub(crate) fn re_init_welcome(&mut self, request: ReInitWelcomeRequest) -> Result<CreateSubgroupResponse, Failure> {
        let id = request.reinit_id;
        let members = key_packages(&request.key_package)?;
        let ended = self.ended.remove(&id).ok_or(Failure::UnknownId { kind: IdKind::Reinit, id })?;
        let Ended { old, signer, bundle } = ended;
        let welcome_tree = tree_delivery(request.external_tree);
        let succession = Succession { successor: Successor::ReInit, bundle, members, welcome_tree, group_info: None };
        let founded = found(&old, succession, signer, &mut self.setup)?;
        self.founded(founded)
    }

    pub(crate) fn handle_re_init_welcome(
        &mut self,
        request: HandleReInitWelcomeRequest,
    ) -> Result<JoinGroupResponse, Failure> {
        let id = request.reinit_id;
        let Self { setup, ended, .. } = self;
        let Ended { old, bundle, .. } = ended.get(&id).ok_or(Failure::UnknownId { kind: IdKind::Reinit, id })?;
        let suite = setup.suite(bundle.key_package.cipher_suite.0.into())?;
        let options = JoinOptions {
            bundles: std::slice::from_ref(bundle),
            ratchet_tree: decode::present(&request.ratchet_tree),
            predecessor: Some(&old.group),
            // Other actors of this process may be in it.
            groups: &[],
        };
        let inputs = Inputs { now: setup.now(), psks: &old.psks };
        let config = Setup::config(old.handshakes);
        let joining = Group::join(suite, &request.welcome, &options, config, &inputs, setup.rng())?;
        let verdict = judge(joining.questions())?;
        let (group, _) = joining.accept(&verdict)?;
        let Ended { old, signer, .. } = ended.remove(&id).ok_or(Failure::UnknownId { kind: IdKind::Reinit, id })?;
        let member = Member::new(old.identity, old.handshakes, signer, group, old.psks);
        let epoch_authenticator = member.epoch_authenticator();
        Ok(JoinGroupResponse { state_id: self.insert_member(member)?, epoch_authenticator })
    }

    /// The old group lives on beside the new one.
    pub(crate) fn create_branch(&mut self, request: CreateBranchRequest) -> Result<CreateSubgroupResponse, Failure> {
        let members = key_packages(&request.key_packages)?;
        let extensions = decode::extensions(&request.extensions)?;
        let (old, setup) = self.member_mut(request.state_id)?;
        let Client { signer, bundle, .. } = setup.client(old.group.suite(), &old.identity)?;
        let successor = Successor::Branch { group_id: request.group_id.into(), extensions };
        let welcome_tree = tree_delivery(request.external_tree);
        let succession = Succession { successor, bundle, members, welcome_tree, group_info: None };
        let founded = found(old, succession, signer, setup)?;
        self.founded(founded)
    }

    pub(crate) fn handle_branch(&mut self, request: HandleBranchRequest) -> Result<HandleBranchResponse, Failure> {
        let by_welcome = ByWelcome {
            transaction_id: request.transaction_id,
            welcome: &request.welcome,
            ratchet_tree: &request.ratchet_tree,
            handshakes: self.member(request.state_id)?.handshakes,
            predecessor: Some(request.state_id),
        };
        let JoinGroupResponse { state_id, epoch_authenticator } = self.join(&by_welcome)?;
        Ok(HandleBranchResponse { state_id, epoch_authenticator })
    }

    fn founded(&mut self, (member, response): Founded) -> Result<CreateSubgroupResponse, Failure> {
        let epoch_authenticator = member.epoch_authenticator();
        Ok(CreateSubgroupResponse { state_id: self.insert_member(member)?, epoch_authenticator, ..response })
    }
}

/// A founder in epoch 1 of its new group, and what it hands out.
type Founded = (Member, CreateSubgroupResponse);

/// Founds a successor and applies its first commit, which nobody else ever reads. The commit always
/// has a path.
fn found(old: &Member, succession: Succession, signer: Box<dyn Signer>, setup: &mut Setup) -> Result<Founded, Failure> {
    let suite = setup.suite(succession.bundle.key_package.cipher_suite.0.into())?;
    let config = Setup::config(old.handshakes);
    let psks = duplicate(old.psks.iter());
    let inputs = Inputs { now: setup.now(), psks: &psks };
    let apart = succession.welcome_tree == TreeDelivery::OutOfBand;
    let (mut group, _, pending, _) =
        old.group.succeed(suite, succession, signer.as_ref(), config, &inputs, setup.rng())?;
    let verdict = judge(pending.questions())?;
    let (applied, _) = group.apply(pending.into_staged(), &verdict)?;
    let Applied::Epoch { admission, .. } = applied else { return Err(Failure::NothingPending) };
    let response = CreateSubgroupResponse {
        welcome: admission.welcome.unwrap_or_default(),
        ratchet_tree: if apart { group.ratchet_tree()? } else { Vec::new() },
        ..CreateSubgroupResponse::default()
    };
    Ok((Member::new(old.identity.clone(), old.handshakes, signer, group, psks), response))
}

fn key_packages(encoded: &[Vec<u8>]) -> Result<Vec<KeyPackage>, Failure> {
    encoded.iter().map(|bytes| decode::key_package(bytes)).collect()
}
