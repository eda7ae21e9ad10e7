//! What every request sees.

use std::sync::Arc;

use keyroom_delivery::{Delivery, Limits};
use tokio::sync::{mpsc, watch};

use crate::authenticate::{Authenticate, Sessions};

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) authenticate: Arc<dyn Authenticate>,
    /// Opens sessions, where devices prove their keys.
    pub(crate) sessions: Option<Arc<Sessions>>,
    /// Changes, or loses its sender, when the server is to stop.
    pub(crate) stop: watch::Receiver<()>,
    /// Held by every live connection, so that stopping can wait for them.
    pub(crate) alive: mpsc::WeakSender<()>,
}

impl App {
    pub(crate) fn limits(&self) -> &Limits {
        self.delivery.limits()
    }

    /// Ends when the server is to stop.
    pub(crate) async fn stopping(&self) {
        // An error means that the handle is gone, which is as good as a word.
        let _ = self.stop.clone().changed().await;
    }
}
