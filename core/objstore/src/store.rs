//! The handle to an object store.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::block_on::block_on;
use crate::dir::{DirAccess, DirStore};
use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::lane::Lane;
use crate::meter::{Meter, Operation};
use crate::retry::{Request, Retry, UNKNOWN_BYTES, attempts, measured};
use crate::s3::{S3Options, S3Store};
use crate::traits::{ObjectInfo, ObjectStore, PutOutcome};
use crate::url::{StoreUrl, check_key};
use crate::waiting::WaitingObjects;

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Endpoint, region and addressing of an S3 store.
    pub s3: S3Options,
    /// Whether a directory store is checked for being writable.
    pub access: DirAccess,
    /// What is done about failed attempts.
    pub retry: Retry,
}

/// A cheap handle: clone it, send it, await its methods on any executor. Each method's future does nothing
/// until it is polled, and a request that has begun goes on when its future is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    lane: Lane,
    retry: Retry,
}

struct Shared {
    backend: Arc<dyn ObjectStore>,
    meter: Meter,
    waiting: WaitingObjects,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.location()).finish()
    }
}

impl Store {
    /// Opens the store at `url`; starts its thread. Blocks: a directory is checked, an S3 client finds its
    /// configuration. Sends no request to S3 (for that see [`crate::probe_conditional_put`]).
    ///
    /// # Errors
    /// `Denied` for a directory that cannot be used, `Invalid` for options that do not fit together.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> StoreResult<Self> {
        match url {
            StoreUrl::Dir(path) => {
                let backend = DirStore::open(path, options.access)?;
                Self::with_backend(Arc::new(backend), options.retry)
            }
            StoreUrl::S3 { bucket, prefix } => {
                let lane = Lane::start()?;
                let (bucket, prefix, s3) = (bucket.clone(), prefix.clone(), options.s3.clone());
                let opened = lane.run(async move { S3Store::open(bucket, prefix, s3).await });
                let backend = Arc::new(block_on(opened)?);
                Ok(Self::on_lane(lane, backend, options.retry))
            }
        }
    }

    /// A handle to any other store; starts its thread.
    ///
    /// # Errors
    /// `Unavailable` when no thread can be started.
    pub fn with_backend(backend: Arc<dyn ObjectStore>, retry: Retry) -> StoreResult<Self> {
        Ok(Self::on_lane(Lane::start()?, backend, retry))
    }

    fn on_lane(lane: Lane, backend: Arc<dyn ObjectStore>, retry: Retry) -> Self {
        let (meter, waiting) = (Meter::default(), WaitingObjects::default());
        Self { shared: Arc::new(Shared { backend, meter, waiting }), lane, retry }
    }

    /// Where the store is, for messages.
    #[must_use]
    pub fn location(&self) -> String {
        self.shared.backend.location()
    }

    /// The counters of this handle and its clones.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// The same store with another way to treat failed attempts: for those who have retries of their own.
    #[must_use]
    pub fn with_retry(&self, retry: Retry) -> Self {
        Self { retry, ..self.clone() }
    }

    /// Objects that are on their way to the store: reads find them where they wait.
    #[must_use]
    pub fn waiting(&self) -> &WaitingObjects {
        &self.shared.waiting
    }

    /// A whole object.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable` after all attempts, `Denied`.
    pub fn get(&self, key: &str) -> impl Future<Output = StoreResult<Bytes>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let work = async { shared.fetch(retry, &key).await };
            measured(&shared.meter, Operation::Get, &key, work).await
        })
    }

    /// Bytes `range.start..range.end` of an object; fewer where the object ends first.
    ///
    /// # Errors
    /// As [`Store::get`]; `Invalid` for an empty range or one that starts at or past the end of the
    /// object.
    pub fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> impl Future<Output = StoreResult<Bytes>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let work = async { shared.fetch_range(retry, &key, range).await };
            measured(&shared.meter, Operation::Get, &key, work).await
        })
    }

    /// Creates or replaces an object; durable on return.
    ///
    /// # Errors
    /// `Unavailable` after all attempts (it may have taken effect), `Denied`, `Invalid`.
    pub fn put(&self, key: &str, bytes: Bytes) -> impl Future<Output = StoreResult<()>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let work = async { shared.replace(retry, &key, bytes).await };
            measured(&shared.meter, Operation::Put, &key, work).await
        })
    }

    /// Creates an object unless there is one with other bytes; durable on return.
    ///
    /// An object that is there already is read back: with the same bytes it counts as created, by an
    /// attempt whose answer was lost. Callers that race must therefore bring different bytes.
    ///
    /// # Errors
    /// `Unavailable` after all attempts (it may have taken effect: calling again with the same bytes
    /// tells), `Denied`, `Invalid`.
    pub fn put_if_absent(
        &self,
        key: &str,
        bytes: Bytes,
    ) -> impl Future<Output = StoreResult<PutOutcome>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let work = async { shared.create(retry, &key, bytes).await };
            measured(&shared.meter, Operation::Put, &key, work).await
        })
    }

    /// Length of an object, `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable` after all attempts, `Denied`.
    pub fn head(&self, key: &str) -> impl Future<Output = StoreResult<Option<u64>>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let request = shared.request(Operation::Head, 0);
            let work = async {
                check_key(&key)?;
                attempts(retry, request, || shared.backend.head(&key)).await
            };
            measured(&shared.meter, Operation::Head, &key, work).await
        })
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// `Unavailable` after all attempts, `Denied`.
    pub fn delete(&self, key: &str) -> impl Future<Output = StoreResult<()>> + Send + use<> {
        let (shared, retry, key) = (Arc::clone(&self.shared), self.retry, key.to_owned());
        self.lane.run(async move {
            let request = shared.request(Operation::Delete, 0);
            let work = async {
                check_key(&key)?;
                attempts(retry, request, || shared.backend.delete(&key)).await
            };
            measured(&shared.meter, Operation::Delete, &key, work).await
        })
    }

    /// All objects whose keys start with `prefix` and come after `start_after`, ordered by key as bytes.
    /// Not a snapshot: objects that come or go meanwhile may or may not be there.
    ///
    /// # Errors
    /// `Unavailable` after all attempts, `Denied`.
    pub fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> impl Future<Output = StoreResult<Vec<ObjectInfo>>> + Send + use<> {
        let (shared, retry, prefix) = (Arc::clone(&self.shared), self.retry, prefix.to_owned());
        let start_after = start_after.map(str::to_owned);
        self.lane.run(async move {
            let work = async { shared.list_all(retry, &prefix, start_after).await };
            measured(&shared.meter, Operation::List, &prefix, work).await
        })
    }
}

