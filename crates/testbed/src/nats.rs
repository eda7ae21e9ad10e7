//! A NATS server.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::missing;
use crate::process::{Guarded, find, free_port, listens};

/// A NATS server on a port of its own.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    port: u16,
    child: Option<Child>,
    guarded: Guarded,
}

const PID: &str = "nats.pid";

impl Nats {
    /// Starts one; `None`, with a word on standard error, where it is not installed.
    ///
    /// # Panics
    /// If it does not start, or is not installed and `KEYROOM_REQUIRE=1`.
    pub fn start() -> Option<Self> {
        let Some(program) = find("nats-server", &[]) else {
            missing("nats-server");
            return None;
        };
        let mut server = Self { program, port: free_port(), child: None, guarded: Guarded::new(PID) };
        server.restart();
        Some(server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it without a warning.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills it, if it runs, and starts it again on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let mut child = Command::new(&self.program)
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--pid"])
            .arg(self.guarded.folder().join(PID))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(listens(self.port, &mut child), "nats-server ended");
        self.child = Some(child);
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
