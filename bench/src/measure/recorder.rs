//! From the cost of one operation to values.

use crate::operation::{Figure, Medium, Operation};
use crate::samples::Samples;
use crate::subject::{Cost, Subject};

/// What is taken of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Its time.
    Time,
    /// The bytes: counting them may spoil the time.
    Bytes,
    /// Both, where counting costs little beside the operation.
    Both,
}

/// Takes the values of one kind on one medium.
pub struct Recorder<'a> {
    samples: &'a mut Samples,
    /// Where the operations store.
    pub medium: Medium,
}

impl<'a> Recorder<'a> {
    /// Into these samples.
    pub fn new(samples: &'a mut Samples, medium: Medium) -> Self {
        Self { samples, medium }
    }

    /// Runs an operation and keeps its values.
    pub fn run<T>(
        &mut self,
        (operation, take): (Operation, Take),
        subject: &mut dyn Subject,
        call: impl FnOnce(&mut dyn Subject) -> (T, Cost),
    ) -> T {
        if take != Take::Time && self.medium == Medium::Memory {
            subject.count_bytes();
        }
        // Asking takes longer than some operations, and the caches are cold afterwards.
        let on_disk = self.medium == Medium::Sqlite;
        let before = if on_disk { written() } else { 0 };
        let (value, cost) = call(subject);
        let disk = if on_disk { written().saturating_sub(before) } else { 0 };
        let mut push = |figure, value| self.samples.push((operation, figure), value);
        match self.medium {
            Medium::Sqlite => {
                push(Figure::Sqlite, (cost.work + cost.store).as_secs_f64());
                push(Figure::Disk, disk as f64);
            }
            Medium::Memory => {
                if take != Take::Bytes {
                    push(Figure::Work, cost.work.as_secs_f64());
                    push(Figure::Stored, (cost.work + cost.store).as_secs_f64());
                }
                if let Some(bytes) = cost.bytes.filter(|_| take != Take::Time) {
                    push(Figure::Bytes, bytes as f64);
                }
            }
        }
        value
    }

    /// As [`run`](Self::run), for an operation that makes a message. Returns the message.
    pub fn make(
        &mut self,
        (operation, take): (Operation, Take),
        subject: &mut dyn Subject,
        call: impl FnOnce(&mut dyn Subject) -> (Vec<u8>, Cost),
    ) -> Vec<u8> {
        let message = self.run((operation, take), subject, call);
        if self.medium == Medium::Memory {
            self.keep(operation, Figure::Wire, message.len() as f64);
        }
        message
    }

    /// Keeps a value.
    pub fn keep(&mut self, operation: Operation, figure: Figure, value: f64) {
        self.samples.push((operation, figure), value);
    }
}

/// Bytes that this process has given to the system to write.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}
