//! The database: whether it answers, lets us write, keeps what it has answered, and has our tables.

use std::cmp::Ordering;

use keyroom_delivery::{Inspection, LedgerError, Postgres, Sqlite};
use keyroom_server::Database;

use super::Finding;

const ABOUT: &str = "database";

/// `None` for a file that is not there yet.
pub(super) async fn inspect(database: &Database) -> Option<Result<Inspection, LedgerError>> {
    match database {
        Database::File(path) => path.exists().then(|| Sqlite::inspect(path)),
        Database::Postgres { url, options } => Some(Postgres::inspect(url, options.clone()).await),
    }
}

pub(super) fn examine(database: &Database, inspection: Option<&Result<Inspection, LedgerError>>) -> Vec<Finding> {
    match inspection {
        None => vec![Finding::warning(ABOUT, format!("{database} is not there: the first start creates it"))],
        Some(Err(error)) => vec![Finding::failed(ABOUT, format!("{error}: {}", remedy(*error)))],
        Some(Ok(inspection)) => vec![writable(inspection), durable(inspection), version(inspection)],
    }
}

fn remedy(error: LedgerError) -> &'static str {
    match error {
        LedgerError::Certificate => "renew it, or name its root in SSL_CERT_FILE",
        LedgerError::Corrupt => "see whether the setting names the right one, or restore a backup",
        _ => "see whether it is there and running, and lets this user in",
    }
}

fn writable(inspection: &Inspection) -> Finding {
    match inspection.writable {
        true => Finding::ok(ABOUT, "it answers and can be written"),
        false => Finding::failed(
            ABOUT,
            "it cannot be written: give this user the right to, and name the primary, not a replica",
        ),
    }
}

fn durable(inspection: &Inspection) -> Finding {
    let settings = &inspection.durability.settings;
    match inspection.durability.synchronous {
        true => Finding::ok(ABOUT, format!("what it has answered survives a loss of power ({settings})")),
        false => {
            Finding::failed(ABOUT, format!("a loss of power may lose what it has answered ({settings}): turn them on"))
        }
    }
}

fn version(inspection: &Inspection) -> Finding {
    let Inspection { version, expected, .. } = inspection;
    match version.cmp(expected) {
        _ if *version == 0 => Finding::ok(ABOUT, "it has no tables yet: the first start makes them"),
        Ordering::Equal => Finding::ok(ABOUT, format!("its tables have version {version}")),
        Ordering::Less => {
            Finding::warning(ABOUT, format!("its tables have version {version}: the next start makes it {expected}"))
        }
        Ordering::Greater => Finding::failed(
            ABOUT,
            format!("its tables have version {version}, and this program knows {expected}: install a newer one"),
        ),
    }
}
