//! Ratchet trees: files that can be read in parts.

use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use keyroom_api::{Code, TREE};

use crate::app::App;
use crate::parts::{Caller, OfTree};
use crate::refused::Refused;

/// The tree, or the part of it that `Range` asks for (RFC 9110 §14), so that a download that broke goes
/// on where it was.
pub(super) async fn part(
    State(app): State<App>,
    Caller(caller): Caller,
    OfTree(room, tree): OfTree,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let file = app.delivery.tree(&caller, &room, &tree).await?;
    let length = file.bytes.len();
    let tag = format!("\"{length:x}-{:08x}\"", file.checksum);
    let same = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    let asked = headers.get(header::RANGE).filter(|_| same).and_then(|value| range(value, length));
    let bytes = Bytes::from_owner(file.bytes);
    let (status, bytes, range) = match asked {
        None => (StatusCode::OK, bytes, None),
        Some(part) if part.is_empty() => return Err(Refused::new(Code::Range)),
        Some(part) => {
            let range = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
            (StatusCode::PARTIAL_CONTENT, bytes.slice(part), Some(range))
        }
    };
    let mut response =
        (status, [(header::CONTENT_TYPE, TREE), (header::ACCEPT_RANGES, "bytes")], Body::from(bytes)).into_response();
    let texts = [(header::ETAG, Some(tag)), (header::CONTENT_RANGE, range)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// The part that one range in bytes means; empty if it lies behind the end. Anything else, several
/// ranges or a suffix say, may be ignored (RFC 9110 §14.2).
fn range(value: &HeaderValue, length: usize) -> Option<Range<usize>> {
    let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last: usize = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    let end = last.saturating_add(1).min(length);
    Some(first.min(end)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_file_and_anything_else_ignored() {
        let read = |text| range(&HeaderValue::from_static(text), 10);
        assert_eq!(read("bytes=0-"), Some(0..10));
        assert_eq!(read("bytes=4-6"), Some(4..7));
        assert_eq!(read("bytes=4-60"), Some(4..10));
        assert_eq!(read("bytes=0-18446744073709551615"), Some(0..10));
        assert!(read("bytes=10-").is_some_and(|part| part.is_empty()));
        assert!(read("bytes=99-100").is_some_and(|part| part.is_empty()));
        for ignored in ["bytes=6-4", "bytes=-5", "bytes=0-1,3-4", "lines=1-2", "bytes=a-", "4-5"] {
            assert_eq!(read(ignored), None, "{ignored}");
        }
    }
}
