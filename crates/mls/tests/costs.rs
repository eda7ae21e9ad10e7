//! In a large group whose tree is full, what an operation costs grows with the depth of the tree and not
//! with its size: calls of primitives, bytes and records written, records read. What is refused costs no
//! more than its cheapest fault. Counts, not times: they are the same on every machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

#[path = "costs/refused.rs"]
mod refused;
#[path = "costs/stored.rs"]
mod stored;
#[path = "costs/trees.rs"]
mod trees;

use std::sync::LazyLock;

use keyroom_insider::Populated;
use keyroom_insider::{Client, Member, NOW, config, now, sent, suite};
use keyroom_insider::{Counting, Tally};
use keyroom_mls::group::{CommitBuilder, Group, JoinOptions, Received, TreeDelivery};
use keyroom_mls::record::ChangeSet;
use keyroom_wire::LeafIndex;

/// What one operation cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    tally: Tally,
    bytes: usize,
    records: usize,
}

/// Made once for all tests: the tree takes longer to make than everything that is done in it.
static THOUSAND: LazyLock<Populated> = LazyLock::new(|| populated(1_000));
static TEN_THOUSAND: LazyLock<Populated> = LazyLock::new(|| populated(10_000));

fn populated(members: u32) -> Populated {
    Populated::new(suite(1), members, NOW, &mut keyroom_vectors::rng(u64::from(members)))
}

struct Room {
    suite: &'static Counting,
    rng: chacha20::ChaCha20Rng,
    first: Member,
    second: Member,
    /// What the second stored when it joined.
    joined: Option<ChangeSet>,
}

impl Room {
    fn new(populated: &Populated) -> Self {
        let mut rng = keyroom_vectors::rng(7);
        let counting = Counting::leaked(suite(1));
        let clients = ["first", "second"].map(|name| Client::new(name, counting, &mut rng));
        let bundles = clients.each_ref().map(|client| client.bundle(&mut rng));
        let welcome = populated.welcome(bundles.each_ref().map(|bundle| &bundle.key_package), &mut rng);
        let mut guests = clients.into_iter().zip(bundles).map(|(client, bundle)| {
            let bundles = [bundle];
            let options = JoinOptions::new(&bundles);
            let joining = Group::join(counting, &welcome, &options, config(), &now(), &mut rng).unwrap();
            let verdict = joining.questions().accept_unseen();
            let (group, changes) = joining.accept(&verdict).unwrap();
            (Member { client, group }, changes)
        });
        let ((first, _), (second, joined)) = (guests.next().unwrap(), guests.next().unwrap());
        drop(guests);
        counting.take();
        Self { suite: counting, rng, first, second, joined: Some(joined) }
    }

    fn depth(&self) -> usize {
        self.first.group.tree().depth().into()
    }

    fn cost(&self, changes: &[&ChangeSet]) -> Cost {
        Cost {
            tally: self.suite.take(),
            bytes: changes.iter().map(|changes| changes.bytes()).sum(),
            records: changes.iter().map(|changes| changes.writes.len()).sum(),
        }
    }

