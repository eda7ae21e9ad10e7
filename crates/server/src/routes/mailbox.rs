//! Mailboxes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::to_bundle;
use crate::app::App;
use crate::parts::{Asked, Caller, OfDevice, OfItem};
use crate::refused::Refused;

#[derive(Deserialize)]
pub(super) struct Cursor {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

pub(super) async fn page(
    State(app): State<App>,
    Caller(caller): Caller,
    OfDevice(device): OfDevice,
    Asked(cursor): Asked<Cursor>,
) -> Result<Response, Refused> {
    Ok(to_bundle(&app.delivery.mailbox(&caller, &device, cursor.after, cursor.limit).await?))
}

pub(super) async fn acknowledge(
    State(app): State<App>,
    Caller(caller): Caller,
    OfItem(device, item): OfItem,
) -> Result<StatusCode, Refused> {
    app.delivery.acknowledge(&caller, &device, item).await?;
    Ok(StatusCode::NO_CONTENT)
}
