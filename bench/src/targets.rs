//! What must be reached, and whether it was.

use serde::Serialize;

use crate::measure::Measured;
use crate::operation::{Figure, Line, Medium, Operation};
use crate::samples::Samples;
use crate::subject::Kind;

/// A line that is held to something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Members of the group.
    pub members: u32,
    /// What is done, and what of it is meant.
    pub line: Line,
    /// What it is held to.
    pub against: Against,
}

/// What a figure of ours is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Against {
    /// The better of the peers: so many times less than that.
    Peers(f64),
    /// Ours at another size: at most so many times that.
    Own {
        /// The other size.
        members: u32,
        /// How much more it may be.
        at_most: f64,
    },
    /// The arithmetic of the primitives: at most so many times that.
    Bound(f64),
}

/// What the targets say at sizes, for lines of one figure.
struct Rule {
    sizes: &'static [u32],
    operations: &'static [Operation],
    figure: Figure,
    against: Against,
}

const fn faster(sizes: &'static [u32], operations: &'static [Operation], figure: Figure, times: f64) -> Rule {
    Rule { sizes, operations, figure, against: Against::Peers(times) }
}

use Figure::{Bytes, Resident, Stored, Work};
use Operation::{
    Add, Backlog, Commit, CommitFresh, Create, Decrypt1k, Decrypt32, Decrypt64k, DecryptFirst, Encrypt1k, Encrypt32,
    Encrypt64k, EncryptFirst, JoinFresh, JoinFull, KeyPackage, Member, Open, Receive, ReceiveAdd, ReceiveFresh,
    ReceiveRemove, Remove,
};

/// Everything that has a time in the smallest groups.
const EVERYTHING: [Operation; 21] = [
    KeyPackage,
    Create,
    JoinFresh,
    JoinFull,
    CommitFresh,
    ReceiveFresh,
    Commit,
    Receive,
    Add,
    ReceiveAdd,
    Remove,
    ReceiveRemove,
    EncryptFirst,
    DecryptFirst,
    Encrypt32,
    Decrypt32,
    Encrypt1k,
    Decrypt1k,
    Encrypt64k,
    Decrypt64k,
    Open,
];

/// The table.
const RULES: [Rule; 26] = [
    faster(&[10_000], &[Receive], Stored, 100.0),
    faster(&[10_000], &[Commit], Stored, 50.0),
    faster(&[1_000], &[Receive], Stored, 15.0),
    faster(&[1_000], &[Commit], Stored, 8.0),
    faster(&[10_000], &[Add, ReceiveAdd, Remove, ReceiveRemove], Stored, 50.0),
    faster(&[10_000], &[Commit], Bytes, 300.0),
    faster(&[10_000], &[Receive], Bytes, 500.0),
    faster(&[10_000], &[Encrypt32], Stored, 12.0),
    faster(&[10_000], &[Decrypt32], Stored, 5.0),
    faster(&[10_000], &[Encrypt32, Decrypt32], Bytes, 1_000.0),
    faster(&[1_000], &[Encrypt32], Stored, 2.5),
    faster(&[1_000], &[Decrypt32], Stored, 1.3),
    faster(&[1_000], &[Encrypt32, Decrypt32], Bytes, 80.0),
    faster(&[10_000], &[Open], Work, 30.0),
    faster(&[10_000], &[Create], Stored, 15.0),
    faster(&[1_000], &[Create], Stored, 3.0),
    faster(&[10_000], &[JoinFresh, JoinFull], Stored, 2.5),
    faster(&[10_000], &[CommitFresh], Stored, 1.2),
    faster(&[10_000], &[Member], Resident, 2.5),
    faster(&[2, 10], &EVERYTHING, Work, 1.0),
    faster(&[2, 10], &EVERYTHING, Stored, 1.0),
    faster(&[2, 10, 100, 1_000, 10_000], &[Encrypt64k], Stored, 1.0),
    faster(&[2, 10, 100, 1_000, 10_000], &[Decrypt64k], Stored, 1.2),
    faster(&[100, 1_000, 10_000], &[Backlog], Stored, 2.0),
    Rule {
        sizes: &[100_000],
        operations: &[Commit, Receive, Encrypt32, Decrypt32],
        figure: Stored,
        against: Against::Own { members: 10_000, at_most: 2.0 },
    },
    Rule {
        sizes: &[10_000],
        operations: &[Commit, Receive, Encrypt32, Decrypt32],
        figure: Work,
        against: Against::Bound(1.5),
    },
];

