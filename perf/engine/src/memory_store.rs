//! An object store in memory: what the engine costs without what a store costs.

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aquifer_objstore::{
    ObjectInfo, ObjectStore, Page, PutOutcome, StoreError, StoreErrorKind, StoreFuture, StoreResult,
};
use bytes::Bytes;

const PAGE_OBJECTS: usize = 1_000;

/// Objects by key. A GET shares their bytes.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Bytes>>);

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &str) -> StoreResult<Bytes> {
        self.objects().get(key).cloned().ok_or_else(|| StoreError::not_found(key))
    }

    fn part(&self, key: &str, range: &Range<u64>) -> StoreResult<Bytes> {
        let bytes = self.find(key)?;
        let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(bytes.len());
        if at(range.start) == bytes.len() {
            return Err(StoreError::new(StoreErrorKind::Invalid, "the range is past the end"));
        }
        Ok(bytes.slice(at(range.start)..at(range.end)))
    }

    fn create(&self, key: &str, bytes: Bytes) -> PutOutcome {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return PutOutcome::Exists;
        }
        objects.insert(key.to_owned(), bytes);
        PutOutcome::Created
    }

    fn page(&self, prefix: &str, start_after: Option<&str>) -> Page {
        let from =
            start_after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let objects = self.objects();
        let mut found = objects.range::<str, _>((from, Bound::Unbounded));
        let mut page = Page::default();
        for (key, bytes) in found.by_ref().take_while(|(key, _)| key.starts_with(prefix)) {
            if page.objects.len() == PAGE_OBJECTS {
                page.more = true;
                break;
            }
            let (key, size) = (key.clone(), bytes.len() as u64);
            page.objects.push(ObjectInfo { key, size, modified: SystemTime::UNIX_EPOCH });
        }
        page
    }
}

impl ObjectStore for MemoryStore {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes> {
        Box::pin(ready(self.find(key)))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        Box::pin(ready(self.part(key, &range)))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()> {
        self.objects().insert(key.to_owned(), bytes);
        Box::pin(ready(Ok(())))
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome> {
        Box::pin(ready(Ok(self.create(key, bytes))))
    }

    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>> {
        Box::pin(ready(Ok(self.objects().get(key).map(|bytes| bytes.len() as u64))))
    }

    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()> {
        self.objects().remove(key);
        Box::pin(ready(Ok(())))
    }

    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page> {
        Box::pin(ready(Ok(self.page(prefix, start_after))))
    }
}
