#![allow(clippy::unwrap_used, reason = "test")]

use alloc::vec;

use keyroom_wire::{Commit, LeafIndex, Opaque};

use super::*;

fn message(wire_format: WireFormat, sender: Sender, content: Content) -> AuthenticatedContent {
    let content = FramedContent {
        group_id: b"room"[..].into(),
        epoch: 1,
        sender,
        authenticated_data: Opaque::default(),
        content,
    };
    AuthenticatedContent {
        wire_format,
        content,
        auth: FramedContentAuthData { signature: vec![0; 64].as_slice().into(), confirmation_tag: None },
    }
}

fn contents() -> [Content; 3] {
    [
        Content::Application(Opaque::default()),
        Content::Proposal(Proposal::Remove { removed: LeafIndex(1) }),
        Content::Commit(Commit { proposals: Vec::new(), path: None }),
    ]
}

#[test]
fn row_094_nobody_but_a_member_is_the_sender_of_a_private_message() {
    for content in contents() {
        for sender in [Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit] {
            let message = message(WireFormat::PRIVATE_MESSAGE, sender, content.clone());
            assert_eq!(check_sender(&message), Err(Rule::NonMemberInPrivateMessage));
        }
        let message = message(WireFormat::PRIVATE_MESSAGE, Sender::Member(LeafIndex(0)), content);
        assert_eq!(check_sender(&message), Ok(()));
    }
}
