//! Lines for whoever runs the program.

use std::io::{self, Write as _};

/// Writes to standard output; whoever has closed it does not want to read it.
pub(super) fn write(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
