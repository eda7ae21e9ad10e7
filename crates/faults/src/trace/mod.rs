//! What a program asked of the kernel, as `strace` wrote it down.
//!
//! The order of the lines is that of the stops at which `strace` held each thread. A call that has ended
//! before another thread began one because of it, stands before it.

mod line;

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

/// A place in a trace: the number of a line.
pub type Place = usize;

/// A call that succeeded, or was under way when the trace ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it began.
    pub began: Place,
    /// Where it ended; the same place, if nothing came between.
    pub ended: Place,
    /// What it did.
    pub what: What,
}

/// What a call did. Files and sockets are known by what the kernel calls them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes into a file.
    Write {
        /// The file.
        file: Arc<str>,
        /// Where in it.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// All that was written to a file, or the names in a folder, onto the disk.
    Sync(Arc<str>),
    /// A file is as long as this.
    Truncate(Arc<str>, u64),
    /// A file is there, and may have been before.
    Create(Arc<str>),
    /// A file is no longer there.
    Remove(Arc<str>),
    /// Bytes out of a socket.
    Receive(Arc<str>, Vec<u8>),
    /// Bytes into a socket.
    Send(Arc<str>, Vec<u8>),
}

/// The calls that `strace` must show, for all of the above.
pub const CALLS: &str = "openat,unlink,ftruncate,pwrite64,fsync,fdatasync,recvfrom,read,write,writev,sendto,sendmsg";

/// Reads a trace; the calls are in the order in which they ended.
///
/// # Panics
/// If it cannot be read, or says something that is not understood.
pub fn read(lines: impl BufRead) -> Vec<Call> {
    let mut calls = Vec::new();
    // What each thread is in the middle of.
    let mut open: HashMap<String, (Place, String)> = HashMap::new();
    for (place, text) in lines.lines().enumerate() {
        let text = text.expect("a trace that can be read");
        let (thread, rest) = text.trim_start().split_once(' ').unwrap_or((&text, ""));
        let rest = rest.trim_start();
        let (began, whole) = if let Some(begin) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread.to_owned(), (place, begin.trim_end().to_owned()));
            continue;
        } else if let Some(end) = rest.strip_prefix("<... ") {
            let end = end.split_once(" resumed>").expect("a call goes on").1;
            // The trace of this thread may begin in the middle of a call.
            let Some((began, mut begin)) = open.remove(thread) else { continue };
            begin.push_str(end);
            (began, begin)
        } else {
            (place, rest.to_owned())
        };
        calls.extend(line::what(&whole).map(|what| Call { began, ended: place, what }));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_interrupted_are_put_together_and_those_that_did_nothing_left_out() {
        let text = r#"7 openat(AT_FDCWD</x>, "/x/db", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 9<\x2f\x78\x2f\x64\x62>
7 openat(AT_FDCWD</x>, "/x/other", O_RDONLY) = 10</x/other>
7 pwrite64(9</x/db>, "a\x00\n\"\\\1018", 7, 4096) = 7
7 fsync(9</x/db> <unfinished ...>
8 recvfrom(11<socket:[5]>,  <unfinished ...>
7 <... fsync resumed>)        = 0 (DELAYED)
8 <... recvfrom resumed>"GET", 8192, 0, NULL, NULL) = 3
8 writev(11<socket:[5]>, [{iov_base="HT", iov_len=2}, {iov_base="TP", iov_len=2}], 2) = 3
7 fdatasync(9</x/db>) = 0 (INJECTED)
7 fsync(9</x/db>) = -1 EIO (Input/output error)
8 read(4<anon_inode:[eventfd]>, "\1\0\0\0\0\0\0\0", 8) = 8
7 ftruncate(9</x/db>, 12) = 0
7 unlink("/x/db-journal") = 0
7 +++ killed by SIGKILL +++
"#;
        let db: Arc<str> = "/x/db".into();
        let bytes = b"a\0\n\"\\A8".to_vec();
        let expected = [
            (0, 0, What::Create(db.clone())),
            (2, 2, What::Write { file: db.clone(), offset: 4096, bytes }),
            (3, 5, What::Sync(db.clone())),
            (4, 6, What::Receive("socket:[5]".into(), b"GET".to_vec())),
            (7, 7, What::Send("socket:[5]".into(), b"HTT".to_vec())),
            (11, 11, What::Truncate(db, 12)),
            (12, 12, What::Remove("/x/db-journal".into())),
        ];
        let expected = expected.map(|(began, ended, what)| Call { began, ended, what });
        assert_eq!(read(text.as_bytes()), expected);
    }
}
