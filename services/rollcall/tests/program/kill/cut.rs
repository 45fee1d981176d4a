//! The moment of a kill, counted in answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rollcall_simulator::{AnsweredWrite, Ledger, Recorder, SentWrite};
use tokio::sync::Notify;

/// Passes everything on to a ledger, and tells when so many writes were answered.
pub(crate) struct Cut {
    ledger: Arc<Ledger>,
    at: usize,
    answered: AtomicUsize,
    is_over: AtomicBool,
    reached: Notify,
}

impl Cut {
    pub(crate) fn new(ledger: Arc<Ledger>, at: usize) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            at,
            answered: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            reached: Notify::new(),
        })
    }

    /// Says that nothing listens any more: what is sent from now on goes nowhere.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Waits for the moment.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }
}

impl Recorder for Cut {
    fn sending(&self, write: &SentWrite) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        self.ledger.sending(write);
    }

    fn answered(&self, write: &AnsweredWrite) {
        self.ledger.answered(write);
        if self.answered.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.reached.notify_one();
        }
    }
}
