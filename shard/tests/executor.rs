//! Executors and their ticker.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use aquifer_shard::executor::{self, DriverKind, ExecutorId, ExecutorOptions, Executors, Pinning, Stopped};
use aquifer_shard::ticker::{Elapsed, Ticker};

fn options(driver: DriverKind) -> ExecutorOptions {
    ExecutorOptions {
        count: Some(2),
        pinning: Pinning::None,
        driver,
        grace: Duration::from_millis(300),
        ..ExecutorOptions::default()
    }
}

const DRIVERS: [DriverKind; 2] = [DriverKind::Auto, DriverKind::Epoll];

#[test]
fn init_and_spawned_jobs_run_on_their_executor() {
    for driver in DRIVERS {
        let (seen, order) = mpsc::channel();
        let init_seen = seen.clone();
        let executors = Executors::start(options(driver), move |id| {
            let seen = init_seen.clone();
            async move { seen.send((id, executor::current())).unwrap() }
        })
        .unwrap();
        let handle = executors.handle();
        assert_eq!(handle.count(), 2);
        assert_eq!(executor::current(), None);
        for id in handle.ids() {
            let seen = seen.clone();
            handle
                .spawn_on_blocking(id, move || {
                    let local = Rc::new(id);
                    async move {
                        executor::yield_now().await;
                        let inner = executor::spawn(async move { *local }).await;
                        seen.send((inner, executor::current())).unwrap();
                    }
                })
                .unwrap();
        }
        for _ in 0..4 {
            let (expected, found) = order.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(found, Some(expected));
        }
        assert_eq!(
            handle.spawn_on_blocking(ExecutorId(9), || async {}),
            Err(Stopped),
            "there is no such executor"
        );
        executors.shutdown().unwrap();
        assert_eq!(handle.spawn_on_blocking(ExecutorId(0), || async {}), Err(Stopped));
    }
}

#[test]
fn shutdown_waits_for_tasks_and_gives_up_after_the_grace_period() {
    for driver in DRIVERS {
        let ended = Arc::new(AtomicUsize::new(0));
        let executors = Executors::start(options(driver), |_| async {}).unwrap();
        let handle = executors.handle();
        let (count, stopping) = (Arc::clone(&ended), handle.clone());
        handle
            .spawn_on_blocking(ExecutorId(0), move || async move {
                stopping.stopping().await;
                executor::sleep(Duration::from_millis(50)).await;
                count.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        handle.spawn_on_blocking(ExecutorId(1), || executor::sleep(Duration::from_secs(1000))).unwrap();
        let begun = Instant::now();
        executors.shutdown().unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn timeout_ends_a_future_while_other_tasks_keep_the_executor_busy() {
    for driver in DRIVERS {
        let executors = Executors::start(options(driver), |_| async {}).unwrap();
        let (done, result) = mpsc::channel();
        executors
            .handle()
            .spawn_on_blocking(ExecutorId(0), move || async move {
                let busy = executor::spawn(async {
                    let until = Instant::now() + Duration::from_millis(400);
                    while Instant::now() < until {
                        executor::yield_now().await;
                    }
                });
                let begun = Instant::now();
                let late = executor::timeout(Duration::from_millis(40), std::future::pending::<()>()).await;
                let took = begun.elapsed();
                let early = executor::timeout(Duration::from_secs(5), async { 3 }).await;
                busy.await;
                done.send((late, took, early)).unwrap();
            })
            .unwrap();
        let (late, took, early) = result.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!((late, early), (Err(Elapsed), Ok(3)));
        assert!(took >= Duration::from_millis(40) && took < Duration::from_millis(300), "{took:?}");
        executors.shutdown().unwrap();
    }
}

#[test]
fn ticker_meets_deadlines_in_order_and_forgets_cancelled_ones() {
    let ticker = Ticker::start().unwrap();
    let executors = Executors::start(options(DriverKind::Auto), |_| async {}).unwrap();
    let (done, order) = mpsc::channel();
    for delay in [60_u64, 20, 40, 1] {
        let (ticker, done) = (ticker.clone(), done.clone());
        executors
            .handle()
            .spawn_on_blocking(ExecutorId(1), move || async move {
                let begun = Instant::now();
                ticker.sleep(Duration::from_millis(delay)).await;
                done.send((delay, begun.elapsed())).unwrap();
            })
            .unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (delay, took) = order.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(took >= Duration::from_millis(delay));
        seen.push(delay);
    }
    assert_eq!(seen, [1, 20, 40, 60]);
    let waker = std::task::Waker::noop();
    let cancelled = ticker.register(Instant::now() + Duration::from_secs(1000), waker);
    assert_eq!(ticker.len(), 1);
    drop(cancelled);
    assert!(ticker.is_empty());
    executors.shutdown().unwrap();
}
