//! The measurements of one group size.

mod budget;
mod full;
mod outside;
mod recorder;
mod resident;

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::time::Instant;

use keyroom_awslc::AWSLC;
use keyroom_crypto::Provider;
use keyroom_insider::Populated;
use keyroom_wire::CipherSuite;

pub use self::budget::Budget;
use self::recorder::Recorder;
pub use self::resident::report_resident;
use crate::operation::{Medium, Operation};
use crate::plan::Plan;
use crate::primitives::Primitives;
use crate::report::units::count;
use crate::samples::Samples;
use crate::subject::{Kind, SUITE, now};
use crate::world::{key_packages, rng};

/// Everything that was measured at one size.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Members of the group.
    pub members: u32,
    /// The values of those that were measured.
    pub samples: BTreeMap<Kind, Samples>,
    /// What would have taken longer than the budget.
    pub left_out: Vec<(Kind, Part)>,
    /// What the primitives took meanwhile.
    pub primitives: Primitives,
}

/// What is measured in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Key packages.
    Outside,
    /// Founding groups.
    Create,
    /// Joining a group that was just founded, and its first commit.
    Fresh,
    /// Life in a group whose tree is full.
    Full,
}

impl Part {
    const ALL: [Self; 4] = [Self::Outside, Self::Create, Self::Fresh, Self::Full];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outside => "key packages",
            Self::Create => "create",
            Self::Fresh => "the fresh tree",
            Self::Full => "the full tree",
        }
    }

    fn has(self, operation: Operation) -> bool {
        self == match operation {
            Operation::KeyPackage => Self::Outside,
            Operation::Create => Self::Create,
            Operation::JoinFresh | Operation::CommitFresh | Operation::ReceiveFresh => Self::Fresh,
            _ => Self::Full,
        }
    }
}

/// Measures all kinds in groups of `members`.
pub fn measure(members: u32, plan: &Plan, budget: &mut Budget) -> Measured {
    let stage = Stage::new(members, plan);
    let (mut samples_of, mut left_out, mut primitives) = (BTreeMap::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds(members) {
        primitives.push(Primitives::measure());
        for turn in 0..Kind::ALL.len() {
            let kind = Kind::ALL[(round + turn) % Kind::ALL.len()];
            for (part, medium) in stage.parts(kind).into_iter().filter(|(_, medium)| plan.has(round, *medium)) {
                if !budget.allows(plan.budget, members, (kind, part, medium)) {
                    if medium == Medium::Memory && round == 0 {
                        left_out.push((kind, part));
                    }
                    continue;
                }
                let start = Instant::now();
                let samples = samples_of.entry(kind).or_default();
                stage.run(kind, part, round, Recorder::new(samples, medium));
                let seconds = start.elapsed().as_secs_f64();
                budget.note(members, (kind, part, medium), seconds);
                stage.progress(round, kind, part, medium, seconds);
            }
        }
    }
    Measured { members, samples: samples_of, left_out, primitives: Primitives::median(&primitives) }
}

/// What all kinds share at one size.
struct Stage<'a> {
    members: u32,
    plan: &'a Plan,
    /// Of the next generator of randomness.
    seed: Cell<u64>,
    populated: OnceCell<Populated>,
    key_packages: OnceCell<Vec<Vec<u8>>>,
}

impl<'a> Stage<'a> {
    fn new(members: u32, plan: &'a Plan) -> Self {
        Self { members, plan, seed: Cell::new(1), populated: OnceCell::new(), key_packages: OnceCell::new() }
    }

    /// What of a kind is to be measured.
    fn parts(&self, kind: Kind) -> Vec<(Part, Medium)> {
        let all = Part::ALL.into_iter().flat_map(|part| [(part, Medium::Memory), (part, Medium::Sqlite)]);
        let wanted = |part: Part, medium| {
            let operations = Operation::ALL.into_iter().filter(|operation| part.has(*operation));
            operations.into_iter().any(|operation| self.wants(kind, operation, medium))
        };
        all.filter(|(part, medium)| wanted(*part, *medium)).collect()
    }

    fn wants(&self, kind: Kind, operation: Operation, medium: Medium) -> bool {
        let alone = self.members == 2 && crate::targets::needs_ten(operation);
        !alone && self.plan.wants(kind, self.members, operation, medium)
    }

    fn run(&self, kind: Kind, part: Part, round: usize, mut recorder: Recorder<'_>) {
        match part {
            Part::Outside => outside::key_packages(kind, &mut recorder),
            Part::Create => {
                let founded = self.plan.creations(kind, self.members, round);
                outside::create(kind, self.key_packages(), founded, &mut recorder);
            }
            Part::Fresh => outside::fresh(kind, self.key_packages(), &mut recorder),
            Part::Full => full::live(self, kind, &mut recorder),
        }
    }

    /// Randomness that nobody else has.
    fn rng(&self) -> chacha20::ChaCha20Rng {
        self.seed.set(self.seed.get() + 1);
        rng(self.seed.get())
    }

    /// The full tree, made when it is first needed.
    fn populated(&self) -> &Populated {
        self.populated.get_or_init(|| {
            let start = Instant::now();
            let suite = AWSLC.suite(CipherSuite(SUITE)).expect("a suite of the provider");
            let populated = Populated::new(suite, self.members, now(), &mut rng(u64::from(self.members)));
            eprintln!("{} members: full tree made, {:.1} s", count(self.members), start.elapsed().as_secs_f64());
            populated
        })
    }

    /// Key packages of all but the founder.
    fn key_packages(&self) -> &[Vec<u8>] {
        self.key_packages.get_or_init(|| key_packages(self.members - 1))
    }

    fn progress(&self, round: usize, kind: Kind, part: Part, medium: Medium, seconds: f64) {
        if seconds < 1.0 {
            return;
        }
        let (rounds, store) = (self.plan.rounds(self.members), if medium == Medium::Memory { "" } else { ", SQLite" });
        let (members, round, kind, part) = (count(self.members), round + 1, kind.name(), part.name());
        eprintln!("{members} members: round {round} of {rounds}, {kind}, {part}{store}, {seconds:.1} s");
    }
}
