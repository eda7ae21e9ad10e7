//! A disk that keeps what was synchronised and of the rest what it likes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::trace::{Call, Place, What};

/// What becomes of what was not synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// All of it is gone.
    Gone,
    /// Each write is gone, there, or there in parts: whole units of so many bytes. The same with names of
    /// files.
    Torn(usize),
}

/// What was left out of what had not been synchronised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Writes that are gone.
    pub gone: u64,
    /// Writes of which a part is there.
    pub torn: u64,
}

/// The files of one folder, as a trace changes them.
#[derive(Default)]
pub struct Disk<'a> {
    calls: &'a [Call],
    next: usize,
    files: BTreeMap<&'a str, File<'a>>,
    /// Creations and removals, in their order, since the folder was last synchronised.
    names: Vec<&'a Call>,
}

#[derive(Clone, Default)]
struct File<'a> {
    there: bool,
    synced: Vec<u8>,
    /// Writes and changes of the length since then.
    since: Vec<&'a Call>,
}

impl<'a> Disk<'a> {
    /// An empty folder before all these calls, which are in the order in which they ended.
    pub fn new(calls: &'a [Call]) -> Self {
        Self { calls, ..Self::default() }
    }

    /// Goes on to a place of the trace.
    pub fn advance(&mut self, to: Place) {
        while let Some(call) = self.calls.get(self.next).filter(|call| call.ended < to) {
            self.take(call);
            self.next += 1;
        }
    }

    fn take(&mut self, call: &'a Call) {
        match &call.what {
            What::Write { file, .. } | What::Truncate(file, _) => self.file(file).since.push(call),
            What::Create(_) | What::Remove(_) => self.names.push(call),
            What::Sync(synced) => {
                // What ended before it began is on the disk; what was written meanwhile may be.
                let early = |other: &&Call| other.ended < call.began;
                if let Some(file) = self.files.get_mut(&**synced) {
                    file.since.iter().filter(|other| early(other)).for_each(|other| apply(&mut file.synced, other));
                    file.since.retain(|other| !early(other));
                }
                let inside = |other: &Call| folder(name(other)) == &**synced;
                let (now, later) = self.names.iter().partition(|other| early(other) && inside(other));
                self.names = later;
                let now: Vec<&Call> = now;
                now.into_iter().for_each(|other| named(&mut self.files, other));
            }
            What::Receive(..) | What::Send(..) => {}
        }
    }

