//! Whether a log is one linear log that fits what its clients have been told.

use std::collections::HashMap;

use keyroom_api::EntryKind;

use crate::history::{Entry, History, Mark, Outcome, Sent};

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message was acknowledged under a number and is not there.
    Lost(Sent),
    /// A reader has seen a message under a number, and it is not there.
    Unseen(u64, Mark),
    /// This number is missing.
    Gap(u64),
    /// The message is in the log more than once; under this number again.
    Twice(u64),
    /// A number that is there already, or comes before a smaller one.
    SameNumber(u64),
    /// A message was refused, or never sent, and is in the log under this number.
    Foreign(u64),
    /// Another commit for an epoch that had one, or one for an epoch that the room was not in.
    SecondCommit(u64),
    /// A message stands before one that was acknowledged before it was sent.
    Disordered(u64),
    /// After the fault nothing more goes through.
    Stuck,
}

/// What a run counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages and commits that were acknowledged and are no longer there, and numbers that are
    /// missing.
    pub lost: u64,
    /// Whatever else keeps a log from being one line: messages that are there twice, two under one
    /// number, two commits of one epoch, strangers, a wrong order.
    pub duplicated: u64,
    /// Groups in which nothing more goes through.
    pub stuck: u64,
}

impl Tally {
    /// Adds what was found.
    pub fn add(&mut self, violations: &[Violation]) {
        for violation in violations {
            match violation {
                Violation::Lost(_) | Violation::Unseen(..) | Violation::Gap(_) => self.lost += 1,
                Violation::Twice(_)
                | Violation::SameNumber(_)
                | Violation::Foreign(_)
                | Violation::SecondCommit(_)
                | Violation::Disordered(_) => self.duplicated += 1,
                Violation::Stuck => self.stuck += 1,
            }
        }
    }
}

/// All that is wrong with a log, read from its beginning, of a room that began in epoch 0.
pub fn check(history: &History, log: &[Entry]) -> Vec<Violation> {
    let mut found = numbers(log);
    let places = places(log, &mut found);
    found.extend(epochs(log));
    let sent: HashMap<Mark, &Sent> = history.sent.iter().map(|sent| (sent.mark, sent)).collect();
    for sent in &history.sent {
        if let Outcome::Acknowledged { sequence, .. } = sent.outcome
            && places.get(&sent.mark) != Some(&sequence)
        {
            found.push(Violation::Lost(*sent));
        }
    }
    for entry in log {
        let known = sent.get(&entry.mark).is_some_and(|sent| {
            sent.outcome != Outcome::Refused && (sent.kind, sent.epoch) == (entry.kind, entry.epoch)
        });
        if !known {
            found.push(Violation::Foreign(entry.sequence));
        }
    }
    for (sequence, mark) in &history.seen {
        if places.get(mark) != Some(sequence) {
            found.push(Violation::Unseen(*sequence, *mark));
        }
    }
    found.extend(order(history));
    found
}

/// Numbers start at 1 and have no gaps.
fn numbers(log: &[Entry]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut next = 1;
    for entry in log {
        if entry.sequence < next {
            found.push(Violation::SameNumber(entry.sequence));
            continue;
        }
        found.extend((next..entry.sequence).map(Violation::Gap));
        next = entry.sequence + 1;
    }
    found
}

/// Where each message is.
fn places(log: &[Entry], found: &mut Vec<Violation>) -> HashMap<Mark, u64> {
    let mut places = HashMap::with_capacity(log.len());
    for entry in log {
        if places.insert(entry.mark, entry.sequence).is_some() {
            found.push(Violation::Twice(entry.sequence));
        }
    }
    places
}

/// One commit ends each epoch, and nothing is of an epoch that has not begun.
fn epochs(log: &[Entry]) -> Vec<Violation> {
    let mut epoch = 0;
    let mut found = Vec::new();
    for entry in log {
        if entry.kind == EntryKind::Commit {
            if entry.epoch != epoch {
                found.push(Violation::SecondCommit(entry.sequence));
            }
            epoch = entry.epoch.max(epoch.saturating_sub(1)) + 1;
        } else if entry.epoch > epoch {
            found.push(Violation::Disordered(entry.sequence));
        }
    }
    found
}

