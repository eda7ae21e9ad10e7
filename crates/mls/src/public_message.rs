//! PublicMessage (RFC 9420 §6.2): signed, and from a member tagged, but not encrypted.

use keyroom_crypto::Suite;
use keyroom_wire::{AuthenticatedContent, ContentType, PublicMessage, Sender};

use crate::error::Rule;
use crate::key_schedule::MembershipKey;

/// Adds the membership tag to a signed message of a member; messages of others go without.
/// `group_context` is the encoded GroupContext of the message's epoch.
///
/// # Errors
/// [`Rule::ApplicationInPublicMessage`]: application data is never sent in the open (§6).
pub fn protect(
    suite: &dyn Suite,
    membership_key: &MembershipKey,
    message: AuthenticatedContent,
    group_context: &[u8],
) -> Result<PublicMessage, Rule> {
    refuse_application(message.content.content.content_type())?;
    let mut public = PublicMessage { content: message.content, auth: message.auth, membership_tag: None };
    if matches!(public.content.sender, Sender::Member(_)) {
        public.membership_tag = Some(membership_key.tag(suite, &public.tbm(group_context)));
    }
    Ok(public)
}

/// Checks what the membership key protects and gives the signed message inside, whose signature
/// has not been verified yet.
///
/// # Errors
/// [`Rule::ApplicationInPublicMessage`] or [`Rule::MembershipTag`].
pub fn unprotect(
    suite: &dyn Suite,
    membership_key: &MembershipKey,
    message: PublicMessage,
    group_context: &[u8],
) -> Result<AuthenticatedContent, Rule> {
    refuse_application(message.content.content.content_type())?;
    verify_membership_tag(suite, membership_key, &message, group_context)?;
    Ok(message.into_authenticated_content())
}

/// Checks that a message of a member has a valid membership tag and that others have none (§6.2).
///
/// # Errors
/// [`Rule::MembershipTag`].
pub fn verify_membership_tag(
    suite: &dyn Suite,
    membership_key: &MembershipKey,
    message: &PublicMessage,
    group_context: &[u8],
) -> Result<(), Rule> {
    match (&message.content.sender, &message.membership_tag) {
        (Sender::Member(_), Some(tag)) => membership_key.verify(suite, &message.tbm(group_context), tag),
        (Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit, None) => Ok(()),
        _ => Err(Rule::MembershipTag),
    }
}

fn refuse_application(content_type: ContentType) -> Result<(), Rule> {
    match content_type {
        ContentType::Application => Err(Rule::ApplicationInPublicMessage),
        ContentType::Proposal | ContentType::Commit => Ok(()),
    }
}
