//! Memory that a loaded group takes: each time in a process of its own.

use std::path::Path;
use std::process::Command;

use crate::samples::quantile;
use crate::subject::Kind;

/// The median of three processes, in bytes.
pub fn measure(kind: Kind, path: &Path) -> f64 {
    let program = std::env::current_exe().expect("a program has a path");
    let one = || {
        let output = Command::new(&program).arg("resident").arg(kind.name()).arg(path).output().expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number")
    };
    quantile(&[one(), one(), one()], 0.5).expect("three values")
}

/// Opens a file, loads the group in it, and prints by how much the process has grown, in bytes.
pub fn report_resident(kind: Kind, path: &Path) {
    let (before, group) = kind.load(path, resident);
    let grown = resident().saturating_sub(before);
    drop(group);
    println!("{grown}");
}

/// The resident memory of this process, in bytes, without what lies in files too: code is no state.
fn resident() -> u64 {
    const PAGE: u64 = 4_096;
    let text = std::fs::read_to_string("/proc/self/statm").expect("a Linux system");
    let pages: Vec<u64> = text.split_whitespace().map(|pages| pages.parse().expect("a number of pages")).collect();
    (pages[1] - pages[2]) * PAGE
}
