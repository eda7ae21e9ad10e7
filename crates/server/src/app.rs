//! What every request sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyroom_delivery::{Bus, Delivery, Limits};
use tokio::sync::{mpsc, watch};

use crate::authenticate::{Authenticate, Sessions};
use crate::metrics::Metrics;
use crate::rates::Limiters;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) authenticate: Arc<dyn Authenticate>,
    /// Opens sessions, where devices prove their keys.
    pub(crate) sessions: Option<Arc<Sessions>>,
    /// Carries wake-ups; asked only whether it can.
    pub(crate) bus: Arc<dyn Bus>,
    /// How many requests callers may send.
    pub(crate) limiters: Arc<Limiters>,
    /// Counts.
    pub(crate) metrics: Metrics,
    /// Whether the server is about to stop and wants no new callers.
    pub(crate) draining: Arc<AtomicBool>,
    /// Changes, or loses its sender, when the server is to stop.
    pub(crate) stop: watch::Receiver<()>,
    /// Held by every live connection, so that stopping can wait for them.
    pub(crate) alive: mpsc::WeakSender<()>,
}

impl App {
    pub(crate) fn limits(&self) -> &Limits {
        self.delivery.limits()
    }

    /// Whether the server is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Ends when the server is to stop.
    pub(crate) async fn stopping(&self) {
        // An error means that the handle is gone, which is as good as a word.
        let _ = self.stop.clone().changed().await;
    }
}
