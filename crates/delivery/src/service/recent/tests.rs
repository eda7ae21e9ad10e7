use std::cell::Cell;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::yield_now;

use super::*;

const MUCH: usize = 16 << 20;

fn entry(sequence: u64, kind: EntryKind, length: usize) -> LogEntry {
    LogEntry { sequence, epoch: 0, kind, accepted_at: 0, message: vec![7; length] }
}

fn log(from: u64, to: u64, length: usize) -> LogPage {
    let entries = (from..=to).map(|sequence| entry(sequence, EntryKind::Application, length)).collect();
    LogPage { epoch: 0, head: to, entries, closed: None }
}

fn wanted(after: u64, since: Moment) -> Wanted {
    Wanted { room: RoomId(1), page: Page { after, entries: 500, bytes: 4 << 20 }, since, inside: true }
}

fn keep(recent: &Recent, after: u64, begun: Moment, found: &LogPage) {
    recent.keep(&wanted(after, begun), begun, found);
}

/// What a tail says: its entries, or why it says nothing.
fn look(recent: &Recent, wanted: Wanted) -> Result<Vec<u64>, &'static str> {
    match recent.look(&wanted) {
        Found::Page(page) => Ok(page.entries.iter().map(|entry| entry.sequence).collect()),
        Found::Behind => Err("behind"),
        Found::Old(_) => Err("old"),
    }
}

