//! Transcript hashes (RFC 9420 §8.2): the chain over all commits of a group.
//!
//! In epoch 0 the confirmed hash is the empty string, and the interim hash follows from it and the
//! first confirmation tag as in every other epoch (§11). A joiner computes the interim hash from
//! the GroupInfo.

use keyroom_crypto::{Hash, Suite};
use keyroom_wire::{AuthenticatedContent, Encode, Mac};

/// `confirmed_transcript_hash` of the epoch that `commit` begins. `interim_before` is the interim
/// hash of the epoch in which it was sent.
pub fn confirmed_transcript_hash(suite: &dyn Suite, interim_before: &[u8], commit: &AuthenticatedContent) -> Hash {
    suite.hash(&[interim_before, &commit.confirmed_transcript_hash_input()])
}

/// `interim_transcript_hash` of an epoch, from its confirmed hash (empty in epoch 0) and its
/// confirmation tag.
pub fn interim_transcript_hash(suite: &dyn Suite, confirmed: &[u8], confirmation_tag: &Mac) -> Hash {
    suite.hash(&[confirmed, &confirmation_tag.to_bytes()])
}
