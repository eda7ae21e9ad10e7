//! Becoming a member.

use keyroom_crypto::{Secret, Suite};
use keyroom_mls::config::{HandshakePolicy, Inputs};
use keyroom_mls::group::{Founder, Group, JoinOptions};
use keyroom_wire::{Encode, Extensions, MlsMessage, Psk};

use super::describe::external_psk;
use super::identity::{find_leaf, judge};
use super::member::Member;
use super::setup::{Client, handshakes};
use super::{Actors, Joiner, Psks, Setup, decode};
use crate::messages::{
    CreateGroupRequest, CreateGroupResponse, CreateKeyPackageRequest, CreateKeyPackageResponse, ExternalJoinRequest,
    ExternalJoinResponse, JoinGroupRequest, JoinGroupResponse, StorePskRequest, StorePskResponse,
};
use crate::{Failure, IdKind};

impl Actors {
    pub(crate) fn create_group(&mut self, request: CreateGroupRequest) -> Result<CreateGroupResponse, Failure> {
        let suite = self.setup.suite(request.cipher_suite)?;
        let Client { signer, bundle, .. } = self.setup.client(suite, &request.identity)?;
        let founder = Founder { bundle, group_id: request.group_id.into(), extensions: Extensions::new() };
        let handshakes = handshakes(request.encrypt_handshake);
        let inputs = Inputs::at(self.setup.now());
        let (group, _) = Group::create(suite, founder, Setup::config(handshakes), &inputs, self.setup.rng())?;
        let member = Member::new(request.identity, handshakes, signer, group, Psks::new());
        Ok(CreateGroupResponse { state_id: self.insert_member(member)? })
    }

    pub(crate) fn create_key_package(
        &mut self,
        request: CreateKeyPackageRequest,
    ) -> Result<CreateKeyPackageResponse, Failure> {
        let suite = self.setup.suite(request.cipher_suite)?;
        self.new_joiner(suite, request.identity)
    }

    /// A client with a key package, waiting for its Welcome.
    pub(super) fn new_joiner(
        &mut self,
        suite: &'static dyn Suite,
        identity: Vec<u8>,
    ) -> Result<CreateKeyPackageResponse, Failure> {
        let Client { signer, signature_private, bundle } = self.setup.client(suite, &identity)?;
        let transaction_id = self.fresh_id()?;
        let response = CreateKeyPackageResponse {
            transaction_id,
            key_package: MlsMessage::KeyPackage(bundle.key_package.clone()).to_bytes(),
            init_priv: bundle.init_private.expose().to_vec(),
            encryption_priv: bundle.leaf_private.expose().to_vec(),
            signature_priv: signature_private.expose().to_vec(),
        };
        self.joiners.insert(transaction_id, Joiner { identity, signer, bundle, psks: Psks::new() });
        Ok(response)
    }

    pub(crate) fn join_group(&mut self, request: JoinGroupRequest) -> Result<JoinGroupResponse, Failure> {
        let by_welcome = ByWelcome {
            transaction_id: request.transaction_id,
            welcome: &request.welcome,
            ratchet_tree: &request.ratchet_tree,
            handshakes: handshakes(request.encrypt_handshake),
            predecessor: None,
        };
        self.join(&by_welcome)
    }

