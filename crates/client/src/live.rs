//! The task that keeps live delivery open.

use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{ClientError, LiveEvent, RoomUri};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::transport::{Feed, Transport};

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the live connection shall deliver.
#[derive(Debug)]
pub(crate) enum Want {
    Room { room: RoomUri, after: u64 },
    Mailbox,
}

/// What the task reports.
#[derive(Debug)]
pub(crate) enum News {
    /// A new connection, on which nothing is wanted yet.
    Up,
    Event(LiveEvent),
}

/// Keeps a connection open until nobody listens any more.
pub(crate) async fn listen(
    transport: Arc<dyn Transport>,
    mut wants: mpsc::UnboundedReceiver<Want>,
    news: mpsc::UnboundedSender<News>,
) {
    let mut pause = PAUSE;
    loop {
        if let Ok(feed) = transport.live().await {
            pause = PAUSE;
            // What was wanted before is asked for again after the word that the connection is up.
            while wants.try_recv().is_ok() {}
            if news.send(News::Up).is_err() || serve(feed, &mut wants, &news).await.is_none() {
                return;
            }
        }
        if news.is_closed() {
            return;
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// `None` if nobody listens any more.
async fn serve(
    mut feed: Box<dyn Feed>,
    wants: &mut mpsc::UnboundedReceiver<Want>,
    news: &mpsc::UnboundedSender<News>,
) -> Option<()> {
    loop {
        let done = tokio::select! {
            want = wants.recv() => match want? {
                Want::Room { room, after } => feed.subscribe(&room, after).await,
                Want::Mailbox => feed.mailbox(0).await,
            },
            event = feed.next() => match event {
                Ok(Some(event)) => {
                    news.send(News::Event(event)).ok()?;
                    Ok(())
                }
                Ok(None) => Err(ClientError::Unavailable),
                Err(error) => Err(error),
            },
        };
        match done {
            Ok(()) => {}
            // A final refusal ends what was asked for, not the connection.
            Err(error @ ClientError::Problem(_)) if !error.is_retryable() => {}
            Err(_) => return Some(()),
        }
    }
}
