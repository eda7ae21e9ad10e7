//! Rooms.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use keyroom_api::{AccessProof, CommitBundle, Report, RoomBundle};
use keyroom_delivery::Refusal;
use serde::Deserialize;

use super::{to_bundle, to_json, to_json_done};
use crate::app::App;
use crate::body;
use crate::parts::{Asked, Caller, OfRoom, Once};
use crate::refused::Refused;

/// Longest report in bytes: a post-quantum signature and a few numbers.
const LONGEST_REPORT: usize = 8 << 10;

/// Longest access proof in bytes: an Ed25519 signature and a number.
const LONGEST_PROOF: usize = 128;

pub(super) async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    request: Request,
) -> Result<Response, Refused> {
    let bundle: RoomBundle = body::bundle(&app, request, app.limits().body).await?;
    Ok(to_json_done(app.delivery.create_room(&caller, &room, bundle).await?))
}

pub(super) async fn status(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
) -> Result<Response, Refused> {
    Ok(to_json(StatusCode::OK, &app.delivery.room(&caller, &room).await?))
}

#[derive(Deserialize)]
pub(super) struct Epoch {
    epoch: Option<u64>,
}

pub(super) async fn group_info(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    Asked(asked): Asked<Epoch>,
) -> Result<Response, Refused> {
    Ok(to_bundle(&app.delivery.epoch_info(&caller, &room, asked.epoch).await?))
}

pub(super) async fn commit(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    Once(key): Once,
    request: Request,
) -> Result<Response, Refused> {
    let bundle: CommitBundle = body::bundle(&app, request, app.limits().body).await?;
    let done = to_the_end(async move { app.delivery.commit(&caller, &room, bundle, key).await });
    Ok(to_json_done(done.await?))
}

pub(super) async fn send(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    Once(key): Once,
    request: Request,
) -> Result<Response, Refused> {
    let message = body::message(&app, request, app.limits().message).await?;
    let done = to_the_end(async move { app.delivery.send(&caller, &room, message, key).await });
    Ok(to_json_done(done.await?))
}

pub(super) async fn prove(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    request: Request,
) -> Result<StatusCode, Refused> {
    let proof: AccessProof = body::bundle(&app, request, LONGEST_PROOF).await?;
    app.delivery.prove(&caller, &room, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn report(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    request: Request,
) -> Result<Response, Refused> {
    let report: Report = body::bundle(&app, request, LONGEST_REPORT).await?;
    let done = to_the_end(async move { app.delivery.report(&caller, &room, report).await });
    Ok(to_json(StatusCode::OK, &done.await?))
}

/// Brings to its end what has begun, even if the client is gone by then: an entry of the log whose
/// wake-up is lost would leave the others waiting for it.
async fn to_the_end<T: Send + 'static>(
    begun: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refused> {
    Ok(tokio::spawn(begun).await.map_err(|_| Refusal::Interrupted)??)
}

#[derive(Deserialize)]
pub(super) struct Cursor {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    #[serde(default)]
    wait: u32,
}

pub(super) async fn log(
    State(app): State<App>,
    Caller(caller): Caller,
    OfRoom(room): OfRoom,
    Asked(cursor): Asked<Cursor>,
) -> Result<Response, Refused> {
    let wait = Duration::from_secs(cursor.wait.into());
    let reading = |wait| app.delivery.log(&caller, &room, cursor.after, cursor.limit, wait);
    let page = tokio::select! {
        page = reading(wait) => page?,
        // Who waits for news is sent away when the server stops, with what there is.
        () = app.stopping() => reading(Duration::ZERO).await?,
    };
    Ok(to_bundle(&page))
}
