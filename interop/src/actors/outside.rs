//! Those who propose from outside the group (§12.1.8).

use keyroom_crypto::{Signer, Suite};
use keyroom_mls::group::{propose_externally, propose_own_addition};
use keyroom_wire::{Credential, Encode, ExternalSender};

use super::describe::Target;
use super::identity::find_leaf;
use super::{Actors, decode};
use crate::messages::{
    CreateExternalSignerRequest, CreateExternalSignerResponse, CreateKeyPackageResponse, ExternalSignerProposalRequest,
    NewMemberAddProposalRequest, NewMemberAddProposalResponse, ProposalResponse,
};
use crate::{Failure, IdKind};

/// Somebody whose proposals a group may come to trust.
#[derive(Debug)]
pub(super) struct ExternalSigner {
    suite: &'static dyn Suite,
    signer: Box<dyn Signer>,
}

impl Actors {
    pub(crate) fn new_member_add_proposal(
        &mut self,
        request: NewMemberAddProposalRequest,
    ) -> Result<NewMemberAddProposalResponse, Failure> {
        let context = decode::group_info(&request.group_info)?.group_context;
        let suite = self.setup.suite(context.cipher_suite.0.into())?;
        let made = self.new_joiner(suite, request.identity)?;
        let CreateKeyPackageResponse { transaction_id, key_package, init_priv, encryption_priv, signature_priv } = made;
        let unknown = Failure::UnknownId { kind: IdKind::Transaction, id: transaction_id };
        let Self { setup, joiners, .. } = self;
        let signer = joiners.get(&transaction_id).ok_or(unknown)?.signer.as_ref();
        let key_package = decode::key_package(&key_package)?;
        let proposal = propose_own_addition(&context, key_package, signer, setup.rng())?;
        Ok(NewMemberAddProposalResponse { transaction_id, proposal, init_priv, encryption_priv, signature_priv })
    }

    pub(crate) fn create_external_signer(
        &mut self,
        request: CreateExternalSignerRequest,
    ) -> Result<CreateExternalSignerResponse, Failure> {
        let suite = self.setup.suite(request.cipher_suite)?;
        let private = suite.generate_signature_key(self.setup.rng())?;
        let signer = suite.signer(private.expose())?;
        let sender = ExternalSender {
            signature_key: signer.public_key().clone(),
            credential: Credential::basic(request.identity),
        };
        let signer_id = self.fresh_id()?;
        self.signers.insert(signer_id, ExternalSigner { suite, signer });
        Ok(CreateExternalSignerResponse { signer_id, external_sender: sender.to_bytes() })
    }

    /// The signer's place among the external senders is found by its key, not by the request.
    pub(crate) fn external_signer_proposal(
        &mut self,
        request: ExternalSignerProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let id = request.signer_id;
        let Self { setup, signers, .. } = self;
        let ExternalSigner { suite, signer } =
            signers.get(&id).ok_or(Failure::UnknownId { kind: IdKind::Signer, id })?;
        let info = decode::group_info(&request.group_info)?;
        let find = |identity: &[u8]| find_leaf(&decode::tree(&info, &request.ratchet_tree)?, identity);
        let target = Target { suite: *suite, group_id: &info.group_context.group_id, find: &find };
        let description = request.description.as_ref().ok_or(Failure::NoDescription)?;
        let proposal = target.proposal(description, setup.rng())?;
        let proposal = propose_externally(&info.group_context, proposal, signer.as_ref(), setup.rng())?;
        Ok(ProposalResponse { proposal })
    }
}
