//! A group of changing size: drawn steps lead through trees with blanks and unmerged leaves that no
//! one would write down.

use keyroom_crypto::CryptoRng;

use super::peer::{Change, Kind, Proposal, Style};
use super::world::World;

const KINDS: [Kind; 3] = [Kind::Keyroom, Kind::MlsRs, Kind::OpenMls];
const STEPS: usize = 40;
const MOST: usize = 12;

struct Walk {
    world: World,
    rng: Box<dyn CryptoRng>,
}

impl Walk {
    fn below(&mut self, bound: usize) -> usize {
        let mut byte = [0];
        self.rng.fill_bytes(&mut byte);
        usize::from(byte[0]) % bound
    }

    fn member(&mut self) -> usize {
        let count = self.world.members.len();
        self.below(count)
    }

    fn newcomer(&mut self) -> Kind {
        KINDS[self.below(KINDS.len())]
    }

    fn step(&mut self) {
        let count = self.world.members.len();
        let from = self.member();
        match self.below(5) {
            0 | 1 if count < MOST => {
                let kinds: Vec<Kind> = (0..=self.below(3)).map(|_| self.newcomer()).collect();
                let clients = kinds.into_iter().map(|kind| self.world.client(kind)).collect();
                self.world.add(from, clients);
            }
            2 if count > 3 => {
                let victim = (from + 1 + self.below(count - 1)) % count;
                let proposer = self.member();
                if proposer != victim && proposer != from {
                    self.world.propose(proposer, &Proposal::Update);
                }
                let removes = vec![self.world.members[victim].own_leaf()];
                self.world.commit(from, &Change { removes, ..Change::default() });
            }
            3 if count < MOST => {
                let kind = self.newcomer();
                let client = self.world.client(kind);
                self.world.join_external(client, from);
            }
            _ => {
                let proposer = self.member();
                if proposer != from {
                    self.world.propose(proposer, &Proposal::Update);
                }
                self.world.commit(from, &Change::default());
            }
        }
        self.world.agree();
    }
}

fn walk(seed: u64, founder: Kind, suite: u16) {
    let world = World::founded_by(founder, suite, Style::Public);
    let mut walk = Walk { world, rng: Box::new(keyroom_vectors::rng(seed)) };
    for _ in 0..STEPS {
        walk.step();
    }
    walk.world.talk();
}

#[test]
fn a_drawn_life_of_a_group_that_keyroom_founded_is_the_same_for_all() {
    walk(1, Kind::Keyroom, 1);
}

#[test]
fn a_drawn_life_of_a_group_that_mls_rs_founded_is_the_same_for_all() {
    walk(2, Kind::MlsRs, 3);
}

#[test]
fn a_drawn_life_of_a_group_that_openmls_founded_is_the_same_for_all() {
    walk(3, Kind::OpenMls, 1);
}
