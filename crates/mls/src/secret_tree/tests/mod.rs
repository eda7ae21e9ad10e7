mod counting;
mod geometry;
mod lazy;
mod limits;
mod model;
mod punctured;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use keyroom_crypto::{CryptoRng, Provider, Secret, Suite};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::{CipherSuite, GroupId, LeafIndex};

use super::*;

const EPOCH: u64 = 9;
const ROOT: [u8; 32] = [42; 32];

/// What a store holds.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Disk(BTreeMap<RecordKey, Vec<u8>>);

impl Disk {
    fn apply(&mut self, changes: ChangeSet) {
        for (key, value) in changes.writes {
            match value {
                Some(value) => drop(self.0.insert(key, value.to_vec())),
                None => drop(self.0.remove(&key)),
            }
        }
    }

    fn read(&self, keys: &[RecordKey]) -> Vec<(RecordKey, Option<RecordValue>)> {
        keys.iter().map(|key| (*key, self.0.get(key).cloned().map(RecordValue::new))).collect()
    }
}

fn suite() -> &'static dyn Suite {
    RUSTCRYPTO.suite(CipherSuite(1)).unwrap()
}

fn changes() -> ChangeSet {
    ChangeSet::new(GroupId::default(), 0)
}

fn tree(depth: u8) -> SecretTree {
    SecretTree::new(suite(), Secret::copy_of(&ROOT).into(), depth, EPOCH)
}

fn stored_tree(depth: u8) -> (SecretTree, Disk) {
    let (tree, mut disk) = (tree(depth), Disk::default());
    disk.apply(snapshot(&tree));
    (tree, disk)
}

fn snapshot(tree: &SecretTree) -> ChangeSet {
    let mut all = changes();
    tree.store_all(&mut all);
    all
}

/// One message: which key it takes.
#[derive(Clone, Copy, Debug)]
struct Take {
    leaf: u32,
    ratchet_type: RatchetType,
    generation: u32,
}

impl Take {
    fn application(leaf: u32, generation: u32) -> Self {
        Self { leaf, ratchet_type: RatchetType::Application, generation }
    }

    fn draw(rng: &mut dyn CryptoRng, leaves: u32, generations: u32) -> Self {
        let ratchet_type = [RatchetType::Handshake, RatchetType::Application][below(rng, 2) as usize];
        Self { leaf: below(rng, leaves), ratchet_type, generation: below(rng, generations) }
    }

    fn derive(self, tree: &SecretTree, limits: &RatchetLimits) -> Result<(MessageKey, Puncture), SecretTreeError> {
        tree.open_key(LeafIndex(self.leaf), self.ratchet_type, self.generation, limits)
    }

    fn open(self, tree: &mut SecretTree, limits: &RatchetLimits) -> Result<(Vec<u8>, ChangeSet), SecretTreeError> {
        let (key, puncture) = self.derive(tree, limits)?;
        assert_eq!(key.generation, self.generation);
        let mut written = changes();
        tree.apply(puncture, &mut written)?;
        Ok((bytes(&key), written))
    }

    /// The key as §9 defines it, derived from the root each time.
    fn reference(self, depth: u8) -> Vec<u8> {
        bytes(&self.derive(&tree(depth), &RatchetLimits::default()).unwrap().0)
    }
}

fn bytes(key: &MessageKey) -> Vec<u8> {
    [key.key.expose(), key.nonce.expose()].concat()
}

fn below(rng: &mut dyn CryptoRng, bound: u32) -> u32 {
    let mut random = [0; 4];
    rng.fill_bytes(&mut random);
    u32::from_be_bytes(random) % bound
}
