//! Mailboxes and doorbells under stress: nothing is lost, doubled or forgotten.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use aquifer_shard::executor::{self, ExecutorOptions, Executors, Pinning};
use aquifer_shard::queue::{self, PushError};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread; a wake-up that is lost makes it hang, and the test fail.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(Instant::now() < deadline, "a wake-up was lost");
        thread::park_timeout(Duration::from_secs(30));
    }
}

fn options(count: usize) -> ExecutorOptions {
    ExecutorOptions { count: Some(count), pinning: Pinning::None, ..ExecutorOptions::default() }
}

#[test]
fn push_beyond_capacity_is_refused_and_room_admits_again() {
    let (sender, receiver) = queue::mailbox(2);
    assert_eq!(sender.try_push(1), Ok(()));
    assert_eq!(sender.try_push(2), Ok(()));
    assert_eq!(sender.try_push(3), Err(PushError::Full(3)));
    assert_eq!(receiver.try_pop(), Some(1));
    assert_eq!(sender.try_push(3), Ok(()));
    drop(receiver);
    assert_eq!(sender.try_push(4), Err(PushError::Closed(4)));
    assert_eq!(block_on(sender.push(5)), Err(5));
}

#[test]
fn receiver_ends_when_the_last_sender_is_gone() {
    let (sender, receiver) = queue::mailbox(4);
    let second = sender.clone();
    drop(sender);
    let waiting = thread::spawn(move || {
        let mut batch = Vec::new();
        let more = block_on(receiver.recv_batch(&mut batch, 8));
        let end = block_on(receiver.recv_batch(&mut Vec::new(), 8));
        (more, batch, end)
    });
    thread::sleep(Duration::from_millis(20));
    second.try_push(7).unwrap();
    drop(second);
    assert_eq!(waiting.join().unwrap(), (true, vec![7], false));
}

/// Many senders against a tiny ring, with a receiver that sleeps often.
#[test]
fn stress_of_many_senders_loses_and_reorders_nothing() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 60_000;
    let (sender, receiver) = queue::mailbox::<(u64, u64)>(8);
    let threads: Vec<_> = (0..SENDERS)
        .map(|me| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    if number % 3 == 0 {
                        sender.push_blocking((me, number)).unwrap();
                    } else {
                        block_on(sender.push((me, number))).unwrap();
                    }
                    if number % 1000 == 0 {
                        thread::sleep(Duration::from_micros(100));
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let mut next: HashMap<u64, u64> = HashMap::new();
    let mut batch = Vec::new();
    while block_on(receiver.recv_batch(&mut batch, 5)) {
        for (from, number) in batch.drain(..) {
            let expected = next.entry(from).or_default();
            assert_eq!(number, *expected);
            *expected += 1;
        }
    }
    assert_eq!(next.len() as u64, SENDERS);
    assert!(next.values().all(|count| *count == EACH));
    threads.into_iter().for_each(|t| t.join().unwrap());
}

/// One message at a time between two executors, each asleep while the other works: the worst case for
/// a doorbell, and a lost wake-up stops it for good.
#[test]
fn stress_of_ping_pong_between_sleeping_executors_never_hangs() {
    const ROUNDS: u64 = 30_000;
    let (senders, receivers) = queue::mailboxes::<u64>(2, 16);
    let receivers = std::sync::Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
    let reached = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&reached);
    let all = senders.clone();
    let executors = Executors::start(options(2), move |id| {
        let mine = receivers.lock().unwrap()[usize::from(id.0)].take().unwrap();
        let other = all[1 - usize::from(id.0)].clone();
        let count = Arc::clone(&count);
        async move {
            mine.run(move |number| {
                count.store(number, Ordering::Relaxed);
                if number < ROUNDS {
                    other.try_push(number + 1).unwrap();
                }
            })
            .await;
        }
    })
    .unwrap();
    senders[0].try_push(1).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while reached.load(Ordering::Relaxed) < ROUNDS {
        assert!(Instant::now() < deadline, "stopped at {}", reached.load(Ordering::Relaxed));
        thread::sleep(Duration::from_millis(2));
    }
    drop(senders);
    executors.shutdown().unwrap();
}

#[test]
fn saturated_mailbox_lets_other_tasks_and_deadlines_run() {
    let (sender, receiver) = queue::mailbox::<u64>(4096);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let stop = Arc::new(AtomicBool::new(false));
    let slept = Arc::new(AtomicU64::new(0));
    let (stop_it, slept_it) = (Arc::clone(&stop), Arc::clone(&slept));
    let executors = Executors::start(options(1), move |_| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let (stop, slept) = (Arc::clone(&stop_it), Arc::clone(&slept_it));
        async move {
            executor::spawn_permanent(async move {
                for _ in 0..20 {
                    executor::sleep(Duration::from_millis(5)).await;
                    slept.fetch_add(1, Ordering::Relaxed);
                }
                stop.store(true, Ordering::Relaxed);
            });
            let sum = Rc::new(RefCell::new(0));
            receiver.run(move |number| *sum.borrow_mut() += number).await;
        }
    })
    .unwrap();
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let _ = sender.try_push(1);
        assert!(begun.elapsed() < Duration::from_secs(20), "{} sleeps", slept.load(Ordering::Relaxed));
    }
    drop(sender);
    executors.shutdown().unwrap();
}
