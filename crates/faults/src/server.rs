//! `keyroomd` as a process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use keyroom_api::{Connection, DeviceUri, Identity};

use keyroom_testbed::require_durable;

use crate::recorder::{Recorder, child};
use crate::room::{SUITE, signer};

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    /// The server, where the child is `strace`, which ends when the server does.
    recorded: Option<u32>,
    address: String,
}

impl Server {
    /// Starts the program on a database, at a free port.
    pub(crate) fn start(program: &Path, database: &str) -> Self {
        Self::launch(Command::new(program), program, database)
    }

    /// The same under `strace`.
    pub(crate) fn recorded(recorder: &Recorder, program: &Path, database: &str) -> Self {
        let mut server = Self::launch(recorder.command(program), program, database);
        server.recorded = Some(child(server.child.id()).expect("strace has started it"));
        server
    }

    fn launch(mut command: Command, program: &Path, database: &str) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--host", "localhost", "--log", "info"])
            .env("KEYROOM_DATABASE", database)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = lines.by_ref().find_map(|line| {
            let address = line.split_once("address=").map(|(_, address)| address.trim().to_owned());
            said.push(line);
            address
        });
        let address = address.unwrap_or_else(|| panic!("{} said: {}", program.display(), said.join("\n")));
        // What it says later is of no interest, but somebody must read it.
        thread::spawn(move || lines.for_each(drop));
        require_durable(&address);
        Self { child, recorded: None, address }
    }

    /// A connection of the one device that all clients share.
    pub(crate) fn connect(&self) -> Connection {
        let device: DeviceUri = "mimi://localhost/d/user/phone".parse().unwrap();
        let identity = Identity::new(SUITE.0, signer().into());
        Connection::new(&format!("http://{}", self.address), device, identity).unwrap()
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        match self.recorded.take() {
            Some(server) => assert!(kill(server).success()),
            None => self.child.kill().unwrap(),
        }
        self.child.wait().unwrap();
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        if let Some(server) = self.recorded.take() {
            kill(server);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(process: u32) -> ExitStatus {
    Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap()
}
