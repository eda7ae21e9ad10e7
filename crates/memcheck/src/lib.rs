//! An allocator that looks through every block that is given back for secrets that it was told of.
//!
//! Whoever overwrites a secret before its memory is freed leaves nothing to be found. Copies on the
//! stack and in registers are out of sight.
//!
//! [`Measuring`] is another one, which counts how much memory an operation takes at most.

mod measuring;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub use measuring::{Measuring, peak};

/// Most secrets that can be watched.
const MOST: usize = 1024;
/// Bytes of a secret that are compared.
const COMPARED: usize = 16;

static HALVES: [[AtomicU64; 2]; MOST] = [const { [AtomicU64::new(0), AtomicU64::new(0)] }; MOST];
static FOUND: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];
static WATCHED: AtomicUsize = AtomicUsize::new(0);
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// The allocator; make it the global one.
#[derive(Debug)]
pub struct Watching;

// SAFETY: every block comes from the system's allocator and goes back to it with its own layout.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that all of the block may be read when it comes back.
        // SAFETY: the caller promises a layout of non-zero size.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is `layout.size()` bytes long, was zeroed when it was handed out, and
        // belongs to the caller, who gives it up.
        search(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: the block came from `alloc_zeroed` of the system with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Watches for a secret of at least 16 bytes from now on; gives its number.
///
/// # Panics
/// If there are too many, or it is too short.
pub fn watch(secret: &[u8]) -> usize {
    let number = WATCHED.load(Ordering::SeqCst);
    assert!(number < MOST && secret.len() >= COMPARED, "too many secrets, or too short a one");
    for (half, bytes) in HALVES[number].iter().zip(secret.chunks_exact(8)) {
        half.store(word(bytes), Ordering::SeqCst);
    }
    WATCHED.store(number + 1, Ordering::SeqCst);
    number
}

/// Watches for nothing any more; numbers begin anew.
pub fn forget() {
    WATCHED.store(0, Ordering::SeqCst);
    FOUND.iter().for_each(|found| found.store(0, Ordering::SeqCst));
}

/// In how many freed blocks the secret with this number was found.
pub fn found(number: usize) -> usize {
    FOUND[number].load(Ordering::SeqCst)
}

/// How many blocks were searched.
pub fn blocks() -> usize {
    BLOCKS.load(Ordering::SeqCst)
}

fn search(block: &[u8]) {
    let watched = WATCHED.load(Ordering::Relaxed);
    if watched == 0 || block.len() < COMPARED {
        return;
    }
    BLOCKS.fetch_add(1, Ordering::Relaxed);
    for window in block.windows(COMPARED) {
        let first = word(window);
        // Overwritten and never used memory is the usual case.
        if first == 0 {
            continue;
        }
        for (halves, found) in HALVES.iter().zip(&FOUND).take(watched) {
            if halves[0].load(Ordering::Relaxed) == first && halves[1].load(Ordering::Relaxed) == word(&window[8..]) {
                found.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}
