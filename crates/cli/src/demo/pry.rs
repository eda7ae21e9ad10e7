//! What somebody can do who was removed and has kept a copy of everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyroom_api::{EntryKind, LogEntry};
use keyroom_mls::config::{Config, Inputs};
use keyroom_mls::error::Error;
use keyroom_mls::group::{Group, Received};
use keyroom_store::{Store as _, load};
use keyroom_wire::{Decode as _, Encode as _, Limits, MlsMessage};
use serde::{Deserialize, Serialize};

use super::client::Report;
use crate::{state, suite};

/// How often records are read before it is given up.
const ROUNDS: usize = 64;

/// One try at one entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Place in the log.
    pub(super) sequence: u64,
    /// The epoch of the entry.
    pub(super) epoch: u64,
    /// Whether it is a commit.
    pub(super) commit: bool,
    /// Whether anything was read.
    pub(super) read: bool,
    /// What was done and what came of it.
    pub(super) outcome: String,
}

/// An entry of the log that the server did not give to whoever has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Leaked {
    sequence: u64,
    epoch: u64,
    commit: bool,
    /// The message in hexadecimal digits.
    message: String,
}

impl From<&LogEntry> for Leaked {
    fn from(entry: &LogEntry) -> Self {
        let commit = entry.kind == EntryKind::Commit;
        Self { sequence: entry.sequence, epoch: entry.epoch, commit, message: hex::encode(&entry.message) }
    }
}

/// Tries to read every entry with the state in the folder.
pub(super) fn pry(folder: &Path, entries: &[Leaked]) -> Result<Report, String> {
    let state = state::open(folder).map_err(|failure| format!("{failure:?}"))?;
    let mut groups = state.store.groups().map_err(|error| error.to_string())?;
    let Some((group_id, _)) = groups.pop() else {
        return Ok(Report { attempts: entries.iter().map(keyless).collect(), ..Report::default() });
    };
    let mut attempts = Vec::new();
    for entry in entries {
        for how in [How::AsIs, How::InOurEpoch] {
            let mut group = open(&state, group_id.as_slice())?;
            attempts.extend(attempt(&state, &mut group, entry, how));
        }
    }
    Ok(Report { attempts, ..Report::default() })
}

/// The state holds no group any more.
fn keyless(entry: &Leaked) -> Attempt {
    let outcome = "no key of the group is left".to_owned();
    Attempt { sequence: entry.sequence, epoch: entry.epoch, commit: entry.commit, read: false, outcome }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The bytes as they are.
    AsIs,
    /// The message claims to be of the last epoch whose keys are there.
    InOurEpoch,
}

fn attempt(state: &state::State, group: &mut Group, entry: &Leaked, how: How) -> Option<Attempt> {
    let message = hex::decode(&entry.message).ok()?;
    let message = match how {
        How::AsIs => message,
        How::InOurEpoch => relabelled(&message, group.epoch())?,
    };
    let (read, outcome) = match process(state, group, &message) {
        Ok(Received::Commit(staged)) if staged.removes_us() => {
            (false, "it removes us, and holds no secret for us".into())
        }
        Ok(Received::Application { data, .. }) => {
            // Before the text stands the number of its key.
            let text = data.get(4..).unwrap_or_default();
            (true, format!("reads \"{}\"", String::from_utf8_lossy(text)))
        }
        Ok(_) => (true, "follows it".into()),
        Err(error) => (false, error.to_string()),
    };
    let tried = match how {
        How::AsIs => "as it is",
        How::InOurEpoch => "with our last keys",
    };
    let outcome = format!("{tried}: {outcome}");
    Some(Attempt { sequence: entry.sequence, epoch: entry.epoch, commit: entry.commit, read, outcome })
}

/// The same ciphertext under another epoch number; only for what is encrypted, and of another epoch.
fn relabelled(message: &[u8], epoch: u64) -> Option<Vec<u8>> {
    match MlsMessage::from_bytes(message, &Limits::default()) {
        Ok(MlsMessage::PrivateMessage(mut message)) if message.epoch != epoch => {
            message.epoch = epoch;
            Some(MlsMessage::PrivateMessage(message).to_bytes())
        }
        _ => None,
    }
}

fn process(state: &state::State, group: &mut Group, message: &[u8]) -> Result<Received, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut outcome = group.process(message, &Inputs::at(now));
    for _ in 0..ROUNDS {
        let Err(Error::Missing(missing)) = &outcome else { break };
        let Ok(snapshot) = load(&state.store, group.group_id(), Some(group.version()), missing) else { break };
        group.supply(&snapshot.records)?;
        outcome = group.process(message, &Inputs::at(now));
    }
    outcome.map(|processed| processed.received)
}

fn open(state: &state::State, group_id: &[u8]) -> Result<Group, String> {
    let (id, config) = (group_id.into(), Arc::new(Config::default()));
    let (mut records, mut version) = (BTreeMap::new(), None);
    for _ in 0..ROUNDS {
        match Group::open(&suite::PROVIDER, config.clone(), version.unwrap_or(0), &records) {
            Err(Error::Missing(missing)) => {
                let snapshot = load(&state.store, &id, version, &missing).map_err(|error| error.to_string())?;
                version = Some(snapshot.version);
                records.extend(snapshot.records.into_iter().filter_map(|(key, value)| Some((key, value?))));
            }
            opened => return opened.map_err(|error| error.to_string()),
        }
    }
    Err("the copy cannot be opened".into())
}