    /// The first commits and the second follows: the costs of both.
    fn commit(&mut self, build: impl FnOnce(CommitBuilder<'_>) -> CommitBuilder<'_>) -> [Cost; 2] {
        let Member { client, group } = &mut self.first;
        let (pending, made) = build(group.commit()).build(client.signer.as_ref(), &now(), &mut self.rng).unwrap();
        let message = sent(&pending);
        let verdict = pending.questions().accept_unseen();
        let (_, applied) = group.apply(pending.into_staged(), &verdict).unwrap();
        let sent = self.cost(&[&made, &applied]);
        let group = &mut self.second.group;
        let Received::Commit(staged) = group.process(&message, &now()).unwrap().received else { panic!("a commit") };
        let verdict = staged.questions().accept_unseen();
        let (_, applied) = group.apply(staged, &verdict).unwrap();
        [sent, self.cost(&[&applied])]
    }

    /// The first sends and the second reads: the costs of both.
    fn message(&mut self) -> [Cost; 2] {
        let Member { client, group } = &mut self.first;
        let sent = group.encrypt(&[7; 100], b"", client.signer.as_ref(), &mut self.rng).unwrap();
        let cost = self.cost(&[&sent.changes]);
        let read = self.second.group.process(&sent.message, &now()).unwrap();
        [cost, self.cost(&[&read.changes.unwrap()])]
    }
}

fn most(costs: impl Iterator<Item = Cost>) -> Cost {
    costs.fold(Cost::default(), |most, cost| Cost {
        tally: Tally {
            hashes: most.tally.hashes.max(cost.tally.hashes),
            kdf: most.tally.kdf.max(cost.tally.kdf),
            key_pairs: most.tally.key_pairs.max(cost.tally.key_pairs),
            encaps: most.tally.encaps.max(cost.tally.encaps),
            decaps: most.tally.decaps.max(cost.tally.decaps),
            verified: most.tally.verified.max(cost.tally.verified),
        },
        bytes: most.bytes.max(cost.bytes),
        records: most.records.max(cost.records),
    })
}

/// Fails if any part of the cost is above its bound.
fn assert_within(what: &str, cost: Cost, bound: Cost) {
    let parts = |cost: Cost| {
        let Tally { hashes, kdf, key_pairs, encaps, decaps, verified } = cost.tally;
        [hashes, kdf, key_pairs, encaps, decaps, verified, cost.bytes, cost.records]
    };
    let within = parts(cost).into_iter().zip(parts(bound)).all(|(cost, bound)| cost <= bound);
    assert!(within, "{what}: {cost:?} exceeds {bound:?}");
}

/// Of a commit: two signatures (or their checks) apart, its tree hashes and its path.
fn made(depth: usize) -> Tally {
    Tally {
        // The path of the committer has one node a level, and the second guest is unmerged in one of
        // those on the copath; the context and the transcript need a few hashes more.
        hashes: 2 * depth + 6,
        kdf: 6 * depth + 24,
        key_pairs: depth + 2,
        encaps: depth + 1,
        decaps: 0,
        verified: 0,
    }
}

fn followed(depth: usize) -> Tally {
    Tally { hashes: 2 * depth + 6, kdf: 2 * depth + 20, key_pairs: depth, encaps: 0, decaps: 1, verified: 2 }
}

/// Forty commits, so that the work that is put off from commit to commit falls due as well.
fn assert_costs(populated: &Populated) {
    let mut room = Room::new(populated);
    let depth = room.depth();
    let commits: Vec<[Cost; 2]> = (0..40).map(|_| room.commit(|commit| commit)).collect();
    let bound = Cost { tally: made(depth), bytes: 10_000, records: 2 * depth };
    assert_within("a commit", most(commits.iter().map(|costs| costs[0])), bound);
    let bound = Cost { tally: followed(depth), bytes: 8_000, records: 2 * depth };
    assert_within("a received commit", most(commits.iter().map(|costs| costs[1])), bound);

    for (what, levels, bytes) in [("the first message of an epoch", depth, 1_000), ("a later message", 0, 100)] {
        let [sent, read] = room.message();
        // Two children a level and two ratchets, then five secrets of the message.
        let tally = Tally { kdf: 2 * levels + 7, ..Tally::default() };
        let bound = Cost { tally, bytes, records: depth };
        assert_within(what, sent, bound);
        assert_within(what, read, Cost { tally: Tally { verified: 1, ..tally }, ..bound });
    }
}

/// One goes and one comes, the tree out of band: beyond a commit there is a leaf more to hash and to
/// write, a key package to check and a Welcome to seal, whatever the size of the group.
fn assert_costs_of_members(populated: &Populated) {
    let mut room = Room::new(populated);
    let depth = room.depth();
    room.commit(|commit| commit);
    for step in 0..3 {
        let [removed, followed_removal] = room.commit(|commit| commit.remove(LeafIndex(500 + step)));
        // Its direct path is blank now, so that more nodes need a ciphertext.
        let tally = Tally { hashes: 4 * depth, kdf: 12 * depth + 24, encaps: 2 * depth + 2, ..made(depth) };
        assert_within("a removal", removed, Cost { tally, bytes: 12_000, records: 4 * depth });
        let tally = Tally { hashes: 4 * depth, ..followed(depth) };
        assert_within("a received removal", followed_removal, Cost { tally, bytes: 10_000, records: 4 * depth });

        let newcomer = Client::new("newcomer", suite(1), &mut room.rng);
        let package = newcomer.bundle(&mut room.rng).key_package;
        let [added, followed_addition] =
            room.commit(|commit| commit.add(package).welcome_tree(TreeDelivery::OutOfBand));
        let tally = Tally {
            hashes: 4 * depth + 6,
            kdf: 12 * depth + 40,
            encaps: 2 * depth + 4,
            // Leaf and key package.
            verified: 2,
            ..made(depth)
        };
        assert_within("an addition", added, Cost { tally, bytes: 14_000, records: 4 * depth });
        let tally = Tally { hashes: 4 * depth + 6, verified: 4, ..followed(depth) };
        assert_within("a received addition", followed_addition, Cost { tally, bytes: 12_000, records: 4 * depth });
    }
}

#[test]
fn in_a_full_tree_of_a_thousand_costs_are_those_of_ten_levels() {
    assert_costs(&THOUSAND);
    assert_costs_of_members(&THOUSAND);
}

#[test]
fn in_a_full_tree_of_ten_thousand_costs_are_those_of_fourteen_levels() {
    assert_costs(&TEN_THOUSAND);
    assert_costs_of_members(&TEN_THOUSAND);
}
