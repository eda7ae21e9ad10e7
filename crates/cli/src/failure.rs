//! How a command ends when it does not succeed.

use std::process::ExitCode;

use crate::output;

/// A command's last words and its exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The data is at fault: exit status 1.
    Data {
        /// What to print, with all its lines.
        text: String,
    },
    /// The call or the machine is at fault: exit status 2, as for a wrong argument.
    Usage {
        /// What to print, with all its lines.
        text: String,
    },
}

impl Failure {
    /// The data is at fault; `message` is one line.
    pub(crate) fn data(message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self::Data { text: format!("error: {}\nhint: {}\n", message.as_ref(), hint.as_ref()) }
    }

    /// The call or the machine is at fault; `message` is one line.
    pub(crate) fn usage(message: impl AsRef<str>) -> Self {
        Self::Usage { text: format!("error: {}\n", message.as_ref()) }
    }

    /// Prints the failure and gives its exit status.
    pub(crate) fn report(self) -> ExitCode {
        let (text, status) = match self {
            Self::Data { text } => (text, 1),
            Self::Usage { text } => (text, 2),
        };
        output::complain(&text);
        ExitCode::from(status)
    }
}
