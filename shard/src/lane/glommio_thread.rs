//! A lane's thread on glommio: a task queue with shares for each class of jobs, and the permanent
//! mailbox task that foreign threads wake.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle};

use super::{Found, Job, JobClass, JobWake, LocalFuture, SLICE, ThreadShared, begin_slice};

/// Entries of each of glommio's three rings.
const RING_ENTRIES: usize = 128;
const MAILBOX_SHARES: usize = 1000;
const FLUSH_SHARES: usize = 600;
const STATEMENT_SHARES: usize = 300;
const BACKGROUND_SHARES: usize = 100;

/// Wakers of glommio's own for the jobs of this thread, which never leave it.
type Wakers = Rc<RefCell<HashMap<u64, Waker>>>;

/// Runs jobs until the lane is shut down.
pub(super) fn run(
    shared: &Arc<ThreadShared>,
    ring_memory_bytes: usize,
    started: &mpsc::Sender<io::Result<()>>,
) {
    let made = LocalExecutorBuilder::new(Placement::Unbound)
        .name("bulk")
        .io_memory(ring_memory_bytes)
        .ring_depth(RING_ENTRIES)
        .preempt_timer(SLICE)
        .make();
    let executor = match made {
        Ok(executor) => executor,
        Err(error) => {
            let _ = started.send(Err(io::Error::other(error.to_string())));
            return;
        }
    };
    let _ = started.send(Ok(()));
    executor.run(serve(Arc::clone(shared)));
}

async fn serve(shared: Arc<ThreadShared>) {
    let queues = Queues::new();
    let mailbox = glommio::executor().create_task_queue(
        Shares::Static(MAILBOX_SHARES),
        Latency::Matters(Duration::from_millis(1)),
        "mailbox",
    );
    match glommio::spawn_local_into(mailbox_task(shared, queues), mailbox) {
        Ok(task) => task.await,
        // The queue was made three lines above.
        Err(error) => eprintln!("bulk lane: {error}"),
    }
}

struct Queues {
    flush: TaskQueueHandle,
    statement: TaskQueueHandle,
    background: TaskQueueHandle,
}

impl Queues {
    fn new() -> Self {
        let queue = |shares, name| {
            let shares = Shares::Static(shares);
            glommio::executor().create_task_queue(shares, Latency::NotImportant, name)
        };
        Self {
            flush: queue(FLUSH_SHARES, "flush"),
            statement: queue(STATEMENT_SHARES, "statement"),
            background: queue(BACKGROUND_SHARES, "background"),
        }
    }

    fn of(&self, class: JobClass) -> TaskQueueHandle {
        match class {
            JobClass::Flush => self.flush,
            JobClass::Statement => self.statement,
            JobClass::Background => self.background,
        }
    }
}

async fn mailbox_task(shared: Arc<ThreadShared>, queues: Queues) {
    let wakers = Wakers::default();
    let mut next_id = 0;
    loop {
        match shared.bell.wait(|| shared.next()).await {
            Found::End => break,
            Found::Woken(id) => {
                // A job that has ended may still be woken.
                let waker = wakers.borrow().get(&id).cloned();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Found::Job(Job { class, make }) => {
                next_id += 1;
                let listed = AtomicBool::new(false);
                let wake = JobWake { thread: Arc::clone(&shared), id: next_id, listed };
                let job = Bridged {
                    id: next_id,
                    future: make(),
                    foreign: Waker::from(Arc::new(wake)),
                    wakers: Rc::clone(&wakers),
                    shared: Arc::clone(&shared),
                };
                match glommio::spawn_local_into(job, queues.of(class)) {
                    Ok(task) => drop(task.detach()),
                    Err(error) => eprintln!("bulk lane: {error}"),
                }
            }
        }
        // New jobs and wake-ups must not starve the jobs themselves.
        glommio::yield_if_needed().await;
    }
    // After this no foreign thread holds a waker of glommio's.
    shared.bell.close();
}

/// A job, polled with a waker that foreign threads may keep as long as they like.
struct Bridged {
    id: u64,
    future: LocalFuture,
    foreign: Waker,
    wakers: Wakers,
    shared: Arc<ThreadShared>,
}

impl Future for Bridged {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut wakers = this.wakers.borrow_mut();
        match wakers.get(&this.id) {
            Some(old) if old.will_wake(cx.waker()) => {}
            _ => drop(wakers.insert(this.id, cx.waker().clone())),
        }
        drop(wakers);
        begin_slice();
        this.future.as_mut().poll(&mut Context::from_waker(&this.foreign))
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        let removed = self.wakers.borrow_mut().remove(&self.id);
        drop(removed);
        self.shared.job_ended();
        // The mailbox may be waiting for the last job to end.
        self.shared.bell.ring();
    }
}
