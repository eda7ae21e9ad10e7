//! Sessions.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use keyroom_api::{Code, SessionRequest};

use super::{to_bundle, to_json};
use crate::app::App;
use crate::authenticate::Sessions;
use crate::body;
use crate::refused::Refused;

/// Longest request for a session in bytes: eight keys and signatures of the largest scheme fit.
const LONGEST: usize = 64 << 10;

pub(super) async fn challenge(State(app): State<App>) -> Result<Response, Refused> {
    Ok(unstored(to_bundle(&sessions(&app)?.challenge())))
}

pub(super) async fn open(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let sessions = sessions(&app)?;
    let asked: SessionRequest = body::bundle(&app, request, LONGEST).await?;
    Ok(unstored(to_json(StatusCode::CREATED, &sessions.enter(asked).await?)))
}

/// There are none where something else authenticates.
fn sessions(app: &App) -> Result<&Sessions, Refused> {
    app.sessions.as_deref().ok_or_else(|| Refused::new(Code::NotFound))
}

/// Nothing on the way keeps it.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.into_response()
}
