//! What the machine gives, and what callers may take of it.

use std::path::Path;

use keyroom_server::{Database, Rates, raise_file_limit};

use super::Finding;

/// Free space below which somebody should look, and below which writes will soon fail, in MiB.
const LITTLE: u64 = 1_024;
const TOO_LITTLE: u64 = 64;

/// Open files below which few clients can be live.
const FILES: u64 = 4_096;

pub(super) fn examine(database: &Database, rates: &Rates) -> Vec<Finding> {
    let space = match database {
        Database::File(path) => Some(disk(free_space(path))),
        // It is on another machine, or at least in other hands.
        Database::Postgres { .. } => None,
    };
    space.into_iter().chain([files(raise_file_limit()), callers(rates)]).collect()
}

fn disk(free: Option<u64>) -> Finding {
    const ABOUT: &str = "disk";
    match free {
        None => {
            Finding::warning(ABOUT, "it does not say how much is free: see that the folder of the database is there")
        }
        Some(free) if free < TOO_LITTLE => Finding::failed(ABOUT, format!("{free} MiB are free: make room")),
        Some(free) if free < LITTLE => Finding::warning(ABOUT, format!("{free} MiB are free: make room")),
        Some(free) => Finding::ok(ABOUT, format!("{} GiB are free", free / 1_024)),
    }
}

/// In MiB, where the database is or will be.
#[cfg(unix)]
fn free_space(database: &Path) -> Option<u64> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

fn files(limit: Option<u64>) -> Finding {
    const ABOUT: &str = "open files";
    match limit {
        Some(limit) if limit < FILES => Finding::warning(
            ABOUT,
            format!("{limit} at most, and each client needs one: raise LimitNOFILE in the unit, or ulimit -Hn"),
        ),
        Some(limit) => Finding::ok(ABOUT, format!("{limit} at most")),
        None => Finding::ok(ABOUT, "without bound"),
    }
}

fn callers(rates: &Rates) -> Finding {
    const ABOUT: &str = "callers";
    match (rates.device, rates.address) {
        (Some(_), Some(_)) => Finding::ok(ABOUT, "devices and addresses have a bound on their requests"),
        (None, Some(_)) => Finding::warning(ABOUT, "a device may send as many requests as it likes: set rates.device"),
        (Some(_), None) => {
            Finding::warning(ABOUT, "an address may send as many requests as it likes: set rates.address")
        }
        (None, None) => Finding::warning(
            ABOUT,
            "everybody may send as many requests as they like: set rates.device and rates.address",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn little_space_is_told_before_it_is_too_little() {
        let levels = [Some(10), Some(500), Some(50_000), None].map(|free| disk(free).level);
        assert_eq!(levels, [Level::Failed, Level::Warning, Level::Ok, Level::Warning]);
    }
}
