//! Where and when it was measured, and with what.

use std::fs;

use serde::Serialize;

/// The machine, the date and the versions of all that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// The processor's model.
    pub processor: String,
    /// How many threads run at once.
    pub cores: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// The day, in UTC: year-month-day.
    pub date: String,
    /// Packages and their versions.
    pub versions: Vec<(String, String)>,
}

/// The packages whose versions are shown.
const SHOWN: [&str; 11] = [
    "keyroom-mls",
    "mls-rs",
    "mls-rs-crypto-awslc",
    "mls-rs-crypto-rustcrypto",
    "mls-rs-provider-sqlite",
    "openmls",
    "openmls_rust_crypto",
    "openmls_libcrux_crypto",
    "openmls_sqlite_storage",
    "aws-lc-rs",
    "ed25519-dalek",
];

impl Setting {
    /// Of this machine, now.
    pub fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
        };
        let kilobytes = field("/proc/meminfo", "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory: kilobytes.unwrap_or(0) * 1024,
            date: date(crate::subject::now() / (24 * 3600)),
            versions: versions(include_str!("../Cargo.lock")),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let gigabytes = self.memory as f64 / f64::from(1 << 30);
        format!("{}, {} ({} cores), {gigabytes:.0} GiB", self.date, self.processor, self.cores)
    }

    /// Names and versions of the peers, in one line.
    pub fn peers(&self) -> String {
        let peers = self.versions.iter().filter(|(name, _)| name.starts_with("mls-rs") || name.starts_with("openmls"));
        peers.map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
    }
}

/// The versions in a lock file.
fn versions(lock: &str) -> Vec<(String, String)> {
    let quoted = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let packages = lock.split("[[package]]").filter_map(|package| {
        let name = package.lines().find_map(|line| quoted(line, "name = "))?;
        let version = package.lines().find_map(|line| quoted(line, "version = "))?;
        SHOWN.contains(&name.as_str()).then_some((name, version))
    });
    packages.collect()
}

/// The day so many days after 1970-01-01.
fn date(days: u64) -> String {
    // Years that begin in March, in eras of 400 of them: leap days come last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year_of_era + later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        let days = [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_778, "2026-11-21")];
        days.into_iter().for_each(|(days, expected)| assert_eq!(date(days), expected));
    }

    #[test]
    fn the_lock_file_tells_the_versions() {
        let versions = versions(include_str!("../Cargo.lock"));
        assert!(versions.iter().any(|(name, version)| name == "openmls" && version.starts_with("0.")));
    }
}
