//! Who is who: members are known by the identity in their basic credential.

use keyroom_mls::group::Group;
use keyroom_mls::identity::{Judgement, Member, Question, Questions, Verdict};
use keyroom_wire::{Credential, LeafIndex, Node, RatchetTree};

use crate::Failure;

/// The first member of a group that has this identity.
pub(super) fn find_member(group: &Group, identity: &[u8]) -> Result<LeafIndex, Failure> {
    let members = group.members()?;
    let found = members.iter().find(|member| is_called(member.credential().ok().as_ref(), identity));
    found.map(|member| member.leaf_index).ok_or_else(|| nobody(identity))
}

/// The first leaf of a tree that has this identity.
pub(super) fn find_leaf(tree: &RatchetTree, identity: &[u8]) -> Result<LeafIndex, Failure> {
    let leaves = (0..).zip(tree.nodes.iter().step_by(2));
    let mut found = leaves.filter(|(_, node)| match node {
        Some(Node::Leaf(leaf)) => is_called(Some(&leaf.credential), identity),
        _ => false,
    });
    found.next().map(|(index, _)| LeafIndex(index)).ok_or_else(|| nobody(identity))
}

/// Accepts every basic credential, and a new one where the identity stays the same: scripts have no
/// other authority.
pub(super) fn judge(questions: &Questions) -> Result<Verdict, Failure> {
    Ok(questions.judge(|question| if is_acceptable(question) { Judgement::Accept } else { Judgement::Reject })?)
}

fn is_acceptable(question: &Question) -> bool {
    match question {
        Question::Present(member) | Question::Joins(member) => basic_identity(member).is_some(),
        Question::Changes { old, new } | Question::Rejoins { old, new } => {
            basic_identity(new).is_some() && basic_identity(old) == basic_identity(new)
        }
        Question::ExternalSender(sender) => matches!(sender.credential, Credential::Basic { .. }),
        // Whoever may propose by the RFC may propose here.
        Question::Proposal { .. } => true,
        // The script has chosen.
        Question::CipherSuite { .. } => true,
        _ => false,
    }
}

fn basic_identity(member: &Member) -> Option<Vec<u8>> {
    match member.credential().ok()? {
        Credential::Basic { identity } => Some(identity.into_vec()),
        _ => None,
    }
}

fn is_called(credential: Option<&Credential>, name: &[u8]) -> bool {
    matches!(credential, Some(Credential::Basic { identity }) if identity.as_slice() == name)
}

fn nobody(identity: &[u8]) -> Failure {
    Failure::NoSuchMember(String::from_utf8_lossy(identity).into_owned())
}

#[cfg(test)]
mod tests {
    use keyroom_wire::{ExternalSender, Opaque, SignaturePublicKey};

    use super::*;

    fn sender(credential: Credential) -> Question {
        Question::ExternalSender(ExternalSender { signature_key: SignaturePublicKey::from(&b"key"[..]), credential })
    }

    #[test]
    fn only_basic_credentials_are_accepted() {
        assert!(is_acceptable(&sender(Credential::basic(*b"ds"))));
        assert!(!is_acceptable(&sender(Credential::X509 { certificates: vec![Opaque::from(&b"certificate"[..])] })));
    }

    #[test]
    fn the_suite_is_the_scripts_choice() {
        let chosen = keyroom_wire::CipherSuite(1);
        let others = vec![keyroom_wire::CipherSuite(7)];
        assert!(is_acceptable(&Question::CipherSuite { chosen, others }));
    }

    #[test]
    fn an_identity_is_compared_as_a_whole() {
        let alice = Credential::basic(*b"alice");
        assert!(is_called(Some(&alice), b"alice"));
        assert!(!is_called(Some(&alice), b"ali") && !is_called(Some(&alice), b"alice2") && !is_called(None, b""));
    }
}
