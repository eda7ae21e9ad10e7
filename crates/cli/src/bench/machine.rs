//! Where and when it was measured.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::time::rfc3339;

/// The machine and the moment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// The processor's model.
    processor: String,
    /// How many threads run at once.
    cores: usize,
    /// Memory in GiB.
    memory: u64,
    /// In UTC.
    date: String,
}

impl Machine {
    /// This one, now.
    pub(super) fn here() -> Self {
        let memory = field("/proc/meminfo", "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory: memory.unwrap_or(0).div_ceil(1 << 20),
            date: rfc3339(now).unwrap_or_default(),
        }
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        format!("{}, {} ({} cores), {} GiB", self.date, self.processor, self.cores, self.memory)
    }
}

/// The value of the first line that begins with this name; `None` where there is no such file.
pub(super) fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