#[test]
fn a_tail_answers_only_for_hints_that_came_before_it_was_read() {
    let (recent, before) = (Recent::new(MUCH), Moment::now());
    assert_eq!(look(&recent, wanted(3, before)), Err("old"));
    keep(&recent, 3, Moment::now(), &log(4, 5, 1));
    let later = Moment::now();
    for (after, entries) in [(3, vec![4, 5]), (4, vec![5]), (5, vec![])] {
        assert_eq!(look(&recent, wanted(after, before)), Ok(entries));
    }
    assert_eq!(look(&recent, wanted(5, later)), Err("old"));
    assert_eq!(look(&recent, wanted(2, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(0, later)), Err("old"));
}

#[test]
fn tails_that_touch_become_one_and_others_do_not() {
    let (recent, before) = (Recent::new(MUCH), Moment::now());
    keep(&recent, 0, Moment::now(), &log(1, 3, 1));
    keep(&recent, 3, Moment::now(), &log(4, 5, 1));
    assert_eq!(look(&recent, wanted(0, before)), Ok(vec![1, 2, 3, 4, 5]));
    keep(&recent, 2, Moment::now(), &log(3, 6, 1));
    assert_eq!(look(&recent, wanted(0, before)), Ok(vec![1, 2, 3, 4, 5, 6]));
    keep(&recent, 8, Moment::now(), &log(9, 9, 1));
    assert_eq!(look(&recent, wanted(6, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(8, before)), Ok(vec![9]));
}

#[test]
fn a_run_that_ends_before_the_head_says_only_where_the_head_is() {
    let (recent, before) = (Recent::new(MUCH), Moment::now());
    keep(&recent, 0, Moment::now(), &LogPage { head: 9, ..log(1, 3, 1) });
    assert_eq!(look(&recent, wanted(0, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(9, before)), Ok(vec![]));
    keep(&recent, 9, Moment::now(), &log(10, 10, 1));
    assert_eq!(look(&recent, wanted(8, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(9, before)), Ok(vec![10]));
}

#[test]
fn what_a_commit_may_hide_from_some_is_behind() {
    let (recent, before) = (Recent::new(MUCH), Moment::now());
    keep(&recent, 0, Moment::now(), &log(1, 2, 1));
    let mut found = log(3, 5, 1);
    found.entries[1].kind = EntryKind::Commit;
    keep(&recent, 2, Moment::now(), &found);
    for after in 0..4 {
        assert_eq!(look(&recent, wanted(after, before)), Err("behind"));
    }
    assert_eq!(look(&recent, wanted(4, before)), Ok(vec![5]));
}

#[test]
fn the_oldest_entries_of_a_room_go_first_and_leave_no_gap() {
    let (recent, before) = (Recent::new(SHARE * 64 * (1_000 + ENTRY)), Moment::now());
    keep(&recent, 0, Moment::now(), &log(1, 100, 1_000));
    assert_eq!(look(&recent, wanted(35, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(36, before)), Ok((37..=100).collect()));
    // One that is too long for a room is read by everybody.
    keep(&recent, 100, Moment::now(), &log(101, 101, 1 << 20));
    assert_eq!(look(&recent, wanted(100, before)), Err("behind"));
    assert_eq!(look(&recent, wanted(101, before)), Ok(vec![]));
    keep(&recent, 101, Moment::now(), &log(102, 102, 10));
    assert_eq!(look(&recent, wanted(101, before)), Ok(vec![102]));
    assert_eq!(lock(&recent.tails).bytes, ROOM + ENTRY + 10);
}

#[test]
fn the_rooms_that_nobody_asked_for_longest_go_first_and_memory_stays_within_its_bound() {
    let (recent, before) = (Recent::new(100 * (ROOM + 2 * (ENTRY + 10))), Moment::now());
    let of = |room| Wanted { room: RoomId(room), ..wanted(0, before) };
    for room in 1..=1_000 {
        recent.keep(&of(room), Moment::now(), &log(1, 1, 10));
        recent.keep(&Wanted { page: wanted(1, before).page, ..of(room) }, Moment::now(), &log(2, 2, 10));
        assert_eq!(look(&recent, of(1)), Ok(vec![1, 2]), "{room}");
        let tails = lock(&recent.tails);
        assert!(tails.bytes <= tails.most && tails.order.len() == tails.rooms.len());
        assert_eq!(tails.bytes, tails.rooms.values().map(Slot::bytes).sum::<usize>());
    }
    assert_eq!(lock(&recent.tails).rooms.len(), 100);
    assert_eq!(look(&recent, of(1_000)), Ok(vec![1, 2]));
    assert_eq!(look(&recent, of(902)), Ok(vec![1, 2]));
    assert_eq!(look(&recent, of(901)), Err("old"));
}

#[test]
fn a_page_ends_where_the_ledgers_would() {
    let (recent, before) = (Recent::new(MUCH), Moment::now());
    keep(&recent, 0, Moment::now(), &log(1, 9, 10));
    let page = |entries, bytes| Wanted { page: Page { after: 2, entries, bytes }, ..wanted(0, before) };
    assert_eq!(look(&recent, page(3, 1_000)), Ok(vec![3, 4, 5]));
    assert_eq!(look(&recent, page(9, 25)), Ok(vec![3, 4]));
    assert_eq!(look(&recent, page(9, 1)), Ok(vec![3]));
}

/// A log that counts its readers, each of whom takes a while.
struct Slow {
    reads: Cell<usize>,
    at_once: Cell<usize>,
    most_at_once: Cell<usize>,
}

impl Slow {
    fn new() -> Self {
        Self { reads: Cell::new(0), at_once: Cell::new(0), most_at_once: Cell::new(0) }
    }

    async fn read(&self, answer: Result<LogRead, LedgerError>) -> Result<LogRead, LedgerError> {
        self.reads.set(self.reads.get() + 1);
        self.at_once.set(self.at_once.get() + 1);
        self.most_at_once.set(self.most_at_once.get().max(self.at_once.get()));
        yield_now().await;
        self.at_once.set(self.at_once.get() - 1);
        answer
    }
}

fn read(page: LogPage) -> Result<LogRead, LedgerError> {
    Ok(LogRead::Page { page, until: None })
}

#[tokio::test]
async fn a_thousand_who_have_one_hint_read_once_and_each_without_a_hint_reads_anew() {
    let (recent, slow, hint) = (Recent::new(MUCH), Slow::new(), Moment::now());
    let all = (0..1_000).map(|_| recent.log(wanted(3, hint), async || slow.read(read(log(4, 5, 1))).await));
    for answer in join_all(all).await {
        assert_eq!(answer, read(log(4, 5, 1)));
    }
    assert_eq!(slow.reads.get(), 1);
    for _ in 0..3 {
        recent.log(wanted(5, Moment::now()), async || slow.read(read(log(6, 5, 1))).await).await.unwrap();
    }
    assert_eq!(slow.reads.get(), 4);
}

#[tokio::test]
async fn those_who_wait_for_a_read_that_fails_fail_with_it_and_the_next_one_reads_again() {
    let (recent, slow, hint) = (Recent::new(MUCH), Slow::new(), Moment::now());
    let all = (0..1_000).map(|_| recent.log(wanted(3, hint), async || slow.read(Err(LedgerError::Unavailable)).await));
    assert!(join_all(all).await.iter().all(|answer| *answer == Err(LedgerError::Unavailable)));
    assert_eq!(slow.reads.get(), 1);
    let answer = recent.log(wanted(3, hint), async || slow.read(read(log(4, 4, 1))).await).await;
    assert_eq!((answer, slow.reads.get()), (read(log(4, 4, 1)), 2));
}

#[tokio::test]
async fn a_commit_is_asked_for_by_everybody_and_nobody_waits_for_more_than_one() {
    let (recent, slow, hint) = (Recent::new(MUCH), Slow::new(), Moment::now());
    let mut found = log(4, 4, 1);
    found.entries[0].kind = EntryKind::Commit;
    let all = (0..100).map(|_| recent.log(wanted(3, hint), async || slow.read(read(found.clone())).await));
    assert!(join_all(all).await.iter().all(|answer| *answer == read(found.clone())));
    assert_eq!((slow.reads.get(), slow.most_at_once.get()), (100, 99));
}

#[tokio::test]
async fn who_is_not_known_to_be_inside_asks_and_leaves_nothing_for_others() {
    let (recent, slow, hint) = (Recent::new(MUCH), Slow::new(), Moment::now());
    keep(&recent, 3, Moment::now(), &log(4, 5, 1));
    let outside = Wanted { inside: false, ..wanted(3, hint) };
    let answer = recent.log(outside, async || slow.read(Ok(LogRead::Outside)).await).await;
    assert_eq!((answer, slow.reads.get()), (Ok(LogRead::Outside), 1));
    // One who turns out to be out does not answer for those who are in.
    let end = LogRead::Page { page: log(6, 6, 1), until: Some(6) };
    let late = wanted(5, Moment::now());
    assert_eq!(recent.log(late, async || slow.read(Ok(end.clone())).await).await, Ok(end));
    assert_eq!(look(&recent, late), Err("old"));
}

#[tokio::test]
async fn a_reader_that_leaves_in_its_turn_lets_the_next_one_read() {
    let (recent, slow, hint) = (Recent::new(MUCH), Slow::new(), Moment::now());
    let gone = recent.log(wanted(3, hint), async || slow.read(read(log(4, 4, 1))).await);
    assert_eq!(gone.now_or_never(), None);
    let answer = recent.log(wanted(3, hint), async || slow.read(read(log(4, 4, 1))).await).await;
    assert_eq!((answer, slow.reads.get()), (read(log(4, 4, 1)), 2));
}
