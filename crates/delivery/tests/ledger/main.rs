//! What every ledger promises, tried on each engine. An engine is added by a line in `engines!`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

mod accounts;
mod promises;

use std::sync::Arc;

use keyroom_delivery::{Accounts, Ledger, LedgerError, Sqlite};
use tempfile::TempDir;

/// An engine: both contracts.
pub(crate) trait Engine: Ledger + Accounts {}

impl<T: Ledger + Accounts> Engine for T {}

/// A database that several nodes share.
pub(crate) struct Database {
    folder: TempDir,
    open: fn(&TempDir) -> Arc<dyn Engine>,
}

impl Database {
    /// One more node on the database.
    pub(crate) fn node(&self) -> Arc<dyn Ledger> {
        (self.open)(&self.folder)
    }

    /// One more node, for its accounts.
    pub(crate) fn accounts(&self) -> Arc<dyn Accounts> {
        (self.open)(&self.folder)
    }
}

fn sqlite() -> Database {
    let open = |folder: &TempDir| Arc::new(Sqlite::open(folder.path().join("ledger.db")).unwrap()) as Arc<dyn Engine>;
    Database { folder: tempfile::tempdir().unwrap(), open }
}

macro_rules! engines {
    ($($engine:ident: $($contract:ident::$promise:ident),* $(,)?;)*) => {$(
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$contract::$promise(&crate::$engine()).await;
                }
            )*
        }
    )*};
}

engines! {
    sqlite:
        promises::what_is_answered_is_on_the_disk,
        promises::one_commit_for_each_epoch_also_between_nodes,
        promises::no_gap_in_a_log_that_two_nodes_write,
        promises::a_key_package_is_claimed_once_also_between_nodes,
        promises::a_repetition_through_another_node_gets_the_outcome_of_then,
        promises::what_is_refused_leaves_no_trace,
        promises::a_welcome_is_cut_for_each_addressee,
        promises::an_epoch_is_kept_as_long_as_a_welcome_into_it_waits,
        promises::a_closed_room_takes_nothing_more_and_gets_one_successor,
        promises::reports_of_enough_leaves_close_a_room_at_the_commit,
        promises::a_proposal_counts_for_its_epoch_only,
        promises::kept_epochs_read_back_as_they_were_however_the_state_changes,
        promises::a_random_history_reads_back_as_a_plain_model_says,
        promises::a_device_claims_of_one_user_a_few_times_an_hour,
        promises::a_device_sends_and_reads_while_it_is_in_the_room,
        promises::what_comes_with_a_removal_is_before_it_or_refused,
        accounts::all_nodes_have_one_secret_and_it_stays,
        accounts::a_challenge_is_spent_once_also_between_nodes,
        accounts::a_key_is_registered_only_where_nothing_has_changed;
}

#[tokio::test]
async fn versions_of_records_that_no_kept_epoch_needs_leave_the_file() {
    let database = sqlite();
    promises::kept_epochs_read_back_as_they_were_however_the_state_changes(&database).await;
    let db = rusqlite::Connection::open(database.folder.path().join("ledger.db")).unwrap();
    // Of each key: what the oldest kept epoch has, and what the two after it set.
    let superfluous = "SELECT count(*) FROM state AS old WHERE EXISTS (SELECT 1 FROM state AS new
        WHERE new.key = old.key AND new.epoch > old.epoch AND new.epoch <= 58)";
    let count: i64 = db.query_row(superfluous, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
}

#[test]
fn a_file_that_is_something_else_or_newer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, "this is not a database, and it is long enough to be seen as one".repeat(40)).unwrap();
    assert_eq!(Sqlite::open(&path).unwrap_err(), LedgerError::Corrupt);
    let path = folder.path().join("newer");
    drop(Sqlite::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    assert_eq!(Sqlite::open(&path).unwrap_err(), LedgerError::Corrupt);
    assert_eq!(Sqlite::open(folder.path().join("no/such/folder")).unwrap_err(), LedgerError::Unavailable);
}
