//! The same random histories for all: whatever one member makes, honest or not, every other member
//! must judge alike, and all must end with the same secrets. `KEYROOM_SEED` says where the histories
//! begin, `KEYROOM_COUNT` how many there are.

use std::collections::BTreeSet;

use keyroom_wire::LeafIndex;

use super::explained::{How, explained};
use super::forgery::FORGERIES;
use super::peer::{Change, Event, GroupExtensions, Kind, Peer, Proposal, Style};
use super::world::World;

const KINDS: [Kind; 3] = [Kind::Keyroom, Kind::MlsRs, Kind::OpenMls];
const STEPS: usize = 24;
const MOST: usize = 9;
const FEWEST: usize = 4;

struct History {
    world: World,
    kinds: Vec<(String, Kind)>,
    style: Style,
    seed: u64,
    step: usize,
    rng: Box<dyn keyroom_crypto::CryptoRng>,
    /// Explained differences that came up.
    seen: BTreeSet<(String, &'static str)>,
    required: bool,
}

impl History {
    fn begin(seed: u64, founder: Kind, suite: u16, style: Style) -> Self {
        let mut history = Self {
            world: World::founded_by(founder, suite, style),
            kinds: Vec::new(),
            style,
            seed,
            step: 0,
            rng: Box::new(keyroom_vectors::rng(seed)),
            seen: BTreeSet::new(),
            required: false,
        };
        let name = history.world.members[0].name().to_owned();
        history.kinds.push((name, founder));
        for kind in KINDS {
            let guest = history.client(kind);
            history.add(0, vec![guest]);
        }
        history
    }

    fn below(&mut self, bound: usize) -> usize {
        keyroom_insider::below(self.rng.as_mut(), bound)
    }

    fn client(&mut self, kind: Kind) -> Box<dyn Peer> {
        let client = self.world.client(kind);
        self.kinds.push((client.name().to_owned(), kind));
        client
    }

    fn newcomer(&mut self) -> Box<dyn Peer> {
        let kind = KINDS[self.below(KINDS.len())];
        self.client(kind)
    }

