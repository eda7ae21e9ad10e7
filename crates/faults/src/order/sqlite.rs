//! The write-ahead log of SQLite: frames, of which the last of a transaction says so.

use std::sync::Arc;

use super::Durable;
use super::tokens::Tokens;
use crate::trace::{Call, Place, What};

/// A frame is a header of this size, and a page.
const HEADER: usize = 24;

/// A transaction that has been written.
struct Written<'a> {
    file: &'a Arc<str>,
    ended: Place,
    tokens: Vec<usize>,
}

/// For each token where the transaction that brought it came to the disk.
pub(super) fn durable(calls: &[Call], tokens: &[&[u8]]) -> Vec<Option<Durable>> {
    let search = Tokens::new(tokens);
    let mut durable = vec![None; tokens.len()];
    let mut unsynced: Vec<Written<'_>> = Vec::new();
    let mut pages: Vec<usize> = Vec::new();
    let mut closing = false;
    for call in calls {
        match &call.what {
            What::Write { file, bytes, .. } if file.ends_with("-wal") => match bytes.len() {
                // The header of a frame; after the page number comes the size of the database in the last frame
                // of a transaction, and 0 in the others.
                HEADER => closing = bytes[4..8] != [0; 4],
                // That of the whole log, which begins anew.
                32 => pages.clear(),
                _ => {
                    search.find(bytes, |number, _| pages.push(number));
                    if std::mem::take(&mut closing) {
                        unsynced.push(Written { file, ended: call.ended, tokens: std::mem::take(&mut pages) });
                    }
                }
            },
            What::Sync(file) => {
                let (synced, rest) =
                    unsynced.into_iter().partition(|written| written.file == file && written.ended < call.began);
                unsynced = rest;
                note(synced, Some(call.ended), &mut durable);
            }
            _ => {}
        }
    }
    note(unsynced, None, &mut durable);
    durable
}

/// A page is written again with each row that comes into it: the first transaction counts.
fn note(written: Vec<Written<'_>>, synced: Option<Place>, durable: &mut [Option<Durable>]) {
    for transaction in written {
        for number in transaction.tokens {
            durable[number].get_or_insert(Durable { transaction: transaction.ended, synced });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::exchanges;
    use crate::exchange::tests::{answer, calls, request};
    use crate::order::{Order, order};
    use crate::run::Engine;

    const MESSAGE: &[u8] = b"a message with 32 bytes at the end: 0123456789abcdef0123456789abcdef";

    fn frame(page: &[u8], last: bool) -> [What; 2] {
        let file: Arc<str> = "/x/keyroom.db-wal".into();
        let mut header = vec![0; 24];
        header[7] = u8::from(last);
        let page = [&[0; 100], page].concat();
        let offset = 0;
        [What::Write { file: file.clone(), offset, bytes: header }, What::Write { file, offset, bytes: page }]
    }

    fn sync(file: &str) -> What {
        What::Sync(file.into())
    }

    fn judged(parts: impl IntoIterator<Item = Vec<What>>) -> Order {
        let calls = calls(parts.into_iter().flatten());
        order(Engine::Sqlite, &calls, &exchanges(&calls))
    }

    #[test]
    fn an_answer_counts_only_after_the_whole_transaction_was_written_and_synchronised() {
        let asked = || vec![request(MESSAGE)];
        let said = || vec![answer(1)];
        let log = || vec![sync("/x/keyroom.db-wal")];
        let (first, last) = (|| frame(MESSAGE, false).to_vec(), || frame(b"index", true).to_vec());
        assert_eq!(judged([asked(), first(), last(), log(), said()]).violations(), 0);
        let wrong = [
            judged([asked(), first(), last(), said(), log()]),
            judged([asked(), first(), last(), said()]),
            // The mark of its end came after.
            judged([asked(), first(), log(), last(), said()]),
            // Another file.
            judged([asked(), first(), last(), vec![sync("/x/keyroom.db")], said()]),
            // Another transaction.
            judged([asked(), last(), log(), said(), first(), last(), log()]),
            judged([asked(), said()]),
        ];
        for (number, order) in wrong.iter().enumerate() {
            assert_eq!((order.acknowledged, order.violations()), (1, 1), "{number}");
        }
    }

    #[test]
    fn a_synchronisation_that_began_too_early_or_ended_too_late_does_not_count() {
        let parts = |sync: (usize, usize)| {
            let [header, page] = frame(MESSAGE, true);
            let mut all = calls([request(MESSAGE), header, page]);
            all.iter_mut().for_each(|call| (call.began, call.ended) = (call.began * 10, call.ended * 10));
            all.push(Call { began: sync.0, ended: sync.1, what: What::Sync("/x/keyroom.db-wal".into()) });
            all.push(Call { began: 50, ended: 50, what: answer(1) });
            all.sort_by_key(|call| call.ended);
            order(Engine::Sqlite, &all, &exchanges(&all)).violations()
        };
        assert_eq!([parts((30, 40)), parts((15, 40)), parts((30, 60))], [0, 1, 1]);
    }
}
