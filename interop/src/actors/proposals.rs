//! Proposals of members: each call is the description of a proposal.

use keyroom_wire::{Encode, ExtensionType, ExternalSender, Proposal};

use super::describe::kind;
use super::{Actors, decode};
use crate::Failure;
use crate::messages::{
    AddExternalSignerRequest, AddProposalRequest, ExternalPskProposalRequest, GroupContextExtensionsProposalRequest,
    ProposalDescription, ProposalResponse, ReInitProposalRequest, RemoveProposalRequest, ResumptionPskProposalRequest,
    UpdateProposalRequest,
};

impl Actors {
    pub(crate) fn add_proposal(&mut self, request: AddProposalRequest) -> Result<ProposalResponse, Failure> {
        self.propose(
            request.state_id,
            &ProposalDescription { key_package: request.key_package, ..described(kind::ADD) },
        )
    }

    pub(crate) fn update_proposal(&mut self, request: UpdateProposalRequest) -> Result<ProposalResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        Ok(ProposalResponse { proposal: member.propose_update(setup)? })
    }

    pub(crate) fn remove_proposal(&mut self, request: RemoveProposalRequest) -> Result<ProposalResponse, Failure> {
        self.propose(
            request.state_id,
            &ProposalDescription { removed_id: request.removed_id, ..described(kind::REMOVE) },
        )
    }

    pub(crate) fn external_psk_proposal(
        &mut self,
        request: ExternalPskProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        self.propose(request.state_id, &ProposalDescription { psk_id: request.psk_id, ..described(kind::EXTERNAL_PSK) })
    }

    pub(crate) fn resumption_psk_proposal(
        &mut self,
        request: ResumptionPskProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        self.propose(
            request.state_id,
            &ProposalDescription { epoch_id: request.epoch_id, ..described(kind::RESUMPTION_PSK) },
        )
    }

    pub(crate) fn group_context_extensions_proposal(
        &mut self,
        request: GroupContextExtensionsProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        self.propose(
            request.state_id,
            &ProposalDescription { extensions: request.extensions, ..described(kind::GROUP_CONTEXT_EXTENSIONS) },
        )
    }

    pub(crate) fn re_init_proposal(&mut self, request: ReInitProposalRequest) -> Result<ProposalResponse, Failure> {
        self.propose(
            request.state_id,
            &ProposalDescription {
                group_id: request.group_id,
                cipher_suite: request.cipher_suite,
                extensions: request.extensions,
                ..described(kind::REINIT)
            },
        )
    }

    /// Appends to the senders that the group trusts already.
    pub(crate) fn add_external_signer(
        &mut self,
        request: AddExternalSignerRequest,
    ) -> Result<ProposalResponse, Failure> {
        let (member, setup) = self.member_mut(request.state_id)?;
        let mut extensions = member.group.context().extensions.clone();
        let known = extensions.get(ExtensionType::EXTERNAL_SENDERS);
        let mut senders: Vec<ExternalSender> =
            known.map(|bytes| decode::value("external_senders", bytes)).transpose()?.unwrap_or_default();
        senders.push(decode::value("external_sender", &request.external_sender)?);
        extensions.set(ExtensionType::EXTERNAL_SENDERS, senders.to_bytes());
        let proposal = Proposal::GroupContextExtensions { extensions };
        Ok(ProposalResponse { proposal: member.propose(proposal, setup)? })
    }

    fn propose(&mut self, state_id: u32, description: &ProposalDescription) -> Result<ProposalResponse, Failure> {
        let (member, setup) = self.member_mut(state_id)?;
        let proposal = member.described(description, setup)?;
        Ok(ProposalResponse { proposal: member.propose(proposal, setup)? })
    }
}

fn described(kind: &[u8]) -> ProposalDescription {
    ProposalDescription { proposal_type: kind.to_vec(), ..ProposalDescription::default() }
}
