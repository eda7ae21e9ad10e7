//! Whether a server writes as it should.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Asks the server at an address such as `127.0.0.1:8440` whether what it answers is on the disk
/// (`synchronous=FULL`, or `fsync` and `synchronous_commit` of PostgreSQL), by its `/healthz`. A test with a
/// server that is not so would show nothing about one that is.
///
/// # Panics
/// If it is not, or does not answer.
pub fn require_durable(address: &str) {
    let mut line = TcpStream::connect(address).unwrap();
    line.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    line.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#""durable":true"#), "{address} may lose what it acknowledges: {answer}");
}
