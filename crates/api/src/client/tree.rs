//! Ratchet trees: large, compressed, and taken up again where a connection broke.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};

use super::{ClientError, Connection, path_of};
use crate::RoomUri;

/// How often in a row a download may break without a byte of progress.
const FRUITLESS: u32 = 3;

impl Connection {
    /// The ratchet tree with this hash (RFC 9420 §7.8), as the content of a `ratchet_tree` extension. A
    /// download that breaks is taken up where it broke. Whether the tree has that hash is for the
    /// protocol to check.
    ///
    /// # Errors
    /// [`Code::UnknownTree`](crate::Code::UnknownTree), [`Code::UnknownRoom`](crate::Code::UnknownRoom);
    /// [`ClientError::Malformed`] if it is longer than a message may be.
    pub async fn tree(&self, room: &RoomUri, hash: &[u8]) -> Result<Vec<u8>, ClientError> {
        let path = path_of(room, &format!("/trees/{}", hex::encode(hash)));
        let mut download = Download::default();
        let mut fruitless = 0;
        loop {
            let before = download.bytes.len();
            match self.part(&path, &mut download).await {
                Ok(()) => return self.unpack(&download.bytes),
                Err(ClientError::Unavailable) if fruitless < FRUITLESS => {
                    fruitless = if download.bytes.len() > before { 0 } else { fruitless + 1 };
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for what is missing, and keeps what comes.
    async fn part(&self, path: &str, download: &mut Download) -> Result<(), ClientError> {
        let mut request = self.get(path);
        if let Some(tag) = download.tag.as_ref().filter(|_| !download.bytes.is_empty()) {
            let from = format!("bytes={}-", download.bytes.len());
            request = request.header(RANGE, from).header(IF_RANGE, tag.clone());
        }
        let mut response = self.ask(request).await?;
        download.begin(&response)?;
        while let Some(chunk) = response.chunk().await? {
            if download.bytes.len().saturating_add(chunk.len()) > self.limits.message {
                return Err(ClientError::Malformed);
            }
            download.bytes.extend_from_slice(&chunk);
        }
        Ok(())
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>, ClientError> {
        let longest = u64::try_from(self.limits.message).unwrap_or(u64::MAX);
        let mut tree = Vec::new();
        let read = GzDecoder::new(bytes).take(longest.saturating_add(1)).read_to_end(&mut tree);
        if read.is_err() || tree.len() > self.limits.message { Err(ClientError::Malformed) } else { Ok(tree) }
    }
}

/// What has come so far.
#[derive(Default)]
struct Download {
    bytes: Vec<u8>,
    tag: Option<HeaderValue>,
}

impl Download {
    /// Looks at what an answer brings: the rest, or all of it because it is not the same any more.
    fn begin(&mut self, response: &Response) -> Result<(), ClientError> {
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
            let rest = range.is_some_and(|range| range.starts_with(&format!("bytes {}-", self.bytes.len())));
            return if rest { Ok(()) } else { Err(ClientError::Malformed) };
        }
        self.bytes.clear();
        self.tag = response.headers().get(ETAG).cloned();
        Ok(())
    }
}
