//! The task that keeps live delivery open.

use std::sync::Arc;
use std::time::Duration;

use keyroom_api::{ClientError, LiveEvent, RoomUri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use crate::transport::{Feed, Transport};

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Events that may wait for the driver. Beyond that the connection is not read, so that a server that
/// sends faster than rooms can follow fills its own buffers and not ours (RFC 9420 §15.3).
pub(crate) const MOST_EVENTS: usize = 64;
/// Their bytes together, unless a single one is longer.
const MOST_BYTES: u32 = 32 << 20;

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
    /// The server lets this device in by no means.
    Refused(ClientError),
    /// An event, and the room that it takes up until this is dropped.
    Event(LiveEvent, OwnedSemaphorePermit),
}

/// Keeps a connection open until nobody listens any more.
pub(crate) async fn listen(
    transport: Arc<dyn Transport>,
    mut wants: mpsc::UnboundedReceiver<Want>,
    news: mpsc::Sender<News>,
) {
    let bytes = Arc::new(Semaphore::new(MOST_BYTES.try_into().unwrap_or(usize::MAX)));
    let mut pause = PAUSE;
    loop {
        match transport.live().await {
            Ok(feed) => {
                pause = PAUSE;
                // What was wanted before is asked for again after the word that the connection is up.
                while wants.try_recv().is_ok() {}
                if news.send(News::Up).await.is_err() || serve(feed, &mut wants, &news, &bytes).await.is_none() {
                    return;
                }
            }
            Err(error) if !error.is_retryable() => drop(news.send(News::Refused(error)).await),
            Err(_) => {}
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
    news: &mpsc::Sender<News>,
    bytes: &Arc<Semaphore>,
) -> Option<()> {
    loop {
        // Wishes first: each is the answer to an event, so no more of them wait than events.
        let done = tokio::select! {
            biased;
            want = wants.recv() => match want? {
                Want::Room { room, after } => feed.subscribe(&room, after).await,
                Want::Mailbox => feed.mailbox(0).await,
            },
            event = feed.next() => match event {
                Ok(Some(event)) => {
                    let taken = bytes.clone().acquire_many_owned(size(&event)).await.ok()?;
                    news.send(News::Event(event, taken)).await.ok()?;
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

/// What an event counts for.
fn size(event: &LiveEvent) -> u32 {
    let bytes = match event {
        LiveEvent::Entry { entry, .. } => entry.message.len(),
        LiveEvent::Mailbox(item) => item.welcome.len(),
        LiveEvent::CaughtUp { .. }
        | LiveEvent::Closed { .. }
        | LiveEvent::Left { .. }
        | LiveEvent::KeyPackagesLow { .. } => 0,
    };
    u32::try_from(bytes).unwrap_or(MOST_BYTES).clamp(1, MOST_BYTES)
}

#[cfg(test)]
mod tests;
