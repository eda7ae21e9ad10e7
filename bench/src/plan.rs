//! What is measured and how often.

use crate::operation::{Medium, Operation};
use crate::subject::Kind;
use crate::targets;

/// The sizes of the groups.
pub const SIZES: [u32; 6] = [2, 10, 100, 1_000, 10_000, 100_000];

/// Which lines are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// All.
    All,
    /// Those that the targets name.
    Targets,
}

/// How long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As long as it takes.
    Usual,
    /// The targets' lines in a quarter of an hour.
    Quick,
}

/// What is measured and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The smallest group.
    pub min: u32,
    /// The largest.
    pub max: u32,
    /// Which lines.
    pub lines: Lines,
    /// How long it may take.
    pub pace: Pace,
    /// Rounds at every size, if not the usual number.
    pub rounds: Option<usize>,
    /// What would probably take longer, in seconds, is left out.
    pub budget: f64,
    /// Part of the names of the kinds that are measured.
    pub only: Option<String>,
    /// Part of the names of the operations that are measured.
    pub operation: Option<String>,
}

impl Plan {
    /// The sizes, from the smallest.
    pub fn sizes(&self) -> impl Iterator<Item = u32> {
        SIZES.into_iter().filter(|size| (self.min..=self.max).contains(size))
    }

    /// Each round goes through all kinds, each time beginning with another.
    pub fn rounds(&self, members: u32) -> usize {
        self.rounds.unwrap_or(match (members, self.pace) {
            (..=10, Pace::Usual) => 81,
            (..=10, Pace::Quick) => 41,
            (..=100, Pace::Usual) => 21,
            (..=100, Pace::Quick) => 15,
            (101..=1_000, _) => 7,
            (1_001..=10_000, _) => 3,
            _ => 1,
        })
    }

    /// Whether a medium takes part in a round: a disk needs so long that the first few must do.
    pub fn has(&self, round: usize, medium: Medium) -> bool {
        medium == Medium::Memory || round < 5
    }

    /// Commits after each join. A disk needs so long that fewer tell as much.
    pub fn commits(&self, members: u32, medium: Medium) -> usize {
        match (members, medium) {
            (..=1_000, Medium::Memory) => 10,
            (1_001.., Medium::Memory) => 5,
            (_, Medium::Sqlite) => 3,
        }
    }

    /// Messages of each length after each commit.
    pub fn messages(&self) -> usize {
        10
    }

    /// Adds and removes after each join.
    pub fn changes(&self, members: u32) -> usize {
        if members <= 1_000 { 5 } else { 3 }
    }

    /// Groups founded in a round. The largest creations of peers are not repeated: they take far
    /// longer than they vary.
    pub fn creations(&self, kind: Kind, members: u32, round: usize) -> usize {
        match members {
            ..=10 => 10,
            11..=100 => 3,
            101..=1_000 => 1,
            _ if kind == Kind::KeyroomAwsLc => 1,
            _ => usize::from(round == 0),
        }
    }

    /// Whether an operation is to be measured.
    pub fn wants(&self, kind: Kind, members: u32, operation: Operation, medium: Medium) -> bool {
        let named = |part: &Option<String>, name: &str| part.as_ref().is_none_or(|part| name.contains(part.as_str()));
        let line = match self.lines {
            Lines::All => true,
            Lines::Targets => targets::need(kind, members, operation, medium),
        };
        line && named(&self.only, kind.name()) && named(&self.operation, operation.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        min: 10,
        max: 1_000,
        lines: Lines::All,
        pace: Pace::Usual,
        rounds: None,
        budget: 1.0,
        only: None,
        operation: None,
    };

    #[test]
    fn sizes_lie_between_the_limits() {
        assert_eq!(PLAN.sizes().collect::<Vec<_>>(), [10, 100, 1_000]);
    }

    #[test]
    fn parts_of_names_choose() {
        let plan = Plan { only: Some("mls-rs".to_owned()), operation: Some("add".to_owned()), ..PLAN };
        assert!(plan.wants(Kind::MlsRsAwsLc, 10, Operation::Add, Medium::Memory));
        assert!(!plan.wants(Kind::KeyroomAwsLc, 10, Operation::Add, Medium::Memory));
        assert!(!plan.wants(Kind::MlsRsAwsLc, 10, Operation::Commit, Medium::Memory));
    }

    #[test]
    fn a_check_leaves_out_what_no_target_names() {
        let plan = Plan { lines: Lines::Targets, ..PLAN };
        assert!(plan.wants(Kind::KeyroomAwsLc, 1_000, Operation::Commit, Medium::Memory));
        assert!(!plan.wants(Kind::KeyroomAwsLc, 1_000, Operation::Add, Medium::Memory));
        assert!(!plan.wants(Kind::KeyroomAwsLc, 1_000, Operation::Commit, Medium::Sqlite));
    }
}
