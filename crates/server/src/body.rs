//! Bodies: their media type, their length, their time.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use keyroom_api::{BUNDLE, Bundle, Code, JSON, MESSAGE, Problem};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::app::App;
use crate::refused::Refused;

/// How much of a body that is too long is read and dropped, so that a client that sends before it
/// listens gets the answer: as much again as was allowed, and this.
const DRAINED: usize = 1 << 20;

/// Reads one `MLSMessage`, undecoded.
pub(crate) async fn message(app: &App, request: Request, limit: usize) -> Result<Vec<u8>, Refused> {
    read(app, request, MESSAGE, limit).await
}

/// Reads a bundle.
pub(crate) async fn bundle<T: Bundle>(app: &App, request: Request, limit: usize) -> Result<T, Refused> {
    let body = read(app, request, BUNDLE, limit).await?;
    let limits = keyroom_wire::Limits { message: limit, vector: limit, ..keyroom_wire::Limits::default() };
    Ok(T::from_bytes(&body, &limits)?)
}

/// Reads JSON.
pub(crate) async fn json<T: DeserializeOwned>(app: &App, request: Request, limit: usize) -> Result<T, Refused> {
    let body = read(app, request, JSON, limit).await?;
    serde_json::from_slice(&body).map_err(|e| {
        // The library's own words would repeat what the request said.
        Refused::malformed(format!("JSON: line {}, column {}", e.line(), e.column()))
    })
}

async fn read(app: &App, request: Request, media: &str, limit: usize) -> Result<Vec<u8>, Refused> {
    if !is_media(request.headers(), media) {
        return Err(Refused(Box::new(Problem::new(Code::MediaType).detail(format!("expected {media}")))));
    }
    let reading = collect(request.into_body(), limit);
    timeout(app.limits().transfer, reading).await.unwrap_or_else(|_| Err(Refused::new(Code::Timeout)))
}

/// Whether the media type is this one, whatever its parameters.
fn is_media(headers: &HeaderMap, media: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media))
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Refused> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refused::malformed("the body breaks off"))?;
        length = length.saturating_add(chunk.len());
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        } else if length > limit.saturating_mul(2).saturating_add(DRAINED) {
            break;
        } else {
            bytes = Vec::new();
        }
    }
    if length > limit {
        return Err(Refused(Box::new(Problem::new(Code::TooLarge).detail(format!("at most {limit} bytes")))));
    }
    Ok(bytes)
}