/// All targets, by size. In a group of two the fresh tree is the full one, and has its lines only.
pub fn all() -> Vec<Target> {
    let mut targets: Vec<Target> = RULES.iter().flat_map(expand).collect();
    targets.sort_by_key(|target| (target.members, target.line.0, target.line.1));
    // A line of "everything" that has a stricter rule of its own.
    targets.dedup_by(|later, earlier| {
        let same = later.members == earlier.members && later.line == earlier.line;
        let (Against::Peers(one), Against::Peers(other)) = (later.against, earlier.against) else { return false };
        if same {
            earlier.against = Against::Peers(one.max(other));
        }
        same
    });
    targets
}

fn expand(rule: &'static Rule) -> impl Iterator<Item = Target> {
    let lines = rule.operations.iter().map(|operation| (*operation, rule.figure));
    lines.flat_map(move |line| {
        let sizes = rule.sizes.iter().filter(move |members| **members > 2 || !needs_ten(line.0));
        sizes.map(move |members| Target { members: *members, line, against: rule.against })
    })
}

/// Whether there is nothing of this kind in a group of two.
pub fn needs_ten(operation: Operation) -> bool {
    matches!(operation, JoinFresh | CommitFresh | ReceiveFresh)
}

/// Whether a target needs this to be measured.
pub fn need(kind: Kind, members: u32, operation: Operation, medium: Medium) -> bool {
    all().iter().any(|target| {
        let ours = kind == Kind::KeyroomAwsLc;
        let same = target.line.0 == operation && target.line.1.medium() == medium;
        let own = matches!(target.against, Against::Own { members: other, .. } if other == members);
        let compared = matches!(target.against, Against::Peers(_)) && Kind::PEERS.contains(&kind);
        same && (target.members == members || own) && (ours || compared)
    })
}

/// How a target came out.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Members of the group.
    pub members: u32,
    /// What was done.
    pub operation: &'static str,
    /// What of it is meant.
    pub figure: &'static str,
    /// Ours, in seconds or bytes.
    pub ours: Option<f64>,
    /// What it is compared with, in seconds or bytes.
    pub other: Option<f64>,
    /// Whose figure that is.
    pub other_name: String,
    /// How many times less ours is than a peer's, or how many times more than a bound.
    pub factor: Option<f64>,
    /// What the factor must be.
    pub goal: f64,
    /// Whether the goal is the least or the most.
    pub at_least: bool,
    /// The share by which the factor may fall short.
    pub spread: f64,
    /// Whether it was reached.
    pub met: bool,
}

/// Most of the run's own spread that excuses a line.
const MOST_SPREAD: f64 = 0.1;

/// Judges all targets at the sizes that were measured.
pub fn judge(measured: &[Measured]) -> Vec<Verdict> {
    let targets = all().into_iter().filter(|target| measured.iter().any(|size| size.members == target.members));
    targets.map(|target| judge_one(target, measured)).collect()
}

fn judge_one(target: Target, measured: &[Measured]) -> Verdict {
    let samples = |members: u32, kind: Kind| measured.iter().find(|size| size.members == members)?.samples.get(&kind);
    let own = samples(target.members, Kind::KeyroomAwsLc);
    let ours = own.and_then(|samples| samples.median(target.line));
    let spread_of = |samples: Option<&Samples>| samples.and_then(|samples| samples.spread(target.line)).unwrap_or(0.0);
    let (other, other_name, other_spread) = match target.against {
        Against::Peers(_) => {
            let peers = Kind::PEERS.into_iter().filter_map(|kind| {
                let samples = samples(target.members, kind)?;
                Some((samples.median(target.line)?, kind, samples))
            });
            match peers.min_by(|one, other| one.0.total_cmp(&other.0)) {
                Some((value, kind, samples)) => (Some(value), kind.name().to_owned(), spread_of(Some(samples))),
                None => (None, "no peer".to_owned(), 0.0),
            }
        }
        Against::Own { members, .. } => {
            let smaller = samples(members, Kind::KeyroomAwsLc);
            let value = smaller.and_then(|samples| samples.median(target.line));
            (value, format!("at {members}"), spread_of(smaller))
        }
        Against::Bound(_) => {
            let size = measured.iter().find(|size| size.members == target.members);
            let bound = size.and_then(|size| size.primitives.lower_bound(target.line.0, target.members));
            (bound, "arithmetic".to_owned(), 0.0)
        }
    };
    let spread = spread_of(own).max(other_spread).min(MOST_SPREAD);
    let (goal, at_least) = match target.against {
        Against::Peers(goal) => (goal, true),
        Against::Own { at_most, .. } | Against::Bound(at_most) => (at_most, false),
    };
    let factor = ours.zip(other).map(|(ours, other)| if at_least { other / ours } else { ours / other });
    Verdict {
        members: target.members,
        operation: target.line.0.name(),
        figure: target.line.1.name(),
        ours,
        other,
        other_name,
        factor,
        goal,
        at_least,
        spread,
        met: factor.is_some_and(|factor| reached(factor, goal, at_least, spread)),
    }
}