    /// Joins by Welcome and uses the transaction up, unless joining fails.
    pub(super) fn join(&mut self, by_welcome: &ByWelcome<'_>) -> Result<JoinGroupResponse, Failure> {
        let id = by_welcome.transaction_id;
        let Self { setup, joiners, members, .. } = self;
        let joiner = joiners.get(&id).ok_or(Failure::UnknownId { kind: IdKind::Transaction, id })?;
        let suite = setup.suite(joiner.bundle.key_package.cipher_suite.0.into())?;
        let unknown = |id| Failure::UnknownId { kind: IdKind::State, id };
        let predecessor = by_welcome.predecessor.map(|id| members.get(&id).ok_or(unknown(id))).transpose()?;
        let inherited = predecessor.map_or(&[][..], |member| member.psks.as_slice());
        let psks = duplicate(joiner.psks.iter().chain(inherited));
        let options = JoinOptions {
            bundles: std::slice::from_ref(&joiner.bundle),
            ratchet_tree: decode::present(by_welcome.ratchet_tree),
            predecessor: predecessor.map(|member| &member.group),
            // Other actors of this process may be in it.
            groups: &[],
        };
        let inputs = Inputs { now: setup.now(), psks: &psks };
        let config = Setup::config(by_welcome.handshakes);
        let joining = Group::join(suite, by_welcome.welcome, &options, config, &inputs, setup.rng())?;
        let verdict = judge(joining.questions())?;
        let (group, _) = joining.accept(&verdict)?;
        let joiner = joiners.remove(&id).ok_or(Failure::UnknownId { kind: IdKind::Transaction, id })?;
        let member = Member::new(joiner.identity, by_welcome.handshakes, joiner.signer, group, psks);
        let epoch_authenticator = member.epoch_authenticator();
        Ok(JoinGroupResponse { state_id: self.insert_member(member)?, epoch_authenticator })
    }

    pub(crate) fn external_join(&mut self, request: ExternalJoinRequest) -> Result<ExternalJoinResponse, Failure> {
        let info = decode::group_info(&request.group_info)?;
        let suite = self.setup.suite(info.group_context.cipher_suite.0.into())?;
        let Client { signer, bundle, .. } = self.setup.client(suite, &request.identity)?;
        let handshakes = handshakes(request.encrypt_handshake);
        let psks: Psks =
            request.psks.iter().map(|psk| (external_psk(&psk.psk_id), Secret::copy_of(&psk.psk_secret))).collect();
        let mut builder = Group::join_external(suite, &bundle, Setup::config(handshakes));
        if let Some(ratchet_tree) = decode::present(&request.ratchet_tree) {
            builder = builder.ratchet_tree(ratchet_tree);
        }
        if request.remove_prior {
            let tree = decode::tree(&info, &request.ratchet_tree)?;
            builder = builder.resync(find_leaf(&tree, &request.identity)?);
        }
        for (psk, _) in &psks {
            builder = builder.psk(psk.clone());
        }
        let inputs = Inputs { now: self.setup.now(), psks: &psks };
        let join = builder.build(&request.group_info, signer.as_ref(), &inputs, self.setup.rng())?;
        let verdict = judge(join.questions())?;
        let commit = join.message.clone();
        let (group, _) = join.accept(&verdict)?;
        let member = Member::new(request.identity, handshakes, signer, group, psks);
        let epoch_authenticator = member.epoch_authenticator();
        Ok(ExternalJoinResponse { state_id: self.insert_member(member)?, commit, epoch_authenticator })
    }

    pub(crate) fn store_psk(&mut self, request: StorePskRequest) -> Result<StorePskResponse, Failure> {
        let id = request.state_or_transaction_id;
        let psks = match (self.members.get_mut(&id), self.joiners.get_mut(&id)) {
            (Some(member), _) => &mut member.psks,
            (None, Some(joiner)) => &mut joiner.psks,
            (None, None) => return Err(Failure::UnknownId { kind: IdKind::Any, id }),
        };
        let psk = external_psk(&request.psk_id);
        psks.retain(|(known, _)| *known != psk);
        psks.push((psk, Secret::new(request.psk_secret)));
        Ok(StorePskResponse {})
    }
}

/// A joiner's part of a Welcome.
pub(super) struct ByWelcome<'a> {
    pub(super) transaction_id: u32,
    pub(super) welcome: &'a [u8],
    pub(super) ratchet_tree: &'a [u8],
    pub(super) handshakes: HandshakePolicy,
    /// State of the same client in the group that this one succeeds.
    pub(super) predecessor: Option<u32>,
}

/// Copies of PSKs, of which those that come first count.
pub(super) fn duplicate<'a>(psks: impl Iterator<Item = &'a (Psk, Secret)>) -> Psks {
    let mut copies = Psks::new();
    for (psk, secret) in psks {
        if !copies.iter().any(|(known, _)| known == psk) {
            copies.push((psk.clone(), secret.duplicate()));
        }
    }
    copies
}
