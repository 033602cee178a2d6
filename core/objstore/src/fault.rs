//! A store that fails when a test tells it to.
//!
//! It stands between a [`crate::Store`] and another store, so that what the handle does about failures
//! (retries, read-back) is under test too.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::meter::Operation;
use crate::traits::{ObjectStore, Page, PutOutcome, StoreFuture};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this kind and has no effect.
    ErrorBefore(StoreErrorKind),
    /// It takes effect and its answer is lost.
    LostAnswer,
    /// It is made after a pause.
    Delay(Duration),
}

/// A wrapper that injects faults. Clones share them.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    planned: Mutex<VecDeque<(Operation, Fault)>>,
    is_out: AtomicBool,
    ignores_conditions: AtomicBool,
}

impl FaultStore {
    /// A wrapper without faults.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// Plans a fault for the next request of a kind that has none yet.
    pub fn inject(&self, operation: Operation, fault: Fault) {
        self.planned().push_back((operation, fault));
    }

    /// Fails every request from now on, without effect.
    pub fn start_outage(&self) {
        self.faults.is_out.store(true, Ordering::SeqCst);
    }

    /// Lets requests through again.
    pub fn end_outage(&self) {
        self.faults.is_out.store(false, Ordering::SeqCst);
    }

    /// Makes every conditional PUT a plain one from now on, as some stores do.
    pub fn ignore_conditions(&self) {
        self.faults.ignores_conditions.store(true, Ordering::SeqCst);
    }

    /// How many planned faults have not happened yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.planned().len()
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, VecDeque<(Operation, Fault)>> {
        self.faults.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, operation: Operation) -> Option<Fault> {
        let mut planned = self.planned();
        let index = planned.iter().position(|(wanted, _)| *wanted == operation)?;
        planned.remove(index).map(|(_, fault)| fault)
    }

    async fn run<T>(
        &self,
        operation: Operation,
        request: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        if self.faults.is_out.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("injected outage"));
        }
        match self.take(operation) {
            None => request.await,
            Some(Fault::ErrorBefore(kind)) => Err(StoreError::new(kind, "injected failure")),
            Some(Fault::LostAnswer) => {
                request.await?;
                Err(StoreError::unavailable("injected loss of the answer"))
            }
            Some(Fault::Delay(pause)) => {
                tokio::time::sleep(pause).await;
                request.await
            }
        }
    }
}

impl ObjectStore for FaultStore {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes> {
        Box::pin(self.run(Operation::Get, async move { self.inner.get(key).await }))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        Box::pin(self.run(Operation::Get, async move { self.inner.get_range(key, range).await }))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(self.run(Operation::Put, async move { self.inner.put(key, bytes).await }))
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome> {
        Box::pin(self.run(Operation::Put, async move {
            if self.faults.ignores_conditions.load(Ordering::SeqCst) {
                return self.inner.put(key, bytes).await.map(|()| PutOutcome::Created);
            }
            self.inner.put_if_absent(key, bytes).await
        }))
    }

    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>> {
        Box::pin(self.run(Operation::Head, async move { self.inner.head(key).await }))
    }

    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(self.run(Operation::Delete, async move { self.inner.delete(key).await }))
    }

    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page> {
        Box::pin(self.run(Operation::List, async move { self.inner.list_page(prefix, start_after).await }))
    }
}
