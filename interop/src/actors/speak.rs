//! What a member says about its group, and application data.

use keyroom_mls::config::Inputs;
use keyroom_mls::group::{ExternalJoins, GroupInfoContent, Received};

use super::Actors;
use super::member::tree_delivery;
use crate::Failure;
use crate::messages::{
    ExportRequest, ExportResponse, GroupInfoRequest, GroupInfoResponse, ProtectRequest, ProtectResponse,
    StateAuthRequest, StateAuthResponse, UnprotectRequest, UnprotectResponse,
};

impl Actors {
    pub(crate) fn group_info(&mut self, request: GroupInfoRequest) -> Result<GroupInfoResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        let content = GroupInfoContent { tree: tree_delivery(request.external_tree), external: ExternalJoins::Allowed };
        let group_info = member.group.group_info(content, member.signer.as_ref(), setup.rng())?;
        let ratchet_tree = if request.external_tree { member.group.ratchet_tree()? } else { Vec::new() };
        Ok(GroupInfoResponse { group_info, ratchet_tree })
    }

    pub(crate) fn state_auth(&mut self, request: StateAuthRequest) -> Result<StateAuthResponse, Failure> {
        Ok(StateAuthResponse { state_auth_secret: self.member(request.state_id)?.epoch_authenticator() })
    }

    pub(crate) fn export(&mut self, request: ExportRequest) -> Result<ExportResponse, Failure> {
        let group = &self.member(request.state_id)?.group;
        // Beyond the longest output the engine says so, whatever the number.
        let length = usize::try_from(request.key_length).unwrap_or(usize::MAX);
        let secret = group.export(&request.label, &request.context, length)?;
        Ok(ExportResponse { exported_secret: secret.expose().to_vec() })
    }

    pub(crate) fn protect(&mut self, request: ProtectRequest) -> Result<ProtectResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        let signer = member.signer.as_ref();
        let sent = member.group.encrypt(&request.plaintext, &request.authenticated_data, signer, setup.rng())?;
        Ok(ProtectResponse { ciphertext: sent.message })
    }

    pub(crate) fn unprotect(&mut self, request: UnprotectRequest) -> Result<UnprotectResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        match member.group.process(&request.ciphertext, &Inputs::at(setup.now()))?.received {
            Received::Application { data, authenticated_data, .. } => {
                Ok(UnprotectResponse { authenticated_data, plaintext: data })
            }
            _ => Err(Failure::WrongMessage { field: "ciphertext", expected: "application message" }),
        }
    }
}
