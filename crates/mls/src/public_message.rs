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
/// [`Rule::ApplicationInPublicMessage`], [`Rule::MembershipTag`], and as [`check_form`].
pub fn unprotect(
    suite: &dyn Suite,
    membership_key: &MembershipKey,
    message: PublicMessage,
    group_context: &[u8],
) -> Result<AuthenticatedContent, Rule> {
    check_form(suite, &message)?;
    if let Some(tag) = &message.membership_tag {
        membership_key.verify(suite, &message.tbm(group_context), tag)?;
    }
    Ok(message.into_authenticated_content())
}

/// What anybody can check, without the membership key: no application data, and a tag of the right
/// length exactly for a member (§6.2).
///
/// # Errors
/// [`Rule::ApplicationInPublicMessage`], [`Rule::MembershipTagAbsent`], [`Rule::MembershipTagOfNonMember`],
/// [`Rule::MembershipTag`] for a length other than `Nh`.
pub fn check_form(suite: &dyn Suite, message: &PublicMessage) -> Result<(), Rule> {
    refuse_application(message.content.content.content_type())?;
    match (&message.content.sender, &message.membership_tag) {
        (Sender::Member(_), Some(tag)) if tag.len() == suite.kdf().output_len() => Ok(()),
        (Sender::Member(_), Some(_)) => Err(Rule::MembershipTag),
        (Sender::Member(_), None) => Err(Rule::MembershipTagAbsent),
        (_, None) => Ok(()),
        (_, Some(_)) => Err(Rule::MembershipTagOfNonMember),
    }
}

fn refuse_application(content_type: ContentType) -> Result<(), Rule> {
    match content_type {
        ContentType::Application => Err(Rule::ApplicationInPublicMessage),
        ContentType::Proposal | ContentType::Commit => Ok(()),
    }
}
