//! The clock: sessions, key packages and certificates live by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyroom_delivery::{Inspection, LedgerError};
use keyroom_server::Database;

use super::{Finding, days};

const ABOUT: &str = "clock";

/// 2026-01-01: this program was not there before.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

/// Until 2100 a clock is plausible.
const LATEST: Duration = Duration::from_secs(4_102_444_800);

/// How far two clocks may be apart before somebody should look, and before it does harm.
const NOTABLE: Duration = Duration::from_secs(2);
const HARMFUL: Duration = Duration::from_secs(30);

const REMEDY: &str = "let the machine keep its time, with systemd-timesyncd or chrony";

pub(super) fn examine(
    now: Duration,
    database: &Database,
    inspection: Option<&Result<Inspection, LedgerError>>,
) -> Vec<Finding> {
    if !(EARLIEST..LATEST).contains(&now) {
        return vec![Finding::failed(ABOUT, format!("it cannot be right: {REMEDY}"))];
    }
    let theirs = inspection.and_then(|inspection| inspection.as_ref().ok()?.clock);
    vec![match (theirs, written(database)) {
        (Some(theirs), _) => compare(now, theirs),
        (None, Some(written)) if written > now + HARMFUL => {
            Finding::failed(ABOUT, format!("the database was written {} days from now: {REMEDY}", days(written - now)))
        }
        (None, _) => Finding::ok(ABOUT, "it is plausible"),
    }]
}

fn compare(now: Duration, theirs: Duration) -> Finding {
    let apart = now.abs_diff(theirs);
    let says = format!("{:.1} s from that of the database", apart.as_secs_f64());
    match apart {
        apart if apart > HARMFUL => Finding::failed(ABOUT, format!("{says}: {REMEDY}, on both machines")),
        apart if apart > NOTABLE => Finding::warning(ABOUT, format!("{says}: {REMEDY}, on both machines")),
        _ => Finding::ok(ABOUT, says),
    }
}

/// When a file was written last.
fn written(database: &Database) -> Option<Duration> {
    let Database::File(path) = database else { return None };
    let time: SystemTime = path.metadata().ok()?.modified().ok()?;
    time.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_clock_that_cannot_be_right_fails() {
        let nowhere = Database::File("/nowhere/keyroom.db".into());
        for (now, level) in [(Duration::ZERO, Level::Failed), (LATEST, Level::Failed), (NOW, Level::Ok)] {
            assert_eq!(examine(now, &nowhere, None)[0].level, level);
        }
    }

    #[test]
    fn a_file_from_the_future_shows_that_the_clock_is_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        std::fs::write(&file, "").unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let database = Database::File(file);
        let yesterday = now - Duration::from_secs(24 * 60 * 60);
        assert_eq!(examine(now, &database, None)[0].level, Level::Ok);
        assert_eq!(examine(yesterday, &database, None)[0].level, Level::Failed);
    }

    #[test]
    fn clocks_are_compared_both_ways() {
        let levels = [0, 1, 5, 60].map(|seconds| {
            let apart = Duration::from_secs(seconds);
            assert_eq!(compare(NOW, NOW + apart).level, compare(NOW + apart, NOW).level);
            compare(NOW, NOW + apart).level
        });
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warning, Level::Failed]);
    }
}
