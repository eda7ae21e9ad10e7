//! Whether requests should come here.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use keyroom_api::{Code, Problem};
use serde_json::json;
use tokio::time::timeout;

use super::to_json;
use crate::app::App;
use crate::refused::Refused;

/// Longest time for which the database may be silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// 200 where a request has a good chance, else 503 with the reason. A balancer asks this; `/healthz` says
/// whether the process should be started again.
pub(super) async fn ready(State(app): State<App>) -> Result<Response, Refused> {
    if app.is_draining() {
        return Err(not_ready("the server is about to stop"));
    }
    match timeout(PATIENCE, app.delivery.health()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(not_ready(&error.to_string())),
        Err(_) => return Err(not_ready("the database does not answer in time")),
    }
    if !app.bus.is_connected() {
        return Err(not_ready("the bus is not connected"));
    }
    Ok(to_json(StatusCode::OK, &json!({ "status": "ready" })))
}

fn not_ready(reason: &str) -> Refused {
    Refused(Box::new(Problem::new(Code::Unavailable).detail(reason)))
}
