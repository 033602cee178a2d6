//! Jobs of the bulk lane, and tasks of executors, await the object store, whose answers come from its own
//! thread.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::mpsc;
use std::time::Duration;

use aquifer_objstore::{Store, StoreOptions, StoreUrl};
use aquifer_shard::executor::{ExecutorId, ExecutorOptions, Executors, Pinning};
use aquifer_shard::lane::BulkLane;
use bytes::Bytes;

async fn put_and_get(store: Store, name: String) {
    let body = Bytes::from(name.clone().into_bytes());
    store.put(&name, body.clone()).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap(), body);
}

#[test]
fn many_jobs_await_the_store_and_end_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = StoreUrl::Dir(dir.path().to_owned());
    let store = Store::open(&url, &StoreOptions::default()).unwrap();
    let options = ExecutorOptions { count: Some(1), pinning: Pinning::None, ..ExecutorOptions::default() };
    let executors = Executors::start(options, |_| async {}).unwrap();
    {
        let lane = BulkLane::start(2).unwrap();
        let handles: Vec<_> = (0..300)
            .map(|number| {
                let store = store.clone();
                lane.spawn(move || put_and_get(store, format!("object/{number}")))
            })
            .collect();
        let (done, result) = mpsc::channel();
        let store = store.clone();
        executors
            .handle()
            .spawn_on_blocking(ExecutorId(0), move || async move {
                put_and_get(store, "object/executor".to_owned()).await;
                for handle in handles {
                    handle.await.unwrap();
                }
                done.send(()).unwrap();
            })
            .unwrap();
        result.recv_timeout(Duration::from_secs(120)).unwrap();
        lane.shutdown();
    }
    executors.shutdown().unwrap();
}
