//! The writer's thread and the readers' pool.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::schema::failure;
use super::{Outcome, Verdict};
use crate::LedgerError;

/// Requests that may wait for the writer before it says that it is overloaded.
const QUEUE: usize = 4096;

/// Requests that share one transaction at most.
const GROUP: usize = 128;

/// Runs in the transaction, or learns that there is none; returns what tells the caller once the
/// transaction has ended.
type Job = Box<dyn FnOnce(Result<&Connection, LedgerError>) -> Answered + Send>;
type Answered = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// The one thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(db: Connection) -> Result<Self, LedgerError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write_all(&db, &jobs))
            .map_err(|_| LedgerError::Unavailable)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Outcome<Verdict<T>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let result = db.and_then(|db| in_savepoint(db, operation).map_err(|e| failure(&e)));
            Box::new(move |committed| {
                // The caller may have gone; what was done stays.
                let _ = answer.send(committed.and(result));
            })
        });
        let queue = self.queue.as_ref().ok_or(LedgerError::Closed)?;
        queue.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => LedgerError::Unavailable,
            TrySendError::Disconnected(_) => LedgerError::Closed,
        })?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

fn write_all(db: &Connection, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)).collect();
        let begun = execute(db, "BEGIN IMMEDIATE").map_err(|e| failure(&e));
        let answers: Vec<Answered> = group.into_iter().map(|job| job(begun.map(|()| db))).collect();
        let committed = begun.and_then(|()| commit(db));
        answers.into_iter().for_each(|answer| answer(committed));
    }
}

fn commit(db: &Connection) -> Result<(), LedgerError> {
    let Err(error) = execute(db, "COMMIT") else { return Ok(()) };
    let error = failure(&error);
    if !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
    }
    Err(error)
}

/// Runs one request so that undoing it leaves the others of the group alone.
fn in_savepoint<T>(db: &Connection, operation: impl FnOnce(&Connection) -> Outcome<Verdict<T>>) -> Outcome<T> {
    execute(db, "SAVEPOINT request")?;
    let result = match operation(db) {
        Ok(Verdict::Keep(value)) => Ok(value),
        Ok(Verdict::Undo(value)) => execute(db, "ROLLBACK TO request").map(|()| value),
        Err(error) => execute(db, "ROLLBACK TO request").and(Err(error)),
    };
    execute(db, "RELEASE request")?;
    result
}

/// Carries out a statement that is prepared once.
fn execute(db: &Connection, sql: &'static str) -> Outcome<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Connections that only read.
#[derive(Debug)]
pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self { permits: Arc::new(Semaphore::new(connections.len())), free: Arc::new(Mutex::new(connections)) }
    }

    /// Runs a read on one snapshot of the database.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| LedgerError::Closed)?;
        let lent = Lent::take(&self.free, permit).ok_or(LedgerError::Unavailable)?;
        let reading = tokio::task::spawn_blocking(move || lent.read(operation));
        reading.await.map_err(|_| LedgerError::Unavailable)?.map_err(|e| failure(&e))
    }
}

/// A connection on loan from the pool, which gets it back also when the caller or the read is gone. The
/// permit goes back after it: a caller that leaves in the middle of a read must not let in another one
/// for whom there is no connection.
struct Lent {
    connection: Option<Connection>,
    free: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn take(free: &Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Option<Self> {
        let connection = free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Self { connection: Some(connection), free: free.clone(), _permit: permit })
    }

    fn read<T>(mut self, operation: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
        let Some(db) = &mut self.connection else { return Err(rusqlite::Error::InvalidQuery) };
        let snapshot = db.transaction()?;
        operation(&snapshot)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_that_leaves_during_its_read_does_not_let_in_one_for_whom_there_is_no_connection() {
        let readers = Arc::new(Readers::new(vec![Connection::open_in_memory().unwrap()]));
        let (reading, begun) = oneshot::channel();
        let (release, released) = std::sync::mpsc::channel();
        let pool = readers.clone();
        let first = tokio::spawn(async move {
            let read = move |_: &Connection| {
                let _ = reading.send(());
                let _ = released.recv();
                Ok(())
            };
            pool.run(read).await
        });
        begun.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let second = tokio::spawn(async move { readers.run(|_| Ok(7)).await });
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        assert_eq!(second.await.unwrap(), Ok(7));
    }
}
