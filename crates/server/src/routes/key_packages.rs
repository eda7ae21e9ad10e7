//! Key packages.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use keyroom_api::{ClaimRequest, Claimed, DeviceUri, KeyPackages};
use keyroom_delivery::Publication;

use super::{LONGEST_JSON, to_bundle, to_json};
use crate::app::App;
use crate::body;
use crate::parts::{Caller, OfDevice, OfUser};
use crate::refused::Refused;

pub(super) async fn publish(
    State(app): State<App>,
    Caller(caller): Caller,
    OfDevice(device): OfDevice,
    request: Request,
) -> Result<Response, Refused> {
    take(&app, &caller, &device, request, Publication::Add).await
}

pub(super) async fn replace(
    State(app): State<App>,
    Caller(caller): Caller,
    OfDevice(device): OfDevice,
    request: Request,
) -> Result<Response, Refused> {
    take(&app, &caller, &device, request, Publication::Replace).await
}

async fn take(
    app: &App,
    caller: &DeviceUri,
    device: &DeviceUri,
    request: Request,
    publication: Publication,
) -> Result<Response, Refused> {
    let sent: KeyPackages = body::bundle(app, request, app.limits().batch).await?;
    let stock = app.delivery.publish_key_packages(caller, device, sent.key_packages, publication).await?;
    Ok(to_json(StatusCode::OK, &stock))
}

pub(super) async fn stock(
    State(app): State<App>,
    Caller(caller): Caller,
    OfDevice(device): OfDevice,
) -> Result<Response, Refused> {
    Ok(to_json(StatusCode::OK, &app.delivery.stock(&caller, &device).await?))
}

pub(super) async fn claim(
    State(app): State<App>,
    Caller(caller): Caller,
    OfUser(user): OfUser,
    request: Request,
) -> Result<Response, Refused> {
    let asked: ClaimRequest = body::json(&app, request, LONGEST_JSON).await?;
    let devices = app.delivery.claim_key_packages(&caller, &user, asked.cipher_suite).await?;
    Ok(to_bundle(&Claimed { devices }))
}
