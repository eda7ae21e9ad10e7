//! Standard output and standard error without the panics of `println!`.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Writes text to standard output. A reader that has gone away (`| head`) is not an error.
///
/// # Errors
/// [`Failure::Usage`] if the output cannot be written for another reason.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes text to standard error, where there is nobody left to tell about a failure.
pub(crate) fn complain(text: &str) {
    let _unheard = io::stderr().lock().write_all(text.as_bytes());
}
