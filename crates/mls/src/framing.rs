//! Signing and verifying framed messages (RFC 9420 §6). The encryption of private messages is in
//! [`private_message`](crate::private_message).

use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Signer, Suite, labels};
use keyroom_wire::{
    AuthenticatedContent, Content, Encode, FramedContent, FramedContentAuthData, Proposal, ProposalRef, Sender,
    WireFormat,
};

use crate::error::{Error, Rule};

const LABEL: &str = "FramedContentTBS";

/// Signs a message. A commit gets its confirmation tag later: the signature does not cover it (§6.1).
pub(crate) fn sign(
    signer: &dyn Signer,
    wire_format: WireFormat,
    content: FramedContent,
    group_context: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<AuthenticatedContent, Error> {
    let signature = labels::sign_with_label(signer, LABEL, &content.tbs(wire_format, group_context), rng)?;
    let auth = FramedContentAuthData { signature, confirmation_tag: None };
    Ok(AuthenticatedContent { wire_format, content, auth })
}

/// A message whose sender may send such content and whose signature is its sender's.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedContent(AuthenticatedContent);

impl VerifiedContent {
    /// Checks the signature under a key that the caller has looked up for the sender.
    pub(crate) fn verify(
        suite: &dyn Suite,
        content: AuthenticatedContent,
        signature_key: &[u8],
        group_context: &[u8],
    ) -> Result<Self, Error> {
        let tbs = content.content.tbs(content.wire_format, group_context);
        labels::verify_with_label(suite, signature_key, LABEL, &tbs, content.auth.signature.as_slice())
            .map_err(|_| Rule::MessageSignature)?;
        Ok(Self(content))
    }

    /// A message that this member has just signed itself.
    pub(crate) fn own(content: AuthenticatedContent) -> Self {
        Self(content)
    }

    /// The message.
    pub(crate) fn authenticated(&self) -> &AuthenticatedContent {
        &self.0
    }

    /// The framed content.
    pub(crate) fn framed(&self) -> &FramedContent {
        &self.0.content
    }

    /// The message, given away.
    pub(crate) fn into_inner(self) -> AuthenticatedContent {
        self.0
    }

    /// The reference by which a commit can name a proposal (§5.2).
    pub(crate) fn proposal_ref(&self, suite: &dyn Suite) -> ProposalRef {
        labels::proposal_ref(suite, &self.0.to_bytes())
    }
}

/// Checks that the type of sender may send this type of content, before any signature (§6.1, §12.1.8).
pub(crate) fn check_sender(content: &AuthenticatedContent) -> Result<(), Rule> {
    let private = content.wire_format == WireFormat::PRIVATE_MESSAGE;
    match (&content.content.sender, &content.content.content) {
        (Sender::Member(_), Content::Application(_)) if !private => Err(Rule::ApplicationInPublicMessage),
        (Sender::Member(_), _) => Ok(()),
        _ if private => Err(Rule::NonMemberInPrivateMessage),
        (_, Content::Application(_)) => Err(Rule::ApplicationInPublicMessage),
        (Sender::External(_) | Sender::NewMemberProposal, Content::Proposal(Proposal::Update { .. })) => {
            Err(Rule::UpdateByNonMember)
        }
        (Sender::External(_), Content::Proposal(Proposal::ExternalInit { .. })) => Err(Rule::ExternalSenderProposal),
        (Sender::External(_), Content::Proposal(_)) => Ok(()),
        (Sender::External(_), Content::Commit(_)) => Err(Rule::ExternalSenderContent),
        (Sender::NewMemberProposal, Content::Proposal(Proposal::Add { .. })) => Ok(()),
        (Sender::NewMemberProposal, Content::Proposal(_)) => Err(Rule::NewMemberProposalType),
        (Sender::NewMemberProposal, Content::Commit(_)) => Err(Rule::NewMemberProposalContent),
        (Sender::NewMemberCommit, Content::Commit(_)) => Ok(()),
        (Sender::NewMemberCommit, Content::Proposal(_)) => Err(Rule::NewMemberCommitContent),
    }
}

/// The key that a message brings along itself: that of the key package that a new member proposes,
/// or of the leaf with which an external committer joins (§6.1).
pub(crate) fn key_in_message(content: &FramedContent) -> Option<Vec<u8>> {
    match (&content.sender, &content.content) {
        (Sender::NewMemberProposal, Content::Proposal(Proposal::Add { key_package })) => {
            Some(key_package.leaf_node.signature_key.as_slice().to_vec())
        }
        (Sender::NewMemberCommit, Content::Commit(commit)) => {
            commit.path.as_ref().map(|path| path.leaf_node.signature_key.as_slice().to_vec())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