/// What was acknowledged before another message was sent stands before it.
fn order(history: &History) -> Vec<Violation> {
    let mut acknowledged: Vec<(u64, u64, u64)> = history
        .sent
        .iter()
        .filter_map(|sent| match sent.outcome {
            Outcome::Acknowledged { sequence, ended } => Some((sent.began, ended, sequence)),
            Outcome::Refused | Outcome::Unknown => None,
        })
        .collect();
    let mut ends: Vec<(u64, u64)> = acknowledged.iter().map(|(_, ended, sequence)| (*ended, *sequence)).collect();
    ends.sort_unstable();
    acknowledged.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut highest = 0;
    let mut found = Vec::new();
    for (began, _, sequence) in acknowledged {
        while let Some((_, before)) = ends.next_if(|(ended, _)| *ended < began) {
            highest = highest.max(before);
        }
        if sequence <= highest {
            found.push(Violation::Disordered(sequence));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages, of which the second is a commit, acknowledged one after the other and seen.
    fn good() -> (History, Vec<Entry>) {
        let kinds = [EntryKind::Application, EntryKind::Commit, EntryKind::Application];
        let log: Vec<Entry> = (1..=3u64)
            .zip(kinds)
            .map(|(sequence, kind)| Entry {
                sequence,
                epoch: u64::from(sequence == 3),
                kind,
                mark: Mark::of(&sequence.to_be_bytes()),
            })
            .collect();
        let sent = log.iter().map(|entry| Sent {
            kind: entry.kind,
            epoch: entry.epoch,
            mark: entry.mark,
            began: entry.sequence * 10,
            outcome: Outcome::Acknowledged { sequence: entry.sequence, ended: entry.sequence * 10 + 1 },
        });
        let seen = log.iter().map(|entry| (entry.sequence, entry.mark)).collect();
        (History { sent: sent.collect(), seen }, log)
    }

    fn broken(change: impl FnOnce(&mut History, &mut Vec<Entry>)) -> Vec<Violation> {
        let (mut history, mut log) = good();
        change(&mut history, &mut log);
        check(&history, &log)
    }

    fn tally(violations: &[Violation]) -> (u64, u64, u64) {
        let mut tally = Tally::default();
        tally.add(violations);
        (tally.lost, tally.duplicated, tally.stuck)
    }

    #[test]
    fn a_log_that_fits_is_found_good() {
        let (history, log) = good();
        assert_eq!(check(&history, &log), []);
        assert_eq!(check(&History::default(), &[]), []);
    }

    #[test]
    fn an_unanswered_message_may_be_there_or_not() {
        assert_eq!(broken(|history, _| history.sent[2].outcome = Outcome::Unknown), []);
        let gone = broken(|history, log| {
            history.sent[2].outcome = Outcome::Unknown;
            history.seen.pop();
            log.pop();
        });
        assert_eq!(gone, []);
    }

    #[test]
    fn an_acknowledged_message_that_is_gone_is_lost() {
        let (history, _) = good();
        let found = broken(|history, log| {
            history.seen.clear();
            log.pop();
        });
        assert_eq!(found, [Violation::Lost(history.sent[2])]);
        assert_eq!(tally(&found), (1, 0, 0));
    }

    #[test]
    fn one_that_is_there_under_another_number_is_lost_too() {
        let found = broken(|history, _| {
            history.sent[2].outcome = Outcome::Acknowledged { sequence: 4, ended: 31 };
        });
        assert!(matches!(found[..], [Violation::Lost(_)]));
    }

    #[test]
    fn a_missing_number_is_a_gap() {
        let found = broken(|history, log| {
            log[2].sequence = 5;
            history.seen.pop();
            history.sent[2].outcome = Outcome::Unknown;
        });
        assert_eq!(found, [Violation::Gap(3), Violation::Gap(4)]);
    }

    #[test]
    fn a_number_that_is_used_twice_is_found() {
        let found = broken(|history, log| {
            log[2].sequence = 2;
            history.seen.pop();
            history.sent[2].outcome = Outcome::Unknown;
        });
        assert_eq!(found, [Violation::SameNumber(2)]);
        assert_eq!(tally(&found), (0, 1, 0));
    }

    #[test]
    fn a_message_that_is_there_twice_is_found() {
        let found = broken(|history, log| {
            history.seen.clear();
            let mut again = log[2];
            again.sequence = 4;
            log.push(again);
        });
        assert_eq!(found, [Violation::Twice(4), Violation::Lost(good().0.sent[2])]);
    }

    #[test]
    fn a_second_commit_of_an_epoch_is_found() {
        let found = broken(|history, log| {
            let entry = Entry { sequence: 4, epoch: 0, kind: EntryKind::Commit, mark: Mark::of(b"second") };
            let (kind, epoch, mark) = (entry.kind, entry.epoch, entry.mark);
            let outcome = Outcome::Acknowledged { sequence: 4, ended: 60 };
            history.sent.push(Sent { kind, epoch, mark, began: 50, outcome });
            log.push(entry);
        });
        assert_eq!(found, [Violation::SecondCommit(4)]);
    }

    #[test]
    fn a_commit_that_skips_an_epoch_is_found() {
        let found = broken(|history, log| {
            log[1].epoch = 3;
            history.sent[1].epoch = 3;
        });
        assert_eq!(found, [Violation::SecondCommit(2)]);
    }

    #[test]
    fn a_message_of_an_epoch_that_has_not_begun_is_found() {
        let found = broken(|history, log| {
            log[0].epoch = 1;
            history.sent[0].epoch = 1;
        });
        assert_eq!(found, [Violation::Disordered(1)]);
    }

    #[test]
    fn strangers_and_refused_messages_are_found() {
        assert_eq!(broken(|_, log| log[2].mark = Mark::of(b"stranger"))[1], Violation::Foreign(3));
        assert_eq!(broken(|history, _| history.sent[2].outcome = Outcome::Refused), [Violation::Foreign(3)]);
    }

    #[test]
    fn what_a_reader_saw_must_still_be_there() {
        let found = broken(|history, _| history.seen.push((3, Mark::of(b"other"))));
        assert_eq!(found, [Violation::Unseen(3, Mark::of(b"other"))]);
        assert_eq!(tally(&found), (1, 0, 0));
    }

    #[test]
    fn a_message_before_one_that_was_acknowledged_before_it_was_sent_is_found() {
        let found = broken(|history, _| {
            history.sent[0].began = 15;
            history.sent[1].began = 5;
            history.sent[1].outcome = Outcome::Acknowledged { sequence: 2, ended: 6 };
            history.sent[0].outcome = Outcome::Acknowledged { sequence: 1, ended: 16 };
        });
        assert_eq!(found, [Violation::Disordered(1)]);
        let together = broken(|history, _| {
            history.sent[0].began = 5;
            history.sent[0].outcome = Outcome::Acknowledged { sequence: 1, ended: 25 };
        });
        assert_eq!(together, [], "what overlaps may stand either way");
    }

    #[test]
    fn a_group_that_takes_nothing_more_is_stuck() {
        assert_eq!(tally(&[Violation::Stuck]), (0, 0, 1));
    }
}
