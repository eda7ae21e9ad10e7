use keyroom_mls::key_schedule::ConfirmationKey;
use keyroom_mls::transcript::{confirmed_transcript_hash, interim_transcript_hash};
use keyroom_vectors::{Hex, load};
use keyroom_wire::{AuthenticatedContent, Decode, Limits, Mac};
use serde::Deserialize;

use crate::{secret, suite};

#[derive(Deserialize)]
struct Case {
    cipher_suite: u16,
    confirmation_key: Hex,
    authenticated_content: Hex,
    interim_transcript_hash_before: Hex,
    confirmed_transcript_hash_after: Hex,
    interim_transcript_hash_after: Hex,
}

#[test]
fn rows_102_180_transcript_hashes_and_confirmation_tags_are_those_of_the_vectors() {
    let Some(cases) = load::<Vec<Case>>("mls/transcript-hashes.json") else { return };
    for case in cases {
        let Some(suite) = suite(case.cipher_suite) else { continue };
        let commit = AuthenticatedContent::from_bytes(&case.authenticated_content, &Limits::default()).unwrap();
        let confirmed = confirmed_transcript_hash(suite, &case.interim_transcript_hash_before, &commit);
        assert_eq!(confirmed.as_slice(), &*case.confirmed_transcript_hash_after);

        let tag = commit.auth.confirmation_tag.unwrap();
        let key: ConfirmationKey = secret(&case.confirmation_key);
        assert_eq!(key.verify(suite, &confirmed, &tag), Ok(()));
        let interim = interim_transcript_hash(suite, &confirmed, &tag);
        assert_eq!(interim.as_slice(), &*case.interim_transcript_hash_after);
    }
}

#[test]
fn the_first_interim_hash_covers_the_first_confirmation_tag() {
    let suite = suite(1).unwrap();
    let tag = Mac::from(vec![7; 32]);
    let input = [&[32][..], &[7; 32]].concat();
    assert_eq!(interim_transcript_hash(suite, b"", &tag), suite.hash(&[&input]));
}
