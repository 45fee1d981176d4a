//! The one writer of a SQLite file: it takes what waits, runs each piece inside a SAVEPOINT of
//! one IMMEDIATE transaction, commits, wakes the feed's readers, and only then answers.
//!
//! What was answered is on disk (synchronous FULL); a batch that could not be committed fails
//! every request in it, also one that was refused by what its neighbours wrote (measured: one task
//! with batches of what waits beats several writer connections, whose lock is not fair).

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::{DatabaseConnection, TransactionTrait};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::Error;
use crate::{Tx, sqlite};

/// How many pieces one transaction takes at most.
const BATCH: usize = 64;
/// How many pieces may wait; beyond it callers wait for a place, up to their deadline.
const QUEUE: usize = 1024;

/// Sends the answer of one piece once the fate of the batch is known.
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// One piece of work, its types erased.
trait Job: Send {
    /// Runs the piece; the answer waits for the COMMIT. With an error, the transaction is no
    /// longer one that may be committed.
    fn run(self: Box<Self>, tx: &Tx) -> BoxFuture<'_, (Answer, Result<(), Error>)>;
    /// Answers without having run.
    fn refuse(self: Box<Self>, error: Error);
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

struct Piece<T, E, F> {
    work: F,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Piece<T, E, F>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
{
    fn run(self: Box<Self>, tx: &Tx) -> BoxFuture<'_, (Answer, Result<(), Error>)> {
        Box::pin(async move {
            let Self { work, reply } = *self;
            let (outcome, fate) = match in_savepoint(tx, work).await {
                Ok(outcome) => (Some(outcome), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let answer: Answer = Box::new(move |committed| {
                let stopped = || Err(Error::TryAgain("the batch was given up".to_owned()).into());
                let outcome = match committed {
                    Ok(()) => outcome.unwrap_or_else(stopped),
                    Err(error) => Err(error.into()),
                };
                // Nobody waits any more when the caller's deadline has passed.
                drop(reply.send(outcome));
            });
            (answer, fate)
        })
    }

    fn refuse(self: Box<Self>, error: Error) {
        drop(self.reply.send(Err(error.into())));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Runs `work` inside a SAVEPOINT; what it came to.
///
/// # Errors
/// When the SAVEPOINT can't be made or ended: SQLite has rolled the whole transaction back by
/// itself, as it may when the disk is full or fails.
async fn in_savepoint<T, E, F>(tx: &Tx, work: F) -> Result<Result<T, E>, Error>
where
    E: From<Error>,
    F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>>,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "a begin inside a transaction is a SAVEPOINT"
    )]
    let savepoint = tx.begin().await?;
    // In a block of its own, so that a panic before the first await is caught too.
    let outcome = AssertUnwindSafe(async { work(&savepoint).await }).catch_unwind();
    match outcome.await {
        Ok(Ok(value)) => {
            savepoint.commit().await?;
            Ok(Ok(value))
        }
        Ok(Err(error)) => {
            savepoint.rollback().await?;
            Ok(Err(error))
        }
        Err(_) => {
            tracing::error!("a write panicked; it was rolled back");
            savepoint.rollback().await?;
            Ok(Err(Error::TryAgain("the write panicked".to_owned()).into()))
        }
    }
}

/// The queue of the writer task.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Message>,
}

enum Message {
    Job(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the task on its own connection.
    pub(crate) fn spawn(connection: DatabaseConnection) -> (Self, watch::Receiver<u64>) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (wake, woken) = watch::channel(0);
        tokio::spawn(serve(connection, queue, wake));
        (Self { jobs }, woken)
    }

    /// Queues a piece and waits for its answer.
    pub(crate) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Message::Job(Box::new(Piece { work, reply }));
        if self.jobs.send(job).await.is_err() {
            return Err(Error::TryAgain("the writer has stopped".to_owned()).into());
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Error::TryAgain("the writer has stopped".to_owned()).into()))
    }

    /// How many pieces wait.
    #[cfg(feature = "testing")]
    pub(crate) fn queued(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Ends the task after what was queued before.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Message::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

async fn serve(
    connection: DatabaseConnection,
    mut queue: mpsc::Receiver<Message>,
    wake: watch::Sender<u64>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut jobs = Vec::with_capacity(batch.len());
        let mut closing = Vec::new();
        for message in batch.drain(..) {
            match message {
                Message::Job(job) if closing.is_empty() => jobs.push(job),
                Message::Job(job) => job.refuse(Error::TryAgain("the writer stops".to_owned())),
                Message::Close(done) => closing.push(done),
            }
        }
        if !jobs.is_empty() {
            commit(&connection, jobs, &wake).await;
        }
        if !closing.is_empty() {
            queue.close();
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "closing the writer");
            }
            for done in closing {
                done.send(()).unwrap_or_default();
            }
            return;
        }
    }
}

/// Runs one batch: COMMIT, then the wake, then the answers.
async fn commit(
    connection: &DatabaseConnection,
    jobs: Vec<Box<dyn Job>>,
    wake: &watch::Sender<u64>,
) {
    let tx = match sqlite::begin(connection).await {
        Ok(tx) => tx,
        Err(error) => {
            tracing::error!(%error, "the database takes no transaction");
            for job in jobs {
                job.refuse(again(&error));
            }
            return;
        }
    };
    let mut answers = Vec::with_capacity(jobs.len());
    let mut lost = None;
    for job in jobs {
        if let Some(error) = &lost {
            job.refuse(again(error));
            continue;
        }
        // Its caller was told that nothing was done; after a stall that stays true.
        if job.is_abandoned() {
            continue;
        }
        let (answer, fate) = job.run(&tx).await;
        answers.push(answer);
        lost = fate.err();
    }
    let committed = match lost {
        None => tx.commit().await.map_err(Error::from),
        Some(error) => {
            drop(tx);
            Err(error)
        }
    };
    match &committed {
        Ok(()) => wake.send_modify(|count| *count = count.wrapping_add(1)),
        Err(error) => {
            tracing::error!(%error, "a commit failed; every request of the batch fails");
            sqlite::renew(connection).await;
        }
    }
    for answer in answers {
        answer(committed.as_ref().map_err(again).copied());
    }
}

/// The error for those whose batch failed.
fn again(error: &Error) -> Error {
    Error::TryAgain(error.to_string())
}
