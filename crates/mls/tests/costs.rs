//! In a large group whose tree is full, a commit, a received commit and a message cost a number of
//! operations and of bytes stored that grows with the depth of the tree and not with its size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

use keyroom_insider::Populated;
use keyroom_insider::{Client, Member, NOW, config, now, sent, suite};
use keyroom_insider::{Counting, Tally};
use keyroom_mls::group::Received;
use keyroom_mls::record::ChangeSet;

/// What one operation cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    tally: Tally,
    bytes: usize,
    records: usize,
}

struct Room {
    suite: &'static Counting,
    rng: chacha20::ChaCha20Rng,
    first: Member,
    second: Member,
}

impl Room {
    fn new(members: u32) -> Self {
        let mut rng = keyroom_vectors::rng(u64::from(members));
        let populated = Populated::new(suite(1), members, NOW, &mut rng);
        let counting = Counting::leaked(suite(1));
        let clients = ["first", "second"].map(|name| Client::new(name, counting, &mut rng));
        let bundles = clients.each_ref().map(|client| client.bundle(&mut rng));
        let welcome = populated.welcome(bundles.each_ref().map(|bundle| &bundle.key_package), &mut rng);
        let mut guests = clients.into_iter().zip(bundles).map(|(client, bundle)| {
            let group = client.join(&welcome, bundle, config(), &mut rng);
            Member { client, group }
        });
        let (first, second) = (guests.next().unwrap(), guests.next().unwrap());
        assert_eq!(first.group.members_count(), members);
        drop(guests);
        counting.take();
        Self { suite: counting, rng, first, second }
    }

    fn cost(&self, changes: &[&ChangeSet]) -> Cost {
        Cost {
            tally: self.suite.take(),
            bytes: changes.iter().map(|changes| changes.bytes()).sum(),
            records: changes.iter().map(|changes| changes.writes.len()).sum(),
        }
    }

    /// The first commits and the second follows: the costs of both.
    fn commit(&mut self) -> [Cost; 2] {
        let Member { client, group } = &mut self.first;
        let (pending, made) = group.commit().build(client.signer.as_ref(), &now(), &mut self.rng).unwrap();
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

/// Forty commits, so that the work that is put off from commit to commit falls due as well.
fn assert_costs(members: u32, depth: usize) {
    let mut room = Room::new(members);
    let commits: Vec<[Cost; 2]> = (0..40).map(|_| room.commit()).collect();
    // The path of the committer has one node a level, and the second guest is unmerged in one of
    // those on the copath; the context and the transcript need a few hashes more.
    let tally = Tally {
        hashes: 2 * depth + 6,
        kdf: 6 * depth + 24,
        key_pairs: depth + 2,
        encaps: depth + 1,
        decaps: 0,
        verified: 0,
    };
    let bound = Cost { tally, bytes: 10_000, records: 2 * depth };
    assert_within("a commit", most(commits.iter().map(|costs| costs[0])), bound);
    let tally =
        Tally { hashes: 2 * depth + 6, kdf: 2 * depth + 20, key_pairs: depth, encaps: 0, decaps: 1, verified: 2 };
    let bound = Cost { tally, bytes: 8_000, records: 2 * depth };
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

#[test]
fn in_a_full_tree_of_a_thousand_costs_are_those_of_ten_levels() {
    assert_costs(1_000, 10);
}

#[test]
fn in_a_full_tree_of_four_thousand_costs_are_those_of_twelve_levels() {
    assert_costs(4_000, 12);
}
