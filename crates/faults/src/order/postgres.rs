//! The write-ahead log of PostgreSQL: one stream of records over files of one size, in pages that have
//! headers of their own. What a transaction did is there for good when the record of its commit is.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::Durable;
use super::tokens::Tokens;
use crate::trace::{Call, Place, What};

const SEGMENT: u64 = 16 << 20;
const PAGE: u64 = 8192;

/// Sizes of the header of a page, and of the first page of a file.
const SHORT: u64 = 24;
const LONG: u64 = 40;

/// In a page's header: it begins with the rest of a record.
const CONTINUES: u16 = 1;

/// The resource manager of transactions, and what its records of commits have in `info`.
const TRANSACTIONS: u8 = 1;
const OPERATION: u8 = 0x70;
const COMMIT: u8 = 0x00;

/// For each token where the commit record of its transaction came to the disk.
pub(super) fn durable(calls: &[Call], tokens: &[&[u8]]) -> Vec<Option<Durable>> {
    let mut whole = Image::default();
    for call in calls {
        if let What::Write { file, offset, bytes } = &call.what
            && let Some(segment) = segment(file)
        {
            whole.write(segment * SEGMENT + offset, bytes);
        }
    }
    let stream = Stream::read(&whole);
    let records = stream.records();
    let commits: HashMap<u32, usize> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.manager == TRANSACTIONS && record.info & OPERATION == COMMIT)
        .map(|(number, record)| (record.transaction, number))
        .collect();
    let mut found: Vec<Option<usize>> = vec![None; tokens.len()];
    Tokens::new(tokens).find(&stream.bytes, |token, at| {
        let number = records.partition_point(|record| record.bytes.end <= at);
        let inside = records.get(number).filter(|record| record.bytes.contains(&at));
        if let Some(commit) = inside.and_then(|record| commits.get(&record.transaction)) {
            found[token].get_or_insert(*commit);
        }
    });
    let mut wanted: Vec<usize> = found.iter().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let synced = synced(calls, &whole, wanted.iter().map(|number| (*number, stream.place(&records[*number].bytes))));
    found.iter().map(|commit| commit.map(|at| Durable { transaction: at, synced: synced.get(&at).copied() })).collect()
}

/// Where each of these parts of the log first was on the disk as it is in the end.
fn synced(
    calls: &[Call],
    whole: &Image,
    parts: impl Iterator<Item = (usize, Vec<Range<u64>>)>,
) -> HashMap<usize, Place> {
    let mut waiting: Vec<(usize, Vec<Range<u64>>)> = parts.collect();
    let mut synced = HashMap::new();
    let mut disk = Image::default();
    let mut written: Vec<&Call> = Vec::new();
    for call in calls {
        match &call.what {
            What::Write { file, .. } if segment(file).is_some() => written.push(call),
            What::Sync(synced_file) if segment(synced_file).is_some() => {
                written.retain(|write| {
                    let What::Write { file, offset, bytes } = &write.what else { return false };
                    if file != synced_file || write.ended >= call.began {
                        return true;
                    }
                    disk.write(segment(file).unwrap() * SEGMENT + offset, bytes);
                    false
                });
                waiting.retain(|(number, parts)| {
                    let there = parts.iter().all(|part| disk.part(part).is_some_and(|on| Some(on) == whole.part(part)));
                    if there {
                        synced.insert(*number, call.ended);
                    }
                    !there
                });
            }
            _ => {}
        }
    }
    synced
}

/// The number of a file of the log, by its name: time line, and two halves of the number.
fn segment(file: &str) -> Option<u64> {
    let (folder, name) = file.rsplit_once('/')?;
    if !folder.ends_with("/pg_wal") || name.len() != 24 {
        return None;
    }
    let half = |part: Range<usize>| u64::from_str_radix(name.get(part)?, 16).ok();
    Some(half(8..16)? * (0x1_0000_0000 / SEGMENT) + half(16..24)?)
}

/// Bytes of the log by their place in it, in pages.
#[derive(Default)]
struct Image(BTreeMap<u64, Vec<u8>>);

impl Image {
    /// Pages are written as a whole.
    fn write(&mut self, at: u64, bytes: &[u8]) {
        assert_eq!((at % PAGE, bytes.len() as u64 % PAGE), (0, 0), "the log is written in pages");
        for (number, page) in (at / PAGE..).zip(bytes.chunks(PAGE as usize)) {
            self.0.insert(number, page.to_vec());
        }
    }

    /// A part of one page.
    fn part(&self, part: &Range<u64>) -> Option<&[u8]> {
        let begin = (part.start % PAGE) as usize;
        self.0.get(&(part.start / PAGE))?.get(begin..begin + (part.end - part.start) as usize)
    }
}

/// The log without the headers of its pages.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    /// From where in `bytes` on what comes from which place.
    pages: Vec<(usize, u64)>,
    /// Where the first record begins.
    first: usize,
}

struct Record {
    bytes: Range<usize>,
    transaction: u32,
    manager: u8,
    info: u8,
}