    fn kind(&self, position: usize) -> Kind {
        let name = self.world.members[position].name();
        self.kinds.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn other(&mut self, than: usize) -> usize {
        let count = self.world.members.len();
        (than + 1 + self.below(count - 1)) % count
    }

    /// All but one read a message that must be refused. Who accepts it is out of step and is returned,
    /// if that is explained.
    fn refused(&mut self, from: usize, what: &'static str, message: &[u8]) -> Vec<usize> {
        let mut out = Vec::new();
        for position in (0..self.world.members.len()).filter(|position| *position != from) {
            if explained(self.kind(position), what, How::Keeps) {
                self.refused_without_trace(position, what, message);
            } else if let Ok(event) = self.world.members[position].receive(message) {
                self.differs(position, what, &format!("{event:?}"));
                out.push(position);
            }
        }
        out
    }

    /// Who keeps something of what it refuses is put back to what it was.
    fn refused_without_trace(&mut self, position: usize, what: &'static str, message: &[u8]) {
        let heard = self.world.members[position].receive_or_restore(message);
        assert!(heard.is_err(), "seed {}, step {}: {what}: {heard:?}", self.seed, self.step);
        self.seen.insert((format!("{:?}", self.kind(position)), what));
    }

    fn differs(&mut self, position: usize, what: &'static str, how: &str) {
        let kind = self.kind(position);
        let (seed, step) = (self.seed, self.step);
        assert!(explained(kind, what, How::Published), "seed {seed}, step {step}: {kind:?} differs on {what}: {how}");
        self.seen.insert((format!("{kind:?}"), what));
    }

    /// All but one read an honest commit; who is removed by it goes.
    fn follow(&mut self, from: usize, message: &[u8]) {
        let maker = self.world.members[from].name().to_owned();
        let (seed, step) = (self.seed, self.step);
        let mut position = 0;
        self.world.members.retain_mut(|member| {
            position += 1;
            if position - 1 == from {
                return true;
            }
            match member.receive(message) {
                Ok(Event::NewEpoch) => true,
                Ok(Event::Removed) => false,
                other => panic!("seed {seed}, step {step}: {} cannot follow {maker}: {other:?}", member.name()),
            }
        });
    }

    /// Bad messages first, then an honest commit, then the same commit again.
    fn commit(&mut self, mut from: usize, change: &Change, guests: Vec<Box<dyn Peer>>) {
        let committed = self.world.members[from].commit(change);
        if self.style == Style::Public && self.below(2) == 0 {
            self.spoil(from, "a spoilt commit", &committed.message);
        }
        let maker = self.world.members[from].name().to_owned();
        self.follow(from, &committed.message);
        from = self.world.members.iter().position(|member| member.name() == maker).unwrap();
        if self.style == Style::Public {
            assert!(self.refused(from, "a commit twice", &committed.message).is_empty());
        }
        if guests.is_empty() {
            self.world.agree();
        } else {
            self.world.welcome(guests, &committed);
        }
    }

    /// Three spoilt copies; all refuse each.
    fn spoil(&mut self, from: usize, what: &'static str, message: &[u8]) {
        for _ in 0..3 {
            let mut bad = message.to_vec();
            let at = self.below(bad.len());
            match self.below(4) {
                0 => bad.truncate(at),
                1 => bad.push(0),
                _ => bad[at] ^= 1 << self.below(8),
            }
            assert!(self.refused(from, what, &bad).is_empty(), "nobody who stays accepts {what}");
        }
    }

    fn add(&mut self, from: usize, mut guests: Vec<Box<dyn Peer>>) {
        let adds = guests.iter_mut().map(|guest| guest.key_package()).collect();
        self.commit(from, &Change { adds, ..Change::default() }, guests);
    }

    fn propose(&mut self, from: usize, proposal: &Proposal) {
        let message = self.world.members[from].propose(proposal);
        if self.style == Style::Public && self.below(2) == 0 {
            self.spoil(from, "a spoilt proposal", &message);
        }
        for position in (0..self.world.members.len()).filter(|position| *position != from) {
            let event = self.world.members[position].receive(&message);
            assert_eq!(event, Ok(Event::Proposal), "seed {}, step {}: {proposal:?}", self.seed, self.step);
        }
    }

    fn step(&mut self) {
        let count = self.world.members.len();
        let from = self.below(count);
        let leaf = |history: &Self, position: usize| history.world.members[position].own_leaf();
        match self.below(11) {
            0 | 1 if count < MOST => {
                let guests = (0..=self.below(2)).map(|_| self.newcomer()).collect();
                self.add(from, guests);
            }
            2 if count < MOST => {
                let mut guest = self.newcomer();
                let proposer = self.other(from);
                self.propose(proposer, &Proposal::Add(guest.key_package()));
                self.commit(from, &Change::default(), vec![guest]);
            }
            3 if count > FEWEST => {
                let removed = self.other(from);
                let removes = vec![leaf(self, removed)];
                self.commit(from, &Change { removes, ..Change::default() }, Vec::new());
            }
            4 if count > FEWEST => {
                let removed = self.other(from);
                let proposer = (0..count).find(|position| ![from, removed].contains(position)).unwrap();
                let proposal = Proposal::Remove(leaf(self, removed));
                self.propose(proposer, &proposal);
                self.commit(from, &Change::default(), Vec::new());
            }
            5 => self.commit(from, &Change { psk: true, ..Change::default() }, Vec::new()),
            6 => {
                self.required = !self.required;
                let extensions = if self.required { GroupExtensions::BasicRequired } else { GroupExtensions::None };
                self.commit(from, &Change { extensions: Some(extensions), ..Change::default() }, Vec::new());
            }
            7 if count < MOST && self.style == Style::Public => self.join_external(from),
            8 if self.style == Style::Public => self.insider(),
            9 | 10 => self.talk(from),
            _ => {
                let proposer = self.other(from);
                self.propose(proposer, &Proposal::Update);
                self.commit(from, &Change::default(), Vec::new());
            }
        }
        self.world.agree();
        self.step += 1;
    }

    fn join_external(&mut self, from: usize) {
        let mut guest = self.newcomer();
        let group_info = self.world.members[from].group_info();
        let message = guest.join_external(&group_info);
        let outside = self.world.members.len();
        self.spoil(outside, "a spoilt external commit", &message);
        for member in &mut self.world.members {
            assert_eq!(member.receive(&message), Ok(Event::NewEpoch), "seed {}, step {}", self.seed, self.step);
        }
        self.world.members.push(guest);
        self.world.agree();
    }

    /// Three messages out of order, one of them twice, one of them spoilt before it comes.
    fn talk(&mut self, from: usize) {
        let messages: Vec<Vec<u8>> =
            (0..3).map(|number| self.world.members[from].send(format!("message {number}").as_bytes())).collect();
        let first = self.below(3);
        let order = [first, (first + 2) % 3, (first + 1) % 3];
        let spoilt = self.below(2) == 0;
        if spoilt {
            self.spoil(from, "spoilt application data", &messages[first]);
        }
        for number in order {
            self.hear(from, &messages[number], number, spoilt && number == first);
        }
        assert!(self.refused(from, "application data twice", &messages[first]).is_empty());
    }

    fn hear(&mut self, from: usize, message: &[u8], number: usize, spoilt: bool) {
        let sender = self.world.members[from].own_leaf();
        let text = format!("message {number}").into_bytes();
        for position in (0..self.world.members.len()).filter(|position| *position != from) {
            let heard = self.world.members[position].receive(message);
            if heard != Ok(Event::Text { sender, text: text.clone() }) {
                let what = if spoilt { "a message after a spoilt copy of it" } else { "application data" };
                self.differs(position, what, &format!("{heard:?}"));
            }
        }
    }

    /// A member of ours breaks a rule. Who accepts it is removed, for it is in a group of its own.
    fn insider(&mut self) {
        let Some(from) = self.maker() else {
            return;
        };
        let (what, message) = self.forge(from);
        let lost: Vec<usize> = self.refused(from, what, &message);
        let leaves: Vec<u32> = lost.iter().map(|position| self.world.members[*position].own_leaf()).collect();
        let maker = self.world.members[from].name().to_owned();
        let mut position = 0;
        self.world.members.retain(|_| {
            position += 1;
            !lost.contains(&(position - 1))
        });
        let from = self.world.members.iter().position(|member| member.name() == maker).unwrap();
        if !leaves.is_empty() {
            let committed = self.world.members[from].commit(&Change { removes: leaves, ..Change::default() });
            self.follow(from, &committed.message);
        }
        while self.world.members.len() < FEWEST {
            let guest = self.newcomer();
            self.add(from, vec![guest]);
        }
    }

    /// The first of ours, but not the last leaf: without it the tree would shrink, and who removes
    /// itself would have no place for its path.
    fn maker(&self) -> Option<usize> {
        let members = &self.world.members;
        let last = members.iter().map(|member| member.own_leaf()).max();
        (0..members.len())
            .find(|position| self.kind(*position) == Kind::Keyroom && Some(members[*position].own_leaf()) != last)
    }

    /// One of the ways to break a rule, with its message.
    fn forge(&mut self, from: usize) -> (&'static str, Vec<u8>) {
        let victim = self.other(from);
        let removed = LeafIndex(self.world.members[victim].own_leaf());
        let forgery = &FORGERIES[self.below(FORGERIES.len())];
        (forgery.what, forgery.commit(self.world.members[from].as_ref(), removed, self.rng.as_mut()))
    }
}

fn histories(offset: u64, usual: usize, founder: Kind, suite: u16, style: Style) {
    let first = keyroom_insider::seed().wrapping_mul(1_000).wrapping_add(offset * 100_000_000);
    for seed in (first..).take(keyroom_insider::count(usual)) {
        let mut history = History::begin(seed, founder, suite, style);
        for _ in 0..STEPS {
            history.step();
        }
    }
}

#[test]
fn histories_with_public_handshakes_are_judged_alike() {
    histories(1, 2, Kind::Keyroom, 1, Style::Public);
    histories(2, 1, Kind::MlsRs, 2, Style::Public);
}

#[test]
fn histories_that_openmls_founds_are_judged_alike() {
    histories(3, 1, Kind::OpenMls, 3, Style::Public);
}

#[test]
fn histories_with_private_handshakes_are_judged_alike() {
    histories(4, 1, Kind::Keyroom, 1, Style::Private);
    histories(5, 1, Kind::OpenMls, 2, Style::Private);
}
