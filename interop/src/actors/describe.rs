//! From the description of a proposal to the proposal.

use keyroom_crypto::{CryptoRng, Secret, Suite};
use keyroom_wire::{
    CipherSuite, GroupId, LeafIndex, PreSharedKeyId, Proposal, ProtocolVersion, Psk, ReInit, ResumptionPskUsage,
};

use super::decode;
use crate::Failure;
use crate::messages::ProposalDescription;

/// The kinds of proposals that descriptions name.
pub(super) mod kind {
    pub(crate) const ADD: &[u8] = b"add";
    pub(crate) const REMOVE: &[u8] = b"remove";
    pub(crate) const EXTERNAL_PSK: &[u8] = b"externalPSK";
    pub(crate) const RESUMPTION_PSK: &[u8] = b"resumptionPSK";
    pub(crate) const GROUP_CONTEXT_EXTENSIONS: &[u8] = b"groupContextExtensions";
    pub(crate) const REINIT: &[u8] = b"reinit";
}

/// The group that a proposal is for, as a member or somebody outside sees it.
pub(super) struct Target<'a> {
    pub(super) suite: &'static dyn Suite,
    pub(super) group_id: &'a GroupId,
    /// Finds a member by its identity.
    pub(super) find: &'a dyn Fn(&[u8]) -> Result<LeafIndex, Failure>,
}

impl Target<'_> {
    /// The proposal that a description means.
    pub(super) fn proposal(
        &self,
        description: &ProposalDescription,
        rng: &mut dyn CryptoRng,
    ) -> Result<Proposal, Failure> {
        Ok(match description.proposal_type.as_slice() {
            kind::ADD => Proposal::Add { key_package: Box::new(decode::key_package(&description.key_package)?) },
            kind::REMOVE => Proposal::Remove { removed: (self.find)(&description.removed_id)? },
            kind::EXTERNAL_PSK => self.psk(external_psk(&description.psk_id), rng),
            kind::RESUMPTION_PSK => self.psk(self.resumption_psk(description.epoch_id), rng),
            kind::GROUP_CONTEXT_EXTENSIONS => {
                Proposal::GroupContextExtensions { extensions: decode::extensions(&description.extensions)? }
            }
            kind::REINIT => Proposal::ReInit(reinit(description)?),
            other => return Err(Failure::UnknownProposalType(String::from_utf8_lossy(other).into_owned())),
        })
    }

    /// A PSK with a fresh nonce, as long as the KDF's output (§8.4).
    fn psk(&self, psk: Psk, rng: &mut dyn CryptoRng) -> Proposal {
        let nonce = Secret::random(self.suite.kdf().output_len(), rng);
        Proposal::PreSharedKey { psk: PreSharedKeyId { psk, psk_nonce: nonce.expose().into() } }
    }

    fn resumption_psk(&self, epoch: u64) -> Psk {
        Psk::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: self.group_id.clone(),
            psk_epoch: epoch,
        }
    }
}

/// An external PSK by its name.
pub(super) fn external_psk(psk_id: &[u8]) -> Psk {
    Psk::External { psk_id: psk_id.into() }
}

fn reinit(description: &ProposalDescription) -> Result<ReInit, Failure> {
    Ok(ReInit {
        group_id: description.group_id.as_slice().into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: CipherSuite(decode::code_point(description.cipher_suite)?),
        extensions: decode::extensions(&description.extensions)?,
    })
}
