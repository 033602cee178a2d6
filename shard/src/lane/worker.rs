//! One thread of the bulk lane: polls what is ready, class by class.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::turns::Turns;
use super::{JobClass, JobWake, LocalFuture, MakeJob, Ready, ThreadShared, begin_slice};

/// Wakes the thread itself.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What there is to do.
enum Found {
    Ready(JobClass, Ready),
    End,
}

struct Running {
    future: LocalFuture,
    waker: Waker,
}

/// The jobs of this thread that have begun and not ended.
struct Jobs<'a> {
    shared: &'a Arc<ThreadShared>,
    running: HashMap<u64, Running>,
    next_id: u64,
}

/// Runs jobs until the lane is shut down.
pub(super) fn run(shared: &Arc<ThreadShared>) {
    let unpark = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&unpark);
    let mut jobs = Jobs { shared, running: HashMap::new(), next_id: 0 };
    let mut turns = Turns::default();
    loop {
        match shared.bell.poll_wait(&mut cx, || next(shared, &turns)) {
            Poll::Pending => thread::park(),
            Poll::Ready(Found::End) => break,
            Poll::Ready(Found::Ready(class, ready)) => {
                let began = Instant::now();
                jobs.serve(class, ready);
                turns.charge(class, began.elapsed());
            }
        }
    }
    shared.bell.close();
}

fn next(shared: &ThreadShared, turns: &Turns) -> Option<Found> {
    let ready = turns
        .order()
        .into_iter()
        .find_map(|class| shared.ready[class.index()].pop().map(|ready| Found::Ready(class, ready)));
    ready.or_else(|| shared.ended().then_some(Found::End))
}

impl Jobs<'_> {
    fn serve(&mut self, class: JobClass, ready: Ready) {
        let id = match ready {
            Ready::New(make) => self.begin(class, make),
            Ready::Woken(wake) => {
                // Taken off the list before the job runs: a wake-up during its run counts. A swap, so
                // that what a waker stored that found it still listed is seen by the run.
                wake.listed.swap(false, Ordering::AcqRel);
                wake.id
            }
        };
        self.poll(id);
    }

    fn begin(&mut self, class: JobClass, make: MakeJob) -> u64 {
        self.next_id += 1;
        let (thread, listed) = (Arc::clone(self.shared), AtomicBool::new(false));
        let wake = JobWake { thread, id: self.next_id, class, listed };
        self.running.insert(self.next_id, Running { future: make(), waker: Waker::from(Arc::new(wake)) });
        self.next_id
    }

    fn poll(&mut self, id: u64) {
        // A job that has ended may still be woken.
        let Some(job) = self.running.get_mut(&id) else { return };
        begin_slice();
        if job.future.as_mut().poll(&mut Context::from_waker(&job.waker)).is_ready() {
            self.running.remove(&id);
            self.shared.job_ended();
        }
    }
}