impl Stream {
    fn read(image: &Image) -> Self {
        let mut stream = Self::default();
        let mut next = None;
        for (number, page) in &image.0 {
            if next.is_some_and(|next| next != *number) {
                break;
            }
            next = Some(number + 1);
            let place = number * PAGE;
            let header = if place.is_multiple_of(SEGMENT) { LONG } else { SHORT };
            if stream.pages.is_empty() && u16_at(page, 2) & CONTINUES != 0 {
                stream.first = aligned(u32_at(page, 16) as usize);
            }
            stream.pages.push((stream.bytes.len(), place + header));
            stream.bytes.extend_from_slice(&page[header as usize..]);
        }
        stream
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut at = self.first;
        while at + 24 <= self.bytes.len() {
            let length = u32_at(&self.bytes, at) as usize;
            if length < 24 || at + length > self.bytes.len() {
                break;
            }
            records.push(Record {
                bytes: at..at + length,
                transaction: u32_at(&self.bytes, at + 4),
                info: self.bytes[at + 16],
                manager: self.bytes[at + 17],
            });
            at = aligned(at + length);
        }
        records
    }

    /// Where these bytes are in the log, page by page.
    fn place(&self, bytes: &Range<usize>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            let page = self.pages.partition_point(|(begin, _)| *begin <= at) - 1;
            let (begin, place) = self.pages[page];
            let end = self.pages.get(page + 1).map_or(bytes.end, |(next, _)| bytes.end.min(*next));
            parts.push(place + (at - begin) as u64..place + (end - begin) as u64);
            at = end;
        }
        parts
    }
}

fn aligned(at: usize) -> usize {
    at.next_multiple_of(8)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::exchanges;
    use crate::exchange::tests::{answer, calls, request};
    use crate::order::order;
    use crate::run::Engine;

    const MESSAGE: &[u8] = b"a message with 32 bytes at the end: 0123456789abcdef0123456789abcdef";
    const FILE: &str = "/data/pg_wal/000000010000000000000003";

    fn record(transaction: u32, manager: u8, info: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = (24 + content.len() as u32).to_le_bytes().to_vec();
        bytes.extend(transaction.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend([info, manager, 0, 0, 0, 0, 0, 0]);
        bytes.extend(content);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    /// These records from the third page of a file on, with the end of another one before them.
    fn pages(records: &[Vec<u8>]) -> Vec<u8> {
        let stream = [vec![9; 16], records.concat()].concat();
        let mut bytes = Vec::new();
        for (number, part) in stream.chunks((PAGE - SHORT) as usize).enumerate() {
            let mut header = vec![0; SHORT as usize];
            header[2] = u8::from(number == 0);
            header[16] = 11;
            bytes.extend(header);
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(PAGE as usize), 0);
        }
        bytes
    }

    fn write(bytes: Vec<u8>) -> What {
        What::Write { file: FILE.into(), offset: 2 * PAGE, bytes }
    }

    fn violations(all: impl IntoIterator<Item = What>) -> u64 {
        let calls = calls(all);
        let order = order(Engine::Postgres, &calls, &exchanges(&calls));
        assert_eq!(order.acknowledged, 1);
        order.violations()
    }

    #[test]
    fn an_answer_counts_only_after_the_record_of_the_commit_is_on_the_disk() {
        // The message is cut in two by the header of a page.
        let before = record(6, 10, 0, &vec![1; (PAGE - SHORT) as usize - 16 - 24 - 24 - 50]);
        let insert = record(7, 10, 0, MESSAGE);
        let (other, abort) = (record(8, TRANSACTIONS, COMMIT, b"at"), record(7, TRANSACTIONS, 0x20, b"at"));
        let commit = record(7, TRANSACTIONS, COMMIT | 0x80, b"at");
        let half = pages(&[before.clone(), insert.clone(), other.clone()]);
        let undone = pages(&[before.clone(), insert.clone(), other.clone(), abort]);
        let full = pages(&[before, insert, other, commit]);
        let sync = || What::Sync(FILE.into());
        let (asked, said) = (|| request(MESSAGE), || answer(1));
        assert_eq!(violations([asked(), write(full.clone()), sync(), said()]), 0);
        assert_eq!(violations([asked(), write(half.clone()), sync(), write(full.clone()), sync(), said()]), 0);
        assert_eq!(violations([asked(), write(full.clone()), said(), sync()]), 1);
        assert_eq!(violations([asked(), write(half.clone()), sync(), said(), write(full.clone()), sync()]), 1);
        assert_eq!(violations([asked(), write(half.clone()), sync(), write(full.clone()), said(), sync()]), 1);
        assert_eq!(violations([asked(), write(undone), sync(), said()]), 1);
        assert_eq!(violations([asked(), write(half), sync(), said()]), 1);
        let elsewhere = What::Sync("/data/pg_wal/000000010000000000000004".into());
        assert_eq!(violations([asked(), write(full), elsewhere, said()]), 1);
    }
}
