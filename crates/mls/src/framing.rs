//! Signing and verifying framed messages (RFC 9420 §6). The encryption of private messages is in
//! [`private_message`](crate::private_message).

use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Signer, Suite, VerifyJob, labels};
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
    let signature = signer.sign(&signed_message(&content, wire_format, group_context), rng)?;
    let auth = FramedContentAuthData { signature, confirmation_tag: None };
    Ok(AuthenticatedContent { wire_format, content, auth })
}

/// The message that is really signed, written once.
fn signed_message(content: &FramedContent, wire_format: WireFormat, group_context: &[u8]) -> Vec<u8> {
    const HEADERS: usize = 64;
    let data = if let Content::Application(data) = &content.content { data.len() } else { 0 };
    let length = data + content.group_id.len() + content.authenticated_data.len() + group_context.len() + HEADERS;
    labels::sign_content_of(LABEL, length, |out| content.write_tbs(wire_format, group_context, out))
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
        let message = signed_message(&content.content, content.wire_format, group_context);
        let signature = content.auth.signature.as_slice();
        suite.verify(signature_key, &message, signature).map_err(|_| Rule::MessageSignature)?;
        Ok(Self(content))
    }

    /// Checks the signatures of messages of one epoch together, each under its sender's key. `None` if
    /// one of them is not good.
    pub(crate) fn verify_all<'k>(
        suite: &dyn Suite,
        contents: Vec<AuthenticatedContent>,
        signature_keys: impl Iterator<Item = &'k [u8]>,
        group_context: &[u8],
    ) -> Option<Vec<Self>> {
        let message =
            |content: &AuthenticatedContent| signed_message(&content.content, content.wire_format, group_context);
        let messages: Vec<Vec<u8>> = contents.iter().map(message).collect();
        let signed = messages.iter().zip(&contents).zip(signature_keys);
        let jobs: Vec<VerifyJob<'_>> = signed
            .map(|((message, content), public_key)| VerifyJob {
                public_key,
                message,
                signature: content.auth.signature.as_slice(),
            })
            .collect();
        let good = jobs.len() == contents.len() && suite.verify_many(&jobs).is_ok();
        good.then(|| contents.into_iter().map(Self).collect())
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
        (Sender::Member(_), Content::Proposal(Proposal::SelfRemove)) if private => {
            Err(Rule::SelfRemoveInPrivateMessage)
        }
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
