//! Aquifer's store handle as SlateDB wants one: same simulation, same meter.
//!
//! Sizes and times of objects are remembered here, so that a GET does not need a HEAD before it: S3 tells them in
//! its answer. A multipart upload is gathered and sent as one PUT; on S3 it would be several, so its requests are
//! counted in SlateDB's favour.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_objstore::{PutOutcome, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use slatedb::object_store::path::Path;
use slatedb::object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};

/// See the module.
#[derive(Clone)]
pub struct Bridge {
    store: Store,
    known: Arc<Mutex<BTreeMap<String, ObjectMeta>>>,
}

impl Bridge {
    /// A bridge to an empty store.
    pub fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// Bytes of all objects.
    pub fn stored_bytes(&self) -> u64 {
        self.known().values().map(|meta| meta.size).sum()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, ObjectMeta>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meta(&self, location: &Path) -> Result<ObjectMeta> {
        let meta = self.known().get(location.as_ref()).cloned();
        meta.ok_or_else(|| Error::NotFound { path: location.to_string(), source: "no such object".into() })
    }

    async fn put_bytes(&self, location: &Path, bytes: Bytes, mode: PutMode) -> Result<PutResult> {
        let size = bytes.len() as u64;
        let key = location.as_ref();
        match mode {
            PutMode::Overwrite => self.store.put(key, bytes).await.map_err(|error| failed(key, error))?,
            PutMode::Create => {
                let outcome =
                    self.store.put_if_absent(key, bytes).await.map_err(|error| failed(key, error))?;
                if outcome == PutOutcome::Exists {
                    let path = key.to_owned();
                    return Err(Error::AlreadyExists { path, source: "there is one".into() });
                }
            }
            PutMode::Update(_) => return Err(unsupported("an update under a condition")),
        }
        let last_modified: DateTime<Utc> = std::time::SystemTime::now().into();
        let location = location.clone();
        let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
        self.known().insert(key.to_owned(), meta);
        Ok(put_result())
    }
}

fn put_result() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Default::default() }
}

fn failed(key: &str, error: StoreError) -> Error {
    if error.is_not_found() {
        return Error::NotFound { path: key.to_owned(), source: Box::new(error) };
    }
    Error::Generic { store: "simulation", source: Box::new(error) }
}

fn unsupported(what: &str) -> Error {
    Error::Generic { store: "simulation", source: format!("{what} is not imitated").into() }
}

fn range_of(range: Option<GetRange>, size: u64) -> Range<u64> {
    match range {
        None => 0..size,
        Some(GetRange::Bounded(range)) => range.start..range.end.min(size),
        Some(GetRange::Offset(start)) => start..size,
        Some(GetRange::Suffix(count)) => size.saturating_sub(count)..size,
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bridge")
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulation")
    }
}

#[async_trait]
impl ObjectStore for Bridge {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.put_bytes(location, payload.into(), opts.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { bridge: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = location.as_ref();
        let Ok(meta) = self.meta(location) else {
            // The question is asked all the same: it is a request.
            self.store.get(key).await.map_err(|error| failed(key, error))?;
            return self.meta(location).and(Err(unsupported("an object of another client")));
        };
        let range = range_of(options.range, meta.size);
        let bytes = if options.head {
            self.store.head(key).await.map(|_| Bytes::new())
        } else if range.is_empty() {
            Ok(Bytes::new())
        } else {
            self.store.get_range(key, range.clone()).await
        };
        let bytes = bytes.map_err(|error| failed(key, error))?;
        let payload = GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new(), extensions: Default::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let bridge = self.clone();
        let delete = move |location: Result<Path>| {
            let bridge = bridge.clone();
            async move {
                let location = location?;
                let key = location.as_ref();
                bridge.store.delete(key).await.map_err(|error| failed(key, error))?;
                bridge.known().remove(key);
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (bridge, prefix) = (self.clone(), prefix.map_or_else(String::new, |path| format!("{path}/")));
        let list = async move {
            let objects = match bridge.store.list(&prefix, None).await {
                Ok(objects) => objects,
                Err(error) => return stream::iter(vec![Err(failed(&prefix, error))]),
            };
            let known = bridge.known();
            stream::iter(
                objects
                    .iter()
                    .filter_map(|object| known.get(&object.key).cloned())
                    .map(Ok)
                    .collect::<Vec<_>>(),
            )
        };
        list.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let depth = prefix.map_or(0, |path| path.parts().count());
        let mut found =
            ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Default::default() };
        let mut objects = self.list(prefix);
        while let Some(meta) = objects.next().await {
            let meta = meta?;
            let parts: Vec<_> = meta.location.parts().collect();
            if parts.len() == depth + 1 {
                found.objects.push(meta);
                continue;
            }
            let folder: Path = parts.into_iter().take(depth + 1).collect();
            if found.common_prefixes.last() != Some(&folder) {
                found.common_prefixes.push(folder);
            }
        }
        Ok(found)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(unsupported("a copy"))
    }
}

/// A multipart upload.
#[derive(Debug)]
struct Upload {
    bridge: Bridge,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        async { Ok(()) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: PutPayload = self.parts.drain(..).flatten().collect();
        self.bridge.put_bytes(&self.location, whole.into(), PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
