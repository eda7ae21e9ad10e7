//! A connection of HTTP/1.1 that is kept, with one request at a time: as little work as there can be on
//! this side, so that what is measured is the server.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer in bytes.
const LONGEST: usize = 16 << 20;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    /// `Authorization`, if the requests are a device's.
    token: Option<String>,
    out: Vec<u8>,
    heard: Vec<u8>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// A request with a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post<'a> {
    /// Where to.
    pub(super) path: &'a str,
    /// The media type.
    pub(super) media: &'static str,
    /// Makes it safe to repeat.
    pub(super) idempotency_key: Option<&'a str>,
    /// The body.
    pub(super) body: &'a [u8],
}

impl Line {
    /// Connects to an address and port.
    pub(super) async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("no connection: {error}"))?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { stream, token: None, out: Vec::new(), heard: Vec::new() })
    }

    /// The same, in the name of a device.
    pub(super) async fn open_as(address: &str, token: &str) -> Result<Self, String> {
        Ok(Self { token: Some(token.to_owned()), ..Self::open(address).await? })
    }

    /// Asks for something.
    pub(super) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.begin("GET", path)?;
        self.out.extend_from_slice(b"\r\n");
        self.exchange().await
    }

    /// Sends something.
    pub(super) async fn post(&mut self, post: &Post<'_>) -> Result<Answer, String> {
        self.begin("POST", post.path)?;
        if let Some(key) = post.idempotency_key {
            write!(self.out, "idempotency-key: {key}\r\n").map_err(broken)?;
        }
        write!(self.out, "content-type: {}\r\ncontent-length: {}\r\n\r\n", post.media, post.body.len())
            .map_err(broken)?;
        self.out.extend_from_slice(post.body);
        self.exchange().await
    }

    fn begin(&mut self, method: &str, path: &str) -> Result<(), String> {
        self.out.clear();
        write!(self.out, "{method} {path} HTTP/1.1\r\nhost: load\r\n").map_err(broken)?;
        if let Some(token) = &self.token {
            write!(self.out, "authorization: Bearer {token}\r\n").map_err(broken)?;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, String> {
        self.stream.write_all(&self.out).await.map_err(broken)?;
        self.heard.clear();
        loop {
            if let Some(answer) = parse(&self.heard)? {
                return Ok(answer);
            }
            let read = self.stream.read_buf(&mut self.heard).await.map_err(broken)?;
            if read == 0 || self.heard.len() > LONGEST {
                return Err("the server broke off".into());
            }
        }
    }
}

/// The answer in these bytes, once it is whole. The servers that are measured tell the length of every
/// body.
fn parse(heard: &[u8]) -> Result<Option<Answer>, String> {
    let Some(end) = heard.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = (heard.get(..end).unwrap_or_default(), heard.get(end + 4..).unwrap_or_default());
    let malformed = || "the server's answer cannot be read".to_owned();
    let head = std::str::from_utf8(head).map_err(|_| malformed())?;
    let mut lines = head.split("\r\n");
    let first = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or_else(malformed)?;
    let status = first.split(' ').next().and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, value)| value.trim().parse().ok()).ok_or_else(malformed)?;
    Ok(body.get(..length).map(|body| Answer { status, body: body.to_vec() }))
}

fn broken(error: std::io::Error) -> String {
    format!("the connection broke: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_when_its_body_is_whole() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Type: a\r\nContent-Length: 4\r\n\r\nabcd";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(parse(whole), Ok(Some(Answer { status: 201, body: b"abcd".to_vec() })));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
