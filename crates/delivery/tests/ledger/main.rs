//! What every ledger promises, tried on each engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

mod accounts;
mod faults;
mod promises;

use std::sync::Arc;

use keyroom_delivery::{Accounts, Ledger, LedgerError, Postgres, PostgresOptions, Sqlite};
use keyroom_testbed::shared_postgres;
use tempfile::TempDir;

/// An engine: both contracts.
pub(crate) trait Engine: Ledger + Accounts {}

impl<T: Ledger + Accounts> Engine for T {}

/// A database that several nodes share.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    fn sqlite() -> Option<Self> {
        Some(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    fn postgres() -> Option<Self> {
        Some(Self::Postgres(shared_postgres()?.schema()))
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        match self {
            Self::Sqlite(folder) => {
                let db = rusqlite::Connection::open(folder.path().join("ledger.db")).unwrap();
                db.query_row(&count, [], |row| row.get(0)).unwrap()
            }
            Self::Postgres(url) => shared_postgres().unwrap().execute_at(url, &count).parse().unwrap(),
        }
    }

    /// One more node on the database.
    pub(crate) async fn node(&self) -> Arc<dyn Ledger> {
        self.open().await
    }

    /// One more node, for its accounts.
    pub(crate) async fn accounts(&self) -> Arc<dyn Accounts> {
        self.open().await
    }

    async fn open(&self) -> Arc<dyn Engine> {
        match self {
            Self::Sqlite(folder) => Arc::new(Sqlite::open(folder.path().join("ledger.db")).unwrap()),
            Self::Postgres(url) => {
                let options = PostgresOptions { connections: 4, ..PostgresOptions::default() };
                Arc::new(Postgres::open(url, options).await.unwrap())
            }
        }
    }
}

/// Each promise as a test of each engine: `sqlite::one_commit…` and `postgres::one_commit…`.
macro_rules! engines {
    ($($engine:ident),*: $promises:tt) => {$(
        mod $engine {
            engines!(@tests $engine $promises);
        }
    )*};
    (@tests $engine:ident [$($contract:ident::$promise:ident),* $(,)?]) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if let Some(database) = crate::Database::$engine() {
                crate::$contract::$promise(&database).await;
            }
        }
    )*};
}

engines! {
    sqlite, postgres: [
        promises::what_is_answered_is_on_the_disk,
        promises::one_commit_for_each_epoch_also_between_nodes,
        promises::no_gap_in_a_log_that_two_nodes_write,
        promises::a_key_package_is_claimed_once_also_between_nodes,
        promises::a_key_package_is_never_passed_over_for_a_last_resort,
        promises::a_repetition_through_another_node_gets_the_outcome_of_then,
        promises::requests_that_race_under_one_key_are_carried_out_once,
        promises::what_is_refused_leaves_no_trace,
        promises::a_welcome_is_cut_for_each_addressee,
        promises::an_epoch_is_kept_as_long_as_a_welcome_into_it_waits,
        promises::a_closed_room_takes_nothing_more_and_gets_one_successor,
        promises::reports_of_enough_leaves_close_a_room_at_the_commit,
        promises::a_proposal_counts_for_its_epoch_only,
        promises::welcomes_to_many_keep_their_order_and_go_when_all_have_them,
        promises::pages_end_where_they_should,
        promises::one_room_for_a_name_and_one_for_a_group_however_many_race,
        promises::names_of_any_length_are_kept,
        promises::kept_epochs_read_back_as_they_were_however_the_state_changes,
        promises::a_random_history_reads_back_as_a_plain_model_says,
        promises::a_device_claims_of_one_user_a_few_times_an_hour,
        promises::a_device_sends_and_reads_while_it_is_in_the_room,
        promises::in_a_keyed_room_every_commit_asks_all_but_its_sender_for_a_proof,
        promises::what_comes_with_a_removal_is_before_it_or_refused,
        accounts::all_nodes_have_one_secret_and_it_stays,
        accounts::a_challenge_is_spent_once_also_between_nodes,
        accounts::a_key_is_registered_only_where_nothing_has_changed,
    ]
}

#[tokio::test]
async fn versions_of_records_that_no_kept_epoch_needs_leave_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let database = Database::Sqlite(folder);
    promises::kept_epochs_read_back_as_they_were_however_the_state_changes(&database).await;
    let db = rusqlite::Connection::open(path).unwrap();
    let count: i64 = db.query_row(SUPERFLUOUS, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
    if let Some(server) = shared_postgres() {
        let url = server.schema();
        let database = Database::Postgres(url.clone());
        promises::kept_epochs_read_back_as_they_were_however_the_state_changes(&database).await;
        assert_eq!(server.execute_at(&url, SUPERFLUOUS), "0");
    }
}

/// Of each key only this is needed: what the oldest kept epoch has, and what the two after it set.
const SUPERFLUOUS: &str = "SELECT count(*) FROM state AS old WHERE EXISTS (SELECT 1 FROM state AS new
    WHERE new.key = old.key AND new.epoch > old.epoch AND new.epoch <= 58)";

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