impl Shared {
    fn request(&self, operation: Operation, bytes: u64) -> Request<'_> {
        Request { meter: &self.meter, operation, bytes }
    }

    async fn fetch(&self, retry: Retry, key: &str) -> StoreResult<Bytes> {
        check_key(key)?;
        if let Some(bytes) = self.waiting.read(key, None).await {
            return Ok(bytes);
        }
        let request = self.request(Operation::Get, UNKNOWN_BYTES);
        let bytes = attempts(retry, request, || self.backend.get(key)).await?;
        self.meter.bytes(Operation::Get, bytes.len());
        Ok(bytes)
    }

    async fn fetch_range(&self, retry: Retry, key: &str, range: Range<u64>) -> StoreResult<Bytes> {
        check_key(key)?;
        if range.is_empty() {
            return Err(StoreError::new(StoreErrorKind::Invalid, "an empty range"));
        }
        if let Some(bytes) = self.waiting.read(key, Some(range.clone())).await {
            return Ok(bytes);
        }
        let request = self.request(Operation::Get, range.end - range.start);
        let bytes = attempts(retry, request, || self.backend.get_range(key, range.clone())).await?;
        self.meter.bytes(Operation::Get, bytes.len());
        Ok(bytes)
    }

    async fn replace(&self, retry: Retry, key: &str, bytes: Bytes) -> StoreResult<()> {
        check_key(key)?;
        let request = self.request(Operation::Put, bytes.len() as u64);
        attempts(retry, request, || self.backend.put(key, bytes.clone())).await?;
        self.meter.bytes(Operation::Put, bytes.len());
        Ok(())
    }

    async fn create(&self, retry: Retry, key: &str, bytes: Bytes) -> StoreResult<PutOutcome> {
        check_key(key)?;
        let request = self.request(Operation::Put, bytes.len() as u64);
        for _ in 0..retry.attempts_max.max(1) {
            let put = || self.backend.put_if_absent(key, bytes.clone());
            if attempts(retry, request, put).await? == PutOutcome::Created {
                self.meter.bytes(Operation::Put, bytes.len());
                return Ok(PutOutcome::Created);
            }
            match self.fetch(retry, key).await {
                Ok(stored) if stored == bytes => return Ok(PutOutcome::Created),
                Ok(_) => return Ok(PutOutcome::Exists),
                // Deleted between the PUT and the read-back: it is absent again.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::unavailable("the object is created and deleted by others all the time"))
    }

    async fn list_all(
        &self,
        retry: Retry,
        prefix: &str,
        start_after: Option<String>,
    ) -> StoreResult<Vec<ObjectInfo>> {
        let mut objects: Vec<ObjectInfo> = Vec::new();
        let mut after = start_after;
        loop {
            let request = self.request(Operation::List, 0);
            let list = || self.backend.list_page(prefix, after.as_deref());
            let page = attempts(retry, request, list).await?;
            objects.extend(page.objects);
            match objects.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(objects),
            }
        }
    }
}
