use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyroom_api::{EntryKind, LogEntry};
use tokio::time::timeout;

use super::*;
use crate::transport::{Answer, Later, Request};

/// A server that sends messages of epochs that nobody has reached, without end.
struct Flood {
    length: usize,
    sent: Arc<AtomicUsize>,
}

impl Transport for Flood {
    fn request(&self, _: Request) -> Later<'_, Result<Answer, ClientError>> {
        Box::pin(pending())
    }

    fn live(&self) -> Later<'_, Result<Box<dyn Feed>, ClientError>> {
        let feed = Self { length: self.length, sent: self.sent.clone() };
        Box::pin(async move { Ok(Box::new(feed) as Box<dyn Feed>) })
    }
}

impl Feed for Flood {
    fn subscribe<'a>(&'a mut self, _: &'a RoomUri, _: u64) -> Later<'a, Result<(), ClientError>> {
        Box::pin(async { Ok(()) })
    }

    fn mailbox(&mut self, _: u64) -> Later<'_, Result<(), ClientError>> {
        Box::pin(async { Ok(()) })
    }

    fn next(&mut self) -> Later<'_, Result<Option<LiveEvent>, ClientError>> {
        let number = self.sent.fetch_add(1, Ordering::SeqCst) as u64;
        let (kind, message) = (EntryKind::Application, vec![0; self.length]);
        let entry = LogEntry { sequence: number + 1, epoch: 1 << 40, kind, accepted_at: 0, message };
        let room = "mimi://localhost/r/one".parse().unwrap();
        Box::pin(async move { Ok(Some(LiveEvent::Entry { room, entry })) })
    }
}

/// How many messages of this length are taken from a connection while nobody handles them, and that
/// handling some lets as many more in.
async fn taken(length: usize) -> usize {
    let sent = Arc::new(AtomicUsize::new(0));
    let flood = Arc::new(Flood { length, sent: sent.clone() });
    let (_wants, wanted) = mpsc::unbounded_channel();
    let (news, mut heard) = mpsc::channel(MOST_EVENTS);
    tokio::spawn(listen(flood, wanted, news));
    let rest = || timeout(Duration::from_millis(50), pending::<()>());
    let _ = rest().await;
    let first = sent.load(Ordering::SeqCst);
    assert!(matches!(heard.recv().await, Some(News::Up)));
    for _ in 0..5 {
        assert!(matches!(heard.recv().await, Some(News::Event(LiveEvent::Entry { .. }, _))));
    }
    let _ = rest().await;
    let second = sent.load(Ordering::SeqCst);
    assert!((4..=7).contains(&(second - first)), "{first}, {second}: what is handled makes room");
    first
}

#[tokio::test]
async fn row_084_messages_that_wait_are_bounded_in_number() {
    let taken = taken(1).await;
    assert!((MOST_EVENTS - 2..=MOST_EVENTS + 2).contains(&taken), "{taken}");
}

#[tokio::test]
async fn row_084_messages_that_wait_are_bounded_in_bytes() {
    let taken = taken(4 << 20).await;
    assert!((7..=10).contains(&taken), "{taken} of 4 MiB each");
}