fn reached(factor: f64, goal: f64, at_least: bool, spread: f64) -> bool {
    if at_least { factor >= goal * (1.0 - spread) } else { factor <= goal * (1.0 + spread) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::primitives::Primitives;

    const LINE: Line = (Commit, Stored);

    fn measured(members: u32, values: &[(Kind, &[f64])]) -> Measured {
        let samples = values.iter().map(|(kind, values)| {
            let mut samples = Samples::default();
            values.iter().for_each(|value| samples.push(LINE, *value));
            (*kind, samples)
        });
        Measured { members, samples: BTreeMap::from_iter(samples), left_out: Vec::new(), primitives: Primitives::ONES }
    }

    fn one(against: Against, measured: &[Measured]) -> Verdict {
        judge_one(Target { members: 1_000, line: LINE, against }, measured)
    }

    #[test]
    fn the_faster_peer_counts_and_other_combinations_do_not() {
        let all = measured(
            1_000,
            &[
                (Kind::KeyroomAwsLc, &[1.0]),
                (Kind::MlsRsAwsLc, &[9.0]),
                (Kind::OpenMlsRustCrypto, &[8.0]),
                (Kind::MlsRsRustCrypto, &[2.0]),
                (Kind::OpenMlsLibcrux, &[2.0]),
            ],
        );
        let verdict = one(Against::Peers(8.0), std::slice::from_ref(&all));
        assert_eq!((verdict.factor, verdict.met), (Some(8.0), true));
        assert_eq!(verdict.other_name, "openmls rustcrypto");
        assert!(!one(Against::Peers(8.1), &[all]).met);
    }

    #[test]
    fn a_line_may_fall_short_by_the_spread_but_not_by_more_than_a_tenth() {
        assert!(reached(9.5, 10.0, true, 0.05));
        assert!(!reached(9.4, 10.0, true, 0.05));
        assert!(reached(1.6, 1.5, false, 0.1));
        assert!(!reached(1.7, 1.5, false, 0.1));
        let wide: &[f64] = &[0.5, 0.5, 1.0, 1.5, 1.5];
        let verdict =
            one(Against::Peers(10.0), &[measured(1_000, &[(Kind::KeyroomAwsLc, wide), (Kind::MlsRsAwsLc, &[8.9])])]);
        assert_eq!((verdict.spread, verdict.met), (0.1, false));
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        assert!(!one(Against::Peers(1.0), &[measured(1_000, &[(Kind::KeyroomAwsLc, &[1.0])])]).met);
        assert!(!one(Against::Peers(1.0), &[measured(1_000, &[(Kind::MlsRsAwsLc, &[1.0])])]).met);
    }

    #[test]
    fn own_growth_and_the_arithmetic_are_upper_limits() {
        let grown = |large| {
            [measured(100, &[(Kind::KeyroomAwsLc, &[1.0])]), measured(1_000, &[(Kind::KeyroomAwsLc, &[large])])]
        };
        let against = Against::Own { members: 100, at_most: 2.0 };
        assert!(one(against, &grown(2.0)).met);
        assert!(!one(against, &grown(2.1)).met);
        // Ten levels of eight, and 23.
        assert!(one(Against::Bound(1.5), &grown(103.0 * 1.5)).met);
        assert!(!one(Against::Bound(1.5), &grown(103.0 * 1.6)).met);
    }

    #[test]
    fn no_line_is_named_twice_and_the_stricter_rule_holds() {
        let targets = all();
        let found: Vec<&Target> =
            targets.iter().filter(|target| target.members == 10 && target.line == (Decrypt64k, Stored)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].against, Against::Peers(1.2));
        assert!(!targets.iter().any(|target| target.members == 2 && target.line.0 == JoinFresh));
    }

    #[test]
    fn own_growth_needs_ours_alone_at_the_largest_size() {
        assert!(need(Kind::KeyroomAwsLc, 100_000, Commit, Medium::Memory));
        assert!(!need(Kind::MlsRsAwsLc, 100_000, Commit, Medium::Memory));
        assert!(!need(Kind::KeyroomRustCrypto, 10_000, Commit, Medium::Memory));
        assert!(need(Kind::OpenMlsRustCrypto, 10_000, Member, Medium::Sqlite));
    }
}
