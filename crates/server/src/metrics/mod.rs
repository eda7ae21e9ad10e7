//! What a server counts: numbers about requests, rooms and the database, none of which names anybody.
//!
//! Labels take few values, all of them written in this program: routes (not paths), methods, statuses, codes,
//! operations, kinds. What a caller sends never becomes a label.

mod metered;
mod serve;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use keyroom_api::{Code, DeviceClaim, Offer};
use keyroom_delivery::LedgerError;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

pub(crate) use metered::Metered;
pub(crate) use serve::serve;

/// Upper ends of the classes of durations, in seconds. A request for a log may wait for half a minute.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The numbers of one server; cheap to clone. [`Metrics::off`] counts nothing.
#[derive(Clone)]
pub(crate) struct Metrics(Option<Arc<PrometheusRecorder>>);

impl Metrics {
    /// Counts nothing.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Begins to count.
    pub(crate) fn on() -> Self {
        let builder = PrometheusBuilder::new();
        // It fails only for no classes at all.
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
        let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let metrics = Self(Some(Arc::new(recorder)));
        metrics.count(|| {
            describe();
            gauge!("keyroom_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            gauge!("keyroom_live_connections").set(0.0);
        });
        metrics
    }

    /// Whether anything is counted.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        code: Option<Code>,
        took: Duration,
    ) {
        self.count(|| {
            let (method, route) = (known(method), route.to_owned());
            let status = status.as_u16().to_string();
            counter!("keyroom_requests_total", "method" => method, "route" => route.clone(), "status" => status)
                .increment(1);
            histogram!("keyroom_request_seconds", "method" => method, "route" => route).record(took);
        });
        code.into_iter().for_each(|code| self.refused(code));
    }

    /// Something was refused, over HTTP or a live connection.
    pub(crate) fn refused(&self, code: Code) {
        self.count(|| counter!("keyroom_refusals_total", "code" => code.as_str()).increment(1));
    }

    /// A live connection is open, until what is returned is dropped.
    pub(crate) fn live(&self) -> Open {
        self.count(|| gauge!("keyroom_live_connections").increment(1.0));
        Open(self.clone())
    }

    fn operation(&self, operation: &'static str, began: Instant, error: Option<&LedgerError>) {
        self.count(|| {
            histogram!("keyroom_database_seconds", "operation" => operation).record(began.elapsed());
            if let Some(error) = error {
                let kind = match error {
                    LedgerError::Unavailable => "unavailable",
                    LedgerError::Corrupt => "corrupt",
                    LedgerError::Closed => "closed",
                    _ => "settings",
                };
                counter!("keyroom_database_errors_total", "operation" => operation, "kind" => kind).increment(1);
            }
        });
    }

    fn add(&self, name: &'static str, number: usize) {
        self.count(|| counter!(name).increment(u64::try_from(number).unwrap_or(u64::MAX)));
    }

    fn entry(&self, kind: &'static str) {
        self.count(|| counter!("keyroom_entries_total", "kind" => kind).increment(1));
    }

    fn claimed(&self, claims: &[DeviceClaim]) {
        for claim in claims {
            let offer = match claim.offer {
                Offer::OneTime(_) => "one_time",
                Offer::LastResort(_) => "last_resort",
                Offer::Exhausted => "exhausted",
                Offer::Incompatible => "incompatible",
            };
            self.count(|| counter!("keyroom_key_packages_claimed_total", "offer" => offer).increment(1));
        }
    }

    /// Counts into the numbers of this server, whatever else the process counts.
    fn count(&self, what: impl FnOnce()) {
        if let Some(recorder) = &self.0 {
            with_local_recorder(recorder, what);
        }
    }

    /// All numbers, in the text format of Prometheus.
    fn text(&self) -> String {
        self.0.as_ref().map(|recorder| recorder.handle().render()).unwrap_or_default()
    }

    /// Sums up what was recorded since; without it, what is recorded is kept one by one until somebody asks.
    fn sum_up(&self) {
        if let Some(recorder) = &self.0 {
            recorder.handle().run_upkeep();
        }
    }
}

/// A live connection that is open.
pub(crate) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count(|| gauge!("keyroom_live_connections").decrement(1.0));
    }
}

/// A method that a path may take; whatever else somebody writes is one.
pub(crate) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn describe() {
    describe_gauge!("keyroom_build_info", "Always 1; the version of this server is the label");
    describe_counter!("keyroom_requests_total", "Requests that were answered");
    describe_histogram!("keyroom_request_seconds", "Time from a request to its answer, its body not included");
    describe_counter!("keyroom_refusals_total", "Refusals by the code of the problem, live connections included");
    describe_gauge!("keyroom_live_connections", "Live connections that are open");
    describe_counter!("keyroom_rooms_created_total", "Rooms that were created");
    describe_counter!("keyroom_entries_total", "Messages, proposals and commits that were accepted into logs");
    describe_counter!("keyroom_welcomes_total", "Welcomes that were put into mailboxes, one for each addressee");
    describe_counter!("keyroom_mailbox_read_total", "Items of mailboxes that were read, repetitions included");
    describe_counter!("keyroom_mailbox_acknowledged_total", "Requests to remove an item from a mailbox");
    describe_counter!("keyroom_key_packages_published_total", "Key packages that were sent for publication");
    describe_counter!("keyroom_key_packages_claimed_total", "What claims of key packages brought for each device");
    describe_histogram!("keyroom_database_seconds", "Time that the database took, waiting for it included");
    describe_counter!("keyroom_database_errors_total", "Operations of the database that failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_count_apart_and_one_that_is_off_nothing() {
        let (one, other, off) = (Metrics::on(), Metrics::on(), Metrics::off());
        one.refused(Code::NotFound);
        off.refused(Code::NotFound);
        assert!(one.text().contains("keyroom_refusals_total{code=\"not-found\"} 1"), "{}", one.text());
        assert!(!other.text().contains("not-found"));
        assert_eq!(off.text(), "");
    }

    #[test]
    fn what_a_caller_writes_as_a_method_is_no_label() {
        let metrics = Metrics::on();
        let method = Method::from_bytes(b"ALICE").unwrap();
        metrics.answered(&method, "unknown", StatusCode::NOT_FOUND, Some(Code::NotFound), Duration::from_millis(3));
        let text = metrics.text();
        let line = "keyroom_requests_total{method=\"other\",route=\"unknown\",status=\"404\"} 1";
        assert!(text.contains(line) && !text.contains("ALICE"), "{text}");
        assert!(text.contains("keyroom_request_seconds_bucket{method=\"other\",route=\"unknown\",le=\"0.005\"} 1"));
    }

    #[test]
    fn a_live_connection_counts_as_long_as_it_is_open() {
        let metrics = Metrics::on();
        let open = [metrics.live(), metrics.live()];
        assert!(metrics.text().contains("keyroom_live_connections 2"), "{}", metrics.text());
        drop(open);
        assert!(metrics.text().contains("keyroom_live_connections 0"), "{}", metrics.text());
    }
}