    fn file(&mut self, name: &'a Arc<str>) -> &mut File<'a> {
        self.files.entry(name).or_default()
    }

    /// Writes into a folder what may be left of the files that were in another one, if the power went
    /// just before this place, which [`advance`](Self::advance) has reached. `-shm` is only memory.
    ///
    /// # Panics
    /// If it cannot write.
    pub fn fail(&self, at: Place, unsynced: Unsynced, rng: &mut StdRng, into: &Path) -> Forgotten {
        let mut forgotten = Forgotten::default();
        let mut files = self.files.clone();
        for call in &self.names {
            if unsynced != Unsynced::Gone && rng.random_bool(0.5) {
                named(&mut files, call);
            }
        }
        // Calls that were under way may have done something, too.
        let under_way = self.calls[self.next..].iter().filter(|call| call.began < at).take(64);
        for call in under_way {
            if let What::Write { file, .. } | What::Truncate(file, _) = &call.what
                && let Some(file) = files.get_mut(&**file)
            {
                file.since.push(call);
            }
        }
        for (name, file) in files.iter_mut().filter(|(name, file)| file.there && !name.ends_with("-shm")) {
            for call in std::mem::take(&mut file.since) {
                lose(&mut file.synced, call, unsynced, rng, &mut forgotten);
            }
            fs::write(into.join(Path::new(name).file_name().unwrap()), &file.synced).unwrap();
        }
        forgotten
    }
}

/// Applies as much of a call as the disk likes.
fn lose(bytes: &mut Vec<u8>, call: &Call, unsynced: Unsynced, rng: &mut StdRng, forgotten: &mut Forgotten) {
    let Unsynced::Torn(unit) = unsynced else {
        forgotten.gone += 1;
        return;
    };
    match (rng.random_range(0..3), &call.what) {
        (0, _) => forgotten.gone += 1,
        (1, What::Write { offset, bytes: written, .. }) => {
            forgotten.torn += 1;
            let mut at = 0;
            while at < written.len() {
                let place = *offset as usize + at;
                let length = (unit - place % unit).min(written.len() - at);
                if rng.random_bool(0.5) {
                    put(bytes, place, &written[at..at + length]);
                }
                at += length;
            }
        }
        _ => apply(bytes, call),
    }
}

fn apply(bytes: &mut Vec<u8>, call: &Call) {
    match &call.what {
        What::Write { offset, bytes: written, .. } => put(bytes, *offset as usize, written),
        What::Truncate(_, length) => bytes.resize(*length as usize, 0),
        _ => {}
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    let end = at + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(written);
}

fn named<'a>(files: &mut BTreeMap<&'a str, File<'a>>, call: &'a Call) {
    match &call.what {
        What::Create(name) => files.entry(name).or_default().there = true,
        What::Remove(name) => drop(files.remove(&**name)),
        _ => {}
    }
}

fn name(call: &Call) -> &str {
    match &call.what {
        What::Create(name) | What::Remove(name) => name,
        _ => "",
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn calls() -> Vec<Call> {
        let file: Arc<str> = "/x/a".into();
        let write = |offset, byte| What::Write { file: file.clone(), offset, bytes: vec![byte; 1024] };
        let all = [
            What::Create(file.clone()),
            write(0, 1),
            What::Sync(file.clone()),
            What::Sync("/x".into()),
            write(512, 2),
            What::Create("/x/b".into()),
            What::Truncate(file.clone(), 100),
        ];
        all.into_iter().enumerate().map(|(at, what)| Call { began: at * 10, ended: at * 10, what }).collect()
    }

    fn left(calls: &[Call], at: Place, unsynced: Unsynced, seed: u64) -> (Option<Vec<u8>>, bool, Forgotten) {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(calls);
        disk.advance(at);
        let forgotten = disk.fail(at, unsynced, &mut StdRng::seed_from_u64(seed), folder.path());
        (fs::read(folder.path().join("a")).ok(), folder.path().join("b").exists(), forgotten)
    }

    #[test]
    fn what_was_synchronised_is_there_and_nothing_else_need_be() {
        let calls = calls();
        assert_eq!(left(&calls, 25, Unsynced::Gone, 1).0, None, "its name was not synchronised");
        let (a, b, forgotten) = left(&calls, 35, Unsynced::Gone, 1);
        assert_eq!((a, b, forgotten), (Some(vec![1; 1024]), false, Forgotten::default()));
        let (a, b, forgotten) = left(&calls, 100, Unsynced::Gone, 1);
        assert_eq!((a, b, forgotten), (Some(vec![1; 1024]), false, Forgotten { gone: 2, torn: 0 }));
    }

    #[test]
    fn what_was_not_synchronised_may_be_there_in_parts() {
        let calls = calls();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let (a, b, _) = left(&calls, 55, Unsynced::Torn(512), seed);
            let a = a.unwrap();
            assert_eq!((a[..512].iter().all(|byte| *byte == 1), a.len() % 512), (true, 0));
            seen.insert((a.len(), a[600], a.get(1100).copied(), b));
        }
        // Nothing, the first half, the second half and all of the second write; with and without the name.
        let kinds = [(1024, 1, None), (1024, 2, None), (1536, 1, Some(2)), (1536, 2, Some(2))];
        let expected: Vec<_> = kinds.iter().flat_map(|(l, x, y)| [false, true].map(|b| (*l, *x, *y, b))).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
        let short = (0..50).filter(|seed| left(&calls, 65, Unsynced::Torn(512), *seed).0.unwrap().len() == 100);
        assert!((10..40).contains(&short.count()));
    }

    #[test]
    fn a_synchronisation_takes_only_what_was_written_before_it_began() {
        let mut calls = calls();
        calls.truncate(4);
        calls[2].began = 5;
        calls[1].ended = 7;
        let (a, _, forgotten) = left(&calls, 100, Unsynced::Gone, 1);
        assert_eq!((a, forgotten.gone), (Some(Vec::new()), 1));
    }
}
