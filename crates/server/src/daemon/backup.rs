//! `keyroomd backup`: a copy of the database while it is in use.

use std::path::Path;
use std::process::ExitCode;

use keyroom_delivery::{BackupError, Sqlite};
use keyroom_server::Database;

use super::fault::Fault;
use super::layers::Values;
use super::output;
use super::plan::Plan;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("this is for SQLite: use pg_dump for a PostgreSQL database")]
    Postgres,
    #[error(transparent)]
    Copy(#[from] BackupError),
}

pub(super) fn run(values: &Values, mut faults: Vec<Fault>, copy: &Path) -> ExitCode {
    let (plan, more) = Plan::read(values);
    faults.extend(more);
    let Some(plan) = plan.filter(|_| faults.is_empty()) else {
        faults.iter().for_each(|fault| output::complain(&format!("{fault}\n")));
        return ExitCode::FAILURE;
    };
    match back_up(&plan.config.database, copy) {
        Ok(()) => {
            output::write(&format!("{} is complete and on the disk\n", copy.display()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            output::complain(&format!("no copy was made: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

fn back_up(database: &Database, copy: &Path) -> Result<(), Failure> {
    match database {
        Database::File(file) => Ok(Sqlite::back_up(file, copy)?),
        Database::Postgres { .. } => Err(Failure::Postgres),
    }
}
