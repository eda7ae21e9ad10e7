//! Commits of a member of ours that break one rule each.

use keyroom_crypto::CryptoRng;
use keyroom_insider::{Alter, Insider};
use keyroom_wire::{LeafIndex, Opaque, Proposal as Wire, UpdatePath};

use super::peer::Peer;

/// One way to break a rule.
pub(super) struct Forgery {
    pub(super) what: &'static str,
    /// The proposals, from the own leaf and another one's.
    proposals: fn(LeafIndex, LeafIndex) -> Vec<Wire>,
    change: fn() -> Alter<'static>,
}

impl Forgery {
    /// The commit of a member of ours that breaks the rule; `other` is a leaf that is not its own.
    pub(super) fn commit(&self, maker: &dyn Peer, other: LeafIndex, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let (group, signer) = maker.insides().expect("one of ours");
        let proposals = (self.proposals)(group.own_leaf(), other);
        Insider::new(group, signer).commit(proposals, &(self.change)(), rng).bytes()
    }
}

fn path(change: fn(&mut UpdatePath)) -> Alter<'static> {
    Alter { path: Some(Box::new(change)), ..Alter::default() }
}

fn none(_: LeafIndex, _: LeafIndex) -> Vec<Wire> {
    Vec::new()
}

pub(super) const FORGERIES: [Forgery; 13] = [
    Forgery {
        what: "a commit that removes its maker",
        proposals: |own, _| vec![Wire::Remove { removed: own }],
        change: Alter::default,
    },
    Forgery {
        what: "a commit that removes one member twice",
        proposals: |_, removed| vec![Wire::Remove { removed }, Wire::Remove { removed }],
        change: Alter::default,
    },
    Forgery {
        what: "a commit that removes nobody's leaf",
        proposals: |_, _| vec![Wire::Remove { removed: LeafIndex(1 << 20) }],
        change: Alter::default,
    },
    Forgery {
        what: "a commit with group extensions twice",
        proposals: |_, _| {
            let extensions = keyroom_wire::Extensions::new;
            vec![
                Wire::GroupContextExtensions { extensions: extensions() },
                Wire::GroupContextExtensions { extensions: extensions() },
            ]
        },
        change: Alter::default,
    },
    Forgery {
        what: "a commit of a member with an ExternalInit",
        proposals: |_, _| vec![Wire::ExternalInit { kem_output: vec![9; 32].into() }],
        change: Alter::default,
    },
    Forgery {
        what: "a commit without the path that it needs",
        proposals: none,
        change: || Alter { without_path: true, ..Alter::default() },
    },
    Forgery { what: "a commit with a path node less", proposals: none, change: || path(|path| drop(path.nodes.pop())) },
    Forgery {
        what: "a commit with a path node that has a ciphertext more",
        proposals: none,
        change: || {
            path(|path| {
                let node = path.nodes.last_mut().expect("a path of a group of several");
                let one = node.encrypted_path_secret[0].clone();
                node.encrypted_path_secret.push(one);
            })
        },
    },
    Forgery {
        what: "a commit with spoilt path secrets",
        proposals: none,
        change: || {
            path(|path| {
                for sealed in path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret) {
                    sealed.kem_output = Opaque::default();
                }
            })
        },
    },
    Forgery {
        what: "a commit with path secrets that are longer",
        proposals: none,
        change: || Alter { secret: Some(Box::new(|_, secret| secret.push(0))), ..Alter::default() },
    },
    Forgery {
        what: "a commit with a wrong confirmation tag",
        proposals: none,
        change: || Alter { context: Some(Box::new(|context| context.epoch += 1)), ..Alter::default() },
    },
    Forgery {
        what: "a commit signed for a private message",
        proposals: none,
        change: || Alter { wire_format: Some(keyroom_wire::WireFormat::PRIVATE_MESSAGE), ..Alter::default() },
    },
    Forgery {
        what: "a commit whose leaf is signed for another place",
        proposals: none,
        change: || Alter { leaf_index: Some(LeafIndex(77)), ..Alter::default() },
    },
];
