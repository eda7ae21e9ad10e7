//! A group in storage reads for an operation what the operation touches.

use std::collections::BTreeSet;

use keyroom_insider::{Disk, Populated, config, now, sent};
use keyroom_mls::error::Error;
use keyroom_mls::group::{Group, Received};
use keyroom_mls::record::Missing;

use super::{Room, TEN_THOUSAND, THOUSAND};

/// The second guest as it is in storage.
struct Lazy {
    disk: Disk,
    group: Group,
    read: BTreeSet<keyroom_mls::record::RecordKey>,
}

impl Lazy {
    fn of(room: &mut Room) -> Self {
        let disk = Disk::of(room.joined.take().unwrap());
        let opened = disk.open(&config()).unwrap().0;
        Self { disk, group: opened, read: BTreeSet::new() }
    }

    fn run<T>(&mut self, operation: impl Fn(&mut Group) -> Result<T, Error>) -> T {
        for _ in 0..16 {
            match operation(&mut self.group) {
                Err(Error::Missing(Missing(keys))) => {
                    self.group.supply(&self.disk.read(&keys)).unwrap();
                    self.read.extend(keys);
                }
                done => return done.unwrap(),
            }
        }
        panic!("it asks again and again");
    }

    fn records_read(&mut self) -> usize {
        std::mem::take(&mut self.read).len()
    }
}

fn assert_reads(populated: &Populated) {
    let mut room = Room::new(populated);
    let rows_of_pages = room.depth().div_ceil(3);
    let mut reader = Lazy::of(&mut room);
    let first = room.first.group.encrypt(b"text", b"", room.first.client.signer.as_ref(), &mut room.rng).unwrap();
    let later = room.first.group.encrypt(b"text", b"", room.first.client.signer.as_ref(), &mut room.rng).unwrap();
    reader.run(|group| group.process(&first.message, &now()));
    // The way to the sender's leaf and to its secret, its leaf, its ratchet.
    let read = reader.records_read();
    assert!(read <= 2 * rows_of_pages + 3, "a first message reads {read} records");
    reader.run(|group| group.process(&later.message, &now()));
    assert_eq!(reader.records_read(), 0, "what was read once is not read again");

    let (pending, _) =
        room.first.group.commit().build(room.first.client.signer.as_ref(), &now(), &mut room.rng).unwrap();
    let message = sent(&pending);
    let staged = reader.run(|group| group.process(&message, &now()));
    assert!(matches!(staged.received, Received::Commit(_)));
    let read = reader.records_read();
    // Two paths with their leaves, and a record of the key index for each new key.
    assert!(read <= 2 * (rows_of_pages + 1) + room.depth() + 6, "a commit reads {read} records");
}

#[test]
fn in_storage_an_operation_reads_records_by_the_depth_of_the_tree() {
    assert_reads(&THOUSAND);
    assert_reads(&TEN_THOUSAND);
}
