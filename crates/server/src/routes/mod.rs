//! Paths.

mod key_packages;
mod mailbox;
mod ready;
mod rooms;
mod session;
mod trees;

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use keyroom_api::{BUNDLE, Bundle, Code, JSON, ServerInfo};
use keyroom_delivery::{Done, Refusal};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::live;
use crate::metrics::known;
use crate::rates::limit;
use crate::refused::Refused;

/// Longest body of a request in JSON, in bytes.
const LONGEST_JSON: usize = 16 << 10;

/// Version of the paths and bundles.
const VERSION: u32 = 1;

/// All paths of a server.
pub(crate) fn router(app: App) -> Router {
    let of_room = get(rooms::status).put(rooms::create);
    let of_device = get(key_packages::stock).post(key_packages::publish).put(key_packages::replace);
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready::ready))
        .route("/v1/server", get(server))
        .route("/v1/session/challenge", post(session::challenge))
        .route("/v1/session", post(session::open))
        .route("/v1/users/{user}/devices/{device}/key-packages", of_device)
        .route("/v1/users/{user}/key-packages/claim", post(key_packages::claim))
        .route("/v1/users/{user}/devices/{device}/mailbox", get(mailbox::page))
        .route("/v1/users/{user}/devices/{device}/mailbox/{item}", delete(mailbox::acknowledge))
        .route("/v1/rooms/{room}", of_room)
        .route("/v1/rooms/{room}/group-info", get(rooms::group_info))
        .route("/v1/rooms/{room}/trees/{tree}", get(trees::part))
        .route("/v1/rooms/{room}/commits", post(rooms::commit))
        .route("/v1/rooms/{room}/access", post(rooms::prove))
        .route("/v1/rooms/{room}/reports", post(rooms::report))
        .route("/v1/rooms/{room}/messages", post(rooms::send))
        .route("/v1/rooms/{room}/log", get(rooms::log))
        .route("/v1/live", get(live::upgrade))
        .fallback(async || Refused::new(Code::NotFound))
        .method_not_allowed_fallback(async || Refused::new(Code::MethodNotAllowed))
        .layer(from_fn_with_state(app.clone(), limit))
        .layer(from_fn_with_state(app.clone(), record))
        .with_state(app)
}

/// Counts a request and writes a line about it: its route and what came of it, and nobody's name.
async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let (status, elapsed) = (response.status(), started.elapsed());
    tracing::debug!(method = known(&method), route, status = status.as_u16(), ?elapsed, "answered");
    app.metrics.answered(&method, route, status, response.extensions().get().copied(), elapsed);
    response
}

async fn health(State(app): State<App>) -> Result<Response, Refused> {
    let health = app.delivery.health().await.map_err(Refusal::from)?;
    let answer = json!({ "status": "ok", "durable": health.synchronous, "settings": health.settings });
    Ok(to_json(StatusCode::OK, &answer))
}

async fn server(State(app): State<App>) -> Response {
    let body = u64::try_from(app.limits().body).unwrap_or(u64::MAX);
    to_json(StatusCode::OK, &ServerInfo { host: app.delivery.host().clone(), version: VERSION, body })
}

fn to_json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(_) => Refused::new(Code::Unavailable).into_response(),
    }
}

/// 201 for what was done now, 200 for what had been done before.
fn to_json_done<T: Serialize>(done: Done<T>) -> Response {
    match done {
        Done::Now(value) => to_json(StatusCode::CREATED, &value),
        Done::Before(value) => to_json(StatusCode::OK, &value),
    }
}

fn to_bundle(value: &impl Bundle) -> Response {
    ([(header::CONTENT_TYPE, BUNDLE)], value.to_bytes()).into_response()
}
