//! The numbers, for whoever collects them, at an address of their own.

use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::interval;

use super::Metrics;

/// How often what was recorded is summed up.
const SUM: Duration = Duration::from_secs(5);

/// The media type of the text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves `/metrics` until the server is to stop.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, mut stop: watch::Receiver<()>) {
    let shown = metrics.clone();
    let answer = async move || ([(header::CONTENT_TYPE, TEXT)], shown.text()).into_response();
    let router = Router::new().route("/metrics", get(answer));
    let mut sums = interval(SUM);
    tokio::select! {
        _ = axum::serve(listener, router) => {}
        () = async {
            loop {
                sums.tick().await;
                metrics.sum_up();
            }
        } => {}
        // Whoever collects comes again: nothing is waited for.
        _ = stop.changed() => {}
    }
}
