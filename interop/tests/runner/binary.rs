//! The program itself.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use keyroom_crypto::Provider;
use keyroom_interop::Client;
use keyroom_interop::messages::NameRequest;

use crate::runner::{Handshakes, Runner};
use crate::stage::suites;

/// A server in a process of its own, which ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Process, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyroom-interop"))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    (Process(child), address)
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_plays_a_script() {
    let providers: [(&str, &dyn Provider); 2] =
        [("rustcrypto", &keyroom_rustcrypto::RUSTCRYPTO), ("awslc", &keyroom_awslc::AWSLC)];
    for (name, provider) in providers {
        let (_process, address) = start(&["--provider", name, "--grease", "extensions"]);
        let mut client = Client::connect(address).await.unwrap();
        assert_eq!(client.name(NameRequest {}).await.unwrap().name, "Keyroom");
        let expected: Vec<u32> = provider.suites().iter().map(|suite| suite.cipher_suite().0.into()).collect();
        assert_eq!(suites(&mut client).await, expected);
        for suite in expected {
            let mut runner = Runner::new(vec![client.clone()], suite, Handshakes::Private);
            runner.create_group("alice", &["bob"]).await.unwrap();
            runner.agree(&["alice", "bob"]).await.unwrap();
        }
    }
}
