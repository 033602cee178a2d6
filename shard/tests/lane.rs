//! The bulk lane, above all wake-ups from foreign threads.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use aquifer_shard::executor::{DriverKind, ExecutorId, ExecutorOptions, Executors, Pinning};
use aquifer_shard::lane::{BulkLane, JobClass, LaneClosed, yield_if_needed};
use futures_channel::oneshot;

fn lane() -> BulkLane {
    BulkLane::start(2).unwrap()
}

/// Waits for a handle without a runtime.
fn wait<T: Send + 'static>(
    lane: &BulkLane,
    handle: aquifer_shard::lane::JobHandle<T>,
) -> Result<T, LaneClosed> {
    let (answer, result) = mpsc::channel();
    let executors = Executors::start(
        ExecutorOptions {
            count: Some(1),
            pinning: Pinning::None,
            driver: DriverKind::Auto,
            ..ExecutorOptions::default()
        },
        |_| async {},
    )
    .unwrap();
    executors
        .handle()
        .spawn_on_blocking(ExecutorId(0), move || async move {
            let _ = answer.send(handle.await);
        })
        .unwrap();
    let result = result.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{lane:?} hangs"));
    executors.shutdown().unwrap();
    result
}

#[test]
fn job_with_local_state_gives_its_output_to_an_executor() {
    let lane = lane();
    let handle = lane.spawn(|| {
        let local = Rc::new(Cell::new(20));
        async move {
            local.set(local.get() + 1);
            yield_if_needed().await;
            local.get() * 2
        }
    });
    assert_eq!(wait(&lane, handle), Ok(42));
    lane.shutdown();
    assert_eq!(wait(&lane, lane.spawn(|| async { 1 })), Err(LaneClosed));
}

/// Jobs end the moment that a foreign thread wakes them, wakers outlive them and are used again: what a
/// task of the runtime would not survive.
#[test]
fn foreign_wakes_of_ending_jobs_are_safe() {
    const JOBS: usize = 20_000;
    let lane = lane();
    let (to_foreign, foreign) = mpsc::channel::<(oneshot::Sender<usize>, std::task::Waker)>();
    let other = thread::spawn(move || {
        let mut kept = Vec::new();
        for (number, (answer, waker)) in foreign.into_iter().enumerate() {
            let _ = answer.send(number);
            waker.wake_by_ref();
            kept.push(waker);
            if kept.len() > 100 {
                kept.drain(..50).for_each(std::task::Waker::wake);
            }
        }
        kept.into_iter().for_each(std::task::Waker::wake);
    });
    let ended = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    for _ in 0..JOBS {
        while lane.load() > 500 {
            thread::yield_now();
            assert!(begun.elapsed() < Duration::from_secs(120), "{lane:?} hangs");
        }
        let (to_foreign, ended) = (to_foreign.clone(), Arc::clone(&ended));
        drop(lane.spawn(move || async move {
            let (answer, mut result) = oneshot::channel();
            let mut question = Some((to_foreign, answer));
            let number = std::future::poll_fn(|cx| {
                let polled = std::pin::Pin::new(&mut result).poll(cx);
                if let Some((foreign, answer)) = question.take() {
                    foreign.send((answer, cx.waker().clone())).unwrap();
                }
                polled
            });
            number.await.unwrap();
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    lane.shutdown();
    assert_eq!(ended.load(Ordering::SeqCst), JOBS, "{lane:?}");
    drop(to_foreign);
    other.join().unwrap();
}

#[test]
fn busy_jobs_take_turns() {
    let lane = lane();
    let (seen, order) = mpsc::channel();
    for number in 0..4 {
        let seen = seen.clone();
        drop(lane.spawn_as(JobClass::Statement, move || async move {
            for _ in 0..3 {
                let until = Instant::now() + Duration::from_millis(8);
                while Instant::now() < until {}
                yield_if_needed().await;
                seen.send(number).unwrap();
            }
        }));
    }
    drop(seen);
    lane.shutdown();
    let order: Vec<i32> = order.iter().collect();
    assert_eq!(order.len(), 12);
    // Two threads with two jobs each: nobody runs to its end before another has begun.
    let first_three = &order[..3];
    assert!(first_three.iter().any(|n| n != &order[0]), "{order:?}");
}

#[test]
fn job_that_never_waits_for_long_can_be_awaited_by_another_job() {
    let lane = lane();
    let inner = lane.clone();
    let handle = lane.spawn(move || async move {
        let mut sum = 0;
        for number in 0..200 {
            sum += inner.spawn(move || async move { number }).await.unwrap();
        }
        sum
    });
    assert_eq!(wait(&lane, handle), Ok(19_900));
    lane.shutdown();
}

#[test]
fn pending_job_costs_nothing_and_shutdown_waits_for_it() {
    let lane = lane();
    let (wake, waiting) = oneshot::channel::<()>();
    let handle = lane.spawn(move || async move {
        let _ = waiting.await;
        7
    });
    thread::sleep(Duration::from_millis(30));
    let stopping = lane.clone();
    let stopper = thread::spawn(move || stopping.shutdown());
    thread::sleep(Duration::from_millis(30));
    assert!(!stopper.is_finished());
    wake.send(()).unwrap();
    stopper.join().unwrap();
    assert_eq!(wait(&lane, handle), Ok(7));
    assert_eq!(lane.load(), 0);
}

/// A job that always wants to run must not keep others of its thread from beginning.
#[test]
fn job_that_wakes_itself_for_ever_lets_new_jobs_begin() {
    let lane = BulkLane::start(1).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let busy = lane.spawn(move || async move {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if stopped.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    for class in JobClass::ALL {
        assert_eq!(wait(&lane, lane.spawn_as(class, || async { 1 })), Ok(1), "{class:?}");
    }
    stop.store(true, Ordering::Release);
    assert_eq!(wait(&lane, busy), Ok(()));
    lane.shutdown();
}
