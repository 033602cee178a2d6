//! What a hop between two executors costs: `hop_bench [rounds]`.
//!
//! Messages go to and fro between two mailboxes, one at a time (both executors sleep in between) and 64
//! at a time (they seldom do). Printed: elapsed time and CPU time of both executors for each hop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_shard::executor::{ExecutorOptions, Executors};
use aquifer_shard::queue;

fn main() -> std::io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(200_000);
    for in_flight in [1, 64] {
        run(rounds, in_flight)?;
    }
    Ok(())
}

fn run(rounds: u64, in_flight: u64) -> std::io::Result<()> {
    let (senders, receivers) = queue::mailboxes::<u64>(2, 1024);
    let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
    let hops = Arc::new(AtomicU64::new(0));
    let (all, count) = (senders.clone(), Arc::clone(&hops));
    let options = ExecutorOptions { count: Some(2), ..ExecutorOptions::default() };
    let executors = Executors::start(options, move |id| {
        let me = usize::from(id.0);
        let mine = receivers.lock().ok().and_then(|mut r| r.get_mut(me).and_then(Option::take));
        let (other, count) = (all.get(1 - me).cloned(), Arc::clone(&count));
        async move {
            let (Some(mine), Some(other)) = (mine, other) else { return };
            mine.run(move |message| {
                if count.fetch_add(1, Ordering::Relaxed) < rounds {
                    // There is room: fewer messages are about than a mailbox holds.
                    let _ = other.try_push(message);
                }
            })
            .await;
        }
    })?;
    let (cpu_before, begun) = (cpu(&executors), Instant::now());
    for message in 0..in_flight {
        if let Some(first) = senders.first() {
            let _ = first.try_push(message);
        }
    }
    while hops.load(Ordering::Relaxed) < rounds {
        thread::sleep(Duration::from_millis(1));
    }
    let (took, used) = (begun.elapsed(), cpu(&executors) - cpu_before);
    #[allow(clippy::cast_precision_loss, reason = "a report")]
    let each = |time: Duration| time.as_secs_f64() * 1e6 / rounds as f64;
    println!("{in_flight} in flight: {:.2} us a hop, {:.2} us of CPU", each(took), each(used));
    Ok(())
}

/// CPU time that the executors' threads have used.
fn cpu(executors: &Executors) -> Duration {
    let (answer, result) = mpsc::channel();
    let handle = executors.handle();
    for id in handle.ids() {
        let answer = answer.clone();
        let _ = handle.spawn_on_blocking(id, move || async move {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
            let nanos = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let _ = answer.send(Duration::from_nanos(nanos));
        });
    }
    drop(answer);
    result.iter().sum()
}
