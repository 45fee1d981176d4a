//! The one writer of a SQLite file: it takes what waits, runs each piece inside a SAVEPOINT of
//! one IMMEDIATE transaction, commits, wakes the feed's readers, and only then answers.
//!
//! What was answered is on disk (synchronous FULL); a batch that could not be committed fails
//! every request in it (measured: one task with batches of what waits beats several writer
//! connections, whose lock is not fair).

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
    /// Runs the piece; the answer waits for the COMMIT.
    fn run(self: Box<Self>, tx: &Tx) -> BoxFuture<'_, Answer>;
    /// Answers without having run.
    fn refuse(self: Box<Self>, error: Error);
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
    fn run(self: Box<Self>, tx: &Tx) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let Self { work, reply } = *self;
            let outcome = in_savepoint(tx, work).await;
            let answer: Answer = Box::new(move |committed| {
                let outcome = outcome.and_then(|value| Ok(committed.map(|()| value)?));
                // Nobody waits any more when the caller's deadline has passed.
                drop(reply.send(outcome));
            });
            answer
        })
    }

    fn refuse(self: Box<Self>, error: Error) {
        drop(self.reply.send(Err(error.into())));
    }
}

async fn in_savepoint<T, E, F>(tx: &Tx, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>>,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "a begin inside a transaction is a SAVEPOINT"
    )]
    let savepoint = tx.begin().await.map_err(Error::from)?;
    let outcome = AssertUnwindSafe(work(&savepoint)).catch_unwind().await;
    match outcome {
        Ok(Ok(value)) => {
            savepoint.commit().await.map_err(Error::from)?;
            Ok(value)
        }
        Ok(Err(error)) => {
            savepoint.rollback().await.map_err(Error::from)?;
            Err(error)
        }
        Err(_) => {
            tracing::error!("a write panicked; it was rolled back");
            savepoint.rollback().await.map_err(Error::from)?;
            Err(Error::TryAgain("the write panicked".to_owned()).into())
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
        let mut closing = None;
        for message in batch.drain(..) {
            match message {
                Message::Job(job) => jobs.push(job),
                Message::Close(done) => closing = Some(done),
            }
        }
        if !jobs.is_empty() {
            commit(&connection, jobs, &wake).await;
        }
        if let Some(done) = closing {
            queue.close();
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "closing the writer");
            }
            done.send(()).unwrap_or_default();
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
                job.refuse(Error::TryAgain(error.to_string()));
            }
            return;
        }
    };
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(job.run(&tx).await);
    }
    let committed = tx.commit().await;
    if let Err(error) = &committed {
        tracing::error!(%error, "a commit failed; every request of the batch fails");
    } else {
        wake.send_modify(|count| *count = count.wrapping_add(1));
    }
    for answer in answers {
        answer(
            committed
                .as_ref()
                .map_err(|error| Error::TryAgain(error.to_string()))
                .copied(),
        );
    }
}
